//! Heartbeat: says in the database that this process lives and what it holds, until it stops in
//! good order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use crate::{
    progress::Turning,
    store::{Error, Store, instances::Description},
};

/// How often the heartbeats of those that are gone are looked through.
const TIDYING: Duration = Duration::from_secs(60);
/// How often people hear that heartbeats are refused.
const REMINDER: Duration = Duration::from_secs(10 * 60);
/// How long a process that stops tries to take its heartbeat away.
const FAREWELL: Duration = Duration::from_secs(2);

/// The heartbeats of this process. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Heartbeat {
    store: Store,
    own: Arc<Description>,
    /// Whether one has been given.
    known: Arc<AtomicBool>,
    leaving: CancellationToken,
    beats: TaskTracker,
}

impl Heartbeat {
    /// Begins to give heartbeats. The database need not be there yet.
    pub(crate) fn start(store: Store, own: Description, turning: Turning) -> Heartbeat {
        let heartbeat = Heartbeat {
            store,
            own: Arc::new(own),
            known: Arc::default(),
            leaving: CancellationToken::new(),
            beats: TaskTracker::new(),
        };
        heartbeat.beats.spawn(heartbeat.clone().beat(turning));
        heartbeat.beats.close();
        heartbeat
    }

    /// What this process is.
    pub(crate) fn description(&self) -> &Description {
        &self.own
    }

    /// Takes the heartbeat away, if the database is there to hear of it.
    pub(crate) async fn leave(&self) {
        self.leaving.cancel();
        let left = timeout(FAREWELL, async {
            // A beat that is under way would bring the document back, or make it.
            self.beats.wait().await;
            match self.known.load(Ordering::Relaxed) {
                true => self.store.remove_instance(&self.own).await,
                false => Ok(()),
            }
        });
        if !matches!(left.await, Ok(Ok(()))) {
            debug!("this instance could not be taken off the list; it will count as gone");
        }
    }

    async fn beat(self, turning: Turning) {
        let mut held = self.store.holds();
        let mut beat = interval(self.store.beat());
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut tidied, mut told): (Option<Instant>, Option<Instant>) = (None, None);
        loop {
            turning.turned();
            tokio::select! {
                () = self.leaving.cancelled() => return,
                _ = beat.tick() => {}
                _ = held.changed() => {}
            }
            let holds = held.borrow_and_update().clone();
            match self.store.heartbeat(&self.own, &holds).await {
                Ok(()) => self.known.store(true, Ordering::Relaxed),
                Err(error) => {
                    tell(&error, &mut told);
                    continue;
                }
            }
            if tidied.is_none_or(|at| at.elapsed() >= TIDYING) {
                tidied = Some(Instant::now());
                if let Err(error) = self.store.forget_instances(&self.own).await {
                    tell(&error, &mut told);
                }
            }
        }
    }
}

/// The monitor tells of a database that is away; anything else somebody has to mend.
fn tell(error: &Error, told: &mut Option<Instant>) {
    if !error.is_transient() && told.is_none_or(|at| at.elapsed() >= REMINDER) {
        *told = Some(Instant::now());
        warn!(%error, "this instance can't say that it lives, so it is missing from the list of instances");
    }
}
