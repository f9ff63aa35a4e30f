//! Answers that tell what happens: events, figures, and the progress of a seeding.

use futures::{StreamExt, stream, stream::BoxStream};
use order_archiver_api::v1::{
    BatchState, EventKind, GetStatsRequest, GetStatsResponse, NearMiss, NearMissKind, OrderEvent,
    SeedDataRequest, SeedDataResponse, SeedPhase, StatusCount, TailEventsRequest,
    TailEventsResponse, Verdict, event_service_server::EventService,
    seed_service_server::SeedService, stats_service_server::StatsService,
    tail_events_request::Start, tail_events_response::Event,
};
use prost_types::{Duration, Timestamp};
use tonic::{Request, Response, Status, async_trait};

use super::{Answers, batch, counts};

/// The moment of everything here: 2025-10-16 14:23:45Z.
pub(crate) const NOW: Timestamp = Timestamp {
    seconds: 1_760_624_625,
    nanos: 0,
};

pub(crate) fn archived(number: &str) -> TailEventsResponse {
    TailEventsResponse {
        cursor: String::new(),
        time: Some(NOW),
        kind: EventKind::Archived.into(),
        event: Some(Event::Order(OrderEvent {
            numero_commande: number.to_owned(),
            ..OrderEvent::default()
        })),
        detail_unknown: false,
    }
}

pub(crate) fn heartbeat() -> TailEventsResponse {
    TailEventsResponse {
        kind: EventKind::Heartbeat.into(),
        event: None,
        ..archived("")
    }
}

#[async_trait]
impl EventService for Answers {
    type TailEventsStream = BoxStream<'static, Result<TailEventsResponse, Status>>;

    async fn tail_events(
        &self,
        request: Request<TailEventsRequest>,
    ) -> Result<Response<Self::TailEventsStream>, Status> {
        let request = request.into_inner();
        self.0.note(&request);
        if let Some(status) = self.0.refusal.lock().unwrap().take() {
            return Err(status);
        }
        let history = self.0.history.subscribe();
        let mut place = match request.start {
            Some(Start::Cursor(cursor)) => cursor[2..].parse().unwrap(),
            Some(Start::SinceTime(_)) => 0,
            None => history.borrow().len(),
        };
        let first = TailEventsResponse {
            cursor: format!("c-{place}"),
            ..heartbeat()
        };
        // The end of the stream before is no news to the next one.
        while matches!(history.borrow().get(place), Some(Err(_))) {
            place += 1;
        }
        let events = stream::unfold((history, place), async |(mut history, place)| {
            let known = history.wait_for(|events| events.len() > place).await;
            let event = known.ok()?[place].clone();
            Some((event, (history, place + 1)))
        });
        let _ = self.0.opened.send(());
        Ok(Response::new(
            stream::iter([Ok(first)]).chain(events).boxed(),
        ))
    }
}

#[async_trait]
impl StatsService for Answers {
    async fn get_stats(
        &self,
        request: Request<GetStatsRequest>,
    ) -> Result<Response<GetStatsResponse>, Status> {
        let request = request.into_inner();
        self.0.note(&request);
        if let Some(status) = self.0.refusal.lock().unwrap().take() {
            return Err(status);
        }
        let miss = NearMiss {
            status_json: "\"Livrée\"".to_owned(),
            orders: 3,
            examples: vec!["CMD-9".to_owned()],
            kind: NearMissKind::Case.into(),
            status_escaped: "\"Livrée\"".to_owned(),
            difference: "other case".to_owned(),
            mend: "db.getCollection(\"Commande\").updateMany()".to_owned(),
        };
        let mut figures = GetStatsResponse {
            lifetime: Some(counts()),
            counting_since: Some(NOW),
            window: Some(counts()),
            window_length: request.window,
            archive_size: 1_220,
            quarantine_size: 6,
            last_batch: Some(batch(BatchState::Succeeded)),
            near_misses: if request.include_near_misses {
                vec![miss]
            } else {
                Vec::new()
            },
            database: "livraison".to_owned(),
            watcher_lag: Some(Duration {
                seconds: 3,
                nanos: 0,
            }),
            read_time: Some(NOW),
            next_batch_time: Some(NOW),
            unreadable: self.0.unreadable.lock().unwrap().clone(),
            last_verification: Some(self.0.verification.borrow().clone())
                .filter(|last| last.verdict() != Verdict::Unspecified),
            ..GetStatsResponse::default()
        };
        self.0.figures.lock().unwrap()(&mut figures);
        Ok(Response::new(figures))
    }
}

#[async_trait]
impl SeedService for Answers {
    type SeedDataStream = BoxStream<'static, Result<SeedDataResponse, Status>>;

    async fn seed_data(
        &self,
        request: Request<SeedDataRequest>,
    ) -> Result<Response<Self::SeedDataStream>, Status> {
        let request = request.into_inner();
        self.0.note(&request);
        let orders = request.orders.unwrap_or(10_000);
        let orders_by_status = vec![StatusCount {
            status: "livrée".to_owned(),
            orders,
        }];
        let writing = |collection: &str, written| SeedDataResponse {
            phase: SeedPhase::Writing.into(),
            collection: collection.to_owned(),
            written,
            total: orders,
            ..SeedDataResponse::default()
        };
        let written = SeedDataResponse {
            phase: SeedPhase::Written.into(),
            orders_by_status,
            ..writing("", orders)
        };
        let live = SeedDataResponse {
            phase: SeedPhase::Live.into(),
            ..written.clone()
        };
        let messages = [
            writing("Client", 0),
            writing("Client", orders),
            writing("Commande", orders),
            written,
        ];
        let messages = stream::iter(messages.map(Ok));
        Ok(Response::new(match request.live_orders_per_minute {
            0 => messages.boxed(),
            // Live orders go on until the caller leaves.
            _ => messages
                .chain(stream::iter([Ok(live)]))
                .chain(stream::pending())
                .boxed(),
        }))
    }
}
