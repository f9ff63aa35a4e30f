//! Closing a gap: one batch that begins after the new starting point was taken.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::sleep;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tracing::{info, warn};

use super::policy::{Backoff, before_another_catch_up};
use crate::{
    archiver::Archiver,
    store::{
        Error, Store,
        batches::{options::Options, record::Batch},
        jobs::record::State,
        watch::{gap::Gap, lease::Lease},
    },
};

/// How often a batch is looked at.
const CATCH_UP_POLL: Duration = Duration::from_millis(200);

/// A catch-up under way; dropping it leaves the gap open for the next run.
pub(super) struct CatchingUp {
    closed: CancellationToken,
    trouble: Trouble,
    _abandoned: DropGuard,
}

/// Why a gap is open for longer than a batch takes, until that has been told; empty while there is
/// nothing to tell.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<String>>);

impl Trouble {
    fn set(&self, why: String) {
        *self.0.lock() = why;
    }
}

impl CatchingUp {
    /// That of whoever has no gap to close: it is the whole that has one.
    pub(super) fn none() -> CatchingUp {
        let closed = CancellationToken::new();
        closed.cancel();
        CatchingUp {
            closed,
            trouble: Trouble::default(),
            _abandoned: CancellationToken::new().drop_guard(),
        }
    }

    /// Whether there is no gap.
    pub(super) fn is_done(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Why the gap is still open, for people, each time once; empty when there is nothing new to
    /// say.
    pub(super) fn take_trouble(&self) -> String {
        std::mem::take(&mut *self.trouble.0.lock())
    }
}

/// Closes gaps. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct GapCloser {
    store: Store,
    archiver: Archiver,
    /// How many catch-up batches in a row have failed.
    failed: Arc<AtomicU32>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl GapCloser {
    /// One whose catch-up batches run on this archiver.
    pub(super) fn new(
        store: Store,
        archiver: Archiver,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> GapCloser {
        GapCloser {
            store,
            archiver,
            failed: Arc::default(),
            tasks,
            stop,
        }
    }

    /// Begins to close a gap, if there is one.
    pub(super) fn spawn(&self, lease: Lease, gap: Option<Gap>) -> CatchingUp {
        let (closed, abandoned) = (CancellationToken::new(), CancellationToken::new());
        let trouble = Trouble::default();
        match gap {
            None => closed.cancel(),
            Some(gap) => {
                let (closer, closed, abandoned) = (self.clone(), closed.clone(), abandoned.clone());
                let trouble = trouble.clone();
                self.tasks.spawn(async move {
                    tokio::select! {
                        () = abandoned.cancelled() => {}
                        () = closer.stop.cancelled() => {}
                        () = closer.catch_up(lease, gap, &trouble) => closed.cancel(),
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

    async fn catch_up(&self, lease: Lease, mut gap: Gap, trouble: &Trouble) {
        let mut away = Backoff::default();
        loop {
            // Another run of the stream may have begun since the last failure: that is no reason
            // to hurry.
            if gap.batch_id.is_empty() {
                let failed = self.failed.load(Ordering::Relaxed);
                sleep(before_another_catch_up(failed)).await;
            }
            match self.try_to_catch_up(lease, &mut gap).await {
                Ok(None) => {
                    self.failed.store(0, Ordering::Relaxed);
                    info!(batch = gap.batch_id, cause = gap.cause, "gap closed");
                    return;
                }
                Ok(Some(why)) => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
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
    async fn try_to_catch_up(&self, lease: Lease, gap: &mut Gap) -> Result<Option<String>, Error> {
        while gap.batch_id.is_empty() {
            let started = self.archiver.start(&Options::default(), None).await?;
            if started.already {
                // It began before the gap was known, so it may have passed orders that were
                // delivered since.
                self.end_of(&started.job.head.id).await?;
                continue;
            }
            gap.batch_id = started.job.head.id;
            self.store.name_gap_batch(&lease, gap).await?;
        }
        let ended = self.end_of(&gap.batch_id).await?;
        let what = match &ended {
            Some(batch) if batch.head.state == State::Succeeded => {
                self.store.close_gap(&lease, gap).await?;
                return Ok(None);
            }
            Some(batch) if batch.head.message.is_empty() => batch.head.state.name(),
            Some(batch) => &batch.head.message,
            None => "deleted",
        };
        let why = format!(
            "the catch-up batch {} did not succeed: {what}",
            gap.batch_id
        );
        gap.batch_id.clear();
        // The next run of the stream is not to take this batch for one that may still close the
        // gap.
        self.store.name_gap_batch(&lease, gap).await?;
        Ok(Some(why))
    }

    /// Waits for a batch to end; none when it has been deleted. One whose instance has died is
    /// taken up by another.
    async fn end_of(&self, id: &str) -> Result<Option<Batch>, Error> {
        loop {
            match self.store.job::<Batch>(id).await? {
                Some(batch) if !batch.head.state.is_final() => sleep(CATCH_UP_POLL).await,
                batch => return Ok(batch),
            }
        }
    }
}
