//! Jobs: how an instance runs the jobs of one kind, one at a time.
//!
//! A job outlives the instance that runs it: whoever finds it without a runner takes it up and goes
//! on from its saved place. What a kind of job does in a run is up to the kind; what is here is the
//! same for all: asking, taking up, telling the others that it is alive, and letting go.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, Span, info, warn};

use crate::store::{
    Error, Store,
    jobs::{
        Job, Kind,
        lease::{Lease, TakenUp},
    },
    state::holds::{Hold, HoldNote},
};

mod rate;
mod throttle;

pub(crate) use self::throttle::Throttle;

/// How long a job waits for a database that has gone away, before it gives up.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// How many runs in a row a job may have without getting any further, before it is given up: it may
/// be what kills them.
const MOST_RUNS_WITHOUT_PROGRESS: i64 = 5;

/// How often the log tells how far a job is, and of one that still waits.
pub(crate) const REMINDER: Duration = Duration::from_secs(30);

/// What runs the jobs of one kind on this instance. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    kind: &'static Kind,
    store: Store,
    /// Where jobs are asked for.
    asking: Store,
    instance: String,
    /// The id of the job that this instance runs, for as long as it does.
    running: Arc<Mutex<Weak<String>>>,
    /// Held while this instance looks for a job that nobody runs.
    looking: Arc<tokio::sync::Mutex<()>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What the jobs of one kind do.
pub(crate) trait Work: Clone + Send + Sync + 'static {
    /// The kind.
    type Job: Job;

    /// What runs them here.
    fn runner(&self) -> &Runner;

    /// The span of the log in which a job runs.
    fn span(&self, job: &Self::Job) -> Span;

    /// What an instance holds that runs this job.
    fn hold(&self, id: String) -> Hold;

    /// Runs a job that was taken up, until it ends, is let go or is lost.
    fn run(&self, taken: TakenUp<Self::Job>) -> impl Future<Output = ()> + Send;
}

/// A job that was asked for.
#[derive(Clone, Debug)]
pub struct Started<J> {
    /// The job.
    pub job: J,
    /// Whether it was there before.
    pub already: bool,
}

/// How one run of a job ended.
pub(crate) enum Ending<E> {
    /// The job has ended, so.
    Job(E),
    /// The server is stopping; the job goes on elsewhere, or in its next run.
    Released,
    /// Somebody else runs the job, or has ended it.
    Lost,
}

/// Starts a job and answers at once, or answers with the one that is active or that the request id
/// belongs to.
pub(crate) async fn start<W: Work>(
    work: &W,
    options: &<W::Job as Job>::Options,
    request_id: Option<&str>,
) -> Result<Started<W::Job>, Error> {
    let runner = work.runner();
    let (job, already) = runner
        .asking
        .ask_for_job::<W::Job>(options, request_id, &runner.instance)
        .await?;
    if !job.head().state.is_final() {
        take_up(work).await;
    }
    Ok(Started { job, already })
}

/// From now on takes up jobs that nobody runs: their instance has stopped, or a caller left before
/// they were taken up.
pub(crate) fn care_for_orphans<W: Work>(work: &W) {
    let (tasks, work) = (&work.runner().tasks, work.clone());
    tasks.spawn(async move {
        let runner = work.runner();
        let mut beat = interval(runner.store.beat());
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = runner.stop.cancelled() => return,
                _ = beat.tick() => take_up(&work).await,
            }
        }
    });
}

/// Takes up the job that nobody runs, if there is one. Cut short anywhere, it leaves the job to the
/// next look.
async fn take_up<W: Work>(work: &W) {
    let runner = work.runner();
    if runner.stop.is_cancelled() {
        return;
    }
    // An instance that was slow to say that it lives goes on with its job: taken up again, it would
    // run twice here. So every look must know what the one before it has taken up.
    let _one_at_a_time = runner.looking.lock().await;
    let own = runner.running().upgrade();
    let own = own.as_deref().map(String::as_str);
    let taken = runner.store.take_up_job::<W::Job>(&runner.instance, own);
    match taken.await {
        Ok(None) => {}
        Ok(Some(taken)) => {
            let id = Arc::new(taken.job.head().id.clone());
            *runner.running() = Arc::downgrade(&id);
            let span = work.span(&taken.job);
            let work = work.clone();
            let run = async move {
                let _held: HoldNote = work.runner().store.note_hold(work.hold(id.to_string()));
                work.run(taken).await;
                drop(id);
            };
            runner.tasks.spawn(run.instrument(span));
        }
        // The monitor tells of a database that is away; the next look comes soon.
        Err(error) => tracing::debug!(%error, "no {} can be taken up", runner.kind.name),
    }
}

impl Runner {
    /// A runner whose jobs run among `tasks` and are let go when `stop` is cancelled.
    pub(crate) fn new(
        kind: &'static Kind,
        store: Store,
        instance: String,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Runner {
        Runner {
            kind,
            asking: store.clone(),
            store,
            instance,
            running: Arc::default(),
            looking: Arc::default(),
            tasks,
            stop,
        }
    }

    /// The same runner for callers, of whom there may be any number.
    pub(crate) fn for_callers(&self) -> Runner {
        Runner {
            asking: self.store.for_callers(),
            ..self.clone()
        }
    }

    /// Whether this instance runs a job.
    pub(crate) fn runs(&self, id: &str) -> bool {
        self.running().upgrade().is_some_and(|own| *own == id)
    }

    fn running(&self) -> MutexGuard<'_, Weak<String>> {
        self.running.lock()
    }

    /// Cancelled once the server stops.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Whether a job that could not wait for the database, because its server stops, can wait in its
    /// next run.
    pub(crate) fn leaves_after(&self, error: &Error) -> bool {
        error.is_transient() && self.stop.is_cancelled()
    }

    /// Does something that is safe to repeat, waiting for a database that has gone away.
    pub(crate) async fn patiently<T, F: Future<Output = Result<T, Error>>>(
        &self,
        mut work: impl FnMut() -> F,
    ) -> Result<T, Error> {
        let mut patience = self.patience();
        loop {
            match work().await {
                Err(error) if patience.bears(&error).await => {}
                outcome => return outcome,
            }
        }
    }

    /// Patience with a database that has gone away, for one thing that is safe to repeat.
    pub(crate) fn patience(&self) -> Patience<'_> {
        Patience {
            runner: self,
            since: Instant::now(),
            told: None,
        }
    }

    /// Sees one run of a job through while the others are told that the job is alive, and lets go of
    /// a job that is not at its end. What the job came to, if it has ended.
    pub(crate) async fn see_through<E>(
        &self,
        lease: &Lease,
        work: impl Future<Output = Ending<E>>,
    ) -> Option<E> {
        let name = self.kind.name;
        let ending = tokio::select! {
            ending = work => ending,
            () = self.keep_alive(lease) => Ending::Lost,
        };
        match ending {
            Ending::Job(end) => return Some(end),
            Ending::Lost => warn!("another instance has taken this {name} over"),
            Ending::Released => {
                info!("{name} left where it is, for another instance or the next start");
                if let Err(error) = self.store.release_job(lease).await {
                    warn!(%error, "the {name} could not be let go; it is taken up once its lease is over");
                }
            }
        }
        None
    }

    /// Tells the others that a job is alive, and returns once it is not this instance's any more.
    async fn keep_alive(&self, lease: &Lease) {
        let mut beat = interval(self.store.beat());
        loop {
            beat.tick().await;
            // While the database is away nobody else can end the job either.
            if let Ok(false) = self.store.keep_job(lease).await {
                return;
            }
        }
    }
}

/// How long something has been tried.
pub(crate) struct Patience<'a> {
    runner: &'a Runner,
    since: Instant,
    told: Option<Instant>,
}

impl Patience<'_> {
    /// Whether it is to be tried again after this error, once that is so.
    pub(crate) async fn bears(&mut self, error: &Error) -> bool {
        if !waits(error, self.since.elapsed()) || self.runner.stop.is_cancelled() {
            return false;
        }
        if self.told.is_none_or(|told| told.elapsed() >= REMINDER) {
            self.told = Some(Instant::now());
            warn!(%error, "the {} waits for the database", self.runner.kind.name);
        }
        sleep(Duration::from_secs(1)).await;
        true
    }
}

/// Why a job is given up that was taken up again and again and got no further; none for others.
pub(crate) fn given_up(runs_without_progress: i64) -> Option<String> {
    (runs_without_progress >= MOST_RUNS_WITHOUT_PROGRESS).then(|| {
        format!(
            "{MOST_RUNS_WITHOUT_PROGRESS} instances in a row died with it before it got any further"
        )
    })
}

/// Whether a job that has waited for so long goes on waiting. For the archive's index as long as
/// that takes; for credentials too, which may be changed while it runs.
fn waits(error: &Error, waited: Duration) -> bool {
    match error {
        Error::NotReady { .. } => true,
        error => {
            waited < PATIENCE && (error.is_transient() || matches!(error, Error::Unauthenticated))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_waits_for_a_database_for_a_while_and_for_an_index_as_long_as_it_takes() {
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
