//! The version of the format of the server's own documents.

use bson::{Document, doc};

/// Where a document says which version its format has. One that does not say so is older than
/// versions are, and has the first.
pub(in crate::store) const FORMAT: &str = "format";
/// The version that is written, and the latest one that can be read.
pub(in crate::store) const CURRENT: i32 = 1;

/// Matches the documents that no newer version of the server has written.
pub(in crate::store) fn not_newer() -> Document {
    doc! { "$not": { "$gt": CURRENT } }
}
