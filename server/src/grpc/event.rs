//! `EventService`: the news, as they happen.

use std::{collections::HashSet, ops::RangeInclusive, pin::Pin, sync::Arc, time::Duration};

use futures::{Stream, stream};
use order_archiver_api::v1 as pb;
use pb::EventKind;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep, timeout},
};
use tonic::{Request, Response, Status};
use tracing::{Instrument, debug};

use super::{
    call::{Calls, small_messages},
    cursor,
    limits::{LARGE_NEWS, SLOWEST},
    status::{self, Violations},
};
use crate::{
    bytes::checkpoint::time_of,
    convert,
    observe::events::{Event, Live, Reader, Told},
    store::{Error, Store, wire::changes::Start},
};

const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(15);
const HEARTBEATS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
/// Messages that wait for a reader. A slow one holds up its own reading of the history and nothing
/// else.
const BACKLOG: usize = 64;
/// How long a reader that keeps up takes for a large message.
const QUICK: Duration = Duration::from_millis(100);
const RETRY_PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct EventService {
    calls: Calls,
    store: Store,
    live: Live,
    readers: Arc<Semaphore>,
    most_readers: usize,
}

impl EventService {
    pub(crate) fn new(calls: Calls, store: Store, live: Live, most_readers: usize) -> EventService {
        EventService {
            calls,
            store,
            live,
            readers: Arc::new(Semaphore::new(most_readers)),
            most_readers,
        }
    }
}

#[tonic::async_trait]
impl pb::event_service_server::EventService for EventService {
    type TailEventsStream =
        Pin<Box<dyn Stream<Item = Result<pb::TailEventsResponse, Status>> + Send>>;

    async fn tail_events(
        &self,
        request: Request<pb::TailEventsRequest>,
    ) -> Result<Response<Self::TailEventsStream>, Status> {
        let limit = self.calls.limit(request.metadata());
        let request = request.into_inner();
        let (kinds, heartbeat) = checked(&request)?;
        let place = self.readers.clone().try_acquire_owned();
        let place = place.map_err(|_| {
            status::limit_reached(format!(
                "{} readers tail already, as many as ARCHD_MAX_TAIL_READERS allows",
                self.most_readers
            ))
        })?;
        let open = async {
            let identity = self
                .store
                .database_identity()
                .await
                .map_err(|error| status::of_error(&error))?;
            let start = self.start(&identity, request.start.as_ref()).await?;
            let reader = self.open(&start).await?;
            Ok((identity, reader))
        };
        let (identity, reader) = self.calls.within(limit, open).await?;
        let (sender, mut receiver) = mpsc::channel(BACKLOG);
        let tail = Tail {
            calls: self.calls.clone(),
            sender,
            kinds,
            heartbeat,
            identity,
            large: Arc::new(Semaphore::new(1)),
            _place: place,
        };
        tokio::spawn(tail.run(reader).in_current_span());
        let mut on_its_way: Option<OwnedSemaphorePermit> = None;
        let messages = stream::poll_fn(move |context| {
            // The next message is asked for once the last one has gone out.
            drop(on_its_way.take());
            let next = receiver.poll_recv(context);
            next.map(|next: Option<Message>| {
                let (message, room) = next?;
                on_its_way = room;
                Some(message)
            })
        });
        Ok(small_messages(Box::pin(messages)))
    }
}

impl EventService {
    /// Where the caller wants to begin.
    async fn start(
        &self,
        identity: &str,
        asked: Option<&pb::tail_events_request::Start>,
    ) -> Result<Start, Status> {
        use pb::tail_events_request::Start as Asked;
        match asked {
            None => Ok(Start::Now),
            Some(Asked::Cursor(cursor)) => cursor::place(identity, cursor)
                .map(Start::After)
                .ok_or_else(status::bad_cursor),
            Some(Asked::SinceTime(since)) => {
                let now = self
                    .store
                    .deployment()
                    .await
                    .map_err(|error| status::of_error(&error))?
                    .majority;
                let seconds = u32::try_from(since.seconds)
                    .ok()
                    .filter(|seconds| now.is_none_or(|now| *seconds <= now.time));
                let mut violations = Violations::default();
                violations.check(
                    seconds.is_some() && (0..1_000_000_000).contains(&since.nanos),
                    "since_time",
                    "must be a moment from 1970 to now; absent means now",
                );
                violations.into_result()?;
                // Cluster time counts whole seconds, so this begins a moment early rather than
                // late.
                Ok(Start::At(bson::Timestamp {
                    time: seconds.unwrap_or(0),
                    increment: 1,
                }))
            }
        }
    }

    /// Opens the news, and says how far the history reaches when it does not reach far enough.
    async fn open(&self, start: &Start) -> Result<Reader, Status> {
        let opened = match (self.live.reader(start).await, start) {
            // A release that tells other news has another filter, to which a place of the old one
            // means nothing; its moment does.
            (Err(Error::BadPlace { .. }), Start::After(position)) => {
                let moment = time_of(position).map_or(Start::Now, Start::At);
                self.live.reader(&moment).await
            }
            (opened, _) => opened,
        };
        match opened {
            Err(Error::HistoryLost) => {
                let oldest = self.store.oldest_history().await;
                let oldest = oldest
                    .map(|oldest| bson::DateTime::from_millis(i64::from(oldest.time) * 1_000));
                Err(status::history_lost(
                    oldest
                        .and_then(|oldest| oldest.try_to_rfc3339_string().ok())
                        .as_deref(),
                ))
            }
            opened => opened.map_err(|error| status::of_error(&error)),
        }
    }
}

fn checked(request: &pb::TailEventsRequest) -> Result<(HashSet<EventKind>, Duration), Status> {
    let kinds: Vec<_> = request
        .kinds
        .iter()
        .map(|kind| {
            EventKind::try_from(*kind)
                .ok()
                .filter(|kind| *kind != EventKind::Unspecified)
        })
        .collect();
    let heartbeat = match &request.heartbeat_interval {
        Some(interval) if *interval != prost_types::Duration::default() => {
            convert::length(interval)
        }
        _ => Some(DEFAULT_HEARTBEAT),
    };
    let heartbeat = heartbeat.filter(|heartbeat| HEARTBEATS.contains(heartbeat));
    let mut violations = Violations::default();
    violations
        .check(
            kinds.iter().all(Option::is_some),
            "kinds",
            "holds a value that is no EventKind",
        )
        .check(
            heartbeat.is_some(),
            "heartbeat_interval",
            "must be from 1 s to 1 h; absent means 15 s",
        );
    violations.into_result()?;
    Ok((
        kinds.into_iter().flatten().collect(),
        heartbeat.unwrap_or(DEFAULT_HEARTBEAT),
    ))
}

/// A message, with its place if it is a large one.
type Message = (
    Result<pb::TailEventsResponse, Status>,
    Option<OwnedSemaphorePermit>,
);

/// One reader of the news.
struct Tail {
    calls: Calls,
    sender: mpsc::Sender<Message>,
    kinds: HashSet<EventKind>,
    heartbeat: Duration,
    /// Names the database in cursors.
    identity: String,
    /// The place for the one large message that may be on its way.
    large: Arc<Semaphore>,
    _place: OwnedSemaphorePermit,
}

impl Tail {
    async fn run(self, reader: Reader) {
        let end = tokio::select! {
            () = self.sender.closed() => return,
            () = self.calls.stop.cancelled() => status::stopping(),
            end = self.tell(reader) => end,
        };
        // Whoever is this slow may miss the farewell too.
        let _ = timeout(Duration::from_secs(1), self.sender.send((Err(end), None))).await;
    }

    /// Tells the news until there is a reason not to.
    async fn tell(&self, mut reader: Reader) -> Status {
        let mut spoken: Option<Instant> = None;
        let start = reader.start();
        // What was told last, whether there was a message or not.
        let mut last: Option<Arc<Told>> = None;
        let slow = |last: &Option<Arc<Told>>| {
            let place = last.as_ref().map(|last| Start::After(last.place.clone()));
            status::reader_too_slow(SLOWEST, &self.cursor(place.as_ref().unwrap_or(&start)))
        };
        let mut room = None;
        loop {
            let told = match reader.next().await {
                Ok(told) => told,
                Err(error) if error.is_transient() && !matches!(reader.start(), Start::Now) => {
                    debug!(%error, "the history can't be read; trying again");
                    sleep(RETRY_PAUSE).await;
                    continue;
                }
                Err(error) => return status::of_error(&error),
            };
            let heartbeat_is_due = spoken.is_none_or(|spoken| spoken.elapsed() >= self.heartbeat);
            if let Some(kind) = self.wanted(&told, heartbeat_is_due) {
                if room.is_none() && is_large(&told) {
                    let sent = timeout(QUICK, self.large.clone().acquire_owned());
                    room = sent.await.ok().and_then(Result::ok);
                    if room.is_none() {
                        // The large message before has not gone out: nothing is held until it has.
                        reader.put_back(told, last.clone());
                        room = self.place_of_large().await;
                        if room.is_none() {
                            return slow(&last);
                        }
                        continue;
                    }
                }
                let message = (Ok(self.message(&told, kind)), room.take());
                match timeout(SLOWEST, self.sender.send(message)).await {
                    Ok(Ok(())) => spoken = Some(Instant::now()),
                    Ok(Err(_)) => return status::stopping(),
                    Err(_) => return slow(&last),
                }
            }
            last = Some(told);
        }
    }

    /// The place of the large message, once the one before has gone out. None when nothing has been
    /// read for too long.
    async fn place_of_large(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let before = self.sender.capacity();
            match timeout(SLOWEST, self.large.clone().acquire_owned()).await {
                Ok(place) => return place.ok(),
                Err(_) if self.sender.capacity() == before => return None,
                Err(_) => {}
            }
        }
    }

    fn cursor(&self, start: &Start) -> String {
        match start {
            Start::After(position) => cursor::cursor(&self.identity, position),
            Start::At(_) | Start::Now => String::new(),
        }
    }

    /// The kind of what was told, where the reader is to hear of it.
    fn wanted(&self, told: &Told, heartbeat_is_due: bool) -> Option<EventKind> {
        let kind = told
            .event
            .as_ref()
            .map_or(EventKind::Heartbeat, convert::event_kind);
        let wanted = match kind {
            EventKind::Heartbeat => heartbeat_is_due,
            kind => self.kinds.is_empty() || self.kinds.contains(&kind),
        };
        wanted.then_some(kind)
    }

    fn message(&self, told: &Told, kind: EventKind) -> pb::TailEventsResponse {
        pb::TailEventsResponse {
            cursor: cursor::cursor(&self.identity, &told.place),
            time: told.time.and_then(convert::timestamp),
            kind: kind.into(),
            detail_unknown: told.event.as_ref().is_some_and(Event::is_bare),
            event: told.event.clone().map(convert::event_body),
        }
    }
}

/// Whether a message is so large that a reader has but one on its way.
fn is_large(told: &Told) -> bool {
    told.bytes > LARGE_NEWS
}
