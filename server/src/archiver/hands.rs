//! A batch in the hands of this instance: from when it is taken up until it ends, is let go or is lost.

use std::sync::Arc;

use tokio::time::interval;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, info, warn};

use super::{Archiver, Ending, failed, life::Life};
use crate::{
    domain::counts::Counts,
    store::{
        Error,
        batches::{State, StopReason},
        options::Options,
        orders::NearMiss,
        running::{Ended, Lease, TakenUp},
    },
};

/// How many lives in a row a batch may have without getting any further, before it is given up: it may be what kills them.
const BARREN_LIVES: i64 = 5;

/// What is looked for beside the archiving.
type Survey = AbortOnDropHandle<Result<Vec<NearMiss>, Error>>;

/// What it has seen.
#[derive(Default)]
struct Seen {
    near_misses: Vec<NearMiss>,
    /// Why that may not be all.
    warning: Option<String>,
}

impl Archiver {
    pub(super) async fn run(&self, taken: TakenUp) {
        let lease = taken.lease.clone();
        let options = taken.batch.options.clone();
        if taken.batch.started.is_none() {
            info!(limit = taken.batch.options.limit, "batch started");
        } else {
            info!(
                barren_lives = taken.barren_lives,
                "batch taken up where it was left"
            );
        }
        let survey = self.clone().survey(lease.clone(), options.clone());
        let survey = AbortOnDropHandle::new(tokio::spawn(survey.in_current_span()));
        let work = async {
            let (counts, ending) = self.live(taken).await;
            let seen = match &ending {
                Ending::Batch(end) => {
                    self.tidy(&options).await;
                    self.seen(survey, end.state).await
                }
                _ => Seen::default(),
            };
            (counts, ending, seen)
        };
        let (counts, ending, seen) = tokio::select! {
            done = work => done,
            () = self.keep_alive(&lease) => (Counts::default(), Ending::Lost, Seen::default()),
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
        let ended = Ended {
            state: end.state,
            reason: end.reason,
            message: end.message,
            counts,
            near_misses: seen.near_misses,
            warning: seen.warning,
        };
        let saved = self.patiently(|| self.store.end_batch(&lease, &ended));
        if let Err(error) = saved.await {
            warn!(%error, "the end of the batch could not be saved; whoever takes it up saves it");
        }
    }

    /// One life of a batch: from where it was left as far as it gets.
    async fn live(&self, taken: TakenUp) -> (Counts, Ending) {
        let mut progress = taken.progress.clone();
        if taken.barren_lives >= BARREN_LIVES {
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
            // A batch that could not wait for the database, because its server stops, can wait in its next life.
            if error.is_transient() && self.stop.is_cancelled() {
                return Ending::Released;
            }
            let message =
                format!("{error}; what was archived is safe, and the next batch takes up the rest");
            Ending::Batch(failed(StopReason::Database, message))
        });
        (progress.counts, ending)
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
    async fn survey(self, lease: Lease, options: Options) -> Result<Vec<NearMiss>, Error> {
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
        self.store.near_misses().await
    }

    /// What the survey has seen. Only a batch that succeeded waits for it, and not while its server stops.
    async fn seen(&self, survey: Survey, state: State) -> Seen {
        let enough = async {
            if state == State::Succeeded {
                self.stop.cancelled().await;
            }
        };
        let reason = tokio::select! {
            biased;
            done = survey => match done {
                Ok(Ok(near_misses)) => return Seen { near_misses, warning: None },
                Ok(Err(error)) => error.to_string(),
                Err(_) => "a fault of the server, please report it".to_owned(),
            },
            () = enough => "the batch ended before".to_owned(),
        };
        let warning = format!(
            "statuses that only look delivered were not looked for to the end ({reason}); mend: give the look more time with ARCHD_OPERATION_TIMEOUT"
        );
        warn!("{warning}");
        Seen {
            near_misses: Vec::new(),
            warning: Some(warning),
        }
    }
}
