//! The database's clock, as it was told a moment ago: for what is to be timed and not worth a call.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bson::DateTime;

use crate::store::Store;

/// How far the database's clock is ahead of this machine's, in milliseconds.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Clock(Arc<AtomicI64>);

impl Clock {
    /// Notes what the database's clock showed, in the middle of a call that began at a moment.
    pub(super) fn note(&self, shown: DateTime, began: SystemTime) {
        let call = began.elapsed().unwrap_or_default();
        let own = DateTime::from_system_time(began + call / 2);
        let ahead = shown.timestamp_millis() - own.timestamp_millis();
        self.0.store(ahead, Ordering::Relaxed);
    }
}

impl Store {
    /// How long ago a moment of the database's clock was; no time at all if it is still to come.
    pub(crate) fn time_since(&self, moment: DateTime) -> Duration {
        let own = DateTime::from_system_time(SystemTime::now()).timestamp_millis();
        let now = own + self.clock.0.load(Ordering::Relaxed);
        let passed = now.saturating_sub(moment.timestamp_millis());
        Duration::from_millis(u64::try_from(passed).unwrap_or(0))
    }
}
