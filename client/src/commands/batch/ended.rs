//! Whether a batch has ended, and what that means for the exit code.

use order_archiver_api::v1::{Batch, BatchState, BatchStopReason};

use crate::exit::Exit;

/// What a batch that was waited for means for the exit code.
pub(super) fn exit_of(batch: &Batch) -> Exit {
    match batch.state() {
        BatchState::Succeeded => Exit::Done,
        BatchState::Failed if batch.stop_reason() == BatchStopReason::Unbalanced => {
            Exit::Unbalanced
        }
        BatchState::Failed => Exit::BatchFailed,
        _ => Exit::Failure,
    }
}

pub(super) fn has_ended(batch: &Batch) -> bool {
    matches!(
        batch.state(),
        BatchState::Succeeded | BatchState::Failed | BatchState::Cancelled
    )
}
