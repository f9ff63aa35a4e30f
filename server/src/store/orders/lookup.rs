//! Looking at the live orders: who has a number, how many are delivered.

use bson::{RawDocumentBuf, rawdoc};

use crate::{
    bytes::raw::{self, Value, ValueRef, Writer},
    domain::order::NUMERO,
    store::{
        Error, Store,
        encoding::document::{joined, whole},
    },
};

impl Store {
    /// The `_id`s of the orders with these numbers. Two orders can share a number.
    pub(super) async fn ids_of(&self, numeros: &[Value]) -> Result<Vec<Value>, Error> {
        let rows = self
            .rows_for(NUMERO, numeros, |filter| {
                let mut command = Writer::default();
                command
                    .string("find", &self.names.orders)
                    .document("filter", filter)
                    .document("projection", &rawdoc! { "_id": 1 });
                joined(&[&command.finish(), &self.read_options()])
            })
            .await?;
        let id = |row: &RawDocumentBuf| raw::find(row, "_id").map(ValueRef::to_owned);
        Ok(rows.iter().filter_map(id).collect())
    }

    /// About how many orders are delivered now, all of them or those with an earlier
    /// `date_commande`.
    pub async fn delivered_orders(&self, before: Option<bson::DateTime>) -> Result<i64, Error> {
        let mut query = rawdoc! { "status": self.delivered.as_str() };
        if let Some(before) = before {
            query = joined(&[&query, &rawdoc! { "date_commande": { "$lt": before } }]);
        }
        let command = rawdoc! { "count": self.names.orders.as_str(), "query": query, "maxTimeMS": self.max_time() };
        let count = self.run(command).await?;
        Ok(whole(count.get("n")))
    }
}
