//! One connection: served until it ends, and told to leave when it is of no use or its answers are
//! not read.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::yield_now,
    time::{Instant, interval_at, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, codegen::Bytes};
use tower::{Service, ServiceExt};
use tracing::debug;

use super::{
    access::Callers,
    limits::{self, REQUEST_STREAMS_OF_A_CONNECTION},
    pace::Paced,
    status,
};
use crate::{
    peer::Peer,
    sockets::{self, MOST_DISPENSABLE, Stream},
};

/// How long a peer that was told to leave may take to.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a connection must have been without a call before it makes way for another.
const IDLE: Duration = Duration::from_secs(1);
/// How long one must have said nothing at all: clients speak first, so a first byte is a round trip
/// away.
const SILENT: Duration = Duration::from_millis(250);
/// How long one that has asked for nothing may take to leave a server that stops.
const SHORT_FAREWELL: Duration = Duration::from_secs(1);
/// How many calls every connection may have, however many there are in all.
const FEW_CALLS: usize = 8;
/// How many spans of time answers are told apart by.
const SPANS: usize = 4;

/// Why a connection has to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Another one needs its place.
    MakesWay,
    /// It made no request in time.
    AskedNothing,
    /// Its answers are not read.
    Unread,
    /// Somebody who called on it is no longer known.
    Removed,
    /// It has become too old, or the certificate of the peer has.
    Outdated,
    /// The server stops.
    Stop,
}

/// What is known of an open connection.
#[derive(Debug)]
pub(super) struct Connection {
    opened: Instant,
    usage: Mutex<Usage>,
    leave: CancellationToken,
    request_streams: Arc<Semaphore>,
    callers: Callers,
    /// How long a call takes at most.
    longest_call: Duration,
}

#[derive(Debug)]
struct Usage {
    /// Since when there is no call but such as only listen; none while there is one.
    idle_since: Option<Instant>,
    /// Calls, without those that only listen.
    calls: usize,
    /// Calls that only listen: streams of answers, such as those of health.
    listening: usize,
    /// Whether anything has come from the peer.
    spoken: bool,
    asked: bool,
    /// Why it has to leave, if it has to.
    leaves: Option<Reason>,
    /// Answers that wait to be read, by the span of time in which they last made progress, counted
    /// from the start.
    unread: [usize; SPANS],
}

impl Connection {
    pub(super) fn new(longest_call: Duration) -> Connection {
        let opened = Instant::now();
        Connection {
            opened,
            usage: Mutex::new(Usage {
                idle_since: Some(opened),
                calls: 0,
                listening: 0,
                spoken: false,
                asked: false,
                leaves: None,
                unread: [0; SPANS],
            }),
            leave: CancellationToken::new(),
            request_streams: Arc::new(Semaphore::new(REQUEST_STREAMS_OF_A_CONNECTION)),
            callers: Callers::default(),
            longest_call,
        }
    }

    /// Those who have called on it, as far as they are asked who they are.
    pub(super) fn callers(&self) -> &Callers {
        &self.callers
    }

    /// Notes that a call begins, which only listens or does not; it ends when what is returned is
    /// dropped.
    pub(super) fn call(self: &Arc<Self>, listens: bool) -> OpenCall {
        self.update(|used| {
            (used.spoken, used.asked) = (true, true);
            if listens {
                used.listening += 1;
            } else {
                used.calls += 1;
                used.idle_since = None;
            }
        });
        OpenCall {
            connection: self.clone(),
            listens,
        }
    }

    /// Whether it has so few calls open that one more is never too many.
    pub(super) fn has_few_calls(&self) -> bool {
        self.update(|used| used.calls + used.listening < FEW_CALLS)
    }

    /// A place for a stream of requests.
    pub(super) fn request_stream(&self) -> Result<OwnedSemaphorePermit, Status> {
        let place = self.request_streams.clone().try_acquire_owned();
        place.map_err(|_| {
            status::limit_reached(format!(
                "{REQUEST_STREAMS_OF_A_CONNECTION} streams of requests are open on this connection already; end one, or open another connection"
            ))
        })
    }

    /// Notes that there is an answer to be read; it has been, or never will be, when what is
    /// returned is dropped.
    pub(super) fn unread(self: &Arc<Self>, now: Instant) -> UnreadAnswer {
        let span = self.span(now);
        self.update(|used| used.unread[span] += 1);
        UnreadAnswer {
            connection: self.clone(),
            span: Mutex::new(span),
        }
    }

    /// Tells the peer to leave; the first reason counts.
    pub(super) fn close(&self, reason: Reason) {
        self.update(|used| used.leaves.get_or_insert(reason).to_owned());
        self.leave.cancel();
    }

    /// When a peer that was told to leave is left behind. A call may have begun before it heard of
    /// that, and is answered.
    fn end(&self, told: Instant) -> Instant {
        let (asked, calls, listening, leaves) =
            self.update(|used| (used.asked, used.calls, used.listening, used.leaves));
        told + match leaves {
            Some(Reason::MakesWay) if !asked => Duration::ZERO,
            Some(Reason::MakesWay) if calls == 0 && listening > 0 => SHORT_FAREWELL,
            Some(Reason::Stop) if !asked => SHORT_FAREWELL,
            Some(Reason::Unread) => FAREWELL,
            _ if calls + listening > 0 => FAREWELL.max(self.longest_call + Duration::from_secs(1)),
            _ => FAREWELL,
        }
    }

    /// Tells the peer to leave if one of its answers has lain unread for too long. To be asked once
    /// a span.
    pub(super) fn close_if_unread(&self, now: Instant) {
        // Two spans back is one whole span ago, at least; the one before that belongs to a look
        // that came late.
        let stale = [2, 3].map(|back| (self.span(now) + SPANS - back) % SPANS);
        let unread = self.update(|used| stale.map(|span| used.unread[span]));
        if unread != [0, 0] && !self.leave.is_cancelled() {
            debug!("a connection is closed: its answers are not read");
            self.close(Reason::Unread);
        }
    }

    fn asked(&self) -> bool {
        self.update(|used| used.asked)
    }

    fn span(&self, now: Instant) -> usize {
        let spans = (now - self.opened).as_secs() / limits::READING.as_secs();
        (spans % SPANS as u64) as usize
    }

    fn update<T>(&self, change: impl FnOnce(&mut Usage) -> T) -> T {
        change(&mut self.usage.lock())
    }
}

impl sockets::Connection for Connection {
    fn speaks(&self) {
        self.update(|used| used.spoken = true);
    }

    /// Those that have said nothing go first, those that have made no request next, then those that
    /// have long had no call, and those that have just come, and last those that only listen: they
    /// can do so again.
    fn dispensable(&self, now: Instant) -> Option<(u8, Instant)> {
        let (spoken, asked, listening, idle_since) =
            self.update(|used| (used.spoken, used.asked, used.listening > 0, used.idle_since));
        let idle_since = idle_since.filter(|_| !self.leave.is_cancelled())?;
        let idle = now - idle_since;
        let order = match (asked, idle >= IDLE) {
            _ if !spoken && idle >= SILENT => MOST_DISPENSABLE,
            (false, true) => 1,
            (true, true) if listening => 4,
            (true, true) => 2,
            (false, false) => 3,
            (true, false) => return None,
        };
        Some((order, idle_since))
    }

    fn make_way(&self) {
        self.close(Reason::MakesWay);
    }

    async fn leaves(&self) {
        self.leave.cancelled().await;
    }

    fn retire(&self) {
        self.close(Reason::Outdated);
    }
}

/// A call that has not ended.
#[derive(Debug)]
pub(super) struct OpenCall {
    connection: Arc<Connection>,
    listens: bool,
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.connection.update(|used| {
            if self.listens {
                used.listening -= 1;
            } else {
                used.calls -= 1;
                used.idle_since = (used.calls == 0).then(Instant::now);
            }
        });
    }
}

/// An answer that has not been read to its end.
#[derive(Debug)]
pub(super) struct UnreadAnswer {
    connection: Arc<Connection>,
    span: Mutex<usize>,
}

impl UnreadAnswer {
    /// Notes that a part of it has been sent.
    pub(super) fn progress(&self, now: Instant) {
        let mut span = self.span.lock();
        let new = self.connection.span(now);
        self.connection.update(|used| {
            used.unread[*span] -= 1;
            used.unread[new] += 1;
        });
        *span = new;
    }
}

impl Drop for UnreadAnswer {
    fn drop(&mut self) {
        let span = *self.span.get_mut();
        self.connection.update(|used| used.unread[span] -= 1);
    }
}

/// Serves a connection until it ends. Once `stop` is cancelled it ends with the last of its calls.
pub(super) async fn serve<S, B>(
    stream: Stream,
    peer: Arc<Peer>,
    connection: Arc<Connection>,
    service: S,
    stop: CancellationToken,
) where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut first_request = pin!(sleep_until(connection.opened + limits::FIRST_REQUEST));
    let mut look = interval_at(connection.opened + limits::READING, limits::READING);
    let asked = connection.clone();
    let answering = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(asked.clone());
        request.extensions_mut().insert(peer.clone());
        let service = service.clone();
        async move {
            // A call that is withdrawn as soon as it is made ends here, and nothing is begun for it.
            yield_now().await;
            service.oneshot(request).await
        }
    });
    let mut served = pin!(http().serve_connection(TokioIo::new(Paced::new(stream)), answering));
    let mut waits_for_it = true;
    let mut leaving = false;
    let mut told: Option<Instant> = None;
    loop {
        tokio::select! {
            outcome = &mut served => {
                if let Err(error) = outcome {
                    debug!(%error, "a connection ended");
                }
                return;
            }
            () = stop.cancelled(), if !leaving => {
                leaving = true;
                served.as_mut().graceful_shutdown();
                if !connection.asked() {
                    connection.close(Reason::Stop);
                }
            }
            () = connection.leave.cancelled(), if told.is_none() => {
                leaving = true;
                told = Some(Instant::now());
                served.as_mut().graceful_shutdown();
            }
            () = &mut first_request, if waits_for_it => {
                waits_for_it = false;
                if !connection.asked() {
                    connection.close(Reason::AskedNothing);
                }
            }
            _ = look.tick() => connection.close_if_unread(Instant::now()),
            () = end(&connection, told) => return,
        }
    }
}

/// Returns when the peer is left behind, if it was told to leave.
async fn end(connection: &Connection, told: Option<Instant>) {
    let Some(told) = told else {
        return std::future::pending().await;
    };
    // Calls that begin meanwhile move the end.
    while Instant::now() < connection.end(told) {
        sleep_until(connection.end(told)).await;
    }
}

/// hyper leaves most limits open: without these, one caller could hold any number of streams and
/// pings open for ever. Those that it has set are said all the same, so that no release of it
/// changes one.
fn http() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .max_concurrent_streams(limits::CALLS_OF_A_CONNECTION)
        .max_pending_accept_reset_streams(limits::WITHDRAWN)
        .max_local_error_reset_streams(limits::ERRED)
        .max_header_list_size(limits::HEADERS)
        .header_table_size(limits::HEADER_TABLE)
        .max_frame_size(limits::FRAME)
        .max_send_buf_size(limits::SEND_BUFFER)
        .keep_alive_interval(limits::PING_INTERVAL)
        .keep_alive_timeout(limits::PING_TIMEOUT);
    builder
}

#[cfg(test)]
mod tests {
    use super::{sockets::Connection as _, *};

    #[test]
    fn who_has_asked_for_nothing_goes_first_and_who_is_in_use_stays() {
        let connection = || Arc::new(Connection::new(Duration::from_secs(30)));
        let (silent, greeting) = (connection(), connection());
        let (idle, busy) = (connection(), connection());
        greeting.update(|used| used.spoken = true);
        drop(idle.call(false));
        let call = busy.call(false);
        let now = Instant::now();
        assert!(greeting.dispensable(now).is_some() && idle.dispensable(now).is_none());
        let just_come = greeting.dispensable(now);
        let soon = now + SILENT;
        assert!(silent.dispensable(soon) < greeting.dispensable(soon));
        let later = now + IDLE;
        assert!(silent.dispensable(soon) < greeting.dispensable(later));
        assert!(greeting.dispensable(later) < idle.dispensable(later));
        assert!(idle.dispensable(later) < just_come);
        assert_eq!(busy.dispensable(later), None);
        drop(call);
        let later = later + IDLE;
        assert!(
            idle.dispensable(later) < busy.dispensable(later),
            "the longest idle goes first"
        );
        idle.close(Reason::MakesWay);
        assert_eq!(idle.dispensable(later), None);
    }

    #[test]
    fn who_only_listens_makes_way_last_and_soon() {
        let connection = || Arc::new(Connection::new(Duration::from_secs(30)));
        let (listening, asking) = (connection(), connection());
        let _calls = [listening.call(true), asking.call(true)];
        let call = asking.call(false);
        let now = Instant::now();
        assert_eq!(listening.dispensable(now), None, "it has just come");
        let later = now + IDLE;
        assert_eq!(
            listening.dispensable(later).map(|(order, _)| order),
            Some(4)
        );
        assert_eq!(asking.dispensable(later), None);
        drop(call);
        let later = later + IDLE;
        assert!(listening.dispensable(later) < asking.dispensable(later));
        listening.close(Reason::MakesWay);
        assert_eq!(listening.end(later), later + SHORT_FAREWELL);
        let _call = listening.call(false);
        assert!(listening.end(later) > later + FAREWELL, "it is answered");
    }

    #[test]
    fn a_call_that_has_begun_is_answered_and_a_silent_peer_is_not_waited_for() {
        let told = Instant::now();
        let seconds = |reason, asks: bool, calls: bool| {
            let connection = Arc::new(Connection::new(Duration::from_secs(30)));
            let call = asks.then(|| connection.call(false)).filter(|_| calls);
            connection.close(reason);
            let end = connection.end(told) - told;
            drop(call);
            end.as_secs()
        };
        let table = [
            (Reason::MakesWay, [0, 5, 31]),
            (Reason::AskedNothing, [5, 5, 31]),
            (Reason::Unread, [5, 5, 5]),
            (Reason::Outdated, [5, 5, 31]),
            (Reason::Stop, [1, 5, 31]),
        ];
        for (reason, [silent, idle, busy]) in table {
            assert_eq!(seconds(reason, false, false), silent, "{reason:?}");
            assert_eq!(seconds(reason, true, false), idle, "{reason:?}");
            assert_eq!(seconds(reason, true, true), busy, "{reason:?}");
        }
    }

    #[test]
    fn a_connection_is_closed_for_an_answer_that_makes_no_progress() {
        let connection = Arc::new(Connection::new(Duration::from_secs(30)));
        let mut now = Instant::now();
        let answer = connection.unread(now);
        let mut is_closed_after_a_span = |makes_progress: bool| {
            now += limits::READING;
            if makes_progress {
                answer.progress(now);
            }
            connection.close_if_unread(now);
            connection.leave.is_cancelled()
        };
        for _ in 0..5 {
            assert!(!is_closed_after_a_span(true));
        }
        assert!(!is_closed_after_a_span(false));
        assert!(is_closed_after_a_span(false));
        drop(answer);
        assert_eq!(connection.update(|used| used.unread), [0; SPANS]);
    }
}
