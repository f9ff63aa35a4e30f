//! The record of a difference: its fields in the database, and a difference as it is read from
//! them.

use bson::{DateTime, Document, RawDocument, doc};

use crate::{
    bytes::raw::{self, Value, ValueRef},
    domain::{
        order::NUMERO,
        verify::{class::Class, finding::Finding},
    },
    store::{
        Error, Store,
        state::format::{self, Field, Is, may, must},
    },
};

/// The fields of a difference, all but the `_id`s of its two sides, which are whatever they are.
pub(in crate::store) const DIFFERENCE: &[Field] = &[
    must("_id", Is::Text),
    must("verification", Is::Text),
    // One of a later version is told as none.
    must("class", Is::Text),
    must("rank", Is::Whole),
    must("settled", Is::Flag),
    must("first_seen", Is::Date),
    may("late", Is::Flag),
    may("delivered", Is::Flag),
    may("order", Is::Text),
    may(NUMERO, Is::Text),
    may("fields", Is::Texts),
    may("detail", Is::Text),
    may("fingerprint", Is::Text),
    may("acknowledged", Is::Fields(ACKNOWLEDGED)),
];

const ACKNOWLEDGED: &[Field] = &[
    may("reason", Is::Text),
    may("by", Is::Text),
    may("created", Is::Date),
];

/// The index that lists walk along.
pub(super) const BY_CLASS: &str = "by_class";
/// The index on what is to be read again.
pub(super) const BY_SETTLED: &str = "by_settled";

/// What lists and the settling walk along.
pub(in crate::store) fn indexes() -> Vec<Document> {
    vec![
        doc! { "key": { "verification": 1, "rank": 1, "_id": 1 }, "name": BY_CLASS },
        doc! { "key": { "verification": 1, "settled": 1, "_id": 1 }, "name": BY_SETTLED },
    ]
}

/// A difference that a verification found.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Names it: the verification, a dot, and what names it among the differences of that.
    pub id: String,
    /// What it is.
    pub finding: Finding,
    /// Whether it was read again, or need not be.
    pub settled: bool,
    /// When the verification saw it first.
    pub first_seen: DateTime,
    /// Who said that it may stay.
    pub acknowledged: Option<Acknowledged>,
}

/// What somebody said of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Why it may stay.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub created: DateTime,
}

/// What names a difference in the database.
pub(super) fn id_of(verification: &str, finding: &Finding) -> String {
    format!("{verification}.{}", finding.key())
}

impl Store {
    /// Reads a difference from its document.
    pub(super) fn difference_of(&self, row: &RawDocument) -> Result<Difference, Error> {
        // An `_id` may be text that is not UTF-8.
        let side = |name: &str| -> Option<Value> { raw::find(row, name).map(ValueRef::to_owned) };
        let (order_id, archive_id) = (side("order_id"), side("archive_id"));
        let row = format::read(&self.names.differences, DIFFERENCE, row)?;
        let text = |field: &str| row.get_str(field).unwrap_or_default().to_owned();
        let flag = |field: &str| row.get_bool(field).unwrap_or_default();
        let unusable =
            |what: &str| Error::Unusable(format!("a difference without {what} was read"));
        let fields = row.get_array("fields").map(Vec::as_slice).unwrap_or(&[]);
        let fields = fields.iter().filter_map(|name| name.as_str());
        let acknowledged = row.get_document("acknowledged").ok();
        Ok(Difference {
            id: text("_id"),
            finding: Finding {
                class: Class::of_name(&text("class")).ok_or_else(|| unusable("a known class"))?,
                order_id,
                archive_id,
                delivered: flag("delivered"),
                numero: text(NUMERO),
                fields: fields.map(str::to_owned).collect(),
                detail: text("detail"),
                fingerprint: text("fingerprint"),
            },
            settled: flag("settled"),
            first_seen: *row
                .get_datetime("first_seen")
                .map_err(|_| unusable("a date"))?,
            acknowledged: acknowledged.map(|said| Acknowledged {
                reason: said.get_str("reason").unwrap_or_default().to_owned(),
                by: said.get_str("by").unwrap_or_default().to_owned(),
                created: said
                    .get_datetime("created")
                    .copied()
                    .unwrap_or(DateTime::MIN),
            }),
        })
    }
}
