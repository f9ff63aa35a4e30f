//! The record of a ledger's entry: its fields in the database, and one as it is read from them.

use bson::{Document, RawDocument, doc};

use crate::{
    domain::ledger::Record,
    store::{
        Store,
        encoding::document::whole,
        state::{
            fault::Fault,
            format::{self, Field, Is, must},
        },
    },
};

/// Where the id of the verification stands.
pub(super) const VERIFICATION: &str = "verification";

/// The fields of an entry.
pub(in crate::store) const LEDGER: &[Field] = &[
    must("_id", Is::Whole),
    must(VERIFICATION, Is::Text),
    must("record", Is::Text),
    must("hash", Is::Text),
    must("created", Is::Date),
];

/// What keeps a verification from having two entries.
pub(in crate::store) fn indexes() -> Vec<Document> {
    vec![doc! { "key": { VERIFICATION: 1 }, "name": VERIFICATION, "unique": true }]
}

impl Store {
    /// Reads an entry from its document.
    pub(super) fn ledger_record_in(&self, row: &RawDocument) -> Result<Record, Box<Fault>> {
        let row = format::read(&self.names.ledger, LEDGER, row)?;
        let text = |field| row.get_str(field).unwrap_or_default().to_owned();
        Ok(Record {
            sequence: whole(row.get("_id")),
            text: text("record"),
            hash: text("hash"),
        })
    }
}
