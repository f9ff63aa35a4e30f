//! The archiver: the door through which a batch brings every delivered order, page by page.
//!
//! A batch outlives the instance that runs it: whoever finds it without a runner takes it up and goes on from its saved place.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};
use tracing::{Instrument, info, info_span, warn};

use crate::{
    corridor::Corridor,
    domain::counts::Counts,
    store::{
        Error, Store,
        batches::{Batch, State, StopReason},
        options::{Limits, Options},
        orders::NearMiss,
        running::{Lease, TakenUp},
    },
};

mod ledger;
mod life;
mod pace;
mod page;
mod reading;
mod rehearsal;

use life::Life;

/// How long a batch waits for a database that has gone away, before it gives up.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// How many lives in a row a batch may have without getting any further, before it is given up: it may be what kills them.
const BARREN_LIVES: i64 = 5;

/// Runs batches. Clones are the same archiver.
#[derive(Clone, Debug)]
pub struct Archiver {
    store: Store,
    corridor: Corridor,
    chunk_size: usize,
    limits: Limits,
    instance: String,
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

/// How one life of a batch ended.
enum Ending {
    /// The batch has ended.
    Batch(End),
    /// The server is stopping; the batch goes on elsewhere, or in its next life.
    Released,
    /// Somebody else runs the batch, or has ended it.
    Lost,
}

impl Archiver {
    /// An archiver whose batches run among `tasks` and are let go when `stop` is cancelled. It takes up batches that nobody runs.
    /// `limits` hold for batches that have none of their own.
    pub fn new(
        store: Store,
        corridor: Corridor,
        chunk_size: usize,
        limits: Limits,
        instance: String,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Archiver {
        let archiver = Archiver {
            store,
            corridor,
            chunk_size,
            limits,
            instance,
            tasks,
            stop,
        };
        archiver.tasks.spawn(archiver.clone().care());
        archiver
    }

    /// Starts a batch and answers at once, or answers with the one that is active or that the request id belongs to.
    pub async fn start(
        &self,
        options: Options,
        request_id: Option<String>,
    ) -> Result<Started, Error> {
        let (batch, already) = self
            .store
            .ask_for_batch(&options, request_id.as_deref(), &self.instance)
            .await?;
        if !batch.state.is_final() {
            self.take_up().await;
        }
        Ok(Started { batch, already })
    }

    /// Looks now and then for a batch that nobody runs: its instance has stopped, or a caller left before it was taken up.
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

    /// Takes up the batch that nobody runs, if there is one. Cut short anywhere, it leaves the batch to the next look.
    async fn take_up(&self) {
        if self.stop.is_cancelled() {
            return;
        }
        match self.store.take_up_batch(&self.instance).await {
            Ok(None) => {}
            Ok(Some(taken)) => {
                let archiver = self.clone();
                let span = info_span!("batch", id = taken.batch.id);
                self.tasks
                    .spawn(async move { archiver.run(taken).await }.instrument(span));
            }
            // The monitor tells of a database that is away; the next look comes soon.
            Err(error) => tracing::debug!(%error, "no batch can be taken up"),
        }
    }

    async fn run(&self, taken: TakenUp) {
        let lease = taken.lease.clone();
        let options = taken.batch.options.clone();
        if taken.barren_lives == 1 && taken.batch.started.is_none() {
            info!(limit = taken.batch.options.limit, "batch started");
        } else {
            info!(
                lives = taken.barren_lives,
                "batch taken up where it was left"
            );
        }
        let survey = self.clone().survey(lease.clone(), options.clone());
        let survey = AbortOnDropHandle::new(tokio::spawn(survey.in_current_span()));
        let work = async {
            let (counts, ending) = self.live(taken).await;
            let near_misses = match ending {
                Ending::Batch(_) => {
                    self.tidy(&options).await;
                    survey.await.unwrap_or_default()
                }
                _ => Vec::new(),
            };
            (counts, ending, near_misses)
        };
        let (counts, ending, near_misses) = tokio::select! {
            done = work => done,
            () = self.keep_alive(&lease) => (Counts::default(), Ending::Lost, Vec::new()),
        };
        let end = match ending {
            Ending::Batch(end) => end,
            Ending::Lost => return warn!("another instance has taken this batch over"),
            Ending::Released => {
                info!("batch left where it is, for another instance or the next start");
                if let Err(error) = self.store.release_batch(&lease).await {
                    warn!(%error, "the batch could not be let go; it is taken up once its lease is over");
                }
                return;
            }
        };
        let Counts {
            found,
            archived,
            duplicates,
            incomplete,
            errors,
        } = counts;
        info!(
            state = end.state.name(),
            found, archived, duplicates, incomplete, errors, "batch ended"
        );
        let saved = self.patiently(|| {
            self.store.end_batch(
                &lease,
                end.state,
                end.reason,
                &end.message,
                &counts,
                &near_misses,
            )
        });
        if let Err(error) = saved.await {
            warn!(%error, "the end of the batch could not be saved; whoever takes it up saves it");
        }
    }

    /// One life of a batch: from where it was left as far as it gets.
    async fn live(&self, taken: TakenUp) -> (Counts, Ending) {
        let mut progress = taken.progress.clone();
        if taken.barren_lives > BARREN_LIVES {
            let message = format!(
                "{BARREN_LIVES} instances in a row died with it before it got any further; what was archived is safe; see their logs, then start a new batch"
            );
            return (
                progress.counts,
                Ending::Batch(failed(StopReason::Interrupted, message)),
            );
        }
        let life = Arc::new(Life::new(self, taken));
        let ending = life.archive_all(&mut progress).await;
        let ending = ending.unwrap_or_else(|error| {
            let message =
                format!("{error}; what was archived is safe, and the next batch takes up the rest");
            Ending::Batch(failed(StopReason::Database, message))
        });
        (progress.counts, ending)
    }

    /// Does something that is safe to repeat, waiting for a database that has gone away.
    async fn patiently<T, F: Future<Output = Result<T, Error>>>(
        &self,
        mut work: impl FnMut() -> F,
    ) -> Result<T, Error> {
        let since = Instant::now();
        loop {
            match work().await {
                Err(error)
                    if error.is_transient()
                        && since.elapsed() < PATIENCE
                        && !self.stop.is_cancelled() =>
                {
                    warn!(%error, "the database is away; trying again");
                    sleep(Duration::from_secs(1)).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Tells the others that this batch is alive, and returns once it is not this instance's any more.
    async fn keep_alive(&self, lease: &Lease) {
        let mut beat = interval(self.store.beat());
        loop {
            beat.tick().await;
            // While the database is away nobody else can end the batch either.
            if let Ok(false) = self.store.keep_batch(lease).await {
                return;
            }
        }
    }

    /// What is done once the last order is met. The batch is none the worse when it can't be.
    async fn tidy(&self, options: &Options) {
        if !options.validate_only
            && let Err(error) = self.store.release_archived().await
        {
            warn!(%error, "quarantine may hold orders that are archived by now; the next batch looks again");
        }
    }

    /// What is looked for beside the archiving, because it reads every order: how many are delivered, for a progress bar, and
    /// statuses that only look so. The batch is none the worse when it can't be.
    async fn survey(self, lease: Lease, options: Options) -> Vec<NearMiss> {
        let expect = async {
            let delivered = self.store.delivered_orders(options.before).await?;
            let most = if options.limit == 0 {
                i64::MAX
            } else {
                options.limit
            };
            self.store
                .expect_in_batch(&lease, delivered.min(most))
                .await
        };
        if let Err(error) = expect.await {
            warn!(%error, "the delivered orders could not be counted; progress has no total");
        }
        self.store.near_misses().await.unwrap_or_else(|error| {
            warn!(%error, "statuses that only look delivered could not be looked for");
            Vec::new()
        })
    }
}

fn failed(reason: StopReason, message: String) -> End {
    End {
        state: State::Failed,
        reason,
        message,
    }
}
