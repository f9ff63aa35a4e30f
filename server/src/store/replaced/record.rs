//! The record of a replaced document: its fields in the database, and what is read of it beside the
//! document itself.

use bson::{DateTime, Document, RawDocument, doc};

use crate::{
    bytes::raw::{self, Value, ValueRef},
    store::{
        Error, Store,
        encoding::document::{joined, raw},
        state::{
            fault::Fault,
            format::{self, Field, Is, may, must},
            version::FORMAT,
        },
    },
};

/// The field that holds the document as it lay in the archive.
pub(super) const DOCUMENT: &str = "document";
/// Where the number of the archived document stands.
pub(in crate::store) const NUMBER: &str = "numero";

/// The fields of a record, all but the `_id` of the archived document and the document itself, which
/// are whatever they are.
pub(in crate::store) const REPLACED: &[Field] = &[
    must("_id", Is::Text),
    may(NUMBER, Is::Text),
    must("class", Is::Text),
    must("by", Is::Text),
    must("reason", Is::Text),
    must("created", Is::Date),
];

/// What finds the records of a number, the latest first.
pub(in crate::store) fn indexes() -> Vec<Document> {
    vec![doc! { "key": { NUMBER: 1, "created": -1 }, "name": "numero" }]
}

/// A replaced document, without the document.
#[derive(Clone, Debug, PartialEq)]
pub struct Replaced {
    /// Names the record.
    pub id: String,
    /// `_id` of the archived document; null where it is too long to be told.
    pub archive_id: Value,
    /// The class of the difference that was repaired, by its name.
    pub class: String,
    /// Who asked for it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub created: DateTime,
}

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

impl Store {
    /// The replaced documents of a number, the latest first, at most `limit`.
    pub(in crate::store) async fn replaced_of(
        &self,
        numero: &str,
        limit: i32,
    ) -> Result<Vec<Result<Replaced, Fault>>, Error> {
        const LONGEST_ID: i32 = 4 * 1024;
        let mut shown: Document = REPLACED
            .iter()
            .map(|it| (it.name().to_owned(), 1.into()))
            .collect();
        shown.insert(FORMAT, 1);
        let short = doc! { "$lte": [{ "$bsonSize": { "v": "$archive_id" } }, LONGEST_ID] };
        shown.insert(
            "archive_id",
            doc! { "$cond": [short, "$archive_id", "$$REMOVE"] },
        );
        let find = doc! {
            "find": &self.names.replaced, "filter": { NUMBER: { "$eq": numero } },
            "sort": { "created": -1 }, "limit": limit, "projection": shown,
        };
        let rows = self
            .rows(&joined(&[&raw(&find), &self.read_options()]))
            .await?;
        Ok(rows.iter().map(|row| self.replaced_in(row)).collect())
    }

    fn replaced_in(&self, row: &RawDocument) -> Result<Replaced, Fault> {
        let archive_id = raw::find(row, "archive_id")
            .unwrap_or(ValueRef::NULL)
            .to_owned();
        let row = format::read(&self.names.replaced, REPLACED, row).map_err(|fault| *fault)?;
        let text = |field| row.get_str(field).unwrap_or_default().to_owned();
        Ok(Replaced {
            id: text("_id"),
            archive_id,
            class: text("class"),
            by: text("by"),
            reason: text("reason"),
            created: row
                .get_datetime("created")
                .copied()
                .unwrap_or(DateTime::from_millis(0)),
        })
    }
}
