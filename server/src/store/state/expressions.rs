//! Expressions and conditions of updates and queries that no document makes fail, whatever somebody
//! wrote into it.

use bson::{Bson, DateTime, Document, RawDocument, RawDocumentBuf, doc, rawdoc};

use super::{
    format::LONGEST,
    version::{CURRENT, FORMAT},
};
use crate::{
    bytes::raw::{Value, Writer},
    store::{
        Store,
        encoding::document::{document_value, field},
    },
};

/// A number that is taken from a field only where it is one, else this one: an expression that no
/// document makes fail.
pub(in crate::store) fn millis_or(field: &str, otherwise: i64) -> Document {
    let field = format!("${field}");
    let is = doc! { "$and": [
        { "$isNumber": &field }, { "$gte": [&field, 0] }, { "$lte": [&field, LONGEST] },
    ] };
    doc! { "$cond": [is, field, otherwise] }
}

/// A date that is taken from a field only where it is one.
pub(in crate::store) fn date_or(field: &str, otherwise: impl Into<Bson>) -> Document {
    let field = format!("${field}");
    doc! { "$cond": [{ "$eq": [{ "$type": &field }, "date"] }, field, otherwise.into()] }
}

impl Store {
    /// Whether the instance that a document tells of has been silent for longer than its own lease:
    /// the settings of whoever looks may differ. A heartbeat from further ahead was given before
    /// the database's clock was set back, and would count for ever so long.
    pub(in crate::store) fn silent(&self) -> Document {
        let lease = millis_or("lease", self.lease_millis());
        let alive_at = date_or("alive_at", DateTime::MIN);
        doc! { "$or": [
            { "$lt": [&alive_at, { "$subtract": ["$$NOW", &lease] }] },
            { "$gt": [&alive_at, { "$add": ["$$NOW", &lease] }] },
        ] }
    }
}

/// A statement that puts what an expression yields in the place of a document, or makes it; but not
/// where a newer version of the server wrote that document.
pub(in crate::store) fn replaced_unless_newer(
    query: &RawDocument,
    expression: &RawDocument,
) -> RawDocumentBuf {
    let newer = rawdoc! { "$gt": [format!("${FORMAT}"), CURRENT] };
    let mut choice = Writer::with_capacity(expression.as_bytes().len() + 128);
    choice.array(
        "$cond",
        [
            document_value(&newer),
            Value::string("$$ROOT").as_ref(),
            document_value(expression),
        ],
    );
    let choice = choice.finish();
    let stage = field("$replaceWith", document_value(&choice));
    let mut statement = Writer::with_capacity(choice.as_bytes().len() + 128);
    statement
        .document("q", query)
        .array("u", [document_value(&stage)])
        .bool("upsert", true);
    statement.finish()
}
