//! The record of a quarantined order: its fields in the database, and an entry as it is read from
//! them.

use bson::{DateTime, Document, RawDocument, doc};
use sha2::{Digest, Sha256};

use super::release::{RELEASE, Release, release_in};
use crate::{
    bytes::raw::{self, Value, ValueRef},
    domain::{
        judge::{Reason, Refusal},
        order::NUMERO,
    },
    store::{
        Store,
        encoding::document::whole,
        state::{
            fault::Fault,
            format::{self, Field, Is, may, must},
        },
    },
};

/// The fields of an entry, all but the order's `_id`, which is whatever it is.
pub(in crate::store) const ENTRY: &[Field] = &[
    must("_id", Is::Text),
    must("reason", Is::Text),
    must("detail", Is::Text),
    may(NUMERO, Is::Text),
    must("attempts", Is::Whole),
    must("bytes", Is::Whole),
    must("first_seen", Is::Date),
    must("last_seen", Is::Date),
    may("made_by", Is::Text),
    may("release", Is::Fields(RELEASE)),
];

/// What lists by reason walk along, what finds the entries of a number, and what tells which is the
/// oldest.
pub(in crate::store) fn indexes() -> Vec<Document> {
    vec![
        doc! { "key": { "reason": 1, "_id": 1 }, "name": "reason" },
        doc! { "key": { NUMERO: 1 }, "name": "numero" },
        doc! { "key": { "first_seen": 1 }, "name": "first_seen" },
    ]
}

/// An order in quarantine.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Names the entry.
    pub id: String,
    /// The order's `_id`.
    pub order_id: Value,
    /// Its number, if that is a string.
    pub numero: Option<String>,
    /// Why it is here.
    pub refusal: Refusal,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was first put here.
    pub first_seen: DateTime,
    /// When it was last tried.
    pub last_seen: DateTime,
    /// Its size, in bytes.
    pub bytes: i64,
    /// Why it leaves, once it does.
    pub release: Option<Release>,
}

/// The name of the entry of an order: the same however often it is quarantined.
pub fn entry_id(order_id: ValueRef<'_>) -> String {
    let hash = Sha256::new()
        .chain_update([order_id.kind])
        .chain_update(order_id.bytes)
        .finalize();
    format!("q{}", hex::encode(&hash[..12]))
}

/// The `_id` of an entry, also of one that can't be read otherwise.
pub(crate) fn id_of(found: &Result<Entry, Fault>) -> Value {
    match found {
        Ok(entry) => Value::string(&entry.id),
        Err(fault) => fault.id.clone(),
    }
}

impl Store {
    /// Reads an entry from its document.
    pub fn entry_of(&self, row: &RawDocument) -> Result<Entry, Fault> {
        // The order's `_id` may be text that is not UTF-8.
        let order_id = raw::find(row, "order_id")
            .unwrap_or(ValueRef::NULL)
            .to_owned();
        let row = format::read(&self.names.quarantine, ENTRY, row).map_err(|fault| *fault)?;
        let text = |field| row.get_str(field).unwrap_or_default().to_owned();
        let date = |field| {
            row.get_datetime(field)
                .copied()
                .unwrap_or(DateTime::from_millis(0))
        };
        let reason = text("reason");
        Ok(Entry {
            id: text("_id"),
            order_id,
            numero: row.get_str(NUMERO).ok().map(str::to_owned),
            refusal: Refusal {
                reason: Reason::ALL
                    .into_iter()
                    .find(|known| known.name() == reason)
                    .unwrap_or(Reason::Refused),
                detail: text("detail"),
            },
            attempts: whole(row.get("attempts")),
            first_seen: date("first_seen"),
            last_seen: date("last_seen"),
            bytes: whole(row.get("bytes")),
            release: row.get_document("release").ok().and_then(release_in),
        })
    }
}
