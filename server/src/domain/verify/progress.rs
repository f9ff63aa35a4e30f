//! Progress: how far a pass has come, as it is saved to go on from.

use bson::RawDocumentBuf;

use super::{counts::Counts, days::Days};
use crate::bytes::raw::Value;

/// The place that a pass goes on from.
#[derive(Clone, Debug, PartialEq)]
pub enum Position {
    /// In both collections at once, at this `_id`.
    Both(Value),
    /// In the orders, at this `_id`: their `_id`s have another order than those of the archive.
    Orders(Value),
    /// In the archive, at this `_id`, after all orders.
    Archive(Value),
    /// In the history, after this place.
    History(RawDocumentBuf),
}

/// How far a pass has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Where to go on; none at the beginning.
    pub position: Option<Position>,
    /// What was counted up to there. Of differences that fail the verdict only the stored ones
    /// count, and those are not in here.
    pub counts: Counts,
    /// Differences that fail the verdict and were stored, each time that they were.
    pub candidates: i64,
    /// Archived documents that belong to no live order by `_id`, where the orders can't be looked
    /// up by number.
    pub unplaced: i64,
    /// Orders whose archived document was found by number.
    pub by_number: i64,
    /// The digests of the archive's days.
    pub days: Days,
    /// Whether nothing is left to look at.
    pub exhausted: bool,
    /// The `_id` that it stopped at, because there were too many differences.
    pub stopped_at: Option<String>,
    /// Why everything is looked at, although only what has changed was to be.
    pub full_because: Option<String>,
}
