//! The monitor: knows at any moment whether the database can be worked with, and prepares it when
//! it comes.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use crate::{
    progress::Turning,
    store::{Error, Store},
};

/// How often the database is asked whether it is there, and how long it may take to answer.
const PULSE: Duration = Duration::from_secs(2);
/// How often it is prepared anew: somebody may have dropped an index, or a batch may have been left
/// by a dead instance.
const UPKEEP: Duration = Duration::from_secs(30);
/// How often people hear how far something is that takes long.
const REMINDER: Duration = Duration::from_secs(30);
/// The first pause before a database that is away is asked again; it doubles up to [`PULSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Whether the database can be worked with.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    /// It is there and prepared.
    Ready,
    /// Not yet, or not any more, because of this.
    Away(Error),
}

impl Condition {
    fn is_ready(&self) -> bool {
        matches!(self, Condition::Ready)
    }
}

/// Watches the database. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Monitor {
    store: Store,
    condition: watch::Receiver<Condition>,
}

impl Monitor {
    /// Begins to watch, until `stop` is cancelled.
    pub(crate) fn start(
        store: Store,
        tasks: &TaskTracker,
        stop: CancellationToken,
        turning: Turning,
    ) -> Monitor {
        let (sender, condition) = watch::channel(Condition::Away(Error::Unavailable(
            "the server has just started".to_owned(),
        )));
        let own = store.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = watch_over(&own, &sender, &turning) => {}
            }
        });
        Monitor { store, condition }
    }

    /// One that always says that all is well, whatever there is of a database.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn content(store: Store) -> Monitor {
        Monitor {
            store,
            condition: watch::channel(Condition::Ready).1,
        }
    }

    /// An error while the database can't be read. An archive that takes nothing, as while its index
    /// is built, can be. So can what a user may read that lacks a privilege, if the indexes are there
    /// that reading goes by.
    pub(crate) fn check_reads(&self) -> Result<(), Error> {
        match self.check() {
            Err(Error::NotReady { .. } | Error::ArchiveUnfit(_)) => Ok(()),
            Err(Error::Denied { .. }) if self.store.was_prepared() => Ok(()),
            outcome => outcome,
        }
    }

    /// An error while the database can't be worked with.
    pub fn check(&self) -> Result<(), Error> {
        match &*self.condition.borrow() {
            Condition::Ready => Ok(()),
            Condition::Away(error) => Err(error.clone()),
        }
    }

    /// Waits until the database can be worked with.
    pub async fn ready(&mut self) {
        // The sender lives as long as the server, so an error means that it is stopping.
        let _ = self
            .condition
            .wait_for(|condition| condition.is_ready())
            .await;
    }

    /// Waits until the database can be worked with, or can't be for a reason that does not pass by
    /// itself.
    pub async fn settled(&mut self) -> Result<(), Error> {
        let passing = |condition: &Condition| matches!(condition, Condition::Away(error) if error.is_transient());
        let _ = self
            .condition
            .wait_for(|condition| !passing(condition))
            .await;
        self.check()
    }

    /// The same for whoever only reads: see [`Monitor::check_reads`].
    pub(crate) async fn readable(&mut self) -> Result<(), Error> {
        let passing = |condition: &Condition| {
            matches!(condition, Condition::Away(error)
                if error.is_transient() && !matches!(error, Error::NotReady { .. }))
        };
        let _ = self
            .condition
            .wait_for(|condition| !passing(condition))
            .await;
        self.check_reads()
    }

    /// Waits for the next change, and says whether the database can be worked with now; none once
    /// the server stops.
    pub async fn changed(&mut self) -> Option<bool> {
        self.condition.changed().await.ok()?;
        Some(self.check().is_ok())
    }
}

async fn watch_over(store: &Store, sender: &watch::Sender<Condition>, turning: &Turning) {
    let mut pause = FIRST_PAUSE;
    let mut told = Instant::now();
    let mut prepared: Option<Instant> = None;
    loop {
        turning.turned();
        let mut pulse = feel(store).await;
        if pulse.is_err() && sender.borrow().is_ready() {
            // One beat is missed at every election: only two in a row are worth telling.
            sleep(FIRST_PAUSE).await;
            pulse = feel(store).await;
        }
        let outcome = match pulse {
            Err(error) => Err(error),
            Ok(()) if prepared.is_some_and(|at| at.elapsed() < UPKEEP) => Ok(()),
            Ok(()) => {
                let outcome = store.prepare_collections().await;
                prepared = outcome.is_ok().then(Instant::now);
                outcome
            }
        };
        if outcome.is_err() {
            prepared = None;
        }
        let news = is_news(&sender.borrow(), &outcome, told.elapsed());
        if news {
            told = Instant::now();
        }
        match outcome {
            Ok(()) => {
                if news {
                    info!(database = store.database_name(), "the database is ready");
                }
                pause = PULSE;
                sender.send_replace(Condition::Ready);
            }
            Err(error) => {
                match &error {
                    _ if !news => {}
                    Error::NotReady { .. } => {
                        warn!(%error, "the archive is not ready; waiting until it is")
                    }
                    error if error.is_transient() => {
                        warn!(%error, "the database is away; trying again until it is back")
                    }
                    error => {
                        error!(%error, "the database can't be used as it is; trying again until that is mended")
                    }
                }
                pause = if sender.borrow().is_ready() {
                    FIRST_PAUSE
                } else {
                    (pause * 2).min(PULSE)
                };
                sender.send_replace(Condition::Away(error));
            }
        }
        let is_ready = sender.borrow().is_ready();
        tokio::select! {
            () = sleep(pause) => {}
            // Whoever archives looks far more often than this.
            () = store.archive_unfit(), if is_ready => prepared = None,
        }
    }
}

async fn feel(store: &Store) -> Result<(), Error> {
    let answer = timeout(PULSE, store.hello()).await;
    match answer.unwrap_or(Err(Error::Timeout(PULSE))) {
        Ok(_) => Ok(()),
        Err(error) => Err(store.explain(error).await),
    }
}

/// Whether people should hear of the outcome: not of every try of the same failure, and of how far
/// something is only now and then.
fn is_news(known: &Condition, outcome: &Result<(), Error>, since_told: Duration) -> bool {
    match (known, outcome) {
        (Condition::Ready, Ok(())) => false,
        (
            Condition::Away(Error::NotReady { reason, progress }),
            Err(Error::NotReady {
                reason: now,
                progress: further,
            }),
        ) => reason != now || (progress != further && since_told >= REMINDER),
        (Condition::Away(known), Err(error)) => known.to_string() != error.to_string(),
        _ => true,
    }
}
