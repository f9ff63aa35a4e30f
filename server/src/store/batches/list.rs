//! Batches in lists, which have room for few near misses of each.

use bson::{DateTime, Document, RawDocument, doc};

use super::record::Batch;
use crate::{
    bytes::raw::{self, ValueRef},
    store::{
        Error, Store,
        encoding::document::{joined, raw as raw_document},
        jobs::record::{BY_TIME, State},
        state::format,
    },
};

/// How many near misses of each batch are in a list of batches.
const NEAR_MISSES_IN_A_LIST: i32 = 10;
/// What a list reads besides: how many near misses there are in all, and how many orders have them.
const MISSES_STORED: &str = "near_misses_stored";
const MISSED_ORDERS_STORED: &str = "near_misses_stored_orders";

/// What a list reads of near misses: the first few, and how many others there are.
pub(super) fn few_near_misses() -> Document {
    let is_list = doc! { "$isArray": "$near_misses" };
    let stored = doc! { "$cond": [is_list, { "$size": "$near_misses" }, 0] };
    doc! {
        "near_misses": { "$slice": NEAR_MISSES_IN_A_LIST }, MISSES_STORED: stored,
        MISSED_ORDERS_STORED: { "$sum": "$near_misses.orders" },
    }
}

impl Store {
    /// When the latest batch ended that succeeded and was no dry run.
    pub async fn batch_succeeded(&self) -> Result<Option<DateTime>, Error> {
        let succeeded = State::Succeeded.name();
        let find = doc! {
            "find": &self.names.batches, "limit": 1, "projection": { "ended": 1 }, "hint": BY_TIME,
            "filter": { "state": succeeded, "options.validate_only": { "$ne": true } },
            "sort": { "created": -1, "_id": -1 },
        };
        let find = joined(&[&raw_document(&find), &self.read_options()]);
        let rows = self.rows(&find).await?;
        let ended = rows.first().and_then(|row| raw::find(row, "ended"));
        Ok(ended.and_then(ValueRef::as_date))
    }
}

impl Batch {
    /// The same, with no more near misses than it has in a list; the others are counted.
    pub fn with_few_near_misses(mut self) -> Batch {
        let few = usize::try_from(NEAR_MISSES_IN_A_LIST).unwrap_or(0);
        let others = self.near_misses.split_off(few.min(self.near_misses.len()));
        let orders = others.iter().map(|miss| miss.orders);
        let beyond = &mut self.near_misses_beyond;
        beyond.orders = orders.fold(beyond.orders, i64::saturating_add);
        let statuses = i64::try_from(others.len()).unwrap_or(i64::MAX);
        beyond.statuses = beyond.statuses.saturating_add(statuses);
        self
    }

    /// Counts the near misses that a list has not read.
    pub(super) fn with_unread_near_misses(mut self, document: &RawDocument) -> Batch {
        let stored = |name| raw::find(document, name).and_then(format::number);
        let left_out = |name, told: i64| stored(name).unwrap_or(0).saturating_sub(told).max(0);
        let told = i64::try_from(self.near_misses.len()).unwrap_or(i64::MAX);
        let orders_told = self.near_misses.iter().map(|miss| miss.orders);
        let orders_told = orders_told.fold(0, i64::saturating_add);
        let statuses = left_out(MISSES_STORED, told);
        let orders = left_out(MISSED_ORDERS_STORED, orders_told);
        let beyond = &mut self.near_misses_beyond;
        beyond.statuses = beyond.statuses.saturating_add(statuses);
        beyond.orders = beyond.orders.saturating_add(orders);
        self
    }
}
