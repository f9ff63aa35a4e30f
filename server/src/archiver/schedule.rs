//! The schedule's runner: starts a batch whenever one is due, and of several instances on a
//! database exactly one makes it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    archiver::Archiver,
    domain::schedule::Schedule,
    store::{batches::options::Options, jobs::limits::Limits},
};

/// The longest sleep: the clock may be set while nobody looks.
const NAP: Duration = Duration::from_secs(60);
/// The pause before a batch is asked for again, when another one is running or the database is
/// away.
const PAUSE: Duration = Duration::from_secs(1);

/// What starts batches by the schedule.
pub(crate) struct Runner {
    pub(crate) due: Schedule,
    /// Whether to begin with the latest time before the start, if no instance made its batch.
    pub(crate) catch_up: bool,
    /// The limits of the batches.
    pub(crate) limits: Limits,
    pub(crate) archiver: Archiver,
    pub(crate) stop: CancellationToken,
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
        if self.catch_up
            && let Some(latest) = self.due.latest_until(start)
        {
            self.make(latest).await;
            seen = latest.to_utc();
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
        // Instances that ask at the same moment ask for the same batch.
        let request_id = format!("schedule {}", time.to_rfc3339());
        let options = Options {
            limits: self.limits,
            ..Options::default()
        };
        let next = self.due.next_after(time.to_utc());
        let mut told = false;
        loop {
            let asked = self.archiver.start(&options, Some(&request_id)).await;
            let obstacle = match asked {
                Ok(started) if started.job.head.request_id.as_ref() == Some(&request_id) => {
                    if !started.already {
                        info!(id = started.job.head.id, %time, "a batch was due");
                    }
                    return;
                }
                Ok(started) => format!("batch {} is running", started.job.head.id),
                Err(error) => error.to_string(),
            };
            if next.is_some_and(|next| Utc::now() >= next) {
                error!(%time, obstacle, "no batch was made at this time of the schedule; the next time has come");
                return;
            }
            if !told {
                warn!(%time, obstacle, "a batch is due and has to wait");
                told = true;
            }
            sleep(PAUSE).await;
        }
    }
}
