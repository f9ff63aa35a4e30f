//! `BatchService`: starting batches and following them.

use std::{mem::take, pin::Pin, time::Duration};

use bson::DateTime;
use futures::Stream;
use order_archiver_api::v1 as pb;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::info;

use super::{
    call::{Calls, peer, small_messages},
    follow::{self, Followed, now},
    ids,
    limits::SLOWEST,
    page::{self, page_size},
    status::{self, Violations},
};
use crate::{
    archiver::Archiver,
    bytes::raw::Value,
    convert::{self, MOST_JSON},
    store::{
        Store,
        batches::{ids::Kind, record::Batch},
    },
};

const DEFAULT_PAGE: i32 = 20;
const LARGEST_PAGE: i32 = 200;
/// The shortest length of time that the database keeps of a batch.
const MILLISECOND: Duration = Duration::from_millis(1);

pub(crate) struct BatchService {
    pub(crate) calls: Calls,
    pub(crate) archiver: Archiver,
    pub(crate) store: Store,
    pub(crate) followed: Followed,
}

#[tonic::async_trait]
impl pb::batch_service_server::BatchService for BatchService {
    async fn start_batch(
        &self,
        request: Request<pb::StartBatchRequest>,
    ) -> Result<Response<pb::StartBatchResponse>, Status> {
        let peer = peer(&request);
        self.calls
            .answer(request, async |request| {
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
                    batch: Some(convert::batch(batch, self.now().await?)),
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
            .answer(request, async |pb::CancelBatchRequest { id }| {
                let id = self.find(&id).await?.id;
                let cancelled = self
                    .store
                    .cancel_batch(&id)
                    .await
                    .map_err(|error| status::of_error(&error))?;
                let batch = cancelled.ok_or_else(|| status::batch_ended(&id))?;
                info!(id, peer, "a batch was told to end");
                Ok(pb::CancelBatchResponse {
                    batch: Some(convert::batch(batch, self.now().await?)),
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
            .answer(request, async |request| self.tune(request, &peer).await)
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
        let states = async { self.followed.states(&self.find(&id).await?.id).await };
        let states = self.calls.within(limit, states).await?;
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(follow::tell(states, sender, SLOWEST));
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
            .start(options.clone(), request_id.map(str::to_owned))
            .await
            .map_err(|error| status::of_error(&error))?;
        let same_request =
            request_id.is_some() && started.batch.request_id.as_deref() == request_id;
        if started.already && same_request && started.batch.options != options {
            return Err(status::request_id_reused(&request.request_id));
        }
        Ok(pb::StartBatchResponse {
            batch: Some(convert::batch(started.batch, self.now().await?)),
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
        ids::check(&mut violations, &request.id);
        check_limits(&mut violations, "", rate, lag, latency);
        violations.check(
            rate.is_some() || lag.is_some() || latency.is_some(),
            "max_orders_per_second",
            "must be given, or max_replication_lag, or max_write_latency: there is nothing to change",
        );
        violations.into_result()?;
        let id = self.find(&request.id).await?.id;
        let tuned = self
            .store
            .tune_batch(&id, &convert::limits(&request))
            .await
            .map_err(|error| status::of_error(&error))?;
        let batch = tuned.ok_or_else(|| status::batch_ended(&id))?;
        let (id, limits) = (&batch.id, batch.limits);
        info!(id, peer, ?limits, "the limits of a batch were changed");
        Ok(pb::TuneBatchResponse {
            batch: Some(convert::batch(batch, self.now().await?)),
        })
    }

    async fn list(
        &self,
        mut request: pb::ListBatchesRequest,
    ) -> Result<pb::ListBatchesResponse, Status> {
        let token = take(&mut request.page_token);
        let size_asked = take(&mut request.page_size);
        let below = (!token.is_empty()).then(|| page::place_at(&request, &token));
        let states: Vec<_> = request
            .states
            .iter()
            .map(|state| {
                pb::BatchState::try_from(*state)
                    .ok()
                    .and_then(convert::state)
            })
            .collect();
        let mut violations = Violations::default();
        violations
            .check(
                size_asked >= 0,
                "page_size",
                "must not be negative; 0 means 20",
            )
            .check(
                states.iter().all(Option::is_some),
                "states",
                "holds a value that is no BatchState",
            )
            .check_page_token(below != Some(None));
        violations.into_result()?;
        let limit = page_size(size_asked, DEFAULT_PAGE, LARGEST_PAGE);
        let states: Vec<_> = states.into_iter().flatten().collect();
        let mut below = below.flatten().unwrap_or_default();
        let found = self
            .store
            .batches(&states, &below, limit + 1)
            .await
            .map_err(|error| status::of_error(&error))?;
        let Some(mut found) = found else {
            let mut violations = Violations::default();
            let gone = "leads to a batch that is gone; begin without it";
            violations.check_for(pb::ErrorReason::InvalidPageToken, false, "page_token", gone);
            return Err(violations
                .into_result()
                .err()
                .unwrap_or_else(status::internal));
        };
        let mut more = found.len() > limit;
        found.truncate(limit);
        let now = self.now().await?;
        let mut page = pb::ListBatchesResponse::default();
        let mut size = 0;
        for found in found {
            let is_first = page.batches.is_empty() && page.unreadable.is_empty();
            let (id, found) = match found {
                Ok(batch) => (Value::string(&batch.id), Ok(convert::batch(batch, now))),
                Err(fault) => (fault.id.clone(), Err(convert::unreadable(&fault))),
            };
            size += match &found {
                Ok(batch) => batch.encoded_len(),
                Err(document) => document.encoded_len(),
            };
            if size > MOST_JSON && !is_first {
                more = true;
                break;
            }
            match found {
                Ok(batch) => page.batches.push(batch),
                Err(document) => page.unreadable.push(document),
            }
            below.pass(&id);
        }
        if more {
            page.next_page_token = page::token_at(&request, &below);
        }
        Ok(page)
    }

    /// The batch that an id stands for, which most often is a whole one.
    async fn find(&self, id: &str) -> Result<Batch, Status> {
        let mut violations = Violations::default();
        ids::check(&mut violations, id);
        violations.into_result()?;
        if let Some(batch) = self.batch(id).await? {
            return Ok(batch);
        }
        let batch = match ids::whole(&self.store, Kind::Batch, "id", id).await? {
            Some(id) => self.batch(&id).await?,
            None => None,
        };
        batch.ok_or_else(|| status::no_batch(id))
    }

    async fn batch(&self, id: &str) -> Result<Option<Batch>, Status> {
        let batch = self.store.batch(id).await;
        batch.map_err(|error| status::of_error(&error))
    }

    async fn now(&self) -> Result<DateTime, Status> {
        now(&self.store).await
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
