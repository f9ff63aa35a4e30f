//! The archiver: the door through which a batch brings every delivered order, page by page.

use std::time::{Duration, Instant};

use tokio::time::{interval, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, info, info_span, warn};

use crate::{
    corridor::{Corridor, Door},
    domain::counts::Counts,
    store::{
        Error, Store,
        batches::{Batch, Claim, Options, State, StopReason},
        gather::Selection,
        orders::NearMiss,
    },
};

/// How long a batch waits for a database that has gone away, before it gives up.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Runs batches. Clones are the same archiver.
#[derive(Clone, Debug)]
pub struct Archiver {
    store: Store,
    corridor: Corridor,
    chunk_size: usize,
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

impl Archiver {
    /// An archiver whose batches run among `tasks` and end when `stop` is cancelled.
    pub fn new(
        store: Store,
        corridor: Corridor,
        chunk_size: usize,
        instance: String,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Archiver {
        Archiver {
            store,
            corridor,
            chunk_size,
            instance,
            tasks,
            stop,
        }
    }

    /// Starts a batch and answers at once, or answers with the one that is active or that the request id belongs to.
    pub async fn start(
        &self,
        options: Options,
        request_id: Option<String>,
    ) -> Result<Started, Error> {
        let archiver = self.clone();
        // A task of its own: a caller who left after the claim would leave a batch behind that nobody runs.
        let claiming = self
            .tasks
            .spawn(async move { archiver.claim(&options, request_id.as_deref()).await });
        claiming
            .await
            .map_err(|_| Error::Unavailable("the server is stopping".to_owned()))?
    }

    async fn claim(&self, options: &Options, request_id: Option<&str>) -> Result<Started, Error> {
        match self
            .store
            .claim_batch(options, request_id, &self.instance)
            .await?
        {
            Claim::New(batch) => {
                let archiver = self.clone();
                let span = info_span!("batch", id = batch.id);
                let task = batch.clone();
                self.tasks
                    .spawn(async move { archiver.run(task).await }.instrument(span));
                Ok(Started {
                    batch,
                    already: false,
                })
            }
            Claim::Active(batch) | Claim::Known(batch) => Ok(Started {
                batch,
                already: true,
            }),
        }
    }

    async fn run(&self, batch: Batch) {
        info!(limit = batch.options.limit, "batch started");
        let mut counts = Counts::default();
        let work = async {
            let end = self.archive_all(&batch, &mut counts).await;
            let end = end.unwrap_or_else(|error| End {
                state: State::Failed,
                reason: StopReason::Database,
                message: format!(
                    "{error}; what was archived is safe, and the next batch takes up the rest"
                ),
            });
            let near_misses = if self.stop.is_cancelled() {
                Vec::new()
            } else {
                self.tidy().await
            };
            (end, near_misses)
        };
        let (end, near_misses) = tokio::select! {
            done = work => done,
            () = self.keep_alive(&batch.id) => {
                warn!("another instance took this batch for dead and ended it");
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
                &batch.id,
                end.state,
                end.reason,
                &end.message,
                &counts,
                &near_misses,
            )
        });
        if let Err(error) = saved.await {
            warn!(%error, "the end of the batch could not be saved; it will be noted as interrupted");
        }
    }

    async fn archive_all(&self, batch: &Batch, counts: &mut Counts) -> Result<End, Error> {
        let options = &batch.options;
        if options.create_indexes {
            self.patiently(|| self.store.create_missing_indexes())
                .await?;
        }
        let warnings = self.patiently(|| self.store.missing_indexes()).await?;
        for warning in &warnings {
            warn!("{warning}");
        }
        // Only a progress bar needs the total, so a database too busy to count is no reason to stop.
        let total = self
            .store
            .delivered_orders(options.before)
            .await
            .unwrap_or_default();
        let total = match options.limit {
            0 => total,
            limit => total.min(limit),
        };
        self.patiently(|| self.store.begin_batch(&batch.id, total, &warnings))
            .await?;

        let mut after = None;
        loop {
            let limit = match options.limit {
                0 => self.chunk_size,
                limit => self
                    .chunk_size
                    .min(usize::try_from(limit - counts.found).unwrap_or(0)),
            };
            if limit == 0 {
                return Ok(End {
                    state: State::Succeeded,
                    reason: StopReason::Limit,
                    message: String::new(),
                });
            }
            let selection = Selection::Page {
                after: after.clone(),
                limit,
                before: options.before,
            };
            let report = self
                .patiently(|| self.corridor.archive_chunk(&selection, Door::Batch))
                .await?;
            *counts += report.counts;
            if !counts.balance() {
                let message = "found is not archived + duplicates + errors; this is a fault of the server, please report it".to_owned();
                return Ok(End {
                    state: State::Failed,
                    reason: StopReason::Unbalanced,
                    message,
                });
            }
            let Some(last) = report.last else {
                return Ok(End {
                    state: State::Succeeded,
                    reason: StopReason::Exhausted,
                    message: String::new(),
                });
            };
            self.patiently(|| self.store.save_batch(&batch.id, counts, &last))
                .await?;
            if self.stop.is_cancelled() {
                let message = "the server was stopped; what was archived is safe, and the next batch takes up the rest".to_owned();
                return Ok(End {
                    state: State::Failed,
                    reason: StopReason::Interrupted,
                    message,
                });
            }
            if self
                .patiently(|| self.store.batch(&batch.id))
                .await?
                .is_some_and(|batch| batch.state == State::Cancelling)
            {
                return Ok(End {
                    state: State::Cancelled,
                    reason: StopReason::Cancelled,
                    message: String::new(),
                });
            }
            after = Some(last);
        }
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

    /// Tells the others that this batch is alive, and returns once they have ended it regardless.
    async fn keep_alive(&self, id: &str) {
        let mut beat = interval(self.store.beat());
        loop {
            beat.tick().await;
            // While the database is away nobody else can end the batch either.
            if let Ok(false) = self.store.keep_batch(id).await {
                return;
            }
        }
    }

    /// What is done once the last order is met. The batch is none the worse when it can't be.
    async fn tidy(&self) -> Vec<NearMiss> {
        if let Err(error) = self.store.release_archived().await {
            warn!(%error, "quarantine may hold orders that are archived by now; the next batch looks again");
        }
        self.store.near_misses().await.unwrap_or_else(|error| {
            warn!(%error, "statuses that only look delivered could not be looked for");
            Vec::new()
        })
    }
}
