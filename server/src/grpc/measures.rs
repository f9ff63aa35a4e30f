//! What is measured of calls: how many there are, how they end, and how long they take.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tonic::{Code, codegen::Bytes};
use tower::{Layer, Service};

use super::methods::{self, Method};
use crate::metrics::{Counted, Counter, Gauge, Histogram, Metrics, names};

/// The codes of gRPC by their numbers.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// The code of a call whose caller has left before its end.
const CANCELLED: usize = 1;
/// The code of an answer that names none that is known.
const UNKNOWN: usize = 2;

/// The name of a code.
pub(super) fn code_name(code: Code) -> &'static str {
    CODES[code as usize]
}

/// Measures calls.
#[derive(Clone)]
pub(super) struct Measuring {
    metrics: Metrics,
    in_flight: Gauge,
    methods: Arc<HashMap<String, Arc<Measured>>>,
    /// What stands in for all methods that there are not: callers can name any number of them.
    unknown: Arc<Measured>,
}

/// What is measured of a method. Its series are made when it is first called: there are many
/// methods, and few of them are.
struct Measured {
    service: String,
    name: String,
    is_stream: bool,
    duration: OnceLock<Histogram>,
    ended: [OnceLock<Counter>; CODES.len()],
}

impl Measured {
    fn new(service: &str, name: &str, is_stream: bool) -> Arc<Measured> {
        Arc::new(Measured {
            service: service.to_owned(),
            name: name.to_owned(),
            is_stream,
            duration: OnceLock::new(),
            ended: [const { OnceLock::new() }; CODES.len()],
        })
    }
}

impl Measuring {
    pub(super) fn new(metrics: &Metrics) -> Measuring {
        let measured = |method: Method| {
            let is_stream = method.streams_requests || method.streams_answers;
            let measured = Measured::new(&method.service, &method.name, is_stream);
            (method.path(), measured)
        };
        Measuring {
            metrics: metrics.clone(),
            in_flight: metrics.gauge(&names::RPCS_IN_FLIGHT, &[]),
            methods: Arc::new(methods::all().into_iter().map(measured).collect()),
            unknown: Measured::new("unknown", "unknown", false),
        }
    }

    fn begin(&self, path: &str) -> Call {
        let method = self.methods.get(path).unwrap_or(&self.unknown);
        Call {
            metrics: self.metrics.clone(),
            method: method.clone(),
            began: Instant::now(),
            code: CANCELLED,
            _in_flight: Counted::new(self.in_flight.clone()),
        }
    }
}

/// A call until its answer has been handed over, or will never be.
struct Call {
    metrics: Metrics,
    method: Arc<Measured>,
    began: Instant,
    code: usize,
    _in_flight: Counted,
}

impl Call {
    /// Takes note of the code, if these headers or trailers name it.
    fn note(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get("grpc-status") {
            let code = status.to_str().ok().and_then(|code| code.parse().ok());
            self.code = code.filter(|code| *code < CODES.len()).unwrap_or(UNKNOWN);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Measured { service, name, .. } = &*self.method;
        let ended = self.method.ended[self.code].get_or_init(|| {
            let labels = [service, name, CODES[self.code]];
            self.metrics.counter(&names::RPCS, &labels)
        });
        ended.increment(1);
        if !self.method.is_stream {
            let duration = self.method.duration.get_or_init(|| {
                self.metrics
                    .histogram(&names::RPC_DURATION, &[service, name])
            });
            duration.record(self.began.elapsed());
        }
    }
}

impl<S> Layer<S> for Measuring {
    type Service = MeasuringService<S>;

    fn layer(&self, inner: S) -> MeasuringService<S> {
        MeasuringService {
            inner,
            measuring: self.clone(),
        }
    }
}

/// A service that is measured.
#[derive(Clone)]
pub(super) struct MeasuringService<S> {
    inner: S,
    measuring: Measuring,
}

impl<S, Q, B> Service<Request<Q>> for MeasuringService<S>
where
    S: Service<Request<Q>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Answer<B>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let mut call = self.measuring.begin(request.uri().path());
        let answering = self.inner.call(request);
        Box::pin(async move {
            let response = answering.await?;
            call.note(response.headers());
            Ok(response.map(|body| Answer { body, call }))
        })
    }
}

/// The body of an answer, the end of which says how the call has ended.
pub(super) struct Answer<B> {
    body: B,
    call: Call,
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
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let trailers = frame.as_ref().and_then(|frame| frame.as_ref().ok());
        if let Some(trailers) = trailers.and_then(Frame::trailers_ref) {
            self.call.note(trailers);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_counted_once_under_the_code_that_it_ends_with() {
        let metrics = Metrics::new();
        let measuring = Measuring::new(&metrics);
        let ends = |path: &str, status: Option<&'static str>| {
            let mut call = measuring.begin(path);
            let mut headers = HeaderMap::new();
            if let Some(status) = status {
                headers.insert("grpc-status", status.parse().unwrap());
            }
            call.note(&headers);
        };
        let order = "/orderarchiver.v1.ArchiveService/ArchiveOrder";
        let tail = "/orderarchiver.v1.EventService/TailEvents";
        for (path, status) in [
            (order, Some("0")),
            (order, Some("5")),
            (order, None),
            (order, Some("99")),
            (tail, Some("14")),
            ("/any.Thing/Else", Some("12")),
            ("/no/such/path", Some("12")),
        ] {
            ends(path, status);
        }
        let open = measuring.begin(order);
        let text = metrics.render();
        let archive = "service=\"orderarchiver.v1.ArchiveService\",method=\"ArchiveOrder\"";
        for line in [
            format!("order_archiver_rpcs_total{{{archive},code=\"OK\"}} 1"),
            format!("order_archiver_rpcs_total{{{archive},code=\"NOT_FOUND\"}} 1"),
            format!("order_archiver_rpcs_total{{{archive},code=\"CANCELLED\"}} 1"),
            format!("order_archiver_rpcs_total{{{archive},code=\"UNKNOWN\"}} 1"),
            format!("order_archiver_rpc_duration_seconds_count{{{archive}}} 4"),
            "order_archiver_rpcs_total{service=\"unknown\",method=\"unknown\",code=\"UNIMPLEMENTED\"} 2"
                .to_owned(),
            "order_archiver_rpcs_in_flight 1".to_owned(),
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
        assert!(
            !text.contains("duration_seconds_count{service=\"orderarchiver.v1.EventService\""),
            "a stream is as long as its caller likes: {text}"
        );
        drop(open);
    }
}
