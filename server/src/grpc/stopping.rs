//! The body of a request that ends when the server stops: what reads it would wait for more.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http_body::Frame;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, body::Body, codegen::Bytes};

pub(super) struct UntilStop {
    inner: Body,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl UntilStop {
    pub(super) fn new(inner: Body, stop: CancellationToken) -> UntilStop {
        UntilStop {
            inner,
            stop: Box::pin(stop.cancelled_owned()),
        }
    }
}

impl http_body::Body for UntilStop {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }
}
