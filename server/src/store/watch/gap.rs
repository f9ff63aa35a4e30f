//! Gaps: stretches of the history that a catch-up batch makes up for.

use bson::{Document, RawDocumentBuf, Timestamp, doc};

use crate::{
    bytes::raw::ValueRef,
    store::state::format::{Field, Is, may, must},
};

pub(super) const GAP: &[Field] = &[
    may("from", Is::Timestamp),
    must("to", Is::Timestamp),
    must("batch_id", Is::Text),
    must("cause", Is::Text),
];

/// A stretch of history that a catch-up batch makes up for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last place before it; none on a first start.
    pub from: Option<Timestamp>,
    /// The first place after it.
    pub to: Timestamp,
    /// The catch-up batch; empty before it has begun.
    pub batch_id: String,
    /// Why there is a gap.
    pub cause: String,
}

pub(super) fn gap_document(gap: &Gap) -> Document {
    let mut document = doc! { "to": gap.to, "batch_id": &gap.batch_id, "cause": &gap.cause };
    if let Some(from) = gap.from {
        document.insert("from", from);
    }
    document
}

/// Reads a gap from its document.
pub(super) fn gap_of(gap: &Document) -> Gap {
    Gap {
        from: gap.get_timestamp("from").ok(),
        to: gap.get_timestamp("to").unwrap_or(Timestamp {
            time: 0,
            increment: 0,
        }),
        batch_id: gap.get_str("batch_id").unwrap_or_default().to_owned(),
        cause: gap.get_str("cause").unwrap_or_default().to_owned(),
    }
}

/// Reads a gap out of a change of the watcher.
pub fn gap_in(value: ValueRef<'_>) -> Option<Gap> {
    let bytes = RawDocumentBuf::from_bytes(value.bytes.to_vec()).ok()?;
    Document::try_from(bytes.as_ref()).ok().as_ref().map(gap_of)
}
