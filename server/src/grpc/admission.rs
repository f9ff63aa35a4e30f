//! Admission: each call is held to the limits, its request as it arrives and its answer until it
//! has been sent.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, body::Body, codegen::Bytes};
use tower::{Layer, Service};
use tracing::error;

use super::{
    connection::{Connection, OpenCall, UnreadAnswer},
    limits::{self, Limits, Room},
    methods, status,
    stopping::UntilStop,
};

/// How much of an answer is handed over at a time, in bytes: progress is seen from one part to the
/// next.
const PART: usize = 64 * 1024;

/// Holds calls to the limits.
#[derive(Clone, Debug)]
pub(super) struct Admission {
    limits: Limits,
    kinds: Kinds,
    stop: CancellationToken,
}

impl Admission {
    pub(super) fn new(limits: Limits, stop: CancellationToken) -> Admission {
        Admission {
            limits,
            stop,
            kinds: Kinds::of_contract(),
        }
    }

    /// Lets a call in, or says why not.
    fn admit(&self, request: &Request<Body>) -> Result<(Kind, Call), Status> {
        let kind = self.kinds.of(request.uri().path());
        let connection = request.extensions().get::<Arc<Connection>>();
        // The first calls of a connection are let in even when others have taken all places.
        let place = match self.place(kind) {
            Ok(place) => Some(place),
            Err(_) if connection.is_some_and(|connection| connection.has_few_calls()) => None,
            Err(refusal) => return Err(refusal),
        };
        let (mut stream, mut stream_here) = (None, None);
        if kind.streams_requests && kind.is_foreign {
            stream = Some(self.limits.reflection_stream()?);
        } else if kind.streams_requests {
            stream = Some(self.limits.request_stream()?);
            stream_here = connection
                .map(|connection| connection.request_stream())
                .transpose()?;
        }
        let call = Call {
            _places: [place, stream, stream_here],
            _open: connection.map(|connection| connection.call(kind.only_listens())),
            connection: connection.cloned(),
        };
        Ok((kind, call))
    }

    fn place(&self, kind: Kind) -> Result<OwnedSemaphorePermit, Status> {
        match kind.is_foreign && kind.only_listens() {
            true => self.limits.health_watch(),
            false => self.limits.call(),
        }
    }
}

/// Which side of a call is a stream, and whose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kind {
    streams_requests: bool,
    pub(super) streams_answers: bool,
    /// Whether it belongs to a service beside the contract's: health or reflection, which don't
    /// hear that the server stops.
    is_foreign: bool,
}

impl Kind {
    /// Whether its caller asks once and is told for as long as it likes.
    fn only_listens(self) -> bool {
        self.streams_answers && !self.streams_requests
    }
}

/// The calls that are streams, by their paths.
#[derive(Clone, Debug)]
pub(super) struct Kinds(Arc<std::collections::HashMap<String, Kind>>);

impl Kinds {
    /// As the contract and the services beside it say.
    pub(super) fn of_contract() -> Kinds {
        let mut kinds: std::collections::HashMap<_, _> = methods::all()
            .into_iter()
            .map(|method| {
                let kind = Kind {
                    streams_requests: method.streams_requests,
                    streams_answers: method.streams_answers,
                    is_foreign: method.is_foreign,
                };
                (method.path(), kind)
            })
            .collect();
        kinds.retain(|_, kind| kind.streams_requests || kind.streams_answers);
        Kinds(Arc::new(kinds))
    }

    pub(super) fn of(&self, path: &str) -> Kind {
        self.0.get(path).copied().unwrap_or_default()
    }
}

/// What a call holds until its answer has been sent.
#[derive(Debug)]
struct Call {
    _places: [Option<OwnedSemaphorePermit>; 3],
    _open: Option<OpenCall>,
    connection: Option<Arc<Connection>>,
}

impl<S> Layer<S> for Admission {
    type Service = Admitting<S>;

    fn layer(&self, inner: S) -> Admitting<S> {
        Admitting {
            inner,
            admission: self.clone(),
        }
    }
}

/// A service behind the limits.
#[derive(Clone, Debug)]
pub(super) struct Admitting<S> {
    inner: S,
    admission: Admission,
}

impl<S, B> Service<Request<Body>> for Admitting<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Bytes, Error = Status> + Unpin + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (kind, call) = match self.admission.admit(&request) {
            Ok(admitted) => admitted,
            Err(refusal) => return Box::pin(std::future::ready(Ok(refusal.into_http()))),
        };
        let arriving = Arc::new(Arriving {
            limits: self.admission.limits.clone(),
            held: Mutex::default(),
        });
        if let Err(refusal) = arriving.take(head_bytes(&request)) {
            return Box::pin(std::future::ready(Ok(refusal.into_http())));
        }
        // What a stream of requests may hold has been set aside with its place.
        let request = if kind.streams_requests && kind.is_foreign {
            let stop = self.admission.stop.clone();
            request.map(|body| Body::new(UntilStop::new(body, stop)))
        } else if kind.streams_requests {
            request
        } else {
            let arriving = arriving.clone();
            let unpacked = most_unpacked(&request);
            request.map(|body| {
                Body::new(RequestBody {
                    inner: body,
                    arriving,
                    unpacked,
                    deadline: None,
                })
            })
        };
        let answering = self.inner.call(request);
        let limits = self.admission.limits.clone();
        let stop = (kind.streams_answers && kind.is_foreign)
            .then(|| Box::pin(self.admission.stop.clone().cancelled_owned()));
        Box::pin(async move {
            let mut response = answering.await?;
            drop(arriving);
            let mut room = response.extensions_mut().remove::<Room>();
            // A message that is no stream's is there whole, and whoever takes none of it may keep
            // it for long.
            let mut first = None;
            if room.is_none() && !kind.streams_answers && !response.body().is_end_stream() {
                first = poll_fn(|cx| Pin::new(response.body_mut()).poll_frame(cx)).await;
                let message = first
                    .as_ref()
                    .and_then(|frame| frame.as_ref().ok()?.data_ref());
                match limits.made_answer(message.map_or(0, Bytes::len)) {
                    Ok(made) => room = made,
                    Err(refusal) => return Ok(refusal.into_http()),
                }
            }
            let unread = call.connection.as_ref().filter(|_| !kind.streams_answers);
            let answer = Arc::new(Answer {
                unread: unread.map(|connection| connection.unread(Instant::now())),
                _room: room,
                _call: call,
            });
            Ok(response.map(|inner| {
                Body::new(AnswerBody {
                    inner,
                    first,
                    rest: Bytes::new(),
                    stop,
                    answer,
                })
            }))
        })
    }
}

/// What the head of a request takes, in bytes, as HTTP/2 counts it: few bytes on the wire can name
/// many.
fn head_bytes(request: &Request<Body>) -> usize {
    const OF_A_FIELD: usize = 32;
    let fields = request.headers().iter();
    let bytes = fields.map(|(name, value)| name.as_str().len() + value.len() + OF_A_FIELD);
    request.uri().path().len() + bytes.sum::<usize>()
}

/// How many bytes a byte of a request can become, by what the request says of itself.
fn most_unpacked(request: &Request<Body>) -> usize {
    match request.headers().get("grpc-encoding") {
        Some(encoding) if encoding != "identity" => limits::UNPACKED,
        _ => 1,
    }
}

/// A request as it arrives, and until it is answered: room for all of it, head and body, beyond a
/// small one.
#[derive(Debug)]
struct Arriving {
    limits: Limits,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    room: Option<OwnedSemaphorePermit>,
}

impl Arriving {
    fn take(&self, bytes: usize) -> Result<(), Status> {
        let mut held = self.held.lock();
        // However much is packed in it, no more is unpacked than the largest request may have.
        held.bytes = held.bytes.saturating_add(bytes).min(limits::CURSOR_REQUEST);
        let has = held
            .room
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let wants = held.bytes.saturating_sub(limits::SMALL_REQUEST);
        if wants > has {
            let more = self.limits.request(wants - has)?;
            match held.room.as_mut() {
                Some(room) => room.merge(more),
                None => held.room = Some(more),
            }
        }
        Ok(())
    }
}

/// The body of a request that has to arrive in time.
struct RequestBody {
    inner: Body,
    arriving: Arc<Arriving>,
    unpacked: usize,
    /// Made when something has to be waited for: most bodies are there with their call.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            let bytes = match &frame {
                Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
                _ => 0,
            };
            if bytes > 0
                && let Err(refusal) = this.arriving.take(bytes.saturating_mul(this.unpacked))
            {
                return Poll::Ready(Some(Err(refusal)));
            }
            return Poll::Ready(frame);
        }
        let deadline = this
            .deadline
            .get_or_insert_with(|| Box::pin(sleep(limits::ARRIVAL)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(status::request_too_slow(limits::ARRIVAL))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer that has not been sent to its end, with all that its call holds.
#[derive(Debug)]
struct Answer {
    unread: Option<UnreadAnswer>,
    _room: Option<Room>,
    _call: Call,
}

/// The body of an answer, handed over in parts. Each part knows when it has been sent, which may be
/// long after.
struct AnswerBody<B> {
    inner: B,
    /// What has been taken from it already.
    first: Option<Result<Frame<Bytes>, Status>>,
    rest: Bytes,
    /// What ends a stream that would not end by itself.
    stop: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    answer: Arc<Answer>,
}

impl<B> http_body::Body for AnswerBody<B>
where
    B: http_body::Body<Data = Bytes, Error = Status> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            if let Some(stop) = &mut this.stop
                && stop.as_mut().poll(cx).is_ready()
            {
                let mut trailers = HeaderMap::new();
                let end = status::stopping().add_header(&mut trailers);
                return Poll::Ready(Some(end.map(|()| Frame::trailers(trailers))));
            }
            let next = match this.first.take() {
                Some(first) => Some(first),
                None => {
                    // Of a stream too a panic is its caller's alone, and not of all who share the
                    // connection.
                    let next = AssertUnwindSafe(|| Pin::new(&mut this.inner).poll_frame(cx));
                    match catch_unwind(next) {
                        Ok(next) => ready!(next),
                        Err(_) => return Poll::Ready(Some(Ok(broken()))),
                    }
                }
            };
            match next {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let part = Part {
            bytes: this.rest.split_to(this.rest.len().min(PART)),
            answer: this.answer.clone(),
        };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(part)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.first.is_none() && self.inner.is_end_stream()
    }
}

/// The end of an answer that could not be made.
fn broken() -> Frame<Bytes> {
    error!("an answer panicked; this is a fault of the server, please report it");
    let mut trailers = HeaderMap::new();
    // Its text and details are of characters that a header may have.
    let _ = status::internal().add_header(&mut trailers);
    Frame::trailers(trailers)
}

/// A part of an answer on its way.
struct Part {
    bytes: Bytes,
    answer: Arc<Answer>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if let Some(unread) = &self.answer.unread {
            unread.progress(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as HttpBody;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_panics_ends_with_an_error_for_its_caller_alone() {
        struct Panics(bool);
        impl http_body::Body for Panics {
            type Data = Bytes;
            type Error = Status;
            fn poll_frame(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
                assert!(!std::mem::replace(&mut self.0, true), "as it was meant to");
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"part")))))
            }
        }
        let service = tower::service_fn(async |_: Request<Body>| {
            Ok::<_, Infallible>(Response::new(Panics(false)))
        });
        let admission = Admission::new(Limits::new(), CancellationToken::new());
        let mut service = admission.layer(service);
        for path in [
            "/orderarchiver.v1.EventService/TailEvents",
            "/any.Service/Call",
        ] {
            let request = Request::post(path).body(Body::empty()).unwrap();
            let mut body = Service::call(&mut service, request)
                .await
                .unwrap()
                .into_body();
            let mut next = async || {
                let frame = poll_fn(|cx| HttpBody::poll_frame(Pin::new(&mut body), cx)).await;
                frame.unwrap().unwrap()
            };
            assert_eq!(next().await.into_data().unwrap(), "part", "{path}");
            let trailers = next().await.into_trailers().unwrap();
            let status = Status::from_header_map(&trailers).unwrap();
            assert_eq!(status.code(), tonic::Code::Internal, "{path}: {status:?}");
        }
    }

    #[test]
    fn the_head_of_a_request_is_counted_as_http_2_does() {
        let request = Request::builder()
            .uri("http://a/s.S/M")
            .header("n", "value");
        assert_eq!(
            head_bytes(&request.body(Body::empty()).unwrap()),
            6 + 1 + 5 + 32
        );
    }

    #[test]
    fn small_requests_need_no_room_and_are_let_in_when_there_is_none() {
        let limits = Limits::new();
        let arriving = || Arriving {
            limits: limits.clone(),
            held: Mutex::default(),
        };
        let large: Vec<Arriving> = std::iter::repeat_with(arriving)
            .take_while(|arriving| arriving.take(limits::CURSOR_REQUEST).is_ok())
            .collect();
        assert_eq!(large.len(), 16);
        let (small, growing) = (arriving(), arriving());
        for _ in 0..4 {
            assert!(small.take(limits::SMALL_REQUEST / 4).is_ok());
        }
        while growing.take(1_024).is_ok() {}
        assert!(growing.take(1).is_err());
        drop(large);
        assert!(growing.take(1).is_ok());
    }

    #[test]
    fn reflection_takes_no_place_of_the_streams_of_orders() {
        let admission = Admission::new(Limits::new(), CancellationToken::new());
        let request = |path: &str| Request::post(path).body(Body::empty()).unwrap();
        let admitted = |path| -> Vec<_> {
            std::iter::repeat_with(|| admission.admit(&request(path)))
                .take_while(Result::is_ok)
                .collect()
        };
        let reflection = admitted("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
        let orders = admitted("/orderarchiver.v1.ArchiveService/ArchiveOrders");
        assert_eq!((reflection.len(), orders.len()), (64, 128));
    }

    #[test]
    fn streams_are_known_by_their_paths() {
        let kinds = Kinds::of_contract();
        let table = [
            (
                "/orderarchiver.v1.ArchiveService/ArchiveOrders",
                (true, true),
            ),
            ("/orderarchiver.v1.EventService/TailEvents", (false, true)),
            ("/grpc.health.v1.Health/Watch", (false, true)),
            (
                "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                (true, true),
            ),
            (
                "/orderarchiver.v1.ArchiveService/ArchiveOrder",
                (false, false),
            ),
            ("/no.such.Service/Call", (false, false)),
        ];
        for (path, (streams_requests, streams_answers)) in table {
            let kind = kinds.of(path);
            let streams = (kind.streams_requests, kind.streams_answers);
            assert_eq!(streams, (streams_requests, streams_answers), "{path}");
        }
    }
}
