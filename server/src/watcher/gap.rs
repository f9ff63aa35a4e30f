//! Closing a gap: one batch that begins after the new starting point was taken.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use super::{
    Watcher,
    policy::{Backoff, before_another_catch_up},
};
use crate::store::{
    Error,
    batches::{
        options::Options,
        record::{Batch, State},
    },
    watch::gap::Gap,
};

/// How often a batch is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// A catch-up under way; dropping it leaves the gap open for the next run.
pub(super) struct CatchingUp {
    closed: CancellationToken,
    trouble: Trouble,
    _abandoned: DropGuard,
}

/// Why a gap is open for longer than a batch takes, until that has been told; empty while there is nothing to tell.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<String>>);

impl Trouble {
    fn set(&self, why: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }
}

impl CatchingUp {
    /// Whether there is no gap.
    pub(super) fn is_done(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Why the gap is still open, for people, each time once; empty when there is nothing new to say.
    pub(super) fn take_trouble(&self) -> String {
        let why = self.trouble.0.lock();
        std::mem::take(&mut *why.unwrap_or_else(PoisonError::into_inner))
    }
}

impl Watcher {
    /// Begins to close a gap, if there is one.
    pub(super) fn spawn_catch_up(&self, epoch: i64, gap: Option<Gap>) -> CatchingUp {
        let (closed, abandoned) = (CancellationToken::new(), CancellationToken::new());
        let trouble = Trouble::default();
        match gap {
            None => closed.cancel(),
            Some(gap) => {
                let (watcher, closed, abandoned) =
                    (self.clone(), closed.clone(), abandoned.clone());
                let trouble = trouble.clone();
                self.tasks.spawn(async move {
                    tokio::select! {
                        () = abandoned.cancelled() => {}
                        () = watcher.stop.cancelled() => {}
                        () = watcher.catch_up(epoch, gap, &trouble) => closed.cancel(),
                    }
                });
            }
        }
        CatchingUp {
            closed,
            trouble,
            _abandoned: abandoned.drop_guard(),
        }
    }

    async fn catch_up(&self, epoch: i64, mut gap: Gap, trouble: &Trouble) {
        let mut away = Backoff::default();
        loop {
            // Another run of the stream may have begun since the last failure: that is no reason
            // to hurry.
            if gap.batch_id.is_empty() {
                let failed = self.failed_catch_ups.load(Ordering::Relaxed);
                sleep(before_another_catch_up(failed)).await;
            }
            match self.try_to_catch_up(epoch, &mut gap).await {
                Ok(None) => {
                    self.failed_catch_ups.store(0, Ordering::Relaxed);
                    info!(batch = gap.batch_id, cause = gap.cause, "gap closed");
                    return;
                }
                Ok(Some(why)) => {
                    self.failed_catch_ups.fetch_add(1, Ordering::Relaxed);
                    warn!("{why}; another one follows");
                    trouble.set(why);
                }
                Err(error) => {
                    warn!(%error, "the gap can't be closed yet; trying again");
                    trouble.set(format!("the gap can't be closed yet: {error}"));
                    sleep(away.next()).await;
                }
            }
        }
    }

    /// Runs a batch to its end, or takes up one that was begun for this gap. Comes back with what
    /// was wrong with it, if it did not close the gap.
    async fn try_to_catch_up(&self, epoch: i64, gap: &mut Gap) -> Result<Option<String>, Error> {
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
        let ended = self.end_of(&gap.batch_id).await?;
        let what = match &ended {
            Some(batch) if batch.state == State::Succeeded => {
                self.store.close_gap(epoch, gap).await?;
                return Ok(None);
            }
            Some(batch) if batch.message.is_empty() => batch.state.name(),
            Some(batch) => &batch.message,
            None => "deleted",
        };
        let why = format!(
            "the catch-up batch {} did not succeed: {what}",
            gap.batch_id
        );
        gap.batch_id.clear();
        // The next run of the stream is not to take this batch for one that may still close the gap.
        self.store.name_gap_batch(epoch, gap).await?;
        Ok(Some(why))
    }

    /// Waits for a batch to end; none when it has been deleted. One whose instance has died is
    /// taken up by another.
    async fn end_of(&self, id: &str) -> Result<Option<Batch>, Error> {
        loop {
            match self.store.batch(id).await? {
                Some(batch) if !batch.state.is_final() => sleep(POLL_INTERVAL).await,
                batch => return Ok(batch),
            }
        }
    }
}
