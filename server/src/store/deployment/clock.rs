//! The database's clock, as it was told a moment ago and has gone on since: for what is to be timed
//! and not worth a call.

use std::{sync::Arc, time::Duration};

use bson::DateTime;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::store::Store;

/// What the database's clock showed, and when that was.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Clock(Arc<Mutex<Option<(DateTime, Instant)>>>);

impl Clock {
    /// Notes what the database's clock showed in the middle of a call that began at a moment.
    pub(super) fn note(&self, shown: DateTime, began: Instant) {
        *self.0.lock() = Some((shown, began + began.elapsed() / 2));
    }
}

impl Store {
    /// What the database's clock shows; none before it was first reached.
    pub(crate) fn database_time(&self) -> Option<DateTime> {
        let (shown, noted) = (*self.clock.0.lock())?;
        let since = i64::try_from(noted.elapsed().as_millis()).unwrap_or(i64::MAX);
        let now = shown.timestamp_millis().saturating_add(since);
        Some(DateTime::from_millis(now))
    }

    /// How long ago a moment of the database's clock was; no time at all if it is still to come.
    pub(crate) fn time_since(&self, moment: DateTime) -> Option<Duration> {
        let now = self.database_time()?.timestamp_millis();
        let passed = now.saturating_sub(moment.timestamp_millis());
        Some(Duration::from_millis(u64::try_from(passed).unwrap_or(0)))
    }
}
