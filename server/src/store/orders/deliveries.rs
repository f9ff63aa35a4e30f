//! Deliveries: the changes of the orders by which one can become archivable, as the watcher reads
//! them.

use bson::{Document, RawDocument, doc};
use sha2::{Digest, Sha256};

use crate::{
    bytes::{
        checkpoint::Identity,
        raw::{self, ValueRef},
    },
    domain::{
        order::{NUMERO, STATUS},
        partition::Partition,
    },
    store::Store,
};

/// Whether a change delivers its order; else it only numbers it.
const DELIVERS: &str = "delivers";

/// The changes that end the collection; they are of no order.
const ENDS: [&str; 4] = ["drop", "rename", "dropDatabase", "invalidate"];

impl Store {
    /// What the checkpoints of those belong to who read the changes of a partition.
    pub fn checkpoint_identity(&self, partition: Partition) -> Identity {
        Identity {
            namespace: format!("{}.{}", self.database, self.names.orders),
            pipeline: hash(&stages(&self.delivered, partition)),
        }
    }
}

/// Only the changes by which an order of a partition can become archivable, and those that end the
/// collection; and of them only what says which order it is. The order itself is read by its `_id`,
/// so a change of any size comes as a line.
pub fn stages(delivered: &str, partition: Partition) -> Vec<Document> {
    let updated = |field: &str| format!("updateDescription.updatedFields.{field}");
    let kinds = doc! { "$or": [
        { "operationType": { "$in": ["insert", "replace"] }, (format!("fullDocument.{STATUS}")): delivered },
        { "operationType": "update", (updated(STATUS)): delivered },
        { "operationType": "update", (updated(NUMERO)): { "$exists": true } },
        { "operationType": { "$in": &ENDS[..] } },
    ] };
    let status = format!("$fullDocument.{STATUS}");
    let delivers =
        doc! { "$in": [{ "$literal": delivered }, [format!("${}", updated(STATUS)), status]] };
    let project =
        doc! { "operationType": 1, "wallTime": 1, "documentKey": 1, "to": 1, (DELIVERS): delivers };
    let mut stages = vec![doc! { "$match": kinds }];
    // After the cheap match, so that few changes are hashed.
    if !partition.is_whole() {
        stages.push(doc! { "$match": belongs_to(partition) });
    }
    stages.push(doc! { "$project": project });
    stages
}

/// Whether a change is of an order of a partition. What ends the collection is everybody's.
fn belongs_to(partition: Partition) -> Document {
    let of = i64::from(partition.of);
    // Hashes are signed, and so is what is left of a negative one.
    let hash = doc! { "$toHashedIndexKey": "$documentKey._id" };
    let remainder = doc! { "$add": [{ "$mod": [hash, of] }, of] };
    let own = doc! { "$eq": [{ "$mod": [remainder, of] }, i64::from(partition.index)] };
    doc! { "$or": [{ "operationType": { "$in": &ENDS[..] } }, { "$expr": own }] }
}

/// Whether a change delivers its order, or only numbers it; none of one that does neither.
pub fn delivers(change: &RawDocument) -> Option<bool> {
    raw::find(change, DELIVERS).and_then(ValueRef::as_bool)
}

/// The `_id` of the order that a change is about.
pub fn order_of(change: &RawDocument) -> Option<ValueRef<'_>> {
    let mut key = raw::find(change, "documentKey")?.elements();
    let id = key.find(|element| element.key == b"_id")?;
    Some(id.value)
}

fn hash(stages: &[Document]) -> String {
    let text = stages
        .iter()
        .map(Document::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    hex::encode(&Sha256::digest(text)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checkpoints of before there were partitions are followed by their place, not by their time.
    #[test]
    fn the_stages_of_the_whole_have_no_hash_and_those_of_each_partition_are_others() {
        let whole = stages("livrée", Partition::WHOLE);
        assert_eq!(whole.len(), 2, "{whole:?}");
        let mut known = vec![hash(&whole)];
        for of in 2..=4 {
            for index in 0..of {
                let own = hash(&stages("livrée", Partition { index, of }));
                assert!(!known.contains(&own), "{index} of {of}");
                known.push(own);
            }
        }
    }
}
