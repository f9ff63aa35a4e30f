//! Reading batches: one, the active one, and pages of them.

use bson::{Bson, Document, RawDocumentBuf, doc, rawdoc};

use super::record::{BATCH, BY_TIME, Batch, State};
use crate::{
    bytes::raw::{self, ValueRef, Writer},
    store::{
        Error, Store,
        encoding::document::{document_value, field, joined, raw},
        state::{fault::Fault, format, place::Place, snapshot, version::FORMAT},
    },
};

/// How many near misses of each batch are in a list of batches.
const NEAR_MISSES_IN_A_LIST: i32 = 10;
/// What a list reads besides: how many near misses there are in all, and how many orders have them.
const MISSES_STORED: &str = "near_misses_stored";
const MISSED_ORDERS_STORED: &str = "near_misses_stored_orders";

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
}

impl Store {
    /// One batch.
    pub async fn batch(&self, id: &str) -> Result<Option<Batch>, Error> {
        self.find_batch(doc! { "_id": id }).await
    }

    /// The latest batches, by the database's clock: those asked for before the batch at this place,
    /// at most `limit`, in one of these states, or in any. None when that batch is gone. Of the
    /// near misses of each only the first few come along, and the others are counted: a page of
    /// batches with all of theirs would be too large for many clients.
    ///
    /// In the place of a batch that can't be read stands what is wrong with it.
    pub async fn batches(
        &self,
        states: &[State],
        below: &Place,
        limit: usize,
    ) -> Result<Option<Vec<Result<Batch, Fault>>>, Error> {
        let mut query = doc! {};
        if !states.is_empty() {
            query.insert(
                "state",
                doc! { "$in": states.iter().map(|state| state.name()).collect::<Vec<_>>() },
            );
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut fields: Document = BATCH
            .iter()
            .map(|it| (it.name().to_owned(), Bson::Int32(1)))
            .collect();
        fields.insert(FORMAT, 1);
        fields.insert("near_misses", doc! { "$slice": NEAR_MISSES_IN_A_LIST });
        let is_list = doc! { "$isArray": "$near_misses" };
        let stored = doc! { "$cond": [is_list, { "$size": "$near_misses" }, 0] };
        fields.insert(MISSES_STORED, stored);
        fields.insert(MISSED_ORDERS_STORED, doc! { "$sum": "$near_misses.orders" });
        let walk = doc! {
            "find": &self.names.batches, "filter": query, "sort": { "created": -1, "_id": -1 }, "hint": BY_TIME,
            "skip": below.passed, "limit": limit, "projection": fields,
        };
        let mut command = joined(&[&raw(&walk), &self.read_options()]);
        if let Some(below) = &below.after {
            let id = field("_id", below.as_ref());
            let by_id = field("_id", document_value(&field("$eq", below.as_ref())));
            let mut of = Writer::default();
            of.string("find", &self.names.batches)
                .document("filter", &by_id)
                .document("projection", &rawdoc! { "created": 1 });
            let of = joined(&[&of.finish(), &self.read_options()]);
            let rows = self.rows(&of).await?;
            let Some(row) = rows.first() else {
                return Ok(None);
            };
            // A bound of the index, unlike a condition, has batches of other types on its other
            // side too.
            let created = raw::find(row, "created").unwrap_or(ValueRef::NULL);
            let place = joined(&[&field("created", created), &id]);
            let mut max = Writer::default();
            max.document("max", &place);
            command = joined(&[&command, &max.finish()]);
        }
        let rows = self.rows(&command).await?;
        let read = |row: &RawDocumentBuf| match self.batch_of(row) {
            Ok(mut batch) => {
                let stored = |name| raw::find(row, name).and_then(format::number).unwrap_or(0);
                let told = i64::try_from(batch.near_misses.len()).unwrap_or(i64::MAX);
                let orders_told = batch.near_misses.iter().map(|miss| miss.orders);
                let orders_told = orders_told.fold(0, i64::saturating_add);
                let left_out = |stored: i64, told| stored.saturating_sub(told).max(0);
                let statuses = left_out(stored(MISSES_STORED), told);
                let orders = left_out(stored(MISSED_ORDERS_STORED), orders_told);
                let beyond = &mut batch.near_misses_beyond;
                beyond.statuses = beyond.statuses.saturating_add(statuses);
                beyond.orders = beyond.orders.saturating_add(orders);
                Ok(Ok(batch))
            }
            Err(Error::State(fault)) => Ok(Err(*fault)),
            Err(error) => Err(error),
        };
        rows.iter().map(read).collect::<Result<_, _>>().map(Some)
    }

    /// The batch that is active, if one is.
    pub(in crate::store) async fn active_batch(&self) -> Result<Option<Batch>, Error> {
        self.find_batch(doc! { "active": true }).await
    }

    pub(super) async fn find_batch(&self, query: Document) -> Result<Option<Batch>, Error> {
        // Its snapshots are for readers of the history.
        let [a, b] = snapshot::NAMES;
        let head = doc! {
            "find": &self.names.batches, "filter": query, "limit": 1, "projection": { a: 0, b: 0 },
        };
        let rows = self
            .rows(&joined(&[&raw(&head), &self.read_options()]))
            .await?;
        rows.first().map(|row| self.batch_of(row)).transpose()
    }
}
