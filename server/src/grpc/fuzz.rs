//! Reads bytes as what callers send: tokens, cursors, and requests up to their handlers; see
//! `crate::fuzz`.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bson::RawDocumentBuf;
use futures::FutureExt;
use http::{HeaderValue, Request, Response};
use http_body::Frame;
use order_archiver_api::v1::{ListArchivedOrdersRequest, ListBatchesRequest};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, codegen::Bytes, service::Routes};
use tower::{ServiceBuilder, ServiceExt, util::MapResponseLayer};

use super::{
    access::{self, Asking},
    add_services,
    admission::Admission,
    audit::Audit,
    call::Calls,
    cursor, explain,
    limits::Limits,
    methods, page, status,
};
use crate::{
    access::Access,
    bytes::{checkpoint::time_of, raw::Value},
    config::Config,
    observe::monitor::Monitor,
    parts::{Parts, Role},
    store::archive::read::Below,
};

/// Cursors as callers bring them back, and those of places.
pub(crate) fn cursor(bytes: &[u8]) {
    const IDENTITY: &str = "a database";
    let text = String::from_utf8_lossy(bytes);
    if let Some(place) = cursor::place(IDENTITY, &text) {
        assert_eq!(cursor::cursor(IDENTITY, &place), text);
    }
    // Nothing keeps callers from sealing a place of their own.
    if let Ok(place) = RawDocumentBuf::from_bytes(bytes.to_vec())
        && time_of(&place).is_some()
    {
        let cursor = cursor::cursor(IDENTITY, &place);
        assert_eq!(cursor::place(IDENTITY, &cursor), Some(place));
    }
}

/// Page tokens as callers bring them back, and those that they seal themselves.
pub(crate) fn page_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (orders, batches) = (
        ListArchivedOrdersRequest::default(),
        ListBatchesRequest::default(),
    );
    for token in [text.as_ref(), &page::token(&orders, &text)] {
        let Some(below) = page::place(&orders, token) else {
            continue;
        };
        let numeros: Vec<String> = match &below {
            Below::Number(numero) => vec![numero.clone()],
            Below::Passed { prefix, .. } => ["a", "b"].map(|end| format!("{prefix}{end}")).into(),
        };
        let numeros: Vec<&str> = numeros.iter().map(String::as_str).collect();
        let next = page::token_after(&orders, &numeros, Some(&below));
        assert!(next.len() < 1_200, "{next}");
        assert!(page::place(&orders, &next).is_some(), "{next}");
    }
    for token in [text.as_ref(), &page::token(&batches, &text)] {
        if let Some(mut place) = page::place_at(&batches, token) {
            place.pass(&Value::string(&"x".repeat(300)));
            let next = page::token_at(&batches, &place);
            assert_eq!(page::place_at(&batches, &next), Some(place));
        }
    }
}

/// A request: which method, how it is framed, and its bytes. It goes through all that stands
/// between a connection and the database, of which there is none.
pub(crate) fn requests(bytes: &[u8]) {
    let [method, flags, body @ ..] = bytes else {
        return;
    };
    HANDLERS.with(|handlers| handlers.ask(*method, *flags, body));
}

thread_local! {
    static HANDLERS: Handlers = Handlers::new();
}

/// Says that the bytes hold frames already.
const FRAMED: u8 = 1;
/// Says that the message is packed with gzip.
const PACKED: u8 = 2;
/// Says that the first eight bytes are the caller's deadline.
const TIMED: u8 = 4;

/// The services of a server whose database never answers.
struct Handlers {
    runtime: Runtime,
    paths: Vec<String>,
    service: tower::util::BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>,
}

impl Handlers {
    fn new() -> Handlers {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build();
        let runtime = runtime.expect("a runtime needs nothing but a few files");
        let config = Config::simulation("mongodb://127.0.0.1:1/?directConnection=true", "fuzz");
        let config = config.expect("the settings of a simulation are good");
        let stop = CancellationToken::new();
        let parts = runtime.block_on(Parts::new(&config, Role::Serve(None), stop.clone()));
        let parts = parts.expect("nothing is asked of the database yet");
        let limits = Limits::new();
        let calls = Calls {
            audit: Audit::of_the_log_alone(),
            monitor: Monitor::content(parts.store.clone()),
            request_timeout: Duration::from_secs(30),
            stop: stop.clone(),
            limits: limits.clone(),
        };
        let mut routes = Routes::builder();
        add_services(&mut routes, &config, parts, calls);
        let service = ServiceBuilder::new()
            .layer(MapResponseLayer::new(|answer: Response<access::Answer>| {
                answer.map(Body::new)
            }))
            .layer(MapResponseLayer::new(explain))
            .layer(Asking::new(Access::open()))
            .layer(Admission::new(limits, stop))
            .service(routes.routes().prepare());
        let mut paths: Vec<String> = methods::all().iter().map(methods::Method::path).collect();
        paths.sort();
        Handlers {
            runtime,
            paths,
            service: tower::util::BoxCloneSyncService::new(service),
        }
    }

    /// Asks, and leaves as soon as the database would be waited for.
    fn ask(&self, method: u8, flags: u8, body: &[u8]) {
        let mut request = Request::post(&self.paths[usize::from(method) % self.paths.len()])
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let mut body = body;
        if flags & TIMED != 0
            && let Some((timeout, rest)) = body.split_at_checked(8)
        {
            body = rest;
            if let Ok(timeout) = HeaderValue::from_bytes(timeout) {
                request = request.header("grpc-timeout", timeout);
            }
        }
        if flags & PACKED != 0 {
            request = request.header("grpc-encoding", "gzip");
        }
        let mut framed = Vec::new();
        if flags & FRAMED == 0 {
            framed.push(u8::from(flags & PACKED != 0));
            framed.extend(u32::try_from(body.len()).unwrap_or(0).to_be_bytes());
        }
        framed.extend(body);
        let body = Body::new(Whole(Some(framed.into())));
        let request = request.body(body).expect("its parts are good");
        let _entered = self.runtime.enter();
        let answer = self.service.clone().oneshot(request).now_or_never();
        let Some(Ok(answer)) = answer else { return };
        let status = Status::from_header_map(answer.headers());
        // tonic says INTERNAL of bytes that are no message, and the server of faults of its own.
        let broken = status::internal();
        let is_broken = status.is_some_and(|status| status.message() == broken.message());
        assert!(!is_broken, "a handler broke");
    }
}

/// A body that is there already.
struct Whole(Option<Bytes>);

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}
