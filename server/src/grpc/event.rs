//! `EventService`: the news, as they happen.

use std::{collections::HashSet, ops::RangeInclusive, pin::Pin, sync::Arc, time::Duration};

use futures::Stream;
use order_archiver_api::v1 as pb;
use pb::{EventKind, tail_events_response as response};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::debug;

use super::{
    call::Calls,
    convert,
    status::{self, Violations},
};
use crate::{
    events::{Event, Happening, News},
    store::{Store, changes::Start},
};

const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(15);
const HEARTBEATS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);
/// Messages that wait for a reader. A slow one holds up its own reading of the history and nothing else.
const BACKLOG: usize = 64;
/// How long a reader may leave its messages unread before it is sent away.
const SLOWEST: Duration = Duration::from_secs(60);
const RETRY_PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct EventService {
    calls: Calls,
    store: Store,
    readers: Arc<Semaphore>,
    most_readers: usize,
}

impl EventService {
    pub(crate) fn new(calls: Calls, store: Store, most_readers: usize) -> EventService {
        EventService {
            calls,
            store,
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
        if request.start.is_some() {
            return Err(status::not_yet("starting from a cursor or a time"));
        }
        let place = self.readers.clone().try_acquire_owned();
        let place = place.map_err(|_| {
            status::limit_reached(format!(
                "{} readers tail already, as many as ARCHD_MAX_TAIL_READERS allows",
                self.most_readers
            ))
        })?;
        let open = async {
            News::open(&self.store, &Start::Now)
                .await
                .map_err(|error| status::of_error(&error))
        };
        let news = self.calls.within(limit, open).await?;
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let tail = Tail {
            calls: self.calls.clone(),
            store: self.store.clone(),
            sender,
            kinds,
            heartbeat,
            _place: place,
        };
        tokio::spawn(tail.run(news));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
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

/// One reader of the news.
struct Tail {
    calls: Calls,
    store: Store,
    sender: mpsc::Sender<Result<pb::TailEventsResponse, Status>>,
    kinds: HashSet<EventKind>,
    heartbeat: Duration,
    _place: OwnedSemaphorePermit,
}

impl Tail {
    async fn run(self, news: News) {
        let end = tokio::select! {
            () = self.sender.closed() => return,
            () = self.calls.stop.cancelled() => status::stopping(),
            end = self.tell(news) => end,
        };
        // Whoever is this slow may miss the farewell too.
        let _ = timeout(Duration::from_secs(1), self.sender.send(Err(end))).await;
    }

    /// Tells the news until there is a reason not to.
    async fn tell(&self, news: News) -> Status {
        let mut news = Some(news);
        let mut position = None;
        let mut spoken: Option<Instant> = None;
        loop {
            let reply = match news.as_mut() {
                Some(news) => news.next().await,
                None => match self.reopen(position.clone()).await {
                    Ok(opened) => {
                        news = Some(opened);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            let happenings = match reply {
                Ok(happenings) => happenings,
                // A reader of the history is of no use after an error; the next one goes on from our own place.
                Err(error) if error.is_transient() && position.is_some() => {
                    debug!(%error, "the history can't be read; trying again");
                    news = None;
                    sleep(RETRY_PAUSE).await;
                    continue;
                }
                Err(error) => return status::of_error(&error),
            };
            for happening in happenings {
                position = Some(happening.position.clone());
                let heartbeat_is_due =
                    spoken.is_none_or(|spoken| spoken.elapsed() >= self.heartbeat);
                let Some(message) = self.message(happening, heartbeat_is_due) else {
                    continue;
                };
                match timeout(SLOWEST, self.sender.send(Ok(message))).await {
                    Ok(Ok(())) => spoken = Some(Instant::now()),
                    Ok(Err(_)) => return status::stopping(),
                    Err(_) => {
                        return status::limit_reached(format!(
                            "nothing was read for {SLOWEST:?}; tail again"
                        ));
                    }
                }
            }
        }
    }

    async fn reopen(
        &self,
        position: Option<bson::RawDocumentBuf>,
    ) -> Result<News, crate::store::Error> {
        News::open(&self.store, &position.map_or(Start::Now, Start::After)).await
    }

    fn message(
        &self,
        happening: Happening,
        heartbeat_is_due: bool,
    ) -> Option<pb::TailEventsResponse> {
        let cursor = hex::encode(happening.position.as_bytes());
        let time = happening.time.map(convert::timestamp);
        let Some(event) = happening.event else {
            let heartbeat = pb::TailEventsResponse {
                cursor,
                time,
                kind: EventKind::Heartbeat.into(),
                event: None,
            };
            return heartbeat_is_due.then_some(heartbeat);
        };
        let kind = kind(&event);
        let wanted = self.kinds.is_empty() || self.kinds.contains(&kind);
        wanted.then(|| pb::TailEventsResponse {
            cursor,
            time,
            kind: kind.into(),
            event: Some(body(event)),
        })
    }
}

fn kind(event: &Event) -> EventKind {
    match event {
        Event::Archived { missing, .. } if missing.is_empty() => EventKind::Archived,
        Event::Archived { .. } => EventKind::Incomplete,
        Event::Quarantined(_) if event.is_conflict() => EventKind::Conflict,
        Event::Quarantined(_) => EventKind::Quarantined,
        Event::BatchStarted(_) => EventKind::BatchStarted,
        Event::BatchProgress(_) => EventKind::BatchProgress,
        Event::BatchFinished(_) => EventKind::BatchFinished,
    }
}

fn body(event: Event) -> response::Event {
    match event {
        Event::Archived {
            numero,
            missing,
            date_archivage,
        } => response::Event::Order(pb::OrderEvent {
            numero_commande: numero,
            missing_fields: missing,
            date_archivage: date_archivage.map(convert::timestamp),
        }),
        Event::Quarantined(entry) => {
            response::Event::Quarantine(convert::quarantine_entry(entry, None))
        }
        Event::BatchStarted(batch) | Event::BatchProgress(batch) | Event::BatchFinished(batch) => {
            let updated = batch.updated;
            response::Event::Batch(convert::batch(batch, updated))
        }
    }
}
