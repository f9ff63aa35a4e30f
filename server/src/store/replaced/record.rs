//! The record of a replaced document: its fields in the database.

use crate::store::state::format::{Field, Is, may, must};

/// The fields of a replaced document, all but the document itself and the `_id`s, which may be
/// whatever an order's are.
pub(in crate::store) const REPLACED: &[Field] = &[
    must("_id", Is::Text),
    must("class", Is::Text),
    must("by", Is::Text),
    must("reason", Is::Text),
    must("created", Is::Date),
    may("numero", Is::Text),
];

/// The field that holds the document as it lay in the archive.
pub(super) const DOCUMENT: &str = "document";

/// Why a document leaves the archive, and on whose request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The class of the difference that is repaired.
    pub class: &'static str,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
}
