//! `BatchService`: starting batches and following them.

use std::{mem::take, pin::Pin, time::Duration};

use bson::DateTime;
use futures::Stream;
use order_archiver_api::v1::{self as pb, ErrorReason};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::{Instrument, info};

use super::{
    call::{Calls, peer, small_messages},
    jobs::{self, Followed, ListRequest, Told, ids, tell},
    limits::SLOWEST,
    status::{self, Violations},
};
use crate::{
    archiver::Archiver,
    convert,
    store::{Store, batches::record::Batch},
};

/// The shortest length of time that the database keeps of a batch.
const MILLISECOND: Duration = Duration::from_millis(1);

pub(crate) struct BatchService {
    pub(crate) calls: Calls,
    pub(crate) archiver: Archiver,
    pub(crate) store: Store,
    pub(crate) followed: Followed<Batch>,
}

impl Told for Batch {
    type Message = pb::Batch;
    const LIST: &'static str = "ListBatches";
    const ENDED: ErrorReason = ErrorReason::BatchEnded;

    fn message(self, now: DateTime) -> pb::Batch {
        convert::batch(self, now)
    }

    fn in_brief(self, now: DateTime) -> pb::Batch {
        convert::batch(self.with_few_near_misses(), now)
    }
}

#[tonic::async_trait]
impl pb::batch_service_server::BatchService for BatchService {
    async fn start_batch(
        &self,
        request: Request<pb::StartBatchRequest>,
    ) -> Result<Response<pb::StartBatchResponse>, Status> {
        let peer = peer(&request);
        self.calls
            .audited(request, async |request| {
                self.calls.check_archive()?;
                let started = self.start(request).await?;
                let id = started.batch.as_ref().map(|batch| batch.id.as_str());
                let already = started.already_running;
                info!(id, peer, already, "a batch was asked for");
                Ok(started)
            })
            .await
    }

    async fn get_batch(
        &self,
        request: Request<pb::GetBatchRequest>,
    ) -> Result<Response<pb::GetBatchResponse>, Status> {
        self.calls
            .answer(request, async |pb::GetBatchRequest { id }| {
                let batch = self.find(&id).await?;
                Ok(pb::GetBatchResponse {
                    batch: self.shown(batch).await?,
                })
            })
            .await
    }

    async fn list_batches(
        &self,
        request: Request<pb::ListBatchesRequest>,
    ) -> Result<Response<pb::ListBatchesResponse>, Status> {
        self.calls
            .answer(request, async |request| self.list(request).await)
            .await
    }

    async fn cancel_batch(
        &self,
        request: Request<pb::CancelBatchRequest>,
    ) -> Result<Response<pb::CancelBatchResponse>, Status> {
        let peer = peer(&request);
        self.calls
            .audited(request, async |pb::CancelBatchRequest { id }| {
                let batch: Batch = jobs::cancel(&self.store, &id).await?;
                info!(id = batch.head.id, peer, "a batch was told to end");
                Ok(pb::CancelBatchResponse {
                    batch: self.shown(batch).await?,
                })
            })
            .await
    }

    async fn tune_batch(
        &self,
        request: Request<pb::TuneBatchRequest>,
    ) -> Result<Response<pb::TuneBatchResponse>, Status> {
        let peer = peer(&request);
        self.calls
            .audited(request, async |request| self.tune(request, &peer).await)
            .await
    }

    type WatchBatchStream =
        Pin<Box<dyn Stream<Item = Result<pb::WatchBatchResponse, Status>> + Send>>;

    async fn watch_batch(
        &self,
        request: Request<pb::WatchBatchRequest>,
    ) -> Result<Response<Self::WatchBatchStream>, Status> {
        let limit = self.calls.limit(request.metadata());
        let id = request.into_inner().id;
        let states = async { self.followed.states(&self.find(&id).await?.head.id).await };
        let states = self.calls.within(limit, states).await?;
        let (sender, receiver) = mpsc::channel(4);
        let answer = |batch| pb::WatchBatchResponse { batch: Some(batch) };
        tokio::spawn(tell(states, answer, sender, SLOWEST).in_current_span());
        Ok(small_messages(Box::pin(ReceiverStream::new(receiver))))
    }
}

impl BatchService {
    async fn start(
        &self,
        request: pb::StartBatchRequest,
    ) -> Result<pb::StartBatchResponse, Status> {
        let asked = request.options.unwrap_or_default();
        let before = asked.before.as_ref().map(convert::date);
        let max_runtime = asked.max_runtime.as_ref().map(convert::length);
        let mut violations = Violations::default();
        violations
            .check(asked.limit >= 0, "options.limit", "must not be negative; 0 means no limit")
            .check(before != Some(None), "options.before", "is no moment that a date can hold; give seconds since 1970 and nanos from 0 to 999,999,999")
            .check(
                max_runtime.is_none_or(|most| most.is_some_and(|most| most.is_zero() || most >= MILLISECOND)),
                "options.max_runtime",
                "must be a length of time of at least a millisecond; 0 means no limit",
            )
            .check(
                !(asked.validate_only && asked.create_indexes),
                "options.create_indexes",
                "must not be set together with validate_only, which writes nothing; create the indexes first, or leave one of the two out",
            );
        check_limits(
            &mut violations,
            "options.",
            asked.max_orders_per_second,
            asked.max_replication_lag.as_ref(),
            asked.max_write_latency.as_ref(),
        );
        violations.check_length("request_id", &request.request_id, ids::LONGEST);
        violations.into_result()?;
        let options = convert::options(&asked);
        let request_id = (!request.request_id.is_empty()).then_some(request.request_id.as_str());
        let started = self
            .archiver
            .start(&options, request_id)
            .await
            .map_err(|error| status::of_error(&error))?;
        let same_request = started.job.head.is_of_request(request_id);
        if started.already && same_request && started.job.options != options {
            return Err(status::request_id_reused(&request.request_id));
        }
        Ok(pb::StartBatchResponse {
            batch: self.shown(started.job).await?,
            already_running: started.already,
        })
    }

    async fn tune(
        &self,
        request: pb::TuneBatchRequest,
        peer: &str,
    ) -> Result<pb::TuneBatchResponse, Status> {
        let (lag, latency) = (
            request.max_replication_lag.as_ref(),
            request.max_write_latency.as_ref(),
        );
        let rate = request.max_orders_per_second;
        let mut violations = Violations::default();
        ids::check::<Batch>(&mut violations, "id", &request.id);
        check_limits(&mut violations, "", rate, lag, latency);
        violations.check(
            rate.is_some() || lag.is_some() || latency.is_some(),
            "max_orders_per_second",
            "must be given, or max_replication_lag, or max_write_latency: there is nothing to change",
        );
        violations.into_result()?;
        let id = self.find(&request.id).await?.head.id;
        let tuned = self
            .store
            .tune_batch(&id, &convert::limits(&request))
            .await
            .map_err(|error| status::of_error(&error))?;
        let batch = tuned.ok_or_else(|| jobs::ended::<Batch>(&id))?;
        let (id, limits) = (&batch.head.id, batch.limits);
        info!(id, peer, ?limits, "the limits of a batch were changed");
        Ok(pb::TuneBatchResponse {
            batch: self.shown(batch).await?,
        })
    }

    async fn list(
        &self,
        mut request: pb::ListBatchesRequest,
    ) -> Result<pb::ListBatchesResponse, Status> {
        let states = request.states.iter().map(|state| {
            let state = pb::BatchState::try_from(*state).ok();
            state.and_then(convert::state)
        });
        let page = jobs::list::<Batch, _>(
            &self.store,
            ListRequest {
                states: states.collect(),
                state_enum: "BatchState",
                page_size: take(&mut request.page_size),
                page_token: take(&mut request.page_token),
                filters: request,
            },
        );
        let page = page.await?;
        Ok(pb::ListBatchesResponse {
            batches: page.jobs,
            next_page_token: page.next_page_token,
            unreadable: page.unreadable,
        })
    }

    async fn find(&self, id: &str) -> Result<Batch, Status> {
        jobs::find(&self.store, "id", id).await
    }

    async fn shown(&self, batch: Batch) -> Result<Option<pb::Batch>, Status> {
        let now = jobs::now(&self.store).await?;
        Ok(Some(batch.message(now)))
    }
}

/// The limits have the same rules at the start and later; `within` is the path of the message that
/// holds them.
fn check_limits(
    violations: &mut Violations,
    within: &str,
    max_orders_per_second: Option<i32>,
    max_replication_lag: Option<&prost_types::Duration>,
    max_write_latency: Option<&prost_types::Duration>,
) {
    violations.check(
        max_orders_per_second.is_none_or(|most| most >= 0),
        &format!("{within}max_orders_per_second"),
        "must not be negative; 0 means no limit",
    );
    for (name, limit) in [
        ("max_replication_lag", max_replication_lag),
        ("max_write_latency", max_write_latency),
    ] {
        let all_right = limit
            .is_none_or(|limit| convert::length(limit).is_some_and(|limit| limit >= MILLISECOND));
        violations.check(
            all_right,
            &format!("{within}{name}"),
            "must be a length of time of at least a millisecond; leave it out to have it as it is",
        );
    }
}
