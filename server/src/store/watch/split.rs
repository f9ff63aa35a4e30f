//! The split: into how many partitions the stream is divided, who wants it otherwise, and changing
//! it.
//!
//! Only whoever holds the watch changes the split, in one update with the place at which the new
//! partitions begin, so that nobody ever reads by half of a change.

use bson::{DateTime, Document, RawDocument, doc};

use super::{
    change::mine,
    lease::Lease,
    record::{ID, State},
};
use crate::{
    bytes::raw::{ValueRef, Writer},
    domain::partition::{MOST_PARTITIONS, Partition},
    store::{
        Error, Store,
        encoding::document::{document_value, raw, whole},
        state::{
            format::{Field, Is, may, must},
            version::{FORMAT, not_newer},
        },
    },
};

/// The fields of the split, in the watcher's document.
pub(super) const SPLIT: &[Field] = &[must("generation", Is::Whole), must("partitions", Is::Whole)];
/// The fields of what is wanted, in the watcher's document.
pub(super) const WANTED: &[Field] = &[
    must("partitions", Is::Whole),
    must("instance", Is::Text),
    may("at", Is::Date),
];

/// Into how many partitions the stream is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Grows with every change of the split and with every new starting point, so that what was
    /// said of the partitions before is told from what is said of these.
    pub generation: i64,
    /// How many partitions there are; of one alone, the watcher's own document says all.
    pub partitions: u32,
}

impl Split {
    /// The stream as it is before anybody wanted it divided.
    pub const NONE: Split = Split {
        generation: 0,
        partitions: 1,
    };

    /// Whether there is more than one partition.
    pub fn is_split(self) -> bool {
        self.partitions > 1
    }

    /// Its partitions.
    pub fn partitions(self) -> impl Iterator<Item = Partition> {
        (0..self.partitions).map(move |index| Partition {
            index,
            of: self.partitions,
        })
    }

    /// The split that follows this one. Its generation is no smaller than the second it is made in,
    /// so that it is a new one also where this document was lost, and those of partitions were not.
    pub fn followed_by(self, partitions: u32, second: u32) -> Split {
        Split {
            generation: (self.generation + 1).max(second.into()),
            partitions,
        }
    }
}

/// Who wants how many partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// So many.
    pub partitions: u32,
    /// The instance whose setting it is.
    pub instance: String,
    /// When it said so.
    pub at: Option<DateTime>,
}

pub(super) fn split_of(split: &Document) -> Split {
    Split {
        generation: whole(split.get("generation")),
        partitions: count_of(split),
    }
}

pub(super) fn wanted_of(wanted: &Document) -> Wanted {
    Wanted {
        partitions: count_of(wanted),
        instance: wanted.get_str("instance").unwrap_or_default().to_owned(),
        at: wanted.get_datetime("at").ok().copied(),
    }
}

/// Whatever somebody wrote there, there is one partition, and not more than there may be.
fn count_of(document: &Document) -> u32 {
    let partitions = whole(document.get("partitions"));
    let partitions = u32::try_from(partitions.max(1)).unwrap_or(MOST_PARTITIONS);
    partitions.min(MOST_PARTITIONS)
}

pub(super) fn split_document(split: Split) -> Document {
    doc! { "generation": split.generation, "partitions": i64::from(split.partitions) }
}

impl Store {
    /// Says that an instance wants so many partitions, in the watcher's document, which is there. It
    /// is the latest such word that counts; one that wants what there is anyway says nothing.
    pub async fn want_partitions(&self, partitions: u32, instance: &str) -> Result<(), Error> {
        let mut others = doc! { "$ne": i64::from(partitions) };
        if partitions == 1 {
            others.insert("$exists", true);
        }
        let query = doc! { "_id": ID, FORMAT: not_newer(), "wanted.partitions": others };
        let wanted = doc! {
            "partitions": i64::from(partitions), "instance": { "$literal": instance }, "at": "$$NOW",
        };
        let stage = raw(&doc! { "$set": { "wanted": wanted } });
        let mut statement = Writer::default();
        statement
            .document("q", &raw(&query))
            .array("u", [document_value(&stage)]);
        let head = raw(&doc! { "update": &self.names.state });
        let command = self.write_command(&head, "updates", &[statement.finish()]);
        self.write_retried(&command).await.map(|_| ())
    }

    /// Divides the stream anew, by the instance that holds the watch: the partitions of this split
    /// begin at the time of this checkpoint, before which everything is archived. False when
    /// somebody else has taken the watch.
    pub async fn split_watch(
        &self,
        lease: &Lease,
        split: Split,
        checkpoint: &RawDocument,
    ) -> Result<bool, Error> {
        let mut set = Writer::default();
        set.string("state", State::Starting.name())
            .value("waiting_since", ValueRef::NULL)
            .document("checkpoint", checkpoint)
            .document("split", &raw(&split_document(split)));
        let clocks = doc! { "alive_at": true, "saved_at": true, "state_since": true };
        let mut update = Writer::default();
        update
            .document("$set", &set.finish())
            .document("$currentDate", &raw(&clocks));
        let divided = self
            .update_watcher_raw(&before(lease, split), &update.finish(), false)
            .await?;
        // When an answer was lost, the first copy of this very call may have done it.
        Ok(divided
            || self
                .watcher()
                .await?
                .is_some_and(|it| it.epoch == lease.epoch && it.split == split))
    }
}

/// The watch under a lease, before it is divided so: a copy of a call that comes late divides
/// nothing that has been divided again since.
pub(super) fn before(lease: &Lease, split: Split) -> Document {
    let mut query = mine(lease);
    let later = doc! { "$not": { "$gte": split.generation } };
    query.insert("split.generation", later);
    query
}

#[cfg(test)]
mod tests {
    use bson::Bson;

    use super::*;

    #[test]
    fn what_somebody_wrote_by_hand_is_a_number_of_partitions_that_there_may_be() {
        for (written, read) in [(-1, 1), (0, 1), (1, 1), (4, 4), (64, 64), (65, 64)] {
            assert_eq!(split_of(&doc! { "partitions": written }).partitions, read);
        }
        let largest = doc! { "partitions": Bson::Int64(i64::MAX) };
        assert_eq!(split_of(&largest).partitions, MOST_PARTITIONS);
    }

    #[test]
    fn a_split_is_newer_than_those_before_it_whatever_the_clock_says() {
        let mut split = Split::NONE;
        for (second, generation) in [(100, 100), (100, 101), (7, 102), (500, 500)] {
            split = split.followed_by(2, second);
            assert_eq!(split.generation, generation);
        }
    }
}
