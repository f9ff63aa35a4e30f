//! Unsettled numbers: those that were sent to the archive and are not known to be there once only.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::bytes::raw::Value;

/// What an instance keeps in mind between two looks.
#[derive(Debug, Default)]
pub(super) struct Mind {
    /// Whether a task is looking.
    pub(super) looking: bool,
    /// When somebody last waited for a look.
    pub(super) asked: Option<Instant>,
    /// What was sent and is not known to be single yet.
    pub(super) sent: Vec<Sent>,
    pub(super) next: u64,
    /// How many searches for doubles are under way.
    pub(super) searches: usize,
    /// Numbers that were found double since the index was last there.
    pub(super) doubled: BTreeSet<String>,
}

/// The numbers of one insert.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) id: u64,
    pub(super) numbers: Vec<Value>,
    /// When the database's answer came, or nobody waited for it any more.
    pub(super) answered: Option<Instant>,
}

impl Mind {
    /// Forgets what had been answered when a look began that found the index there.
    pub(super) fn settle(&mut self, began: Instant) {
        self.sent
            .retain(|sent| sent.answered.is_none_or(|answered| answered >= began));
        self.doubled.clear();
    }

    /// Takes out what has been answered: what is under way may still become double.
    pub(super) fn take_answered(&mut self) -> Vec<Value> {
        let (answered, open) = self
            .sent
            .drain(..)
            .partition(|sent: &Sent| sent.answered.is_some());
        self.sent = open;
        answered
            .into_iter()
            .flat_map(|sent: Sent| sent.numbers)
            .collect()
    }

    /// Whether nobody waits for another look than the last one, which began then.
    pub(super) fn is_idle(&self, last: Instant) -> bool {
        self.sent.is_empty() && self.asked.is_none_or(|asked| asked < last)
    }
}
