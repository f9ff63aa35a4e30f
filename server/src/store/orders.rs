//! Looking at the live orders: who has a number, how many are delivered, whose status only looks delivered.

use std::collections::BTreeMap;

use bson::{Bson, RawDocumentBuf, doc, rawdoc};

use super::{
    Error, Store,
    command::{SIMPLE, joined},
    setup::whole,
};
use crate::domain::{
    near_miss::is_near_miss,
    order::{NUMERO, STATUS},
    raw::{self, Value, ValueRef, Writer},
};

/// A status that looks like the delivered one and is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// The status, as Extended JSON.
    pub status: String,
    /// How many orders have it.
    pub orders: i64,
    /// Numbers of some of them.
    pub examples: Vec<String>,
}

/// How many orders stand in for all those that share a near miss.
const EXAMPLES: usize = 3;

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

    /// About how many orders are delivered now, all of them or those with an earlier `date_commande`.
    pub async fn delivered_orders(&self, before: Option<bson::DateTime>) -> Result<i64, Error> {
        let mut query = rawdoc! { "status": self.delivered.as_str() };
        if let Some(before) = before {
            query = joined(&[&query, &rawdoc! { "date_commande": { "$lt": before } }]);
        }
        let command = rawdoc! { "count": self.names.orders.as_str(), "query": query, "maxTimeMS": self.max_time() };
        let count = self.run(command).await?;
        Ok(whole(count.get("n")))
    }

    /// Orders whose status looks like the delivered one and is not, by status. Reads the status of every order.
    pub async fn near_misses(&self) -> Result<Vec<NearMiss>, Error> {
        let known = [
            self.delivered.as_str(),
            "en_attente",
            "en_preparation",
            "en_cours",
            "annulée",
        ];
        let pipeline = [
            // `$nin` takes a list that holds a known status for it, and a symbol for the string that it compares equal to.
            doc! { "$match": { "$or": [
                { STATUS: { "$nin": &known[..] } }, { STATUS: { "$type": "array" } }, { STATUS: { "$type": "symbol" } },
            ] } },
            doc! { "$group": { "_id": format!("${STATUS}"), "orders": { "$sum": 1 }, "examples": { "$firstN": { "input": format!("${NUMERO}"), "n": EXAMPLES as i32 } } } },
            doc! { "$limit": 10_000 },
        ];
        let head = RawDocumentBuf::try_from(
            &doc! { "aggregate": &self.names.orders, "pipeline": &pipeline[..], "cursor": {}, "collation": { "locale": SIMPLE }, "hint": { "$natural": 1 } },
        );
        let command = joined(&[&head.expect("a plain pipeline"), &self.read_options()]);
        let rows = self.answer_in_time(&command, usize::MAX).await?.rows;
        let mut misses: BTreeMap<String, NearMiss> = BTreeMap::new();
        for row in &rows {
            let Some(status) = raw::find(row, "_id") else {
                continue;
            };
            if !is_near_miss(&bson_of(status), &self.delivered) {
                continue;
            }
            let shown = super::json::shown(status, 256);
            let miss = misses.entry(shown.clone()).or_insert(NearMiss {
                status: shown,
                orders: 0,
                examples: Vec::new(),
            });
            miss.orders += raw::find(row, "orders")
                .map(|orders| whole(Some(&bson_of(orders))))
                .unwrap_or_default();
            let examples = raw::find(row, "examples").unwrap_or(ValueRef::NULL);
            miss.examples.extend(examples.elements().map(|element| {
                super::json::shown(element.value, 64)
                    .trim_matches('"')
                    .to_owned()
            }));
            miss.examples.truncate(EXAMPLES);
        }
        Ok(misses.into_values().collect())
    }
}

/// A value decoded; null where it holds text that is not UTF-8, which resembles nothing.
fn bson_of(value: ValueRef<'_>) -> Bson {
    let mut writer = Writer::default();
    writer.value("v", value);
    bson::Document::try_from(writer.finish().as_ref())
        .ok()
        .and_then(|mut document| document.remove("v"))
        .unwrap_or(Bson::Null)
}
