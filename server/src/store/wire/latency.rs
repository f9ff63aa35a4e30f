//! Write latency: how hard the database is at work, as our own inserts feel it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::store::Store;

/// How long the slowest insert into the archive took since somebody asked. Clones share it.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Latency(Arc<AtomicU64>);

impl Latency {
    pub(in crate::store) fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_max(micros, Ordering::Relaxed);
    }

    fn take(&self) -> Duration {
        Duration::from_micros(self.0.swap(0, Ordering::Relaxed))
    }
}

impl Store {
    /// The same database, whose inserts are timed apart from those of everybody else.
    pub fn timed_apart(&self) -> Store {
        Store {
            latency: Latency::default(),
            ..self.clone()
        }
    }

    /// How long the slowest insert of a chunk into the archive took, up to its confirmation by a
    /// majority, since this was last asked; zero when there was none. So a slow insert is told
    /// once, and slows down nothing but what comes right after it.
    pub fn take_insert_latency(&self) -> Duration {
        self.latency.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_insert_is_told_once() {
        let latency = Latency::default();
        assert_eq!(latency.take(), Duration::ZERO);
        latency.note(Duration::from_secs(3));
        // A quick one beside it does not hide it.
        latency.note(Duration::from_millis(1));
        assert_eq!(latency.clone().take(), Duration::from_secs(3));
        assert_eq!(latency.take(), Duration::ZERO);
    }
}
