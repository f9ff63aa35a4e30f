//! The record of an audited call: its fields in the database.

use bson::{Document, doc};

use crate::store::state::format::{Field, Is, may, must};

/// When the call was noted.
pub(super) const AT: &str = "at";
/// The right that a call needs.
pub(super) const RIGHT: &str = "right";
/// For how long a call is kept, in seconds: a year and a month.
const KEPT: i64 = 400 * 24 * 60 * 60;

/// The fields of a call. One without an outcome was never heard of again: its instance was lost
/// meanwhile, or the database was.
pub(in crate::store) const CALL: &[Field] = &[
    must("_id", Is::Text),
    must(AT, Is::Date),
    must("instance", Is::Text),
    may("who", Is::Text),
    must("peer", Is::Text),
    must("call", Is::Text),
    must(RIGHT, Is::Text),
    must("subject", Is::Text),
    must("request_id", Is::Text),
    may("ended", Is::Date),
    may("outcome", Is::Text),
    may("reason", Is::Text),
];

/// What the latest are found by, and what forgets the oldest.
pub(in crate::store) fn indexes() -> Vec<Document> {
    vec![
        doc! { "key": { AT: 1 }, "name": "by_time", "expireAfterSeconds": KEPT },
        doc! { "key": { RIGHT: 1, AT: 1 }, "name": "by_right" },
    ]
}

/// A call before it is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Names it.
    pub id: String,
    /// The instance that was called.
    pub instance: String,
    /// Who called; none where nobody is asked.
    pub who: Option<String>,
    /// From where; empty where that is not known.
    pub peer: String,
    /// The method, with its service.
    pub call: String,
    /// The right that it needs.
    pub right: &'static str,
    /// What it is about: its request, as JSON.
    pub subject: String,
    /// The id by which the log tells of it.
    pub request_id: String,
}

/// How a call has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The name of a code, or `LEFT`.
    pub outcome: &'static str,
    /// The reason that an error gave; empty for what was none.
    pub reason: String,
}
