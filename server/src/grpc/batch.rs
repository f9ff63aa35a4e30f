//! `BatchService`: starting batches and following them.

use std::{mem::take, pin::Pin, time::Duration};

use bson::DateTime;
use futures::Stream;
use order_archiver_api::v1 as pb;
use tokio::{sync::mpsc, time::interval};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{
    archive::page_size,
    call::Calls,
    convert, page,
    status::{self, Violations},
};
use crate::{
    archiver::Archiver,
    store::{Store, batches::Batch},
};

const LONGEST_ID: usize = 64;
const DEFAULT_PAGE: i32 = 20;
const LARGEST_PAGE: i32 = 200;
/// How often a batch that is followed is looked at. Whichever instance runs it, the database knows how far it is.
const GLANCE: Duration = Duration::from_millis(200);

pub(crate) struct BatchService {
    pub(crate) calls: Calls,
    pub(crate) archiver: Archiver,
    pub(crate) store: Store,
}

#[tonic::async_trait]
impl pb::batch_service_server::BatchService for BatchService {
    async fn start_batch(
        &self,
        request: Request<pb::StartBatchRequest>,
    ) -> Result<Response<pb::StartBatchResponse>, Status> {
        self.calls
            .answer(request, async |request| self.start(request).await)
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
        self.calls
            .answer(request, async |pb::CancelBatchRequest { id }| {
                self.find(&id).await?;
                if !self
                    .store
                    .cancel_batch(&id)
                    .await
                    .map_err(|error| status::of_error(&error))?
                {
                    return Err(status::batch_ended(&id));
                }
                let batch = self.find(&id).await?;
                Ok(pb::CancelBatchResponse {
                    batch: Some(convert::batch(batch, self.now().await?)),
                })
            })
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
        let batch = self.calls.within(limit, self.find(&id)).await?;
        let (sender, receiver) = mpsc::channel(4);
        let (calls, store) = (self.calls.clone(), self.store.clone());
        tokio::spawn(async move {
            let end = tokio::select! {
                () = sender.closed() => return,
                () = calls.stop.cancelled() => Err(status::stopping()),
                end = follow(&calls, &store, batch, &sender) => end,
            };
            if let Err(end) = end {
                // A caller who has left needs no reason.
                let _ = sender.send(Err(end)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
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
            .check(max_runtime != Some(None), "options.max_runtime", "must be a length of time that is not negative; 0 means no limit")
            .check(asked.max_orders_per_second >= 0, "options.max_orders_per_second", "must not be negative; 0 means no limit")
            .check(request.request_id.len() <= LONGEST_ID, "request_id", format!("must be at most {LONGEST_ID} bytes, not {}", request.request_id.len()));
        violations.into_result()?;
        let later = [
            (
                max_runtime.flatten().is_some_and(|limit| !limit.is_zero()),
                "options.max_runtime",
            ),
            (asked.validate_only, "options.validate_only"),
            (
                asked.max_orders_per_second > 0,
                "options.max_orders_per_second",
            ),
        ];
        if let Some((_, option)) = later.iter().find(|(set, _)| *set) {
            return Err(status::not_yet(option));
        }
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

    async fn list(
        &self,
        mut request: pb::ListBatchesRequest,
    ) -> Result<pb::ListBatchesResponse, Status> {
        let token = take(&mut request.page_token);
        let size_asked = take(&mut request.page_size);
        let below = (!token.is_empty()).then(|| page::position(&request, &token));
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
            .check_for(
                pb::ErrorReason::InvalidPageToken,
                below != Some(None),
                "page_token",
                "is not the next_page_token of a list with these filters; begin without it",
            );
        violations.into_result()?;
        let limit = page_size(size_asked, DEFAULT_PAGE, LARGEST_PAGE);
        let states: Vec<_> = states.into_iter().flatten().collect();
        let mut batches = self
            .store
            .batches(&states, below.flatten().as_deref(), limit + 1)
            .await
            .map_err(|error| status::of_error(&error))?;
        let more = batches.len() > limit;
        batches.truncate(limit);
        let next_page_token = batches
            .last()
            .filter(|_| more)
            .map(|last| page::token(&request, &last.id))
            .unwrap_or_default();
        let now = self.now().await?;
        Ok(pb::ListBatchesResponse {
            batches: batches
                .into_iter()
                .map(|batch| convert::batch(batch, now))
                .collect(),
            next_page_token,
        })
    }

    async fn find(&self, id: &str) -> Result<Batch, Status> {
        let mut violations = Violations::default();
        violations
            .check(
                !id.is_empty(),
                "id",
                "must not be empty; ListBatches shows the ids",
            )
            .check(
                id.len() <= LONGEST_ID,
                "id",
                format!("must be at most {LONGEST_ID} bytes, not {}", id.len()),
            );
        violations.into_result()?;
        let batch = self
            .store
            .batch(id)
            .await
            .map_err(|error| status::of_error(&error))?;
        batch.ok_or_else(|| unknown(id))
    }

    async fn now(&self) -> Result<DateTime, Status> {
        now(&self.store).await
    }
}

async fn now(store: &Store) -> Result<DateTime, Status> {
    let deployment = store.deployment().await;
    deployment
        .map(|deployment| deployment.now)
        .map_err(|error| status::of_error(&error))
}

fn unknown(id: &str) -> Status {
    status::not_found(
        "batch",
        id,
        format!("there is no batch {id}; ListBatches shows those that there are"),
    )
}

/// Sends each state of a batch until it ends.
async fn follow(
    calls: &Calls,
    store: &Store,
    mut batch: Batch,
    sender: &mpsc::Sender<Result<pb::WatchBatchResponse, Status>>,
) -> Result<(), Status> {
    let mut glance = interval(GLANCE);
    let mut known: Option<Batch> = None;
    loop {
        if known.as_ref() != Some(&batch) {
            let message = pb::WatchBatchResponse {
                batch: Some(convert::batch(batch.clone(), now(store).await?)),
            };
            if sender.send(Ok(message)).await.is_err() || batch.state.is_final() {
                return Ok(());
            }
            known = Some(batch.clone());
        }
        glance.tick().await;
        calls.check()?;
        let found = store.batch(&batch.id).await;
        batch = found
            .map_err(|error| status::of_error(&error))?
            .ok_or_else(|| unknown(&batch.id))?;
    }
}
