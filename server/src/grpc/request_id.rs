//! Request ids: each call has one, its caller's or one made here. Every line that the call logs
//! holds it, and so does every answer.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use order_archiver_api::REQUEST_ID;
use tonic::{Code, Status, body::Body, codegen::Bytes};
use tower::{Layer, Service};
use tracing::{Instrument, Span, error_span};
use uuid::Uuid;

use super::status;
use crate::{domain::text::cut, telemetry};

/// The longest id that is taken from a caller, in bytes.
const LONGEST: usize = 128;
/// The most that is logged of a method's name, in bytes: a caller may make one up.
const LONGEST_METHOD: usize = 128;

/// The id of a call: at most [`LONGEST`] visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    /// The caller's, if it gave a usable one; else one of this server's own. An unusable id is no
    /// reason to refuse a call: the answer says which one is used.
    fn of(headers: &HeaderMap) -> RequestId {
        let given = headers.get(REQUEST_ID).filter(|given| is_usable(given));
        RequestId(given.cloned().unwrap_or_else(|| {
            let made = Uuid::now_v7().to_string();
            HeaderValue::try_from(made).expect("a UUID is made of visible characters")
        }))
    }

    /// The id of the call that a request is part of.
    pub(super) fn of_call<Q>(request: &tonic::Request<Q>) -> String {
        let id = request.extensions().get::<RequestId>();
        id.map_or_else(String::new, |id| id.as_str().to_owned())
    }

    fn as_str(&self) -> &str {
        self.0
            .to_str()
            .expect("it was checked when it was taken or made")
    }

    /// Puts the id into the headers or trailers of an answer, and into the details of an error in
    /// them.
    fn mark(&self, call: &Span, headers: &mut HeaderMap) {
        let status = Status::from_header_map(headers);
        if let Some(status) = &status {
            telemetry::note_end(call, status.code().into());
        }
        if let Some(error) = status.filter(|status| status.code() != Code::Ok) {
            let marked = status::with_request_id(error, self.as_str());
            // What can't be written as a header was none before either.
            let _ = marked.add_header(headers);
        }
        headers.insert(REQUEST_ID, self.0.clone());
    }
}

fn is_usable(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

/// Gives each call its id and the span of its lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestIds;

impl<S> Layer<S> for RequestIds {
    type Service = Identifying<S>;

    fn layer(&self, inner: S) -> Identifying<S> {
        Identifying(inner)
    }
}

/// A service whose calls have ids.
#[derive(Clone, Debug)]
pub(super) struct Identifying<S>(S);

impl<S, B> Service<Request<Body>> for Identifying<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Answer<B>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let id = RequestId::of(request.headers());
        let method = cut(request.uri().path().trim_start_matches('/'), LONGEST_METHOD);
        // Of the level of errors, so that no filter takes the id from a line that it lets through.
        let span = error_span!("call", request_id = id.as_str(), method);
        telemetry::continue_trace(&span, request.headers());
        request.extensions_mut().insert(id.clone());
        let answering = span.in_scope(|| self.0.call(request));
        let answering = answering.instrument(span.clone());
        Box::pin(async move {
            let mut response = answering.await?;
            id.mark(&span, response.headers_mut());
            Ok(response.map(|inner| Answer { inner, span, id }))
        })
    }
}

/// The body of an answer: what it logs is the call's, and an error at its end has the id.
pub(super) struct Answer<B> {
    inner: B,
    span: Span,
    id: RequestId,
}

impl<B> http_body::Body for Answer<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let _in_span = this.span.enter();
        let frame = Pin::new(&mut this.inner).poll_frame(cx);
        frame.map_ok(|mut frame| {
            if let Some(trailers) = frame.trailers_mut() {
                this.id.mark(&this.span, trailers);
            }
            frame
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: Option<&[u8]>) -> RequestId {
        let mut headers = HeaderMap::new();
        if let Some(given) = given {
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(given).unwrap());
        }
        RequestId::of(&headers)
    }

    #[test]
    fn a_usable_id_is_taken_as_it_is() {
        for usable in ["1", "Root=1-67891233-abcdef0", &"x".repeat(LONGEST)] {
            assert_eq!(of(Some(usable.as_bytes())).as_str(), usable);
        }
    }

    #[test]
    fn any_other_id_is_replaced_by_one_that_is_new_each_time() {
        let long = "x".repeat(LONGEST + 1);
        let unusable: [Option<&[u8]>; 6] = [
            None,
            Some(b""),
            Some(long.as_bytes()),
            Some(b"two words"),
            Some("\u{e9}".as_bytes()),
            Some(b"a\tb"),
        ];
        for given in unusable {
            let [first, second] = [of(given), of(given)];
            assert!(Uuid::parse_str(first.as_str()).is_ok(), "{first:?}");
            assert_ne!(first, second);
        }
    }
}
