//! Closing a gap: one batch that begins after the new starting point was taken.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use super::Watcher;
use crate::store::{Error, batches::State, options::Options, watch::Gap};

/// How often a batch is looked at.
const GLANCE: Duration = Duration::from_millis(200);
/// How long to wait after a catch-up batch has failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// A catch-up under way; dropping it leaves the gap open for the next life.
pub(super) struct CatchingUp {
    /// Cancelled once there is no gap.
    pub(super) token: CancellationToken,
    _abandoned: DropGuard,
}

impl Watcher {
    /// Begins to close a gap, if there is one.
    pub(super) fn spawn_catch_up(&self, epoch: i64, gap: Option<Gap>) -> CatchingUp {
        let (closed, abandoned) = (CancellationToken::new(), CancellationToken::new());
        match gap {
            None => closed.cancel(),
            Some(gap) => {
                let (watcher, closed, abandoned) =
                    (self.clone(), closed.clone(), abandoned.clone());
                self.tasks.spawn(async move {
                    tokio::select! {
                        () = abandoned.cancelled() => {}
                        () = watcher.stop.cancelled() => {}
                        () = watcher.catch_up(epoch, gap) => closed.cancel(),
                    }
                });
            }
        }
        CatchingUp {
            token: closed,
            _abandoned: abandoned.drop_guard(),
        }
    }

    async fn catch_up(&self, epoch: i64, mut gap: Gap) {
        loop {
            match self.try_to_catch_up(epoch, &mut gap).await {
                Ok(true) => {
                    info!(batch = gap.batch_id, cause = gap.cause, "gap closed");
                    return;
                }
                Ok(false) => warn!(
                    batch = gap.batch_id,
                    "the catch-up batch did not succeed; another one follows"
                ),
                Err(error) => warn!(%error, "the gap can't be closed yet; trying again"),
            }
            sleep(AFTER_FAILURE).await;
        }
    }

    /// Runs a batch to its end, or takes up one that was begun for this gap.
    async fn try_to_catch_up(&self, epoch: i64, gap: &mut Gap) -> Result<bool, Error> {
        while gap.batch_id.is_empty() {
            let started = self.archiver.start(Options::default(), None).await?;
            if started.already {
                // It began before the gap was known, so it may have passed orders that were delivered since.
                self.end_of(&started.batch.id).await?;
                continue;
            }
            gap.batch_id = started.batch.id;
            self.store.name_gap_batch(epoch, gap).await?;
        }
        let succeeded = self.end_of(&gap.batch_id).await? == Some(State::Succeeded);
        if succeeded {
            self.store.close_gap(epoch, gap).await?;
        } else {
            gap.batch_id.clear();
        }
        Ok(succeeded)
    }

    /// Waits for a batch to end, and says how; none when it has been deleted. One whose instance has died is taken up by another.
    async fn end_of(&self, id: &str) -> Result<Option<State>, Error> {
        loop {
            match self.store.batch(id).await? {
                Some(batch) if !batch.state.is_final() => sleep(GLANCE).await,
                batch => return Ok(batch.map(|batch| batch.state)),
            }
        }
    }
}
