//! The record of a partition: who reads it, how far, and what is wrong, each in a document of its
//! own beside the watcher's.

use std::time::Duration;

use bson::{DateTime, Document, RawDocument, Timestamp, doc};

use super::{
    change::mine,
    lease::Lease,
    record::{ID, State, Watcher, apart, position_of},
    split::Split,
};
use crate::{
    bytes::raw::{self, Value, ValueRef},
    domain::partition::{MOST_PARTITIONS, Partition},
    store::{
        Error, Store,
        encoding::document::{joined, raw, whole},
        state::format::{self, Field, Is, may, must},
    },
};

/// The fields of a partition's document, all but the checkpoint, which is looked at before it is
/// followed.
pub(in crate::store) const PARTITION: &[Field] = &[
    must("generation", Is::Whole),
    must("epoch", Is::Whole),
    must("state", Is::Word(|name| State::named(name).is_some())),
    may("of", Is::Whole),
    may("owner", Is::Text),
    may("instance", Is::Text),
    may("taken_by", Is::Text),
    may("lease", Is::Millis),
    may("alive_at", Is::Date),
    may("state_since", Is::Date),
    may("saved_at", Is::Date),
    may("last_event", Is::Date),
    may("waiting_since", Is::Date),
    may("last_error", Is::Text),
    may("last_error_at", Is::Date),
    may("lost", Is::Text),
];

/// The `_id` of a partition's document.
pub(super) fn partition_id(partition: Partition) -> String {
    format!("{ID}-{}", partition.index)
}

/// Which partition a document is of, by its `_id`; none of one that is no partition's.
pub fn partition_index(id: &str) -> Option<u32> {
    let index = id.strip_prefix(ID)?.strip_prefix('-')?;
    let index = index.parse::<u32>().ok()?;
    let known = index < MOST_PARTITIONS && partition_id(Partition { index, of: 0 }) == id;
    known.then_some(index)
}

/// A partition, and what is held of it.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldPartition {
    /// Which one.
    pub partition: Partition,
    /// The split that this is said of.
    pub generation: i64,
    /// Counts the takeovers.
    pub epoch: i64,
    /// The process that has it; none while nobody has.
    pub owner: Option<String>,
    /// The name of the instance that has it, or was the last to have it.
    pub instance: String,
    /// Whether whoever has it is silent for so long as to count as gone.
    pub silent: bool,
    /// When that one last gave a heartbeat.
    pub alive_at: Option<DateTime>,
    /// What that one is doing.
    pub state: State,
    /// Since when; none while that is not known.
    pub state_since: Option<DateTime>,
    /// The checkpoint as it is stored, to be looked at before it is trusted.
    pub checkpoint: Option<Value>,
    /// The cluster time of the checkpoint; none before the first.
    pub position: Option<Timestamp>,
    /// When it was saved.
    pub saved: Option<DateTime>,
    /// When the last delivered order came by.
    pub last_event: Option<DateTime>,
    /// When the oldest change happened that was read and is not archived yet.
    pub waiting_since: Option<DateTime>,
    /// The latest fault; empty before the first.
    pub last_error: String,
    /// When it was met.
    pub last_error_at: Option<DateTime>,
    /// Why its place in the history is lost; none while it is not.
    pub lost: Option<String>,
}

impl HeldPartition {
    /// The fields that are true of one split, and not of the next.
    pub(super) const OF_A_GENERATION: [&str; 5] = [
        "checkpoint",
        "saved_at",
        "last_event",
        "waiting_since",
        "lost",
    ];

    /// A partition that nobody has taken yet.
    fn vacant(partition: Partition, generation: i64) -> HeldPartition {
        HeldPartition {
            partition,
            generation,
            epoch: 0,
            owner: None,
            instance: String::new(),
            silent: false,
            alive_at: None,
            state: State::Stopped,
            state_since: None,
            checkpoint: None,
            position: None,
            saved: None,
            last_event: None,
            waiting_since: None,
            last_error: String::new(),
            last_error_at: None,
            lost: None,
        }
    }

    /// Who has it now; none while nobody does, or whoever did is silent.
    pub fn owner_now(&self) -> Option<&str> {
        self.owner.as_deref().filter(|_| !self.silent)
    }

    /// What is done with it: one whose holder is silent has been left.
    pub fn state_now(&self) -> State {
        match self.owner_now() {
            Some(_) => self.state,
            None => State::Stopped,
        }
    }

    /// Since when that is so; none while it is not known.
    pub fn since_now(&self) -> Option<DateTime> {
        match self.silent {
            true => self.alive_at,
            false => self.state_since,
        }
    }

    /// Whether a change of the number of partitions that waits until this time waits for it.
    pub fn holds_up(&self, change_waits_until: Timestamp) -> bool {
        self.position
            .is_none_or(|position| position < change_waits_until)
    }

    /// How far its position is behind the latest write that a majority holds, in cluster time, to
    /// the second; none while nobody reads it, and before its first position.
    pub fn lag(&self, majority: Option<Timestamp>) -> Option<Duration> {
        let is_read = self.state_now() != State::Stopped;
        is_read.then_some(apart(majority?, self.position?))
    }
}

/// What has become of a lease.
#[derive(Clone, Debug)]
pub enum Holding {
    /// It goes on; this is the watcher, and what is held of it if that is a partition.
    Goes(Box<Watcher>, Option<Box<HeldPartition>>),
    /// Somebody else has it.
    Lost,
    /// The stream is split anew, so the partition is no more.
    Replaced,
}

impl Store {
    /// The partitions of a split, in their order.
    pub async fn held_partitions(&self, split: Split) -> Result<Vec<HeldPartition>, Error> {
        let ids: Vec<String> = split.partitions().map(partition_id).collect();
        // By their `_id`s alone, so that one that can't be read is told of.
        let rows = self.state_rows(doc! { "_id": { "$in": ids } }).await?;
        let known = rows.iter().map(|row| self.held_partition_of(row));
        let mut known = known.collect::<Result<Vec<HeldPartition>, Error>>()?;
        known.retain(|held| held.generation == split.generation);
        let held = split.partitions().map(|partition| {
            let at = known
                .iter()
                .position(|it| it.partition.index == partition.index);
            let held = at.map(|at| known.swap_remove(at));
            let held = held.unwrap_or_else(|| HeldPartition::vacant(partition, split.generation));
            HeldPartition { partition, ..held }
        });
        Ok(held.collect())
    }

    /// That the documents of all partitions, of whatever split, can be worked with.
    pub(in crate::store) async fn check_partitions(&self) -> Result<(), Error> {
        let all = doc! { "_id": { "$in": partition_ids() } };
        let rows = self.state_rows(all).await?;
        rows.iter()
            .try_for_each(|row| self.held_partition_of(row).map(drop))
    }

    /// What has become of a lease.
    pub async fn holding(&self, lease: &Lease) -> Result<Holding, Error> {
        if lease.partition.is_whole() {
            return Ok(match self.watcher().await? {
                Some(watcher) if watcher.epoch == lease.epoch => {
                    Holding::Goes(Box::new(watcher), None)
                }
                _ => Holding::Lost,
            });
        }
        let both = doc! { "_id": { "$in": [ID, lease.id()] } };
        let (mut watcher, mut held) = (None, None);
        for row in self.state_rows(both).await? {
            match raw::find(&row, "_id").and_then(ValueRef::as_str) {
                Some(ID) => watcher = Some(self.watcher_of(&row)?),
                _ => held = Some(self.held_partition_of(&row)?),
            }
        }
        let Some(watcher) = watcher else {
            return Ok(Holding::Replaced);
        };
        if watcher.split.generation != lease.generation || !watcher.split.is_split() {
            return Ok(Holding::Replaced);
        }
        Ok(match held {
            Some(held) if (held.generation, held.epoch) == (lease.generation, lease.epoch) => {
                Holding::Goes(Box::new(watcher), Some(Box::new(held)))
            }
            _ => Holding::Lost,
        })
    }

    /// Says that the place of a partition in the history is lost, so that whoever holds the watch
    /// takes a new starting point for all of them.
    pub async fn note_lost(&self, lease: &Lease, why: &str) -> Result<bool, Error> {
        let set = doc! { "$set": { "lost": why } };
        self.update_watcher(mine(lease), set, false).await
    }

    /// Whether there is a document of this `_id`, whatever is in it.
    pub(super) async fn is_known(&self, id: &str) -> Result<bool, Error> {
        let find = doc! {
            "find": &self.names.state, "filter": { "_id": id }, "projection": { "_id": 1 },
        };
        let rows = self
            .rows(&joined(&[&raw(&find), &self.read_options()]))
            .await?;
        Ok(!rows.is_empty())
    }

    pub(super) async fn held_partition_with(
        &self,
        query: Document,
    ) -> Result<Option<HeldPartition>, Error> {
        let rows = self.state_rows(query).await?;
        rows.first()
            .map(|row| self.held_partition_of(row))
            .transpose()
    }

    /// Reads a partition from its document, or from a snapshot of it that has its `_id`.
    pub fn held_partition_of(&self, row: &RawDocument) -> Result<HeldPartition, Error> {
        let checkpoint = raw::find(row, "checkpoint");
        let silent = raw::find(row, "silent").and_then(ValueRef::as_bool) == Some(true);
        let id = raw::find(row, "_id").and_then(ValueRef::as_str);
        let index = id.and_then(partition_index).unwrap_or_default();
        let row = format::read(&self.names.state, PARTITION, row)?;
        let text = |field| row.get_str(field).ok().map(str::to_owned);
        let date = |field| row.get_datetime(field).ok().copied();
        let of = u32::try_from(whole(row.get("of"))).unwrap_or_default();
        Ok(HeldPartition {
            partition: Partition { index, of },
            generation: whole(row.get("generation")),
            epoch: whole(row.get("epoch")),
            owner: text("owner"),
            instance: text("instance").unwrap_or_default(),
            silent,
            alive_at: date("alive_at"),
            state: text("state")
                .and_then(|state| State::named(&state))
                .unwrap_or(State::Stopped),
            state_since: date("state_since"),
            checkpoint: checkpoint.map(ValueRef::to_owned),
            position: position_of(checkpoint),
            saved: date("saved_at"),
            last_event: date("last_event"),
            waiting_since: date("waiting_since"),
            last_error: text("last_error").unwrap_or_default(),
            last_error_at: date("last_error_at"),
            lost: text("lost"),
        })
    }
}

/// The `_id`s of the documents of all partitions that there may be.
pub(in crate::store) fn partition_ids() -> Vec<String> {
    let most = Split {
        generation: 0,
        partitions: MOST_PARTITIONS,
    };
    most.partitions().map(partition_id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_known_by_its_id_and_nothing_else_is() {
        for index in [0, 7, 63] {
            let id = partition_id(Partition { index, of: 64 });
            assert_eq!(partition_index(&id), Some(index), "{id}");
        }
        for other in [
            "watcher",
            "watcher-",
            "watcher-64",
            "watcher-07",
            "watcher-x",
            "identity",
        ] {
            assert_eq!(partition_index(other), None, "{other}");
        }
    }
}
