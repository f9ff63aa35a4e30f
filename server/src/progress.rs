//! Whether the loops that a process lives by still turn: what a watchdog wants to know.
//!
//! A loop may wait for the database for as long as that has time to answer. It has stopped only
//! when it did not turn for longer than all its deadlines together allow.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// The loops of a process. Clones know the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<Mutex<Vec<Turn>>>);

#[derive(Clone, Debug)]
struct Turn {
    id: usize,
    name: &'static str,
    within: Duration,
    /// When it last turned; none while it waits for work, which may be long in coming.
    at: Option<Instant>,
}

impl Progress {
    /// A loop that is to turn within so long each time, until what is returned is dropped.
    pub(crate) fn of(&self, name: &'static str, within: Duration) -> Turning {
        let mut turns = self.0.lock();
        let id = turns.iter().map(|turn| turn.id + 1).max().unwrap_or(0);
        turns.push(Turn {
            id,
            name,
            within,
            at: Some(Instant::now()),
        });
        Turning {
            id,
            progress: self.clone(),
        }
    }

    /// The loop that has not turned for too long, if there is one.
    pub(crate) fn stuck(&self) -> Option<&'static str> {
        let turns = self.0.lock();
        let stuck = |turn: &&Turn| turn.at.is_some_and(|at| at.elapsed() > turn.within);
        turns.iter().find(stuck).map(|turn| turn.name)
    }

    fn set(&self, id: usize, at: Option<Instant>) {
        let mut turns = self.0.lock();
        if let Some(turn) = turns.iter_mut().find(|turn| turn.id == id) {
            turn.at = at;
        }
    }
}

/// A loop's side of it.
#[derive(Debug)]
pub(crate) struct Turning {
    id: usize,
    progress: Progress,
}

impl Turning {
    /// The loop turns, or begins with something.
    pub(crate) fn turned(&self) {
        self.progress.set(self.id, Some(Instant::now()));
    }

    /// The loop has nothing to do, and waits until that changes.
    pub(crate) fn idle(&self) {
        self.progress.set(self.id, None);
    }
}

impl Drop for Turning {
    fn drop(&mut self) {
        self.progress.0.lock().retain(|turn| turn.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_does_not_turn_is_named_and_one_that_waits_or_has_ended_is_not() {
        const LONG: Duration = Duration::from_secs(3_600);
        let progress = Progress::default();
        let (slow, stuck) = (
            progress.of("slow", LONG),
            progress.of("stuck", Duration::ZERO),
        );
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(progress.stuck(), Some("stuck"));
        stuck.idle();
        assert_eq!(progress.stuck(), None);
        stuck.turned();
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(progress.stuck(), Some("stuck"));
        drop(stuck);
        assert_eq!(progress.stuck(), None);
        drop(slow);
    }
}
