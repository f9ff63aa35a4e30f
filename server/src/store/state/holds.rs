//! Holds: what this process, and no other, does on a database at the moment.

use std::sync::Arc;

use tokio::sync::watch;

use crate::store::Store;

/// What one instance at a time does on a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The watch, under this epoch.
    Watch(i64),
    /// The partition of this index.
    Partition(u32),
    /// Its share of the partitions: it takes those that are free.
    Share,
    /// The batch of this id.
    Batch(String),
    /// The verification of this id.
    Verification(String),
    /// Building the archive's unique index.
    IndexBuild,
}

/// What this process holds. Clones share it.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Held(Arc<watch::Sender<Vec<Hold>>>);

/// Notes that this process holds something, for as long as the note is kept.
#[derive(Debug)]
#[must_use]
pub struct HoldNote {
    held: Held,
    hold: Hold,
}

impl Drop for HoldNote {
    fn drop(&mut self) {
        self.held.0.send_modify(|held| {
            if let Some(at) = held.iter().position(|hold| *hold == self.hold) {
                held.remove(at);
            }
        });
    }
}

impl Store {
    /// Notes that this process holds something.
    pub fn note_hold(&self, hold: Hold) -> HoldNote {
        self.held.0.send_modify(|held| held.push(hold.clone()));
        HoldNote {
            held: self.held.clone(),
            hold,
        }
    }

    /// What this process holds, and when that changes.
    pub fn holds(&self) -> watch::Receiver<Vec<Hold>> {
        self.held.0.subscribe()
    }
}
