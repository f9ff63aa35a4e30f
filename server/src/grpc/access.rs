//! Access: each call is made by somebody who may make it, and a stream ends when that is no longer
//! so.

use std::{
    convert::Infallible,
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, codegen::Bytes};
use tower::{Layer, Service};

use super::{
    admission::Kinds,
    audit::Audited,
    connection::{Connection, Reason},
    status,
};
use crate::{
    access::{
        Access, Admitted, Asked, Refusal,
        identity::{Credential, Schemes, Unidentified},
        rules,
    },
    domain::text::cut,
    peer::Peer,
};

/// The most that is logged of a method's name, in bytes: a caller may make one up.
const LONGEST_METHOD: usize = 128;

/// Asks of each call who makes it.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    access: Access,
    kinds: Kinds,
}

impl Asking {
    pub(super) fn new(access: Access) -> Asking {
        Asking {
            access,
            kinds: Kinds::of_contract(),
        }
    }

    /// Whether a call may be made, and for how long. One that is to be told of in the audit log
    /// learns here what that says of it.
    fn admit(&self, request: &mut Request<Body>) -> Result<Admitted, Status> {
        let path = request.uri().path();
        let needed = rules::of_grpc(path);
        let method = cut(path.trim_start_matches('/'), LONGEST_METHOD);
        let admitted = self.access.admit(&Asked {
            what: &method,
            needed,
            peer: request.extensions().get::<Arc<Peer>>(),
            headers: request.headers(),
            schemes: Schemes::Bearer,
        });
        let admitted = admitted.map_err(|refusal| match refusal {
            Refusal::Unidentified(why) => status::unidentified(why),
            Refusal::Lacks(right) => status::lacks(right),
        })?;
        if let Some(right) = needed.filter(|right| right.is_audited()) {
            let audited = Audited {
                admitted: admitted.clone(),
                method,
                right,
            };
            request.extensions_mut().insert(audited);
        }
        Ok(admitted)
    }
}

/// Those who have called on a connection.
#[derive(Debug, Default)]
pub(super) struct Callers {
    known: Mutex<Vec<Credential>>,
    /// Cancelled when the connection is no more.
    ended: CancellationToken,
}

impl Callers {
    /// Whether somebody calls for the first time.
    fn are_new(&self, credential: &Credential) -> bool {
        let mut known = self.known.lock();
        let is_new = !known.contains(credential);
        if is_new {
            known.push(credential.clone());
        }
        is_new
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.ended.cancel();
    }
}

/// Has a connection leave when somebody who called on it is removed, whether a call of theirs is
/// under way then or not.
fn watch_over(connection: &Arc<Connection>, admitted: &Admitted) {
    let callers = connection.callers();
    if !admitted.credential().is_some_and(|it| callers.are_new(it)) {
        return;
    }
    let (ended, connection) = (callers.ended.clone(), Arc::downgrade(connection));
    let removed = admitted.clone().removed();
    tokio::spawn(async move {
        if ended.run_until_cancelled(removed).await.is_some()
            && let Some(connection) = connection.upgrade()
        {
            connection.close(Reason::Removed);
        }
    });
}

impl<S> Layer<S> for Asking {
    type Service = AskedFirst<S>;

    fn layer(&self, inner: S) -> AskedFirst<S> {
        AskedFirst {
            inner,
            asking: self.clone(),
        }
    }
}

/// A service whose callers are asked first who they are.
#[derive(Clone, Debug)]
pub(super) struct AskedFirst<S> {
    inner: S,
    asking: Asking,
}

impl<S> Service<Request<Body>> for AskedFirst<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let admitted = match self.asking.admit(&mut request) {
            Ok(admitted) => admitted,
            Err(refusal) => return Box::pin(ready(Ok(refusal.into_http().map(Answer::whole)))),
        };
        if let Some(connection) = request.extensions().get() {
            watch_over(connection, &admitted);
        }
        // What is answered at once is finished: it was allowed when it began.
        let streams = self.asking.kinds.of(request.uri().path()).streams_answers;
        let removed = streams.then(|| Box::pin(admitted.removed()) as Removed);
        let answering = self.inner.call(request);
        Box::pin(async move {
            let response = answering.await?;
            Ok(response.map(|inner| Answer { inner, removed }))
        })
    }
}

type Removed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The body of an answer, which ends when whoever it is for is removed.
pub(super) struct Answer {
    inner: Body,
    removed: Option<Removed>,
}

impl Answer {
    fn whole(inner: Body) -> Answer {
        Answer {
            inner,
            removed: None,
        }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let removed = this.removed.as_mut();
        if removed.is_some_and(|removed| removed.as_mut().poll(cx).is_ready()) {
            // What it is made of ends with it, and a stream of requests with that.
            (this.inner, this.removed) = (Body::empty(), None);
            let mut trailers = HeaderMap::new();
            let end = status::unidentified(Unidentified::Removed).add_header(&mut trailers);
            return Poll::Ready(Some(end.map(|()| Frame::trailers(trailers))));
        }
        Pin::new(&mut this.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
