//! A batch as the job that it is: following it, and what its end means for the exit code.

use order_archiver_api::{
    progress,
    v1::{Batch, BatchState, BatchStopReason, WatchBatchRequest, WatchBatchResponse},
};
use tonic::{Status, Streaming};

use crate::{connect::Session, exit::Exit, job::Job};

impl Job for Batch {
    type Watched = WatchBatchResponse;

    const NAME: &'static str = "Batch";
    const COMMAND: &'static str = "archctl batch watch";

    fn id(&self) -> &str {
        &self.id
    }

    fn has_ended(&self) -> bool {
        matches!(
            self.state(),
            BatchState::Succeeded | BatchState::Failed | BatchState::Cancelled
        )
    }

    fn ending(&self) -> String {
        progress::ending(self)
    }

    fn line(&self) -> String {
        progress::line(self)
    }

    fn without_throttle(&self) -> String {
        progress::without_throttle(self)
    }

    fn throttle(&self) -> &str {
        &self.throttle
    }

    fn orders(&self) -> (i64, i64) {
        let found = self.counts.unwrap_or_default().found;
        (found, self.estimated_total)
    }

    async fn watch(session: &Session, id: String) -> Result<Streaming<Self::Watched>, Status> {
        let states = session
            .batch()
            .watch_batch(WatchBatchRequest { id })
            .await?;
        Ok(states.into_inner())
    }

    fn told(message: Self::Watched) -> Option<Self> {
        message.batch
    }
}

/// What a batch that was waited for means for the exit code.
pub(super) fn exit_of(batch: &Batch) -> Exit {
    match batch.state() {
        BatchState::Succeeded => Exit::Done,
        BatchState::Failed if batch.stop_reason() == BatchStopReason::Unbalanced => {
            Exit::Unbalanced
        }
        BatchState::Failed => Exit::JobFailed,
        _ => Exit::Failure,
    }
}
