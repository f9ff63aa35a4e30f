//! The listener: takes as many connections in as there may be, and has one on which nothing is
//! asked make way for the next.

use std::{
    collections::BTreeMap,
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
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::{
    log_limit::LogLimit,
    metrics::{Counted, Gauge},
    sockets::{Socket, open_files},
};

/// The most connections: a thousand pages that are told of what happens, and those who ask once.
pub(super) const MOST: usize = 1_100;
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
/// How much of what a peer still sends is thrown away so that it gets to read its answer, in bytes,
/// and for how long.
const LINGER: (u64, Duration) = (4 * 1024 * 1024, Duration::from_secs(2));
/// How long a peer may take to leave a server that stops.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long the next connection waits for a place before another one is told to make way.
const LEAVE_PAUSE: Duration = Duration::from_millis(100);
/// How often the log tells of the same trouble.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// How many connections there may be at once, by the files that the process may open.
pub(crate) fn most_connections() -> usize {
    share(open_files())
}

fn share(files: Option<usize>) -> usize {
    files.map_or(MOST, |files| (files / OF_FILES).clamp(LEAST, MOST))
}

/// Takes connections in.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    most: usize,
    places: Arc<Semaphore>,
    idle: Idle,
    full: LogLimit,
    /// Counts the connections that are open.
    counted: Gauge,
}

impl Listener {
    /// One that holds at most so many connections at once.
    pub(super) fn new(socket: TcpListener, most: usize, counted: Gauge) -> Listener {
        Listener {
            socket: Socket::new(socket),
            most,
            places: Arc::new(Semaphore::new(most)),
            idle: Idle::default(),
            full: LogLimit::new(1, LOG_PAUSE),
            counted,
        }
    }

    /// Answers until `closing` is cancelled, and then what has been asked already.
    pub(super) async fn serve(self, router: Router, closing: CancellationToken) {
        let tasks = TaskTracker::new();
        let taking_in = async {
            loop {
                let stream = self.socket.accept().await;
                let place = self.place().await;
                let connection = Arc::new(Connection::new(self.idle.clone()));
                let serving = serve(stream, connection, router.clone(), closing.clone());
                let open = Counted::new(self.counted.clone());
                tasks.spawn(async move {
                    serving.await;
                    drop((place, open));
                });
            }
        };
        tokio::select! {
            () = closing.cancelled() => {}
            () = taking_in => {}
        }
        drop(self.socket);
        tasks.close();
        tasks.wait().await;
    }

    /// A place for a connection, if need be that of the one that has been idle for longest.
    async fn place(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(place) = self.places.clone().try_acquire_owned() {
                return place;
            }
            let leaves = self.idle.part_with_one();
            if let Some(left_out) = self.full.admit(Instant::now()) {
                warn!(
                    most = self.most,
                    times = left_out + 1,
                    "there are as many connections of HTTP as there may be; {}",
                    if leaves {
                        "one on which nothing is asked makes way"
                    } else {
                        "all are in use, so the next one waits"
                    }
                );
            }
            if let Ok(Ok(place)) = timeout(LEAVE_PAUSE, self.places.clone().acquire_owned()).await {
                return place;
            }
        }
    }
}

/// The connections on which nothing is asked, in the order in which they came to be so.
#[derive(Clone, Debug, Default)]
struct Idle(Arc<Mutex<(u64, BTreeMap<u64, CancellationToken>)>>);

impl Idle {
    fn add(&self, leave: CancellationToken) -> u64 {
        let (next, idle) = &mut *self.0.lock();
        *next += 1;
        idle.insert(*next, leave);
        *next
    }

    fn remove(&self, number: u64) {
        self.0.lock().1.remove(&number);
    }

    /// Tells the one that has been idle for longest to leave, if there is one.
    fn part_with_one(&self) -> bool {
        let longest = self.0.lock().1.pop_first();
        longest.inspect(|(_, leave)| leave.cancel()).is_some()
    }
}

/// An open connection.
#[derive(Debug)]
struct Connection {
    idle: Idle,
    /// Its number among those that are idle; none while a request of it is being answered.
    number: Mutex<Option<u64>>,
    leave: CancellationToken,
}

impl Connection {
    fn new(idle: Idle) -> Connection {
        let leave = CancellationToken::new();
        let number = idle.add(leave.clone());
        Connection {
            idle,
            number: Mutex::new(Some(number)),
            leave,
        }
    }

    /// Notes that it is in use until what is returned is dropped.
    fn in_use(self: &Arc<Self>) -> InUse {
        if let Some(number) = self.number.lock().take() {
            self.idle.remove(number);
        }
        InUse(self.clone())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(number) = self.number.get_mut() {
            self.idle.remove(*number);
        }
    }
}

/// A request that is being answered. HTTP/1 has one at a time on a connection.
#[derive(Debug)]
struct InUse(Arc<Connection>);

impl Drop for InUse {
    fn drop(&mut self) {
        *self.0.number.lock() = Some(self.0.idle.add(self.0.leave.clone()));
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

/// Serves a connection until it ends or has to make way. Once `closing` is cancelled it ends with
/// the answer under way, for which there is a moment.
async fn serve(
    stream: TcpStream,
    connection: Arc<Connection>,
    router: Router,
    closing: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(READING));
    let mut stream = Box::pin(stream);
    let answering = service_fn(|request: Request<Incoming>| {
        let in_use = connection.in_use();
        let answering = router.clone().oneshot(request.map(Body::new));
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
        let mut is_closing = false;
        loop {
            tokio::select! {
                outcome = &mut served => {
                    if let Err(error) = outcome {
                        debug!(%error, "a connection of HTTP ended");
                    }
                    break;
                }
                () = connection.leave.cancelled() => return,
                () = closing.cancelled(), if !is_closing => {
                    is_closing = true;
                    served.as_mut().graceful_shutdown();
                }
                () = sleep(FAREWELL), if is_closing => return,
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
    use super::*;

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
        let idle = Idle::default();
        let connection = || Arc::new(Connection::new(idle.clone()));
        let (answered, first, second) = (connection(), connection(), connection());
        let in_use = answered.in_use();
        assert!(idle.part_with_one() && first.leave.is_cancelled());
        drop(in_use);
        assert!(idle.part_with_one() && second.leave.is_cancelled());
        assert!(!answered.leave.is_cancelled());
        assert!(idle.part_with_one() && answered.leave.is_cancelled());
        assert!(!idle.part_with_one());
        drop(connection());
        assert!(!idle.part_with_one(), "one that has ended is forgotten");
    }
}
