//! The runner: a batch on this instance, from when it is taken up until it ends, is let go or is
//! lost.

use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, info, warn};

use super::{Archiver, End, Ending, failed, log, run::Run};
use crate::{
    domain::{counts::Counts, near_miss::NearMisses},
    jobs::{self, given_up},
    store::{
        Error,
        batches::{
            options::Options,
            progress::Ended,
            record::{Batch, StopReason},
        },
        jobs::{
            lease::{Lease, TakenUp},
            record::State,
        },
    },
};

/// What is looked for beside the archiving.
type Survey = AbortOnDropHandle<Result<NearMisses, Error>>;

/// What it has seen.
#[derive(Default)]
struct Seen {
    near_misses: NearMisses,
    /// Why that may not be all.
    warning: Option<String>,
}

impl Archiver {
    pub(super) async fn run_batch(&self, taken: TakenUp<Batch>) {
        let lease = taken.lease.clone();
        let options = taken.job.options.clone();
        if taken.job.head.started.is_none() {
            info!(limit = options.limit, "batch started");
        } else {
            info!(
                runs_without_progress = taken.runs_without_progress,
                "batch taken up where it was left"
            );
        }
        let meets_all = taken.progress.position.is_none()
            && (options.limit, options.before, options.max_runtime) == (0, None, None);
        let survey = self
            .clone()
            .survey(lease.clone(), options.clone(), meets_all);
        let survey = AbortOnDropHandle::new(tokio::spawn(survey.in_current_span()));
        let work = async {
            let (counts, near_misses, ending) = self.run_to_its_end(taken).await;
            match ending {
                Ending::Job(end) => {
                    self.tidy(&options).await;
                    let mut seen = self.seen(survey, end.state).await;
                    seen.near_misses.unite(near_misses);
                    jobs::Ending::Job((end, counts, seen))
                }
                Ending::Released => jobs::Ending::Released,
                Ending::Lost => jobs::Ending::Lost,
            }
        };
        if let Some((end, counts, seen)) = self.runner.see_through(&lease, work).await {
            self.save_end(&lease, end, counts, seen).await;
        }
    }

    async fn save_end(&self, lease: &Lease, end: End, counts: Counts, seen: Seen) {
        log::end(&end, counts);
        let mut ended = Ended {
            state: end.state,
            reason: end.reason,
            message: end.message,
            counts,
            near_misses_beyond: seen.near_misses.beyond(),
            near_misses: seen.near_misses.into_vec(),
            warning: seen.warning,
        };
        log::near_misses(&ended);
        let runner = &self.runner;
        let mut saved = runner
            .patiently(|| self.store.end_batch(lease, &ended))
            .await;
        if let Err(error @ Error::Refused { .. }) = &saved {
            // Better an end without them than none: a batch that does not end keeps every other one
            // from starting.
            ended.near_misses.clear();
            let warning = format!("statuses that only look delivered could not be saved: {error}");
            ended.warning = Some(warning);
            saved = runner
                .patiently(|| self.store.end_batch(lease, &ended))
                .await;
        }
        if let Err(error) = saved {
            warn!(%error, "the end of the batch could not be saved; whoever takes it up saves it");
        }
    }

    /// One run of a batch: from where it was left as far as it gets.
    async fn run_to_its_end(&self, taken: TakenUp<Batch>) -> (Counts, NearMisses, Ending) {
        let mut progress = taken.progress.clone();
        if let Some(why) = given_up(taken.runs_without_progress) {
            let message =
                format!("{why}; what was archived is safe; see their logs, then start a new batch");
            let end = failed(StopReason::Interrupted, message);
            return (progress.counts, NearMisses::default(), Ending::Job(end));
        }
        let run = Arc::new(Run::new(self, taken));
        let ending = run.clone().archive_all(&mut progress).await;
        let ending = ending.unwrap_or_else(|error| {
            if self.runner.leaves_after(&error) {
                return Ending::Released;
            }
            let message =
                format!("{error}; what was archived is safe; mend that (`archd check` helps), then start a batch, which takes up the rest");
            Ending::Job(failed(StopReason::Database, message))
        });
        let near_misses = std::mem::take(&mut *run.near_misses());
        (progress.counts, near_misses, ending)
    }

    /// What is done once the last order is met. The batch is none the worse when it can't be.
    async fn tidy(&self, options: &Options) {
        if !options.validate_only
            && let Err(error) = self.store.release_archived_entries().await
        {
            warn!(%error, "quarantine may hold orders that are archived by now; the next batch looks again");
        }
    }

    /// What is looked for beside the archiving: how many orders are delivered, for a progress bar,
    /// and statuses that only look so. The batch is none the worse when it can't be.
    async fn survey(
        self,
        lease: Lease,
        options: Options,
        meets_all: bool,
    ) -> Result<NearMisses, Error> {
        let expect = async {
            let delivered = self.store.delivered_orders(options.before).await?;
            let most = if options.limit == 0 {
                i64::MAX
            } else {
                options.limit
            };
            self.store.expect_in_job(&lease, delivered.min(most)).await
        };
        if let Err(error) = expect.await {
            warn!(%error, "the delivered orders could not be counted; progress has no total");
        }
        self.near_misses(meets_all).await
    }

    /// Looks for statuses that only look delivered. What an index does not tell from the delivered
    /// status is left to a batch that meets all delivered orders; any other batch has to look at
    /// every order.
    async fn near_misses(&self, meets_all: bool) -> Result<NearMisses, Error> {
        if meets_all && let Some(index) = self.store.paging_index().await? {
            match self.store.near_misses_along(&index).await {
                Ok(Some(misses)) => return Ok(misses),
                // There is a status that the index can't be entered at.
                Ok(None) | Err(Error::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.store.near_misses().await
    }

    /// What the survey has seen. Only a batch that succeeded waits for it, and not while its server
    /// stops.
    async fn seen(&self, survey: Survey, state: State) -> Seen {
        let enough = async {
            if state == State::Succeeded {
                self.runner.stop().cancelled().await;
            }
        };
        let (reason, mend) = tokio::select! {
            biased;
            done = survey => match done {
                Ok(Ok(near_misses)) => return Seen { near_misses, warning: None },
                Ok(Err(error)) if error.is_slow() => (error.to_string(), "mend: give the look more time with ARCHD_OPERATION_TIMEOUT"),
                Ok(Err(error)) => (error.to_string(), "the next batch looks again"),
                Err(_) => ("a fault of the server, please report it".to_owned(), "the next batch looks again"),
            },
            () = enough => ("the batch ended before".to_owned(), "the next batch looks again"),
        };
        let warning = format!(
            "statuses that only look delivered were not looked for to the end ({reason}); {mend}"
        );
        // Of a batch that failed or was cancelled there is something else to say.
        if state == State::Succeeded {
            warn!("{warning}");
        }
        Seen {
            near_misses: NearMisses::default(),
            warning: Some(warning),
        }
    }
}
