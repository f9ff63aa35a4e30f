//! What callers may take of this process: every limit on connections, calls, requests and answers,
//! in one place. `limits/table.rs` makes `docs/limits.md` of them.

#[cfg(test)]
pub(crate) mod table;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tonic::Status;

use super::status;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How long a connection may be open before its first request.
pub(super) const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// How often a peer is asked whether it is there.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long a peer may take to answer that.
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls that one connection may have open at once.
pub(super) const CALLS_OF_A_CONNECTION: u32 = 1_024;
/// Calls of one connection that may be withdrawn before the server has seen them: all of them,
/// since a client whose deadlines end together withdraws all at once. One that withdraws more
/// loses its connection.
pub(super) const WITHDRAWN: usize = CALLS_OF_A_CONNECTION as usize;
/// Calls of one connection that the server may have to reset for what the peer did wrong. One that
/// does more loses its connection.
pub(super) const ERRED: usize = 1_024;
/// How many frames that ask for nothing a peer may be ahead of its pace: pings, settings, calls
/// withdrawn, windows and the like.
pub(super) const IDLE_FRAMES: u32 = 256;
/// How many of them are read in a second, beyond which they wait.
pub(super) const IDLE_FRAMES_A_SECOND: u32 = 1_000;
/// As how many of them a call counts that is withdrawn. After some seconds in which it asked for
/// little, or as many answers, a client may withdraw all calls that it may have open at once.
pub(super) const IDLE_FRAMES_FOR_A_RESET: u32 = 4;
/// How many more may be sent for each frame of an answer: a window for the stream and one for the
/// connection, and as much again.
pub(super) const IDLE_FRAMES_FOR_AN_ANSWER: u32 = 4;
/// Calls that all connections may have open at once.
const CALLS: usize = 16 * KIB;
/// Streams of requests that one connection may have open at once.
///
/// h2 cuts a connection on which small frames lie unread: each counts as the bytes by which it is
/// smaller than 256, and half of [`CONNECTION_WINDOW`] is allowed in all. A stream that is not
/// being read holds at most [`STREAM_WINDOW`], which is 819 requests of 5 bytes, the smallest there
/// are, or 201 KiB by that count. So these many can all lie unread.
pub(super) const REQUEST_STREAMS_OF_A_CONNECTION: usize = 32;
/// Streams of requests that all connections may have open at once.
const REQUEST_STREAMS: usize = 128;
/// Streams of reflection that all connections may have open at once. They take nothing from
/// [`REQUEST_STREAMS`].
const REFLECTION_STREAMS: usize = 64;
/// Callers of all connections that may follow the health of services at once: nobody asks who they
/// are, so they take nothing from [`CALLS`].
const HEALTH_WATCHES: usize = 1_024;
/// Looks through the database's history that all callers may have under way at once: each has the
/// database read much of it.
const HISTORY_LOOKS: usize = 4;
/// How long a stream of orders may be open without a request, and without one that waits for its
/// answer.
pub(super) const STREAM_IDLE: Duration = Duration::from_secs(60);
/// How long answers of a stream of orders may lie unread while nothing else happens on it.
pub(super) const STREAM_UNREAD: Duration = Duration::from_secs(10 * 60);
/// How long a reader of any other stream may leave its messages unread.
pub(super) const SLOWEST: Duration = Duration::from_secs(60);
/// What a client may send on one stream before the server has read it, in bytes.
pub(super) const STREAM_WINDOW: u32 = 4 * 1024;
/// What a client may send on all streams of a connection before the server has read it, in bytes.
/// More than all its streams together hold; so much because h2 measures small frames by it.
pub(super) const CONNECTION_WINDOW: u32 = 32 * 1024 * 1024;
/// Requests of one stream that have been read and wait for their turn, in bytes with what each
/// takes beside its text. Enough for usual requests that a client sends before it has heard of
/// [`STREAM_WINDOW`], not for as many of the smallest; those lie in h2, whose count has room for
/// them.
pub(super) const STREAM_QUEUE: usize = 256 * KIB;
/// The largest request, in bytes.
pub(super) const REQUEST: usize = 64 * KIB;
/// The largest request with a list of ids, in bytes.
pub(super) const LONG_REQUEST: usize = 128 * KIB;
/// The largest request with a cursor, in bytes: a cursor may hold the `_id` of an order.
pub(super) const CURSOR_REQUEST: usize = 4 * MIB;
/// How many bytes one byte of gzip becomes at most.
pub(super) const UNPACKED: usize = 1_032;
/// The most header fields that a request may have, in bytes.
pub(super) const HEADERS: u32 = 16 * 1024;
/// How much of the header fields of a connection is kept so that it need not be sent again, in
/// bytes.
pub(super) const HEADER_TABLE: u32 = 4 * 1024;
/// The largest frame of a request, in bytes.
pub(super) const FRAME: u32 = 16 * 1024;
/// What waits in each stream of a connection to be sent, in bytes.
pub(super) const SEND_BUFFER: usize = 400 * KIB;
/// What a request needs no room for, in bytes: nearly all are smaller, so that large ones never
/// keep them out.
pub(super) const SMALL_REQUEST: usize = 4 * KIB;
/// Requests that have not been answered, in all, in bytes, without the first [`SMALL_REQUEST`] of
/// each.
const REQUESTS: usize = 64 * MIB;
/// How long a request may take to arrive.
pub(super) const ARRIVAL: Duration = Duration::from_secs(10);
/// Answers over [`SMALL_ANSWER`] that have not been sent, in all, in bytes.
const LARGE_ANSWERS: usize = 128 * MIB;
/// Answers up to [`SMALL_ANSWER`] that have not been sent, in all, in bytes. They never wait for
/// large ones.
const SMALL_ANSWERS: usize = 64 * MIB;
/// What an answer needs no room for, in bytes: nearly all are smaller, so that large ones never
/// keep them out.
const TINY_ANSWER: usize = 4 * KIB;
/// The largest small answer, in bytes.
const SMALL_ANSWER: usize = 256 * KIB;
/// The largest change of which a reader of the news may have several messages on their way, in
/// bytes.
pub(super) const LARGE_NEWS: usize = 32 * KIB;
/// How long a call waits until there is room for its answer.
const ROOM_PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer may lie unread. One of several parts may take so long for each.
pub(super) const READING: Duration = Duration::from_secs(30);

/// What there is for all callers together. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    calls: Arc<Semaphore>,
    request_streams: Arc<Semaphore>,
    reflection_streams: Arc<Semaphore>,
    health_watches: Arc<Semaphore>,
    history_looks: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    small_answers: Arc<Semaphore>,
    large_answers: Arc<Semaphore>,
}

impl Limits {
    pub(super) fn new() -> Limits {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Limits {
            calls: semaphore(CALLS),
            request_streams: semaphore(REQUEST_STREAMS),
            reflection_streams: semaphore(REFLECTION_STREAMS),
            health_watches: semaphore(HEALTH_WATCHES),
            history_looks: semaphore(HISTORY_LOOKS),
            requests: semaphore(REQUESTS),
            small_answers: semaphore(SMALL_ANSWERS),
            large_answers: semaphore(LARGE_ANSWERS),
        }
    }

    /// A place for a call.
    pub(super) fn call(&self) -> Result<OwnedSemaphorePermit, Status> {
        let place = self.calls.clone().try_acquire_owned();
        place.map_err(|_| {
            status::limit_reached(format!(
                "{CALLS} calls are open already; try again in a moment"
            ))
        })
    }

    /// A place for a stream of requests.
    pub(super) fn request_stream(&self) -> Result<OwnedSemaphorePermit, Status> {
        let place = self.request_streams.clone().try_acquire_owned();
        place.map_err(|_| {
            status::limit_reached(format!(
                "{REQUEST_STREAMS} streams of requests are open already; try again in a moment"
            ))
        })
    }

    /// A place for a stream of reflection.
    pub(super) fn reflection_stream(&self) -> Result<OwnedSemaphorePermit, Status> {
        let place = self.reflection_streams.clone().try_acquire_owned();
        place.map_err(|_| {
            status::limit_reached(format!(
                "{REFLECTION_STREAMS} streams of reflection are open already; try again in a moment"
            ))
        })
    }

    /// A place for a caller who follows the health of services.
    pub(super) fn health_watch(&self) -> Result<OwnedSemaphorePermit, Status> {
        let place = self.health_watches.clone().try_acquire_owned();
        place.map_err(|_| {
            status::limit_reached(format!(
                "{HEALTH_WATCHES} callers follow the health already; try again in a moment, or ask with Check"
            ))
        })
    }

    /// A place for a look through the database's history.
    pub(super) fn history_look(&self) -> Result<OwnedSemaphorePermit, Status> {
        let place = self.history_looks.clone().try_acquire_owned();
        place.map_err(|_| {
            status::limit_reached(format!(
                "{HISTORY_LOOKS} callers look through the history already; try again in a moment, or ask without it"
            ))
        })
    }

    /// Room for a part of a request.
    pub(super) fn request(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Status> {
        let room = self.requests.clone().try_acquire_many_owned(permits(bytes));
        room.map_err(|_| {
            status::limit_reached(format!(
                "large requests of {} MiB wait to be answered; try again in a moment",
                REQUESTS / MIB
            ))
        })
    }

    /// Room for making an answer, waited for but not for long.
    pub(super) async fn answer(&self, bytes: usize) -> Result<Room, Status> {
        let (room, all) = self.room_for(bytes);
        let asked = room.acquire_many_owned(permits(bytes.min(all / 4)));
        match timeout(ROOM_PATIENCE, asked).await {
            Ok(Ok(room)) => Ok(Room(Arc::new(room))),
            _ => Err(no_room(all)),
        }
    }

    /// Room for an answer that has been made without; it can't be waited for, as the answer is
    /// there already. None for one that needs none.
    pub(super) fn made_answer(&self, bytes: usize) -> Result<Option<Room>, Status> {
        if bytes <= TINY_ANSWER {
            return Ok(None);
        }
        let (room, all) = self.room_for(bytes);
        match room.try_acquire_many_owned(permits(bytes.min(all / 4))) {
            Ok(room) => Ok(Some(Room(Arc::new(room)))),
            Err(_) => Err(no_room(all)),
        }
    }

    fn room_for(&self, bytes: usize) -> (Arc<Semaphore>, usize) {
        if bytes <= SMALL_ANSWER {
            (self.small_answers.clone(), SMALL_ANSWERS)
        } else {
            (self.large_answers.clone(), LARGE_ANSWERS)
        }
    }
}

/// Room for an answer, kept until it has been sent. It travels with the calls to the database that
/// read what the answer is made of, which go on when their caller leaves, and with the response.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<OwnedSemaphorePermit>);

impl Room {
    /// Gives back what the answer does not need, once its size is known.
    pub(super) fn shrink(&mut self, bytes: usize) {
        if let Some(room) = Arc::get_mut(&mut self.0) {
            drop(room.split(room.num_permits().saturating_sub(bytes)));
        }
    }
}

fn no_room(all: usize) -> Status {
    status::limit_reached(format!(
        "answers of {} MiB are being made or read; try again in a moment, or ask for less at once",
        all / MIB
    ))
}

/// A permit for each byte; there is one at least.
fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_that_are_not_read_never_use_up_what_h2_allows() {
        // The smallest request: five bytes before a message that is empty.
        let counted = |bytes: usize| bytes / 5 * (256 - 5);
        let unread = counted(STREAM_WINDOW as usize) * REQUEST_STREAMS_OF_A_CONNECTION;
        // Sent before a client has heard of any window: so much, on all streams together.
        let at_first = counted(65_535);
        let allowed = CONNECTION_WINDOW as usize / 2;
        assert!(unread + at_first <= allowed);
    }

    #[tokio::test]
    async fn large_answers_share_their_room_and_small_ones_have_their_own() {
        let limits = Limits::new();
        let mut rooms = Vec::new();
        for _ in 0..LARGE_ANSWERS / (8 * MIB) {
            rooms.push(limits.answer(8 * MIB).await.unwrap());
        }
        assert_eq!(limits.large_answers.available_permits(), 0);
        assert!(limits.answer(SMALL_ANSWER).await.is_ok());
        rooms[0].shrink(3 * MIB);
        assert_eq!(limits.large_answers.available_permits(), 5 * MIB);
        let refused = limits.answer(8 * MIB).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        rooms.clear();
        assert_eq!(limits.large_answers.available_permits(), LARGE_ANSWERS);
    }
}
