//! The archiver: the source through which a batch brings every delivered order, page by page.
//!
//! A batch outlives the instance that runs it: whoever finds it without a runner takes it up and
//! goes on from its saved place.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, info_span, warn};

use crate::{
    pipeline::Pipeline,
    store::{
        Error, Store,
        batches::{
            options::{Limits, Options},
            record::{Batch, State, StopReason},
        },
        state::holds::Hold,
    },
};

mod dry_run;
mod log;
mod page;
mod page_reader;
mod rate;
mod run;
mod runner;
pub(crate) mod schedule;
mod stamps;
mod throttle;

/// How long a batch waits for a database that has gone away, before it gives up.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// How often the log tells how far a batch is, and of one that still waits.
const REMINDER: Duration = Duration::from_secs(30);

/// Runs batches. Clones are the same archiver.
#[derive(Clone, Debug)]
pub struct Archiver {
    store: Store,
    /// Where batches are asked for.
    asking: Store,
    pipeline: Pipeline,
    chunk_size: usize,
    limits: Limits,
    instance: String,
    /// The id of the batch that this instance runs, for as long as it does.
    running: Arc<Mutex<Weak<String>>>,
    /// Held while this instance looks for a batch that nobody runs.
    looking: Arc<tokio::sync::Mutex<()>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A batch that was asked for.
#[derive(Clone, Debug)]
pub struct Started {
    /// The batch.
    pub batch: Batch,
    /// Whether it was there before.
    pub already: bool,
}

/// How a batch ended.
struct End {
    state: State,
    reason: StopReason,
    message: String,
}

/// How one run of a batch ended.
enum Ending {
    /// The batch has ended.
    Batch(End),
    /// The server is stopping; the batch goes on elsewhere, or in its next run.
    Released,
    /// Somebody else runs the batch, or has ended it.
    Lost,
}

impl Archiver {
    /// An archiver whose batches run among `tasks` and are let go when `stop` is cancelled.
    /// `limits` hold for batches that have none of their own.
    pub fn new(
        store: Store,
        pipeline: Pipeline,
        chunk_size: usize,
        limits: Limits,
        instance: String,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Archiver {
        Archiver {
            asking: store.clone(),
            store,
            pipeline,
            chunk_size,
            limits,
            instance,
            running: Arc::default(),
            looking: Arc::default(),
            tasks,
            stop,
        }
    }

    /// The same archiver, whose inserts are timed apart from everybody else's.
    fn timed_apart(&self) -> Archiver {
        let store = self.store.timed_apart();
        Archiver {
            pipeline: self.pipeline.with_store(store.clone()),
            store,
            ..self.clone()
        }
    }

    /// The same archiver for callers, of whom there may be any number.
    pub fn for_callers(&self) -> Archiver {
        Archiver {
            asking: self.store.for_callers(),
            ..self.clone()
        }
    }

    /// From now on takes up batches that nobody runs.
    pub(crate) fn care_for_orphans(&self) {
        self.tasks.spawn(self.clone().care());
    }

    /// Starts a batch and answers at once, or answers with the one that is active or that the
    /// request id belongs to.
    pub async fn start(
        &self,
        options: Options,
        request_id: Option<String>,
    ) -> Result<Started, Error> {
        let (batch, already) = self
            .asking
            .ask_for_batch(&options, request_id.as_deref(), &self.instance)
            .await?;
        if !batch.state.is_final() {
            self.take_up().await;
        }
        Ok(Started { batch, already })
    }

    /// Looks now and then for a batch that nobody runs: its instance has stopped, or a caller left
    /// before it was taken up.
    async fn care(self) {
        let mut beat = interval(self.store.beat());
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = beat.tick() => self.take_up().await,
            }
        }
    }

    /// Takes up the batch that nobody runs, if there is one. Cut short anywhere, it leaves the
    /// batch to the next look.
    async fn take_up(&self) {
        if self.stop.is_cancelled() {
            return;
        }
        // An instance that was slow to say that it lives goes on with its batch: taken up again, it
        // would run twice here. So every look must know what the one before it has taken up.
        let _one_at_a_time = self.looking.lock().await;
        let own = self.running().upgrade();
        let own = own.as_deref().map(String::as_str);
        match self.store.take_up_batch(&self.instance, own).await {
            Ok(None) => {}
            Ok(Some(taken)) => {
                let id = Arc::new(taken.batch.id.clone());
                *self.running() = Arc::downgrade(&id);
                let archiver = self.clone();
                let dry_run = taken.batch.options.validate_only.then_some(true);
                let span = info_span!("batch", id = taken.batch.id, dry_run);
                let run = async move {
                    let _held = archiver
                        .store
                        .note_hold(Hold::Batch(taken.batch.id.clone()));
                    archiver.run(taken).await;
                    drop(id);
                };
                self.tasks.spawn(run.instrument(span));
            }
            // The monitor tells of a database that is away; the next look comes soon.
            Err(error) => tracing::debug!(%error, "no batch can be taken up"),
        }
    }

    /// Whether this instance runs a batch.
    pub(crate) fn runs(&self, id: &str) -> bool {
        self.running().upgrade().is_some_and(|own| *own == id)
    }

    fn running(&self) -> MutexGuard<'_, Weak<String>> {
        self.running.lock()
    }

    /// Does something that is safe to repeat, waiting for a database that has gone away.
    pub(crate) async fn patiently<T, F: Future<Output = Result<T, Error>>>(
        &self,
        mut work: impl FnMut() -> F,
    ) -> Result<T, Error> {
        let since = Instant::now();
        let mut told: Option<Instant> = None;
        loop {
            match work().await {
                Err(error) if waits(&error, since.elapsed()) && !self.stop.is_cancelled() => {
                    if told.is_none_or(|told| told.elapsed() >= REMINDER) {
                        told = Some(Instant::now());
                        warn!(%error, "the batch waits for the database");
                    }
                    sleep(Duration::from_secs(1)).await;
                }
                outcome => return outcome,
            }
        }
    }
}

/// Whether a batch that has waited for so long goes on waiting. For the archive's index as long as
/// that takes; for credentials too, which may be changed while it runs.
fn waits(error: &Error, waited: Duration) -> bool {
    match error {
        Error::NotReady { .. } => true,
        error => {
            waited < PATIENCE && (error.is_transient() || matches!(error, Error::Unauthenticated))
        }
    }
}

fn failed(reason: StopReason, message: String) -> End {
    End {
        state: State::Failed,
        reason,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_waits_for_a_database_for_a_while_and_for_an_index_as_long_as_it_takes() {
        let away = Error::Unavailable(String::new());
        let index = Error::NotReady {
            reason: String::new(),
            progress: String::new(),
        };
        let table = [
            (&away, Duration::ZERO, true),
            (&away, PATIENCE, false),
            (&Error::Unauthenticated, Duration::ZERO, true),
            (&Error::Unauthenticated, PATIENCE, false),
            (&index, PATIENCE * 100, true),
            (&Error::ArchiveUnfit(String::new()), Duration::ZERO, false),
            (&Error::Unusable(String::new()), Duration::ZERO, false),
        ];
        for (error, waited, expected) in table {
            assert_eq!(waits(error, waited), expected, "{error:?} {waited:?}");
        }
    }
}
