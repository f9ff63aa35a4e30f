//! The archiver: the door through which a batch brings every delivered order, page by page.

use std::time::{Duration, Instant};

use tokio::time::{interval, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, info, info_span, warn};

use crate::{
    corridor::{Corridor, Door, Report},
    domain::{counts::Counts, raw::Value},
    store::{
        Error, Store,
        batches::{Batch, Claim, Options, SILENCE, State, StopReason},
        gather::Selection,
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
        options: &Options,
        request_id: Option<&str>,
    ) -> Result<Started, Error> {
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
        let end = tokio::select! {
            end = self.archive_all(&batch, &mut counts) => end.unwrap_or_else(|error| End {
                state: State::Failed,
                reason: StopReason::Database,
                message: format!("{error}; what was archived is safe, and the next batch takes up the rest"),
            }),
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
        if let Err(error) = self.finish(&batch.id, &end, &counts).await {
            warn!(%error, "the end of the batch could not be saved; it will be noted as interrupted");
        }
    }

    async fn archive_all(&self, batch: &Batch, counts: &mut Counts) -> Result<End, Error> {
        let options = &batch.options;
        if options.create_indexes {
            self.store.create_missing_indexes().await?;
        }
        let warnings = self.store.missing_indexes().await?;
        for warning in &warnings {
            warn!("{warning}");
        }
        // Only a progress bar needs the total, so a database too busy to count is no reason to stop.
        let total = self.store.delivered_orders().await.unwrap_or_default();
        self.store.begin_batch(&batch.id, total, &warnings).await?;

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
            let report = self.page(after.clone(), limit, options).await?;
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
            self.store.save_batch(&batch.id, counts, &last).await?;
            if self.stop.is_cancelled() {
                let message = "the server was stopped; what was archived is safe, and the next batch takes up the rest".to_owned();
                return Ok(End {
                    state: State::Failed,
                    reason: StopReason::Interrupted,
                    message,
                });
            }
            if self
                .store
                .batch(&batch.id)
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

    /// Archives the head of one page, waiting for a database that has gone away. The rest is the head of the next one.
    async fn page(
        &self,
        after: Option<Value>,
        limit: usize,
        options: &Options,
    ) -> Result<Report, Error> {
        let since = Instant::now();
        loop {
            let selection = Selection::Page {
                after: after.clone(),
                limit,
                before: options.before,
            };
            match self.corridor.archive_chunk(&selection, Door::Batch).await {
                Err(error)
                    if error.is_transient()
                        && since.elapsed() < PATIENCE
                        && !self.stop.is_cancelled() =>
                {
                    warn!(%error, "the database is away; trying this page again");
                    sleep(Duration::from_secs(1)).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Tells the others that this batch is alive, and returns once they have ended it regardless.
    async fn keep_alive(&self, id: &str) {
        let mut beat = interval(SILENCE / 3);
        loop {
            beat.tick().await;
            // While the database is away nobody else can end the batch either.
            if let Ok(false) = self.store.keep_batch(id).await {
                return;
            }
        }
    }

    async fn finish(&self, id: &str, end: &End, counts: &Counts) -> Result<(), Error> {
        self.store.release_archived().await?;
        let near_misses = self.store.near_misses().await.unwrap_or_default();
        self.store
            .end_batch(
                id,
                end.state,
                end.reason,
                &end.message,
                counts,
                &near_misses,
            )
            .await?;
        Ok(())
    }
}
