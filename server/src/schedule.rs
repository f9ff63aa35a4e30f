//! The schedule's runner: starts a batch whenever one is due, and a verification once that has
//! succeeded. Of several instances on a database exactly one makes each.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use crate::{
    archiver::Archiver,
    domain::{schedule::Schedule, verify::plan::Scope},
    jobs::Started,
    store::{
        Error, Store,
        batches::{options::Options, record::Batch},
        jobs::{Job, limits::Limits, record::State},
        state::place::Place,
        verifications::{self, record::Verification},
    },
    verifier::Verifier,
};

/// The longest sleep: the clock may be set while nobody looks.
const NAP: Duration = Duration::from_secs(60);
/// The pause before a job is asked for again, when another one is running or the database is away,
/// and before a batch is looked at again.
const PAUSE: Duration = Duration::from_secs(1);

/// What starts batches and verifications by the schedule. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Runner {
    pub(crate) due: Schedule,
    /// Whether to begin with the latest time before the start, if no instance made its batch.
    pub(crate) catch_up: bool,
    /// The limits of the batches.
    pub(crate) limits: Limits,
    pub(crate) archiver: Archiver,
    /// What is verified after a batch; none where nothing is.
    pub(crate) verify: Option<Verify>,
    pub(crate) store: Store,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// How the schedule verifies.
#[derive(Clone)]
pub(crate) struct Verify {
    pub(crate) verifier: Verifier,
    /// How old the latest verification of all orders may be.
    pub(crate) full_every: Duration,
    /// The limits of the verifications.
    pub(crate) limits: Limits,
}

impl Runner {
    /// Starts batches until the server stops.
    pub(crate) async fn run(self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.keep() => warn!(schedule = %self.due, "the schedule has come to its end"),
        }
    }

    /// Returns once nothing is due any more, which is in another age.
    async fn keep(&self) {
        let start = Utc::now();
        // Every time up to this moment has been seen to.
        let mut seen = start;
        let mut told = None;
        match self.due.latest_until(start) {
            Some(latest) if self.catch_up => {
                self.make(latest).await;
                seen = latest.to_utc();
            }
            // Whoever asked for its batch may have died with it, and does not see to the rest.
            Some(latest) => self.follow_active(latest).await,
            None => {}
        }
        loop {
            let now = Utc::now();
            // Once the clock is set back, times come again; the database knows which batches were
            // made.
            seen = seen.min(now);
            let Some(next) = self.due.next_after(seen) else {
                return;
            };
            if told.replace(next) != Some(next) {
                info!(time = %next.to_rfc3339(), "the next batch of the schedule");
            }
            match (next.to_utc() - now).to_std() {
                Ok(wait) if !wait.is_zero() => sleep(wait.min(NAP)).await,
                // After a long sleep of the machine, one batch makes up for every time that it
                // slept through.
                _ => {
                    let latest = self.due.latest_until(now).unwrap_or(next);
                    self.make(latest).await;
                    // Not the latest time: whatever the searches say, no time up to now is looked
                    // for again.
                    seen = now;
                }
            }
        }
    }

    /// Asks for the batch of one time until it is there, but not beyond the next time.
    async fn make(&self, time: DateTime<Tz>) {
        let options = Options {
            limits: self.limits,
            ..Options::default()
        };
        let request = request_of(time);
        let ask = || self.archiver.start(&options, Some(&request));
        if let Some(batch) = self.asked(time, ask).await {
            self.verify_after(batch, time);
        }
    }

    /// Asks for the job of one time until it is there, but not beyond the next time. Instances that
    /// ask at the same moment ask for the same one, by the time's request id. Its id; none when it
    /// was not made.
    async fn asked<J: Job, F: Future<Output = Result<Started<J>, Error>>>(
        &self,
        time: DateTime<Tz>,
        ask: impl Fn() -> F,
    ) -> Option<String> {
        let (name, request) = (J::KIND.name, request_of(time));
        let next = self.due.next_after(time.to_utc());
        let mut told = false;
        loop {
            let obstacle = match ask().await {
                Ok(started) if started.job.head().is_of_request(Some(&request)) => {
                    let id = &started.job.head().id;
                    if !started.already {
                        info!(id, %time, "a {name} was due");
                    }
                    return Some(id.clone());
                }
                Ok(started) => format!("{name} {} is running", started.job.head().id),
                Err(error) => error.to_string(),
            };
            if next.is_some_and(|next| Utc::now() >= next) {
                error!(%time, obstacle, "no {name} was made at this time of the schedule; the next time has come");
                return None;
            }
            if !told {
                warn!(%time, obstacle, "a {name} is due and has to wait");
                told = true;
            }
            sleep(PAUSE).await;
        }
    }

    /// Sees to what follows the batch of this time if it is under way.
    async fn follow_active(&self, time: DateTime<Tz>) {
        let states = [State::Pending, State::Running, State::Cancelling];
        let latest = Place::default();
        let active = self.store.jobs::<Batch>(&states, &latest, 1);
        let Ok(Some(active)) = active.await else {
            return;
        };
        let request = request_of(time);
        for batch in active.into_iter().flatten() {
            if batch.head.is_of_request(Some(&request)) {
                self.verify_after(batch.head.id, time);
            }
        }
    }

    /// Beside all else, waits for a batch of this time to end, and verifies if it succeeded.
    fn verify_after(&self, batch: String, time: DateTime<Tz>) {
        let Some(verify) = self.verify.clone() else {
            return;
        };
        let runner = self.clone();
        self.tasks.spawn(async move {
            let work = async {
                if runner.succeeds(&batch).await {
                    let request = request_of(time);
                    let ask = || verify.start(&runner.store, &request);
                    runner.asked(time, ask).await;
                }
            };
            tokio::select! {
                () = runner.stop.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Whether a batch succeeds, once it has ended.
    async fn succeeds(&self, id: &str) -> bool {
        loop {
            match self.store.job::<Batch>(id).await {
                Ok(Some(batch)) if batch.head.state.is_final() => {
                    return batch.head.state == State::Succeeded;
                }
                Ok(None) | Err(Error::State(_)) => return false,
                // The monitor tells of a database that is away.
                Ok(Some(_)) | Err(_) => sleep(PAUSE).await,
            }
        }
    }
}

impl Verify {
    /// Starts a verification of what has changed, or of everything where that is due.
    async fn start(&self, store: &Store, request: &str) -> Result<Started<Verification>, Error> {
        let millis = i64::try_from(self.full_every.as_millis()).unwrap_or(i64::MAX);
        let options = verifications::options::Options {
            scope: match store.full_verification_within(millis).await? {
                true => Scope::Changes,
                false => Scope::Full,
            },
            limits: self.limits,
            ..Default::default()
        };
        self.verifier.start(&options, Some(request)).await
    }
}

/// The request id of the jobs of one time.
fn request_of(time: DateTime<Tz>) -> String {
    format!("schedule {}", time.to_rfc3339())
}
