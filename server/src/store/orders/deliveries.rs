//! Deliveries: the changes of the orders by which one can become archivable, as the watcher reads
//! them.

use bson::{Document, RawDocument, doc};
use sha2::{Digest, Sha256};

use crate::{
    bytes::{
        checkpoint::Identity,
        raw::{self, ValueRef},
    },
    domain::order::{NUMERO, STATUS},
    store::Store,
};

/// Whether a change delivers its order; else it only numbers it.
const DELIVERS: &str = "delivers";

impl Store {
    /// What the watcher's checkpoints belong to.
    pub fn checkpoint_identity(&self) -> Identity {
        Identity {
            namespace: format!("{}.{}", self.database, self.names.orders),
            pipeline: hash(&stages(&self.delivered)),
        }
    }
}

/// Only the changes by which an order can become archivable, and those that end the collection; and
/// of them only what says which order it is. The order itself is read by its `_id`, so a change of
/// any size comes as a line.
pub fn stages(delivered: &str) -> Vec<Document> {
    let updated = |field: &str| format!("updateDescription.updatedFields.{field}");
    let kinds = doc! { "$or": [
        { "operationType": { "$in": ["insert", "replace"] }, (format!("fullDocument.{STATUS}")): delivered },
        { "operationType": "update", (updated(STATUS)): delivered },
        { "operationType": "update", (updated(NUMERO)): { "$exists": true } },
        { "operationType": { "$in": ["drop", "rename", "dropDatabase", "invalidate"] } },
    ] };
    let status = format!("$fullDocument.{STATUS}");
    let delivers =
        doc! { "$in": [{ "$literal": delivered }, [format!("${}", updated(STATUS)), status]] };
    vec![
        doc! { "$match": kinds },
        doc! { "$project": { "operationType": 1, "wallTime": 1, "documentKey": 1, "to": 1, (DELIVERS): delivers } },
    ]
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
