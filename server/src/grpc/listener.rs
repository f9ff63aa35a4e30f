//! The listener: takes in as many connections as the process has files for, and has those leave
//! that keep others out.

use std::{
    convert::Infallible,
    sync::{Arc, Weak},
    time::Duration,
};

use http::{Request, Response};
use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{body::Body, codegen::Bytes};
use tower::Service;
use tracing::warn;

use super::{
    connection::{self, Connection, MOST_DISPENSABLE, Reason},
    limits,
};
use crate::{
    log_limit::LogLimit,
    metrics::{Counted, Gauge},
    peer::Peer,
    sockets::{Socket, open_files},
};

/// Files beside connections: standard streams, the log, the runtime's own, names and certificates
/// that are looked up, and a caller who waits for a place.
const OTHER_FILES: usize = 48;
/// The most connections where neither the settings nor the files say less.
const MOST: usize = 10_000;
/// The fewest, however few files there are.
const LEAST: usize = 8;
/// How long a caller waits for one connection to leave before another is told to.
const LEAVE_PAUSE: Duration = Duration::from_millis(200);
/// After so many connections that made way for others there is a pause, so long: those that ask for
/// nothing can come back at any rate. It is short because a caller who stands behind them in the
/// system's queue waits as well.
const TURNOVER: (u32, Duration) = (8, Duration::from_millis(2));
/// How often the log tells of the same trouble.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// Takes connections in.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    most: usize,
    /// How long a call takes at most.
    longest_call: Duration,
    places: Arc<Semaphore>,
    open: Mutex<Vec<Weak<Connection>>>,
    full: LogLimit,
    /// Counts the connections that are open.
    counted: Gauge,
}

impl Listener {
    /// One that holds at most so many connections at once.
    pub(super) fn new(
        socket: TcpListener,
        most: usize,
        longest_call: Duration,
        counted: Gauge,
    ) -> Listener {
        Listener {
            socket: Socket::new(socket),
            most,
            longest_call,
            places: Arc::new(Semaphore::new(most)),
            open: Mutex::default(),
            full: LogLimit::new(1, LOG_PAUSE),
            counted,
        }
    }

    /// Serves callers until `stop` is cancelled, then until the last of them has left.
    pub(super) async fn serve<S, B>(self, service: S, stop: CancellationToken)
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let tasks = TaskTracker::new();
        let taking_in = async {
            let mut made_way = 0;
            loop {
                let (stream, address) = self.socket.accept().await;
                // Whoever has been accepted waits here for a place, and all others in the system's
                // queue.
                let (place, another_left) = self.place().await;
                let peer = Arc::new(Peer {
                    address,
                    certificate: None,
                });
                let connection = Arc::new(Connection::new(self.longest_call));
                self.note(&connection);
                let serving =
                    connection::serve(stream, peer, connection, service.clone(), stop.clone());
                let open = Counted::new(self.counted.clone());
                tasks.spawn(async move {
                    serving.await;
                    drop((place, open));
                });
                made_way += u32::from(another_left);
                if made_way == TURNOVER.0 {
                    made_way = 0;
                    sleep(TURNOVER.1).await;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = taking_in => {}
            () = close_unread(&self.open) => {}
        }
        // Closed before the last callers leave, so that new ones go to another instance at once.
        drop(self.socket);
        tasks.close();
        tokio::select! {
            () = tasks.wait() => {}
            () = close_unread(&self.open) => {}
        }
    }

    /// A place for a connection, if need be that of the one that is most easily parted with, and
    /// whether there was need.
    async fn place(&self) -> (OwnedSemaphorePermit, bool) {
        loop {
            if let Ok(place) = self.places.clone().try_acquire_owned() {
                return (place, false);
            }
            let left = self.part_with_one();
            if let Some(left_out) = self.full.admit(Instant::now()) {
                warn!(
                    most = self.most,
                    times = left_out + 1,
                    "there are as many connections as there may be; {}",
                    if left {
                        "one that is not in use makes way"
                    } else {
                        "all are in use, so the next one waits"
                    }
                );
            }
            if let Ok(Ok(place)) = timeout(LEAVE_PAUSE, self.places.clone().acquire_owned()).await {
                return (place, true);
            }
        }
    }

    fn part_with_one(&self) -> bool {
        let now = Instant::now();
        let mut first = None;
        let open = self.open.lock();
        // They stand in the order in which they came: of those that go first, the first has been
        // there longest.
        for connection in open.iter().filter_map(Weak::upgrade) {
            let Some(order) = connection.dispensable(now) else {
                continue;
            };
            if first.as_ref().is_none_or(|(least, _)| order < *least) {
                let found = order.0 == MOST_DISPENSABLE;
                first = Some((order, connection));
                if found {
                    break;
                }
            }
        }
        if let Some((_, connection)) = &first {
            connection.close(Reason::MakesWay);
        }
        first.is_some()
    }

    fn note(&self, connection: &Arc<Connection>) {
        let mut open = self.open.lock();
        if open.len() >= 2 * self.most {
            open.retain(|connection| connection.strong_count() > 0);
        }
        open.push(Arc::downgrade(connection));
    }
}

/// Closes connections on which answers are not read, for as long as this is awaited.
async fn close_unread(open: &Mutex<Vec<Weak<Connection>>>) {
    let mut look = interval(limits::READING);
    loop {
        look.tick().await;
        for connection in connections(open) {
            connection.close_if_unread(Instant::now());
        }
    }
}

fn connections(open: &Mutex<Vec<Weak<Connection>>>) -> Vec<Arc<Connection>> {
    let open = open.lock();
    open.iter().filter_map(Weak::upgrade).collect()
}

/// How many connections the process has files for, when so many were asked for (0: as many as there
/// can be) and up to `taken` are the database's and those of HTTP. With a warning where that is
/// fewer.
pub(super) fn most_connections(asked: usize, taken: usize) -> usize {
    let files = open_files();
    let (most, fewer) = share(asked, taken, files);
    if fewer {
        warn!(
            "ARCHD_MAX_CONNECTIONS is {asked}, but with a limit of {} open files ({} of them for the database and HTTP) there can be {most} connections; raise the limit (ulimit -n, LimitNOFILE)",
            files.unwrap_or_default(),
            taken
        );
    }
    most
}

fn share(asked: usize, taken: usize, files: Option<usize>) -> (usize, bool) {
    let room = files.map_or(MOST, |files| files.saturating_sub(taken + OTHER_FILES));
    let room = room.max(LEAST);
    match asked {
        0 => (room.min(MOST), false),
        asked => (asked.min(room), asked > room),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_to_the_database() {
        let table = [
            // Asked, taken, files: connections, and whether they are fewer than asked.
            ((0, 144, Some(1_024)), (832, false)),
            ((500, 144, Some(1_024)), (500, false)),
            ((1_000, 144, Some(1_024)), (832, true)),
            ((0, 144, Some(1_000_000)), (MOST, false)),
            ((20_000, 144, Some(1_000_000)), (20_000, false)),
            ((0, 144, None), (MOST, false)),
            ((100, 500, Some(256)), (LEAST, true)),
        ];
        for ((asked, taken, files), expected) in table {
            assert_eq!(
                share(asked, taken, files),
                expected,
                "{asked} {taken} {files:?}"
            );
        }
    }
}
