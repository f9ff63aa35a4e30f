//! Pace: how gently a batch goes about it, by the limits that hold at the moment and by how hard the database is at work.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tracing::debug;

use crate::store::{Store, options::Limits};

/// How often a batch that waits looks whether it may go on.
const LOOK: Duration = Duration::from_millis(250);
/// For how long the replication lag is taken to be what it was.
const FRESH: Duration = Duration::from_secs(1);
/// The longest pause that a slow insert brings about.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The pace of one batch.
pub(super) struct Pace {
    store: Store,
    defaults: Limits,
    state: Mutex<State>,
}

struct State {
    limits: Limits,
    /// Why the batch waits; empty while it does not.
    reason: String,
    /// When the orders that were admitted will have taken their time at the highest rate.
    free: Instant,
    lag: Option<(Instant, Duration)>,
}

impl Pace {
    /// `defaults` hold where the batch itself has no limit.
    pub(super) fn new(store: Store, defaults: Limits, limits: Limits) -> Pace {
        // What was slow before the batch began is over.
        store.take_insert_latency();
        let state = State {
            limits: limits.or(defaults),
            reason: String::new(),
            free: Instant::now(),
            lag: None,
        };
        Pace {
            store,
            defaults,
            state: Mutex::new(state),
        }
    }

    /// The limits are these from now on.
    pub(super) fn tune(&self, limits: Limits) {
        self.state().limits = limits.or(self.defaults);
    }

    /// Why the batch runs slower than it could; empty at full speed.
    pub(super) fn reason(&self) -> String {
        self.state().reason.clone()
    }

    /// The most orders to take at once: no more than a second's worth.
    pub(super) fn portion(&self) -> usize {
        match self.most_a_second() {
            0 => usize::MAX,
            most => most as usize,
        }
    }

    /// Waits until the database is well enough for more orders.
    pub(super) async fn admit(&self) {
        let slow = self.too_slow();
        if let Some((reason, pause)) = slow {
            self.state().reason = reason;
            sleep(pause).await;
        }
        while let Some(reason) = self.hindrance().await {
            self.state().reason = reason;
            sleep(LOOK).await;
        }
        // A limit on the rate goes on being the reason between its pauses.
        let most = self.most_a_second();
        self.state().reason = match most {
            0 => String::new(),
            most => format!("limited to {most} orders/s"),
        };
    }

    /// Notes that so many orders were taken.
    pub(super) fn took(&self, orders: usize) {
        let most = self.most_a_second();
        if most > 0 {
            let mut state = self.state();
            let time = Duration::from_secs_f64(orders as f64 / f64::from(most));
            state.free = state.free.max(Instant::now()) + time;
        }
    }

    fn most_a_second(&self) -> u32 {
        self.state().limits.max_orders_per_second.unwrap_or(0)
    }

    /// Why and for how long to pause after a slow insert: for as long as it took, and only once after each.
    fn too_slow(&self) -> Option<(String, Duration)> {
        let most = self.state().limits.max_write_latency?;
        let took = self.store.take_insert_latency();
        (took > most).then(|| {
            let reason = format!(
                "throttled: write latency {} > {}",
                seconds(took),
                seconds(most)
            );
            (reason, took.min(LONGEST_PAUSE))
        })
    }

    async fn hindrance(&self) -> Option<String> {
        if self.most_a_second() > 0 && Instant::now() < self.state().free {
            return Some(format!("limited to {} orders/s", self.most_a_second()));
        }
        let most = self.state().limits.max_replication_lag?;
        let lag = self.lag().await;
        (lag > most).then(|| {
            format!(
                "throttled: replication lag {} > {}",
                seconds(lag),
                seconds(most)
            )
        })
    }

    async fn lag(&self) -> Duration {
        let known = self.state().lag.filter(|(at, _)| at.elapsed() < FRESH);
        if let Some((_, lag)) = known {
            return lag;
        }
        // A database that does not answer is waited for where the orders are read.
        let lag = self.store.replication_lag().await.unwrap_or_else(|error| {
            debug!(%error, "the replication lag is not known");
            Duration::ZERO
        });
        self.state().lag = Some((Instant::now(), lag));
        lag
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seconds(length: Duration) -> String {
    format!("{:.1} s", length.as_secs_f64())
}
