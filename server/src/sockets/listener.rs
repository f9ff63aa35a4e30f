//! The listener: takes in as many connections as there may be, has one that is of little use make
//! way for the next, and ends those whose time has come.

use std::{
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use super::{
    Socket, Stream,
    certificate::of_client,
    tls::{Believed, Tls},
};
use crate::{
    log_limit::LogLimit,
    metrics::{Counted, Gauge},
    peer::{Certificate, Peer},
};

/// How long a handshake may take.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// The first byte of one.
const CLIENT_HELLO: u8 = 0x16;
/// How much of what is sent the system keeps until the peer has read it, in bytes. Linux takes the
/// same once more for what it writes down beside.
pub(super) const SENT_UNREAD: usize = 256 * 1024;
/// How much a client may send, in bytes, and how long it may take, until it has read that TLS is
/// spoken here.
pub(super) const REFUSAL: (u64, Duration) = (64 * 1024, Duration::from_secs(1));
/// How long a caller waits for one connection to leave before another is told to.
const LEAVE_PAUSE: Duration = Duration::from_millis(100);
/// How long it waits for one to be of use no longer, where all are in use.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// After so many connections that made way for others there is a pause, so long: those that ask for
/// nothing can come back at any rate. It is short because a caller who stands behind them in the
/// system's queue waits as well.
const TURNOVER: (u32, Duration) = (8, Duration::from_millis(2));
/// How often the log tells of the same trouble.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// The order of those connections that are parted with before all others.
pub(crate) const MOST_DISPENSABLE: u8 = 0;

/// What is spoken on the connections of a listener.
pub(crate) trait Protocol: Send + Sync + 'static {
    /// What is known of a connection while it is open.
    type Connection: Connection;

    /// What people call it.
    const NAME: &str;
    /// What TLS calls it (ALPN).
    const ALPN: &[u8];
    /// What a client of it is answered that speaks plain text where TLS is spoken.
    const SPEAK_TLS: &[u8];
    /// How long a client may take until it says something.
    const FIRST_BYTE: Duration;

    /// A connection that has just been opened.
    fn connection(&self) -> Self::Connection;

    /// Serves a connection until it ends. Once `stop` is cancelled it ends with what it has been
    /// asked.
    fn serve(
        &self,
        stream: Stream,
        peer: Arc<Peer>,
        connection: Arc<Self::Connection>,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send;
}

/// What is known of an open connection.
pub(crate) trait Connection: Send + Sync + 'static {
    /// Notes that something has come from the peer, in a handshake all of it.
    fn speaks(&self) {}

    /// How willingly it is parted with: those of the lowest number go first, and of these the one
    /// that has been idle for longest. None for one that is in use, or leaves already.
    fn dispensable(&self, now: Instant) -> Option<(u8, Instant)>;

    /// Has it leave for another one.
    fn make_way(&self);

    /// Waits until it has to leave.
    fn leaves(&self) -> impl Future<Output = ()> + Send;

    /// Has it leave once what it has been asked is answered.
    fn retire(&self);
}

/// Takes connections in.
#[derive(Debug)]
pub(crate) struct Listener<P: Protocol> {
    socket: Socket,
    most: usize,
    places: Arc<Semaphore>,
    open: Mutex<Vec<Weak<P::Connection>>>,
    full: LogLimit,
    /// Counts the connections that are open.
    counted: Gauge,
    entrance: Entrance,
}

/// What every connection goes through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entrance {
    /// None where plain text is spoken.
    pub(crate) tls: Option<Tls>,
    /// How old a connection over TLS may become.
    pub(crate) most_age: Option<Duration>,
}

impl<P: Protocol> Listener<P> {
    /// One that holds at most so many connections at once.
    pub(crate) fn new(
        socket: TcpListener,
        entrance: Entrance,
        most: usize,
        counted: Gauge,
    ) -> Listener<P> {
        Listener {
            socket: Socket::new(socket),
            most,
            places: Arc::new(Semaphore::new(most)),
            open: Mutex::default(),
            full: LogLimit::new(1, LOG_PAUSE),
            counted,
            entrance,
        }
    }

    /// Serves callers until `stop` is cancelled, then until the last of them has left.
    pub(crate) async fn serve(self, protocol: P, stop: CancellationToken) {
        let protocol = Arc::new(protocol);
        let tasks = TaskTracker::new();
        let taking_in = async {
            let mut made_way = 0;
            loop {
                let (stream, address) = self.socket.accept().await;
                // Whoever has been accepted waits here for a place, and all others in the system's
                // queue.
                let (place, another_left) = self.place().await;
                let connection = Arc::new(protocol.connection());
                self.note(&connection);
                let (protocol, entrance) = (protocol.clone(), self.entrance.clone());
                let (stop, open) = (stop.clone(), Counted::new(self.counted.clone()));
                tasks.spawn(async move {
                    entrance
                        .serve(stream, address, &*protocol, connection, stop)
                        .await;
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
        }
        // Closed before the last callers leave, so that new ones go to another instance at once.
        drop(self.socket);
        tasks.close();
        tasks.wait().await;
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
                    "there are as many connections of {} as there may be; {}",
                    P::NAME,
                    if left {
                        "one that is not in use makes way"
                    } else {
                        "all are in use, so the next one waits"
                    }
                );
            }
            let pause = if left { LEAVE_PAUSE } else { BUSY_PAUSE };
            if let Ok(Ok(place)) = timeout(pause, self.places.clone().acquire_owned()).await {
                return (place, true);
            }
        }
    }

    fn part_with_one(&self) -> bool {
        let now = Instant::now();
        let mut first = None;
        let open = self.open.lock();
        // They stand in the order in which they came: of those that go before all others, the first
        // has been there longest.
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
            connection.make_way();
        }
        first.is_some()
    }

    fn note(&self, connection: &Arc<P::Connection>) {
        let mut open = self.open.lock();
        if open.len() >= 2 * self.most {
            open.retain(|connection| connection.strong_count() > 0);
        }
        open.push(Arc::downgrade(connection));
    }
}

impl Entrance {
    async fn serve<P: Protocol>(
        self,
        stream: TcpStream,
        address: SocketAddr,
        protocol: &P,
        connection: Arc<P::Connection>,
        stop: CancellationToken,
    ) {
        let entering = async {
            // Clients speak first. Those that never do cost a place and nothing else, not even a
            // farewell.
            let mut first = [0];
            let peeking = timeout(P::FIRST_BYTE, stream.peek(&mut first)).await;
            let Ok(Ok(1)) = peeking else {
                return None;
            };
            // A small answer is sent at once, and not kept until it fills a packet.
            let _ = stream.set_nodelay(true);
            // By itself the system keeps up to 4 MiB for a peer that does not read.
            let _ = SockRef::from(&stream).set_send_buffer_size(SENT_UNREAD);
            match &self.tls {
                None => {
                    connection.speaks();
                    Some((Stream::Plain(stream), None))
                }
                Some(_) if first[0] != CLIENT_HELLO => {
                    refuse(stream, P::SPEAK_TLS).await;
                    None
                }
                Some(tls) => match timeout(HANDSHAKE, tls.accept(stream, P::ALPN)).await {
                    Ok(Ok((stream, believed))) => {
                        connection.speaks();
                        Some((Stream::Tls(Box::new(stream)), Some(believed)))
                    }
                    Ok(Err(error)) => {
                        tls.failed(address, &error);
                        None
                    }
                    Err(_) => None,
                },
            }
        };
        let entered = tokio::select! {
            biased;
            entered = entering => entered,
            () = stop.cancelled() => None,
            () = connection.leaves() => None,
        };
        let Some((stream, believed)) = entered else {
            return;
        };
        let mut peer = Peer {
            address,
            certificate: None,
        };
        let Some(believed) = believed else {
            return protocol
                .serve(stream, Arc::new(peer), connection, stop)
                .await;
        };
        if let Some(shown) = believed.chain.first() {
            let Some(certificate) = of_client(shown) else {
                return;
            };
            peer.certificate = Some(certificate);
        }
        let most_age = self.most_age.map(varied);
        let time_left = peer.certificate.as_ref().map(time_left);
        let end = most_age.into_iter().chain(time_left).min();
        let serving = protocol.serve(stream, Arc::new(peer), connection.clone(), stop);
        until_outdated(serving, believed, end, &*connection, address).await;
    }
}

/// Serves until the connection ends by itself, or is not to go on.
async fn until_outdated(
    serving: impl Future<Output = ()>,
    mut believed: Believed,
    end: Option<Duration>,
    connection: &impl Connection,
    address: SocketAddr,
) {
    let mut serving = pin!(serving);
    let mut end = end.and_then(|end| Instant::now().checked_add(end));
    loop {
        tokio::select! {
            () = &mut serving => return,
            () = believed.is_withdrawn() => {
                info!(%address, "a connection ends: no client CA vouches for its certificate now");
                return;
            }
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => {
                end = None;
                connection.retire();
            }
        }
    }
}

/// How long a certificate is valid from now on: to the end of its last second.
fn time_left(certificate: &Certificate) -> Duration {
    let end = certificate.expires + Duration::from_secs(1);
    let left = end.duration_since(SystemTime::now());
    left.unwrap_or_default()
}

/// Somewhat more or less, so that connections that began together do not end together.
fn varied(age: Duration) -> Duration {
    age.mul_f64(0.9 + rand::random::<f64>() / 5.0)
}

/// Tells a client that TLS is spoken here, in the way that it understands.
async fn refuse(mut stream: TcpStream, answer: &[u8]) {
    let (bytes, time) = REFUSAL;
    let telling = async {
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        // With something unread the system would say no more than that the connection is reset.
        copy(&mut stream.take(bytes), &mut sink()).await
    };
    let _ = timeout(time, telling).await;
}
