//! The record of an acknowledgement: its fields in the database, and one as it is read from them.

use bson::{DateTime, Document, RawDocument, doc};

use crate::{
    bytes::raw::{self, Value, ValueRef},
    store::{
        Store,
        state::{
            fault::Fault,
            format::{self, Field, Is, must},
        },
    },
};

/// Where the number stands.
pub(super) const NUMBER: &str = "numero";
/// Where the fingerprint of the difference stands.
pub(super) const FINGERPRINT: &str = "fingerprint";
/// The name of the index on when acknowledgements were made.
pub(super) const BY_TIME: &str = "by_time";

/// The fields of an acknowledgement, all but the `_id`s of the live order and of the archived
/// document, which are whatever they are.
pub(in crate::store) const ACKNOWLEDGEMENT: &[Field] = &[
    must("_id", Is::Text),
    must(NUMBER, Is::Text),
    must("class", Is::Text),
    must(FINGERPRINT, Is::Text),
    must("reason", Is::Text),
    must("by", Is::Text),
    must("created", Is::Date),
];

/// What lists walk along, what finds those of a number, and those of a difference.
pub(in crate::store) fn indexes() -> Vec<Document> {
    vec![
        doc! { "key": { "created": 1, "_id": 1 }, "name": BY_TIME },
        doc! { "key": { NUMBER: 1, "created": -1 }, "name": "numero" },
        doc! { "key": { FINGERPRINT: 1 }, "name": FINGERPRINT },
    ]
}

/// A difference as far as an acknowledgement is about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgeable {
    /// The number of the archived document where there is one, else of the live order.
    pub numero: String,
    /// The class of the difference, by its name.
    pub class: String,
    /// Tells this difference from any other, of the same order too.
    pub fingerprint: String,
    /// `_id` of the live order; null where there is none.
    pub order_id: Value,
    /// `_id` of the archived document; null where there is none.
    pub archive_id: Value,
}

/// An acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Names it.
    pub id: String,
    /// What it is about.
    pub of: Acknowledgeable,
    /// Why the difference may stay.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub created: DateTime,
}

impl Store {
    /// Reads an acknowledgement from its document.
    pub(super) fn acknowledgement_in(&self, row: &RawDocument) -> Result<Acknowledgement, Fault> {
        let id_in = |field| raw::find(row, field).unwrap_or(ValueRef::NULL).to_owned();
        let (order_id, archive_id) = (id_in("order_id"), id_in("archive_id"));
        let collection = &self.names.acknowledgements;
        let row = format::read(collection, ACKNOWLEDGEMENT, row).map_err(|fault| *fault)?;
        let text = |field| row.get_str(field).unwrap_or_default().to_owned();
        Ok(Acknowledgement {
            id: text("_id"),
            of: Acknowledgeable {
                numero: text(NUMBER),
                class: text("class"),
                fingerprint: text(FINGERPRINT),
                order_id,
                archive_id,
            },
            reason: text("reason"),
            by: text("by"),
            created: row
                .get_datetime("created")
                .copied()
                .unwrap_or(DateTime::from_millis(0)),
        })
    }
}
