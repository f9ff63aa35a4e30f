//! What HTTP is to a listener: how its connections are served, and how many there may be.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body};
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    time::{Instant, sleep_until, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::debug;

use super::unread::{Noted, Unread};
use crate::{
    peer::Peer,
    sockets::{self, Protocol, Stream, open_files},
};

/// The most connections: a thousand pages that are told of what happens, and a tenth of all for those
/// who ask once.
pub(super) const MOST: usize = 1_200;
/// The fewest, however few files there are.
const LEAST: usize = 8;
/// The part of the process's files that these connections may take.
pub(super) const OF_FILES: usize = 4;
/// The largest head of a request, in bytes.
pub(super) const HEAD: usize = 16 * 1024;
/// The most header fields of a request.
pub(super) const FIELDS: usize = 100;
/// How long a connection may be open without a request, or with one whose head does not end. More
/// than most scrapers let pass between two scrapes.
pub(super) const NEXT_REQUEST: Duration = Duration::from_secs(75);
/// How long a part of an answer may lie unread.
pub(super) const READING: Duration = Duration::from_secs(30);
/// The same, where somebody else waits for a place.
pub(super) const READING_BESIDE_OTHERS: Duration = Duration::from_secs(1);
/// How much of what a peer still sends is thrown away so that it gets to read its answer, in bytes,
/// and for how long.
const LINGER: (u64, Duration) = (4 * 1024 * 1024, Duration::from_secs(2));
/// How long a peer may take to leave a server that stops.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long one may take to leave whose connection is outdated: an answer that is read in time has
/// been read by then, but the one that tells of what happens never ends.
const LONG_FAREWELL: Duration = READING;

/// How many connections there may be at once, by the files that the process may open.
pub(crate) fn most_connections() -> usize {
    share(open_files())
}

fn share(files: Option<usize>) -> usize {
    files.map_or(MOST, |files| (files / OF_FILES).clamp(LEAST, MOST))
}

/// Routes, asked by HTTP/1.
#[derive(Debug)]
pub(super) struct Http1(pub(super) Router);

impl Protocol for Http1 {
    type Connection = Connection;

    const NAME: &str = "HTTP";
    const ALPN: &[u8] = b"http/1.1";
    const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
        Content-Type: text/plain; charset=utf-8\r\nContent-Length: 36\r\nConnection: close\r\n\r\n\
        this port speaks TLS: ask https://.\n";
    const FIRST_BYTE: Duration = NEXT_REQUEST;

    fn connection(&self) -> Connection {
        Connection::default()
    }

    fn serve(
        &self,
        stream: Stream,
        peer: Arc<Peer>,
        connection: Arc<Connection>,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send {
        serve(stream, peer, connection, self.0.clone(), stop)
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// Since when nothing is asked; none while a request is being answered.
    idle_since: Mutex<Option<Instant>>,
    unread: Unread,
    leave: CancellationToken,
    retire: CancellationToken,
}

impl Default for Connection {
    fn default() -> Connection {
        Connection {
            idle_since: Mutex::new(Some(Instant::now())),
            unread: Unread::default(),
            leave: CancellationToken::new(),
            retire: CancellationToken::new(),
        }
    }
}

impl Connection {
    /// Notes that it is in use until what is returned is dropped.
    fn in_use(self: &Arc<Self>) -> InUse {
        *self.idle_since.lock() = None;
        InUse(self.clone())
    }
}

impl sockets::Connection for Connection {
    /// The one on which nothing has been asked for longest goes first, and after all of these the one
    /// whose answer nobody has read for longest.
    fn dispensable(&self, now: Instant) -> Option<(u8, Instant)> {
        if self.leave.is_cancelled() {
            return None;
        }
        if let Some(since) = *self.idle_since.lock() {
            return Some((1, since));
        }
        let unread = self.unread.since();
        let unread = unread.filter(|since| now - *since >= READING_BESIDE_OTHERS);
        unread.map(|since| (2, since))
    }

    fn make_way(&self) {
        self.leave.cancel();
    }

    async fn leaves(&self) {
        self.leave.cancelled().await;
    }

    fn retire(&self) {
        self.retire.cancel();
    }
}

/// A request that is being answered. HTTP/1 has one at a time on a connection.
#[derive(Debug)]
struct InUse(Arc<Connection>);

impl Drop for InUse {
    fn drop(&mut self) {
        *self.0.idle_since.lock() = Some(Instant::now());
    }
}

/// The body of an answer, whose connection is in use until it has been handed over whole.
struct Answer {
    body: Body,
    _in_use: InUse,
}

impl http_body::Body for Answer {
    type Data = axum::body::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Serves a connection until it ends or has to make way. Once `closing` is cancelled, or it is
/// outdated, it ends with the answer under way, for which there is a moment.
async fn serve(
    stream: Stream,
    peer: Arc<Peer>,
    connection: Arc<Connection>,
    router: Router,
    closing: CancellationToken,
) {
    let mut stream = TimeoutStream::new(Noted::new(stream, connection.unread.clone()));
    stream.set_write_timeout(Some(READING));
    let mut stream = Box::pin(stream);
    let answering = service_fn(|request: Request<Incoming>| {
        let in_use = connection.in_use();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        let answering = router.clone().oneshot(request);
        async move {
            let response = answering.await?;
            Ok::<Response<Answer>, Infallible>(response.map(|body| Answer {
                body,
                _in_use: in_use,
            }))
        }
    });
    {
        let mut served = pin!(http().serve_connection(TokioIo::new(&mut stream), answering));
        let (mut closing_is_told, mut end) = (false, None);
        loop {
            tokio::select! {
                outcome = &mut served => {
                    if let Err(error) = outcome {
                        debug!(%error, "a connection of HTTP ended");
                    }
                    break;
                }
                () = connection.leave.cancelled() => return,
                () = closing.cancelled(), if !closing_is_told => {
                    closing_is_told = true;
                    served.as_mut().graceful_shutdown();
                    end = Some(Instant::now() + FAREWELL);
                }
                () = connection.retire.cancelled(), if end.is_none() => {
                    served.as_mut().graceful_shutdown();
                    end = Some(Instant::now() + LONG_FAREWELL);
                }
                () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => return,
            }
        }
    }
    // A peer that still sends, as one does whose head was too large, would hear of a reset instead
    // of the answer if the connection were closed with that unread.
    let (bytes, time) = LINGER;
    let linger = async {
        stream.shutdown().await?;
        copy(&mut (&mut stream).take(bytes), &mut sink()).await
    };
    tokio::select! {
        _ = timeout(time, linger) => {}
        () = connection.leave.cancelled() => {}
    }
}

fn http() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(NEXT_REQUEST)
        .max_headers(FIELDS)
        .max_buf_size(HEAD);
    builder
}

#[cfg(test)]
mod tests {
    use super::{sockets::Connection as _, *};

    #[test]
    fn connections_leave_files_to_callers_and_to_the_database() {
        let table = [
            (Some(1_024), 256),
            (Some(16), LEAST),
            (Some(1_000_000), MOST),
            (None, MOST),
        ];
        for (files, most) in table {
            assert_eq!(share(files), most, "{files:?}");
        }
    }

    #[test]
    fn the_longest_idle_makes_way_and_who_is_answered_stays() {
        let connection = || Arc::new(Connection::default());
        let now = Instant::now();
        let (first, answered) = (connection(), connection());
        let in_use = answered.in_use();
        let second = connection();
        assert_eq!(answered.dispensable(now), None);
        assert!(first.dispensable(now) < second.dispensable(now));
        drop(in_use);
        assert!(second.dispensable(now) < answered.dispensable(now));
        first.make_way();
        assert_eq!(first.dispensable(now), None, "it leaves already");
    }
}
