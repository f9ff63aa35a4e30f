//! gRPC by hand: requests whose bodies never end, and answers whose bodies are left unread.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use anyhow::Result;
use http_body::{Body, Frame};
use prost::{
    Message,
    bytes::{BufMut, Bytes, BytesMut},
};
use tonic::transport::Channel;
use tower::{Service, ServiceExt};

/// A body that begins with some bytes, and then ends or never does.
pub(crate) struct Begun {
    bytes: Option<Bytes>,
    ends: bool,
}

impl Begun {
    /// A whole message.
    pub(crate) fn whole(message: &impl Message) -> Begun {
        let length = message.encoded_len();
        let mut bytes = head(length);
        message.encode(&mut bytes).expect("there is room for it");
        Begun {
            bytes: Some(bytes.freeze()),
            ends: true,
        }
    }

    /// All but the last byte of a message of this length.
    pub(crate) fn unfinished(length: usize) -> Begun {
        let mut bytes = head(length);
        bytes.put_bytes(0, length - 1);
        Begun {
            bytes: Some(bytes.freeze()),
            ends: false,
        }
    }
}

/// What stands before a message on the wire: that it is not compressed, and its length.
fn head(length: usize) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(length + 5);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).expect("a message is small"));
    bytes
}

impl Body for Begun {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// Calls a method, and returns its answer with the body still unread.
pub(crate) async fn call(
    channel: &mut Channel,
    address: &str,
    method: &str,
    body: Begun,
) -> Result<http::Response<tonic::body::Body>> {
    let request = http::Request::post(format!("{address}/orderarchiver.v1.{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(body))?;
    Ok(channel.ready().await?.call(request).await?)
}
