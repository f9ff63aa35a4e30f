//! Throttle: how gently a job goes about it, by the limits that hold at the moment and by how
//! hard the database is at work.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use tracing::debug;

use super::rate::Rate;
use crate::store::{Store, jobs::limits::Limits};

/// How often a job that waits looks whether it may go on.
const LOOK: Duration = Duration::from_millis(250);
/// For how long the replication lag is taken to be what it was.
const FRESH: Duration = Duration::from_secs(1);
/// The longest pause that a slow insert brings about.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The throttle of one job.
pub(crate) struct Throttle {
    store: Store,
    defaults: Limits,
    state: Mutex<ThrottleState>,
    /// Told of new limits and of orders that are done: whoever waits for its turn must hear of
    /// them.
    news: Notify,
}

struct ThrottleState {
    limits: Limits,
    /// Why the job waits; empty while it does not.
    reason: String,
    rate: Rate,
    /// When the latest page was let in.
    let_in: Instant,
    lag: Option<(Instant, Duration)>,
}

impl Throttle {
    /// `defaults` hold where the job itself has no limit.
    pub(crate) fn new(store: Store, defaults: Limits, limits: Limits) -> Throttle {
        let limits = limits.or(defaults);
        let now = Instant::now();
        let state = ThrottleState {
            limits,
            reason: String::new(),
            rate: Rate::new(most_a_second(limits), now),
            let_in: now,
            lag: None,
        };
        Throttle {
            store,
            defaults,
            state: Mutex::new(state),
            news: Notify::new(),
        }
    }

    /// The limits are these from now on.
    pub(crate) fn tune(&self, limits: Limits) {
        let limits = limits.or(self.defaults);
        let mut state = self.state();
        if state.limits != limits {
            state.limits = limits;
            state.rate.tune(most_a_second(limits), Instant::now());
            self.news.notify_one();
        }
    }

    /// Why the job runs slower than it could; empty at full speed.
    pub(crate) fn reason(&self) -> String {
        self.state().reason.clone()
    }

    /// The most orders to take at once.
    pub(crate) fn portion(&self) -> usize {
        self.state().rate.portion()
    }

    /// Waits until the database is well enough for at most so many more orders, and the rate allows
    /// for them.
    pub(crate) async fn admit(&self, portion: usize) {
        let slow = self.too_slow();
        if let Some((reason, pause)) = slow {
            self.state().reason = reason;
            sleep(pause).await;
        }
        while let Some(reason) = self.hindrance().await {
            self.state().reason = reason;
            sleep(LOOK).await;
        }
        loop {
            let due = {
                let mut state = self.state();
                // A limit on the rate goes on being the reason between its pauses.
                state.reason = match state.rate.most() {
                    0 => String::new(),
                    most => format!("limited to {most} orders/s"),
                };
                let now = Instant::now();
                match state.rate.wait(now) {
                    Some(due) => Some(due),
                    None if state.rate.is_full(portion.min(state.rate.portion())) => None,
                    None => {
                        state.let_in = now;
                        return;
                    }
                }
            };
            let due = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.news.notified() => {}
            }
        }
    }

    /// Waits until the rate allows for more, however much is under way.
    pub(crate) async fn due(&self) {
        loop {
            let due = {
                let mut state = self.state();
                let now = Instant::now();
                match state.rate.wait(now) {
                    Some(due) => due,
                    None => {
                        state.let_in = now;
                        return;
                    }
                }
            };
            sleep_until(due).await;
        }
    }

    /// Notes that so many orders were taken since the latest admission.
    pub(crate) fn took(&self, orders: usize) {
        let mut state = self.state();
        let let_in = state.let_in;
        state.rate.took(orders, let_in);
    }

    /// Notes that so many of the orders that were taken are done with.
    pub(crate) fn done(&self, orders: usize) {
        self.state().rate.done(orders);
        self.news.notify_one();
    }

    /// Why and for how long to pause after a slow insert: for as long as it took, and only once
    /// after each.
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

    fn state(&self) -> MutexGuard<'_, ThrottleState> {
        self.state.lock()
    }
}

/// 0 means no limit.
fn most_a_second(limits: Limits) -> u32 {
    limits.max_orders_per_second.unwrap_or(0)
}

fn seconds(length: Duration) -> String {
    format!("{:.1} s", length.as_secs_f64())
}
