//! `SeedService`: believable data, for simulations only.

use std::{ops::RangeInclusive, pin::Pin, time::Duration};

use futures::Stream;
use order_archiver_api::v1 as pb;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::{Instrument, info};

use super::{
    call::{Calls, peer},
    limits::SLOWEST,
    status::{self, Violations},
};
use crate::{
    convert,
    seed::{
        Plan,
        writer::{self, Job, SeedFault, SeedProgress},
    },
    store::Store,
};

const DEFAULT_SEED: i64 = 42;
const DEFAULT_ORDERS: i64 = 10_000;
const MOST_ORDERS: i64 = 10_000_000;
const DEFAULT_MONTHS: u32 = 6;
const MOST_MONTHS: i32 = 120;
const MOST_PER_MINUTE: i32 = 60_000;
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);
const LIFETIMES: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);

pub(crate) struct SeedService {
    pub(crate) calls: Calls,
    pub(crate) store: Store,
    pub(crate) simulation: bool,
}

type Answers = mpsc::Sender<Result<pb::SeedDataResponse, Status>>;

#[tonic::async_trait]
impl pb::seed_service_server::SeedService for SeedService {
    type SeedDataStream = Pin<Box<dyn Stream<Item = Result<pb::SeedDataResponse, Status>> + Send>>;

    async fn seed_data(
        &self,
        request: Request<pb::SeedDataRequest>,
    ) -> Result<Response<Self::SeedDataStream>, Status> {
        let peer = peer(&request);
        let answers = self.calls.audited_stream(request, async |request| {
            if !self.simulation {
                let message = "this server runs with the production profile and never makes up data; start it with --profile simulation (ARCHD_PROFILE=simulation)";
                return Err(status::precondition(
                    pb::ErrorReason::SimulationOff,
                    "profile",
                    message.to_owned(),
                    [],
                ));
            }
            let job = job(&request)?;
            info!(peer, "made-up data was asked for");
            let (sender, receiver) = mpsc::channel(16);
            let seeding = seed(self.calls.clone(), self.store.clone(), job, sender);
            tokio::spawn(seeding.in_current_span());
            Ok(ReceiverStream::new(receiver))
        });
        Ok(answers
            .await?
            .map(|answers| Box::pin(answers) as Self::SeedDataStream))
    }
}

/// What to write, if the request is in order.
fn job(request: &pb::SeedDataRequest) -> Result<Job, Status> {
    let orders = request.orders.unwrap_or(DEFAULT_ORDERS);
    let dangling_share = request.dangling_share.unwrap_or(0.02);
    let until = request.until_time.as_ref().map(convert::date);
    let lifetime = request
        .live_order_lifetime
        .as_ref()
        .map_or(Some(DEFAULT_LIFETIME), convert::length)
        .filter(|lifetime| LIFETIMES.contains(lifetime));
    let mut violations = Violations::default();
    violations
        .check((0..=MOST_ORDERS).contains(&orders), "orders", "must be from 0 to 10,000,000")
        .check((0.0..=1.0).contains(&dangling_share), "dangling_share", "must be from 0 to 1")
        .check(until != Some(None), "until_time", "is no moment that a date can hold; give seconds since 1970 and nanos from 0 to 999,999,999")
        .check((0..=MOST_MONTHS).contains(&request.months), "months", "must be from 1 to 120; 0 means 6")
        .check((0..=MOST_PER_MINUTE).contains(&request.live_orders_per_minute), "live_orders_per_minute", "must be from 0 to 60,000")
        .check(lifetime.is_some(), "live_order_lifetime", "must be from 1 s to 24 h");
    violations.into_result()?;
    let plan = Plan::for_orders(u32::try_from(orders).unwrap_or(u32::MAX));
    Ok(Job {
        plan: Plan {
            seed: request.seed.unwrap_or(DEFAULT_SEED).cast_unsigned(),
            dangling_share,
            until: until.flatten().unwrap_or(plan.until),
            months: u32::try_from(request.months)
                .ok()
                .filter(|months| *months > 0)
                .unwrap_or(DEFAULT_MONTHS),
            ..plan
        },
        append: request.append,
        live_per_minute: u32::try_from(request.live_orders_per_minute).unwrap_or(0),
        live_lifetime: lifetime.unwrap_or(DEFAULT_LIFETIME),
    })
}

async fn seed(calls: Calls, store: Store, job: Job, answers: Answers) {
    // A place for the reason of an early end: when it is needed there may be no other.
    let Ok(last_place) = answers.clone().reserve_owned().await else {
        return;
    };
    let (listener, progress) = mpsc::channel(16);
    let seeding = async {
        let outcome = writer::write(&store, job, &listener).await;
        drop(listener);
        outcome
    };
    let telling = tell(progress, &answers, SLOWEST);
    let end = tokio::select! {
        (outcome, told) = futures::future::join(seeding, telling) => {
            told.err().or_else(|| outcome.err().and_then(|fault| status_of(&fault)))
        }
        () = answers.closed() => None,
        () = calls.stop.cancelled() => Some(status::stopping()),
    };
    if let Some(end) = end {
        last_place.send(Err(end));
    }
}

/// Tells a caller how far it is, until it leaves that unread for so long; then nobody listens to
/// the seeding, which ends it.
async fn tell(
    mut progress: mpsc::Receiver<SeedProgress>,
    answers: &Answers,
    patience: Duration,
) -> Result<(), Status> {
    while let Some(progress) = progress.recv().await {
        match timeout(patience, answers.send(Ok(message(progress)))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Ok(()),
            Err(_) => return Err(status::not_read(patience)),
        }
    }
    Ok(())
}

fn status_of(fault: &SeedFault) -> Option<Status> {
    match fault {
        SeedFault::NotEmpty { collection, .. } | SeedFault::NoRoom { collection, .. } => {
            Some(status::precondition(
                pb::ErrorReason::CollectionNotEmpty,
                collection,
                fault.to_string(),
                [("collection", collection)],
            ))
        }
        SeedFault::Store(error) => Some(status::of_error(error)),
        SeedFault::Abandoned => None,
    }
}

fn message(progress: SeedProgress) -> pb::SeedDataResponse {
    let count = |orders: Vec<(String, i64)>| {
        orders
            .into_iter()
            .map(|(status, orders)| pb::StatusCount { status, orders })
            .collect()
    };
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    match progress {
        SeedProgress::Writing {
            collection,
            written,
            total,
        } => pb::SeedDataResponse {
            phase: pb::SeedPhase::Writing.into(),
            collection,
            written: whole(written),
            total: whole(total),
            orders_by_status: Vec::new(),
        },
        SeedProgress::Written { total, by_status } => pb::SeedDataResponse {
            phase: pb::SeedPhase::Written.into(),
            collection: String::new(),
            written: whole(total),
            total: whole(total),
            orders_by_status: count(by_status),
        },
        SeedProgress::Live(by_status) => pb::SeedDataResponse {
            phase: pb::SeedPhase::Live.into(),
            collection: String::new(),
            written: 0,
            total: 0,
            orders_by_status: count(by_status),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_does_not_read_ends_the_sowing() {
        let (listener, progress) = mpsc::channel(4);
        let (answers, _unread) = mpsc::channel(1);
        let telling = tell(progress, &answers, Duration::from_millis(50));
        let seeding =
            async { while listener.send(SeedProgress::Live(Vec::new())).await.is_ok() {} };
        let both = futures::future::join(seeding, telling);
        let ((), told) = timeout(Duration::from_secs(5), both).await.unwrap();
        assert_eq!(told.unwrap_err().code(), tonic::Code::ResourceExhausted);
    }
}
