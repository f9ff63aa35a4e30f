//! One job as a process of its own, for cron and its relatives: runs it, prints what it came to, and
//! leaves with a code.

use std::{io::Write, process::ExitCode, time::Duration};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    config::Config,
    jobs::{self, Started, Work},
    parts::{Parts, Role},
    shutdown::{DATABASE_UNAVAILABLE, FAILURE, INTERRUPTED},
    store::{Error, Store, jobs::Job},
    terminal::{JobBar, Shown, flush_log},
};

mod batch;
mod functions;
mod verify;

pub use self::{batch::batch, functions::functions, verify::verify};

/// How often the job is looked at.
const JOB_POLL: Duration = Duration::from_millis(100);

/// What a process has to tell of in the end.
struct Outcome<J> {
    job: J,
    /// Whether the job does what was asked for; one that does something else was only waited for.
    as_asked: bool,
}

/// Why a process has no job to tell of, and the code that says so.
struct Failure {
    error: Error,
    code: u8,
}

/// A kind of job that a process may run one of.
trait Once: Work {
    /// The command that follows one on another instance.
    const WATCH: &'static str;
    /// Whether it writes to the archive, which has to be ready for it.
    const ARCHIVES: bool;

    /// What runs them here.
    fn of(parts: &Parts) -> &Self;

    /// Whether a job that is there already does what is asked.
    fn does_what_is_asked(job: &Self::Job, asked: &<Self::Job as Job>::Options) -> bool;

    /// Tells the log of a job that does something else.
    fn tell_of_another(job: &Self::Job);

    /// What the bar shows of one.
    fn shown(job: &Self::Job) -> Shown;
}

/// Runs one job, or follows the one that is running, until it ends. `stop` cancels the job if it was
/// asked for here, and otherwise leaves it to its instance, or to the next one.
async fn once<W: Once>(
    config: &Config,
    wait: Duration,
    options: &<W::Job as Job>::Options,
    stop: &CancellationToken,
) -> Result<Outcome<W::Job>, Failure> {
    let over = CancellationToken::new();
    let done = async {
        let parts = Parts::new(config, Role::Job, over.clone()).await?;
        let mut monitor = parts.monitor.clone();
        let settled = async {
            match W::ARCHIVES {
                true => monitor.settled().await,
                false => monitor.readable().await,
            }
        };
        let settled = tokio::select! {
            () = stop.cancelled() => parts.monitor.check(),
            settled = timeout(wait, settled) => settled.unwrap_or_else(|_| parts.monitor.check()),
        };
        if let Err(error) = settled {
            parts.heartbeat.leave().await;
            return Err(error);
        }
        let ended = run(W::of(&parts), &parts.store, options, stop).await;
        over.cancel();
        parts.drain().await;
        ended
    };
    done.await.map_err(|error| Failure {
        code: if stop.is_cancelled() {
            INTERRUPTED
        } else if error.is_transient() {
            DATABASE_UNAVAILABLE
        } else {
            FAILURE
        },
        error,
    })
}

/// Runs a job, or follows the one that is running; but one that does something else than what is
/// asked is only waited for.
async fn run<W: Once>(
    work: &W,
    store: &Store,
    options: &<W::Job as Job>::Options,
    stop: &CancellationToken,
) -> Result<Outcome<W::Job>, Error> {
    let mut started = jobs::start(work, options, None).await?;
    // Not sooner: a job that was left is to be found by then, and told of, rather than taken up and
    // ended before.
    jobs::care_for_orphans(work);
    loop {
        let as_asked = W::does_what_is_asked(&started.job, options);
        let job = follow(work, store, started, as_asked, stop).await?;
        if as_asked || stop.is_cancelled() {
            return Ok(Outcome { job, as_asked });
        }
        started = jobs::start(work, options, None).await?;
    }
}

/// Waits for a job to end, for as long as the job itself waits for a database that is away. A stop
/// cancels it only if it was asked for here: of another one somebody else may wait for the end, so
/// it is left to whoever runs it, or comes next.
async fn follow<W: Once>(
    work: &W,
    store: &Store,
    started: Started<W::Job>,
    as_asked: bool,
    stop: &CancellationToken,
) -> Result<W::Job, Error> {
    let (runner, name) = (work.runner(), W::Job::KIND.name);
    let Started { mut job, already } = started;
    let id = job.head().id.clone();
    match (already, as_asked) {
        (false, _) => {}
        (true, true) => {
            let instance = &job.head().instance;
            info!(id, instance, "a {name} is running already; following it");
        }
        (true, false) => W::tell_of_another(&job),
    }
    let mut asked_to_stop = false;
    let bar = JobBar::new();
    while !job.head().state.is_final() {
        bar.show(|| W::shown(&job));
        let look = async {
            sleep(JOB_POLL).await;
            runner.patiently(|| store.job::<W::Job>(&id)).await
        };
        tokio::select! {
            () = stop.cancelled(), if !asked_to_stop => {
                if already && runner.runs(&id) {
                    warn!(id, "letting go of the {name}, which was asked for elsewhere; another instance, or the next start, goes on with it");
                    break;
                }
                if already {
                    warn!(id, "leaving the {name} to its instance; `{}` follows it", W::WATCH);
                    break;
                }
                info!(id, "asked to stop: cancelling the {name}");
                asked_to_stop = true;
                if let Err(error) = store.cancel_job::<W::Job>(&id).await {
                    warn!(%error, id, "the {name} can't be cancelled; another instance, or the next start, goes on with it");
                    break;
                }
            }
            look = look => {
                job = look?.ok_or_else(|| Error::Unusable(format!("{name} {id} has been deleted")))?;
            }
        }
    }
    Ok(job)
}

/// Prints what there is to tell, as `told` puts it together with the code that says how it went.
#[allow(
    clippy::print_stdout,
    reason = "what a job came to is this command's data"
)]
fn print<J: Job>(
    outcome: Result<Outcome<J>, Failure>,
    told: impl FnOnce(&Outcome<J>) -> (String, u8),
) -> ExitCode {
    match outcome {
        Ok(outcome) => {
            flush_log();
            let (text, code) = told(&outcome);
            if let Err(error) = std::io::stdout().lock().write_all(text.as_bytes()) {
                error!(%error, "what the {} came to can't be printed", J::KIND.name);
                return ExitCode::from(FAILURE);
            }
            ExitCode::from(code)
        }
        Err(Failure { error, code }) => {
            error!(%error, "no {}", J::KIND.name);
            ExitCode::from(code)
        }
    }
}
