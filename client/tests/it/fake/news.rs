//! Answers that tell what happens: events, figures, and the progress of a seeding.

use futures::{StreamExt, future::ready, stream, stream::BoxStream};
use order_archiver_api::v1::{
    BatchState, EventKind, GetStatsRequest, GetStatsResponse, NearMiss, OrderEvent,
    SeedDataRequest, SeedDataResponse, SeedPhase, StatusCount, TailEventsRequest,
    TailEventsResponse, event_service_server::EventService, seed_service_server::SeedService,
    stats_service_server::StatsService, tail_events_response::Event,
};
use prost_types::Timestamp;
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Request, Response, Status, async_trait};

use super::{Answers, batch, counts};

/// The moment of everything here: 2025-10-16 14:23:45Z.
const NOW: Timestamp = Timestamp {
    seconds: 1_760_624_625,
    nanos: 0,
};

pub(crate) fn archived(number: &str) -> TailEventsResponse {
    TailEventsResponse {
        cursor: "c".to_owned(),
        time: Some(NOW),
        kind: EventKind::Archived.into(),
        event: Some(Event::Order(OrderEvent {
            numero_commande: number.to_owned(),
            ..OrderEvent::default()
        })),
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
        self.0.note(&request.into_inner());
        let events = BroadcastStream::new(self.0.events.subscribe())
            .filter_map(|event| ready(event.ok().map(Ok)));
        let _ = self.0.opened.send(());
        Ok(Response::new(events.boxed()))
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
        let miss = NearMiss {
            status_json: "\"Livrée\"".to_owned(),
            orders: 3,
            examples: vec!["CMD-9".to_owned()],
        };
        Ok(Response::new(GetStatsResponse {
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
            read_time: Some(NOW),
            ..GetStatsResponse::default()
        }))
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
