//! What else is left of a number: entries of the quarantine, replaced versions, acknowledgements,
//! and what is running now.

use bson::{Document, doc};

use super::{MOST, live::LiveOrder, short};
use crate::{
    bytes::raw::{self, ValueRef},
    domain::order::NUMERO,
    store::{
        Error, Store,
        encoding::document::{joined, raw},
        quarantine::record::{ENTRY, Entry, entry_id},
        state::{fault::Fault, version::FORMAT},
    },
};

impl Store {
    /// The entries of the quarantine for a number and for these orders, some of them.
    pub(super) async fn quarantined_of(
        &self,
        numero: &str,
        orders: &[LiveOrder],
    ) -> Result<Vec<Result<Entry, Fault>>, Error> {
        let ids: Vec<String> = orders
            .iter()
            .map(|order| entry_id(order.id.as_ref()))
            .collect();
        let mut shown: Document = ENTRY
            .iter()
            .map(|field| (field.name().to_owned(), 1.into()))
            .collect();
        shown.insert(FORMAT, 1);
        shown.insert("order_id", short("order_id"));
        let either = [
            doc! { "_id": { "$in": ids } },
            doc! { NUMERO: { "$eq": numero } },
        ];
        let find = doc! {
            "find": &self.names.quarantine, "filter": { "$or": either.to_vec() },
            "limit": i64::try_from(MOST).unwrap_or(i64::MAX), "projection": shown,
        };
        let rows = self
            .rows(&joined(&[&raw(&find), &self.read_options()]))
            .await?;
        Ok(rows.iter().map(|row| self.entry_of(row)).collect())
    }

    /// The batch and the verification that are running, by their ids.
    pub async fn running(&self) -> Result<(Option<String>, Option<String>), Error> {
        let names = &self.names;
        futures::try_join!(
            self.active_in(&names.batches),
            self.active_in(&names.verifications)
        )
    }

    async fn active_in(&self, collection: &str) -> Result<Option<String>, Error> {
        let find = doc! {
            "find": collection, "filter": { "active": true }, "limit": 1, "projection": { "_id": 1 },
        };
        let rows = self
            .rows(&joined(&[&raw(&find), &self.read_options()]))
            .await?;
        let id = rows
            .first()
            .and_then(|row| raw::find(row, "_id"))
            .and_then(ValueRef::as_str);
        Ok(id.map(str::to_owned))
    }
}
