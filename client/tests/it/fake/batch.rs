//! Answers about the one batch that there is.

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use order_archiver_api::v1::{
    Batch, BatchOptions, BatchState, CancelBatchRequest, CancelBatchResponse, GetBatchRequest,
    GetBatchResponse, ListBatchesRequest, ListBatchesResponse, StartBatchRequest,
    StartBatchResponse, TuneBatchRequest, TuneBatchResponse, WatchBatchRequest, WatchBatchResponse,
    batch_service_server::BatchService,
};
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status, async_trait};

use super::Answers;

impl Answers {
    fn batch(&self, id: &str) -> Result<Batch, Status> {
        let batch = self.0.batch.borrow().clone();
        if id == "latest" || batch.id.starts_with(id) {
            Ok(batch)
        } else {
            Err(Status::not_found(format!("there is no batch {id}")))
        }
    }
}

#[async_trait]
impl BatchService for Answers {
    type WatchBatchStream = BoxStream<'static, Result<WatchBatchResponse, Status>>;

    async fn start_batch(
        &self,
        request: Request<StartBatchRequest>,
    ) -> Result<Response<StartBatchResponse>, Status> {
        let request = request.into_inner();
        self.0.note(&request);
        let already_running = request.request_id == "again";
        let batch = Some(self.0.batch.borrow().clone());
        Ok(Response::new(StartBatchResponse {
            batch,
            already_running,
        }))
    }

    async fn get_batch(
        &self,
        request: Request<GetBatchRequest>,
    ) -> Result<Response<GetBatchResponse>, Status> {
        let batch = Some(self.batch(&request.into_inner().id)?);
        Ok(Response::new(GetBatchResponse { batch }))
    }

    async fn list_batches(
        &self,
        request: Request<ListBatchesRequest>,
    ) -> Result<Response<ListBatchesResponse>, Status> {
        self.0.note(&request.into_inner());
        let mut batches = self.0.listed.lock().unwrap().clone();
        batches.push(self.0.batch.borrow().clone());
        Ok(Response::new(ListBatchesResponse {
            batches,
            unreadable: self.0.unreadable.lock().unwrap().clone(),
            ..ListBatchesResponse::default()
        }))
    }

    async fn cancel_batch(
        &self,
        request: Request<CancelBatchRequest>,
    ) -> Result<Response<CancelBatchResponse>, Status> {
        let mut batch = self.batch(&request.into_inner().id)?;
        batch.set_state(BatchState::Cancelling);
        Ok(Response::new(CancelBatchResponse { batch: Some(batch) }))
    }

    async fn tune_batch(
        &self,
        request: Request<TuneBatchRequest>,
    ) -> Result<Response<TuneBatchResponse>, Status> {
        let request = request.into_inner();
        self.0.note(&request);
        let mut batch = self.batch(&request.id)?;
        batch.options = Some(BatchOptions {
            max_orders_per_second: request.max_orders_per_second,
            max_replication_lag: request.max_replication_lag,
            max_write_latency: request.max_write_latency,
            ..batch.options.unwrap_or_default()
        });
        Ok(Response::new(TuneBatchResponse { batch: Some(batch) }))
    }

    async fn watch_batch(
        &self,
        request: Request<WatchBatchRequest>,
    ) -> Result<Response<Self::WatchBatchStream>, Status> {
        self.batch(&request.into_inner().id)?;
        if let Some(status) = self.0.refusal.lock().unwrap().take() {
            return Err(status);
        }
        let states = WatchStream::new(self.0.batch.subscribe());
        // The stream ends with the state that ends the batch.
        let states = stream::unfold(Some(states), async |states| {
            let mut states = states?;
            let batch = states.next().await?;
            let goes_on = matches!(
                batch.state(),
                BatchState::Pending | BatchState::Running | BatchState::Cancelling
            );
            Some((
                Ok(WatchBatchResponse { batch: Some(batch) }),
                goes_on.then_some(states),
            ))
        });
        Ok(Response::new(states.boxed()))
    }
}
