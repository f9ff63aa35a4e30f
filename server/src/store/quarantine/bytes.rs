//! The bytes of quarantined orders, kept in parts.

use bson::{RawDocumentBuf, rawdoc};

use super::record::entry_id;
use crate::{
    bytes::raw::{self, ValueRef, kind},
    domain::order::Order,
    store::{
        Error, Store,
        encoding::document::{document_value, field, joined},
        state::{
            expressions::replaced_unless_newer,
            format::{self, Field, Is, must},
            version::CURRENT,
        },
    },
};

/// An order's bytes are kept in parts, because an order can be as large as a document may be.
const PART: usize = 8 * 1024 * 1024;
/// The fields of a part of an order's bytes, all but the bytes themselves.
pub(in crate::store) const PART_OF_BYTES: &[Field] = &[must("_id", Is::Text)];

impl Store {
    /// The bytes of a quarantined order.
    pub async fn quarantined_order(&self, id: &str) -> Result<Option<RawDocumentBuf>, Error> {
        let command = rawdoc! { "find": self.names.quarantine_bytes.as_str(), "filter": parts_of(id), "sort": { "_id": 1 } };
        let rows = self
            .rows(&joined(&[&command, &self.read_options()]))
            .await?;
        for row in &rows {
            // A newer version may keep the bytes in another way.
            format::check(&self.names.quarantine_bytes, PART_OF_BYTES, row)?;
        }
        let parts = rows
            .iter()
            .filter_map(|row| raw::find(row, "bytes").filter(|value| value.kind == kind::BINARY));
        // A binary value is its length, its subtype, then the bytes.
        let mut bytes = parts
            .flat_map(|value| &value.bytes[5..])
            .copied()
            .collect::<Vec<u8>>();
        // An order that is shorter than when it came here before leaves its last parts behind; it
        // says its length itself.
        let length = bytes
            .first_chunk()
            .map(|length| u32::from_le_bytes(*length));
        bytes.truncate(length.map_or(0, |length| length as usize));
        Ok(RawDocumentBuf::from_bytes(bytes).ok())
    }
}

/// The ids of the parts begin with the entry's id and `/`, and `0` is the character that follows
/// `/`.
pub(super) fn parts_of(id: &str) -> RawDocumentBuf {
    rawdoc! { "_id": { "$gte": format!("{id}/"), "$lt": format!("{id}0") } }
}

pub(super) fn bytes_statements(order: &Order) -> Vec<RawDocumentBuf> {
    let id = entry_id(order.id());
    let parts = order.document().as_bytes().chunks(PART).enumerate();
    parts
        .map(|(part, bytes)| {
            let mut binary = Vec::with_capacity(bytes.len() + 5);
            binary.extend(
                i32::try_from(bytes.len())
                    .expect("a part is small")
                    .to_le_bytes(),
            );
            binary.push(0);
            binary.extend(bytes);
            let id = rawdoc! { "_id": format!("{id}/{part:04}") };
            let set = field(
                "bytes",
                ValueRef {
                    kind: kind::BINARY,
                    bytes: &binary,
                },
            );
            let part = joined(&[&id, &rawdoc! { "format": CURRENT }, &set]);
            let part = field("$literal", document_value(&part));
            replaced_unless_newer(&id, &part)
        })
        .collect()
}
