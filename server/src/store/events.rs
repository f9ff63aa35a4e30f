//! The stream of the news: which changes readers are told of, and of each only what they are shown.

use bson::{Bson, Document, doc};

use super::{
    Names,
    archive::read::in_brief,
    batches::record::BATCH,
    quarantine::record::ENTRY,
    state::{
        format::Field,
        snapshot::{self, if_shown},
    },
    verifications::record::VERIFICATION,
    watch::{
        partition::{PARTITION, partition_ids},
        record::{self, WATCHER},
    },
};
use crate::domain::enrich::DATE_ARCHIVAGE;

/// The fields of the watcher and of jobs by which changes without a snapshot are known.
const KNOWN_BY: [&str; 7] = [
    "state",
    "started",
    "updated",
    "ended",
    "gap",
    "closed_gap",
    "gone",
];

/// The stages that filter and thin the history: an order of 16 MiB comes as a line.
pub fn stages(names: &Names) -> Vec<Document> {
    let [a, b] = snapshot::NAMES;
    let updated = |field: &str| format!("updateDescription.updatedFields.{field}");
    let there = |field: &str| doc! { (updated(field)): { "$exists": true } };
    let inserted = |collection: &str| doc! { "ns.coll": collection, "operationType": "insert" };
    let jobs = doc! {
        "ns.coll": { "$in": [&names.batches, &names.verifications] },
        "operationType": { "$in": ["update", "replace"] },
    };
    let watcher = doc! {
        "ns.coll": &names.state, "documentKey._id": record::ID,
        "$or": [
            { "operationType": "replace" },
            there(a), there(b), there("state"), there("gap"), there("closed_gap"), there("gone"),
        ],
    };
    // Of each of them, the snapshots tell all that is news.
    let partitions = doc! {
        "ns.coll": &names.state, "documentKey._id": { "$in": partition_ids() },
        "$or": [{ "operationType": "replace" }, there(a), there(b)],
    };
    let released = doc! { "ns.coll": &names.quarantine, "$or": [there(a), there(b)] };
    let told = [
        inserted(&names.archive),
        inserted(&names.quarantine),
        released,
        jobs,
        watcher,
        partitions,
    ];
    let mut shown = doc! { "operationType": 1, "ns": 1, "documentKey": 1, "wallTime": 1 };
    for field in KNOWN_BY.into_iter().chain(snapshot::NAMES) {
        shown.insert(updated(field), 1);
    }
    shown.insert("fullDocument", whole_documents(names));
    vec![
        doc! { "$match": { "$or": told.to_vec() } },
        doc! { "$project": shown },
    ]
}

/// What is shown of a document that the database tells whole, because it was inserted or replaced.
fn whole_documents(names: &Names) -> Document {
    let field = |name: &str| Bson::from(format!("$fullDocument.{name}"));
    let fields = |fields: &[Field]| -> Document {
        let names = fields.iter().map(Field::name).chain(snapshot::NAMES);
        names.map(|name| (name.to_owned(), field(name))).collect()
    };
    let mut archived = in_brief("$fullDocument.");
    archived.insert(DATE_ARCHIVAGE, field(DATE_ARCHIVAGE));
    let mut entry = fields(ENTRY);
    entry.insert(
        "order_id",
        if_shown("$fullDocument", "$fullDocument.order_id"),
    );
    let mut watcher = fields(WATCHER);
    watcher.extend(fields(PARTITION));
    watcher.insert("checkpoint", doc! { "time": field("checkpoint.time") });
    let of = |collection: &str, shown: Document| {
        doc! { "case": { "$eq": ["$ns.coll", { "$literal": collection }] }, "then": shown }
    };
    let branches = [
        of(&names.archive, archived),
        of(&names.quarantine, entry),
        of(&names.batches, fields(BATCH)),
        of(&names.verifications, fields(VERIFICATION)),
    ];
    doc! { "$switch": { "branches": branches.to_vec(), "default": watcher } }
}
