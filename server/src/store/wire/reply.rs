//! Replies to commands: what they bring, and what in them says that something failed.

use std::borrow::Cow;

use bson::{Bson, Document, RawDocumentBuf};

use super::code_names::code_name;
use crate::{bytes::raw::ValueRef, store::Error};

/// The reply of a write command, an error if any part of it failed.
pub(in crate::store) fn checked(reply: Document) -> Result<Document, Error> {
    let first = |errors: &Vec<Bson>| errors.first().and_then(Bson::as_document).cloned();
    let failure = reply
        .get_document("writeConcernError")
        .ok()
        .cloned()
        .or_else(|| reply.get_array("writeErrors").ok().and_then(first));
    match failure {
        Some(failure) => Err(Error::from_reply(
            "write",
            code_of(&failure),
            &name_in(&failure),
            labels_of(&reply),
        )),
        None => Ok(reply),
    }
}

/// The first row of a reply that brings rows; none where it brings none.
pub(in crate::store) fn first_row(reply: &Document) -> Option<&Document> {
    let rows = reply.get_document("cursor").ok()?.get_array("firstBatch");
    rows.ok()?.first()?.as_document()
}

/// The labels of the errors in a reply.
pub(in crate::store) fn labels_of(reply: &Document) -> impl Iterator<Item = &str> {
    let labels = reply.get_array("errorLabels").into_iter().flatten();
    labels.filter_map(Bson::as_str)
}

/// The code of an error document in a reply.
pub(in crate::store) fn code_of(failure: &Document) -> i32 {
    failure.get_i32("code").unwrap_or_default()
}

/// A value that must be a document, as one of its own.
pub(in crate::store) fn document(value: ValueRef<'_>) -> Result<RawDocumentBuf, Error> {
    RawDocumentBuf::from_bytes(value.bytes.to_vec()).map_err(|_| {
        Error::Unusable("the database answered with a row that is no document".to_owned())
    })
}

/// The name in the error of a reply, or else that of its code.
pub(in crate::store) fn name_in(failure: &Document) -> Cow<'_, str> {
    match failure.get_str("codeName") {
        Ok(name) => name.into(),
        Err(_) => code_name(code_of(failure)),
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn a_name_that_the_database_gives_comes_first() {
        assert_eq!(name_in(&doc! { "code": 121 }), "DocumentValidationFailure");
        assert_eq!(name_in(&doc! { "code": 121, "codeName": "New" }), "New");
        assert_eq!(name_in(&doc! { "code": 16755 }), "Location16755");
    }
}
