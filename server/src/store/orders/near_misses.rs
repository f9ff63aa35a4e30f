//! Looking for near misses: orders whose status only looks like the delivered one.

use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc, rawdoc};
use tracing::warn;

use super::delivered_status::bson_of;
use crate::{
    bytes::raw::{self, Value, ValueRef, Writer},
    domain::{
        near_miss::{EXAMPLES, LONGEST_EXAMPLE, NearMiss, NearMisses, is_near_miss},
        order::{NUMERO, STATUS},
    },
    store::{
        Error, Store,
        encoding::{
            document::{field, joined, whole},
            ext_json,
        },
        wire::command::SIMPLE,
    },
};

/// More statuses than this are no statuses, and walking from one to the next costs more than
/// reading all orders.
const MOST_STATUSES: usize = 1_000;
/// A longer status or number, in bytes, is not fetched to be looked at: thousands of them would not
/// fit into memory. A batch meets those that hold the delivered status among the delivered orders.
const LONGEST: i32 = 4 * 1024;
/// At most so many bytes of statuses are looked at.
const MOST_BYTES: usize = 64 * 1024 * 1024;

impl Store {
    /// Orders whose status looks like the delivered one and is not. Reads the status of every
    /// order.
    pub async fn near_misses(&self) -> Result<NearMisses, Error> {
        let known = [
            self.delivered.as_str(),
            "en_attente",
            "en_preparation",
            "en_cours",
            "annulée",
        ];
        // `$nin` takes a list that holds a known status for it, and a symbol for the string that it
        // compares equal to.
        let unknown = doc! { "$or": [
            { STATUS: { "$nin": &known[..] } }, { STATUS: { "$type": "array" } }, { STATUS: { "$type": "symbol" } },
        ] };
        self.near_misses_among(unknown, doc! { "$natural": 1 }.into())
            .await
    }

    /// Like [`Store::near_misses`], but walks an index on status and `_id` from one status to the
    /// next, whatever lies between. To the index a list is each of its members and a symbol its
    /// text, so those that hold or spell the delivered status are left out here: a batch meets them
    /// among the delivered orders. None when there are too many statuses.
    pub async fn near_misses_along(&self, index: &str) -> Result<Option<NearMisses>, Error> {
        let Some(statuses) = self.statuses(index).await? else {
            return Ok(None);
        };
        let mut misses = NearMisses::default();
        for status in statuses {
            let having = doc! { STATUS: { "$eq": bson_of(status.as_ref()) } };
            // A list with several near misses in it is met at each of them.
            misses.unite(self.near_misses_among(having, index.into()).await?);
        }
        Ok(Some(misses))
    }

    /// The near misses among the orders that match a filter.
    async fn near_misses_among(&self, filter: Document, hint: Bson) -> Result<NearMisses, Error> {
        let short = |field: &str, otherwise: &str| {
            let path = format!("${field}");
            let length = doc! { "$bsonSize": { "v": &path } };
            doc! { "$cond": [{ "$lte": [length, LONGEST] }, path, otherwise] }
        };
        let pipeline = [
            doc! { "$match": filter },
            // To a group a symbol is its text, and to whoever mends it another value.
            doc! { "$group": {
                "_id": { "status": short(STATUS, ""), "type": { "$type": format!("${STATUS}") } }, "orders": { "$sum": 1 },
                "examples": { "$firstN": { "input": short(NUMERO, "?"), "n": EXAMPLES as i32 } },
            } },
            doc! { "$sort": { "orders": -1 } },
        ];
        let head = RawDocumentBuf::try_from(
            &doc! { "aggregate": &self.names.orders, "pipeline": &pipeline[..], "cursor": {}, "collation": { "locale": SIMPLE }, "hint": hint },
        );
        let command = joined(&[&head.expect("a plain pipeline"), &self.read_options()]);
        let answer = self.answer_in_time(&command, MOST_BYTES).await?;
        if answer.cut {
            warn!(
                "there are too many statuses to look at each of them; the most frequent were looked at"
            );
        }
        let mut misses = NearMisses::default();
        misses.extend(answer.rows.iter().filter_map(|row| self.near_miss(row)));
        Ok(misses)
    }

    /// The orders that share a status, if it is a near miss.
    fn near_miss(&self, group: &RawDocumentBuf) -> Option<NearMiss> {
        let mut key = raw::find(group, "_id")?.elements();
        let status = key.find(|element| element.key == STATUS.as_bytes())?.value;
        let orders = raw::find(group, "orders").map_or(Bson::Null, bson_of);
        let examples = raw::find(group, "examples").unwrap_or(ValueRef::NULL);
        let numero = |example: raw::Element<'_>| {
            let shown = ext_json::shown(example.value, LONGEST_EXAMPLE);
            shown.trim_matches('"').to_owned()
        };
        Some(NearMiss {
            orders: whole(Some(&orders)),
            examples: examples.elements().map(numero).collect(),
            ..self.delivered_status().near_miss(status)?
        })
    }

    /// The statuses that look delivered, as an index on status and `_id` knows them. None when
    /// there are too many statuses.
    async fn statuses(&self, index: &str) -> Result<Option<Vec<Value>>, Error> {
        let mut near = Vec::new();
        let mut last: Option<Value> = None;
        let mut behind = joined(&[
            &field(STATUS, ValueRef::MIN_KEY),
            &field("_id", ValueRef::MIN_KEY),
        ]);
        for _ in 0..MOST_STATUSES {
            let keys = self.keys_from(index, &behind).await?;
            // The last order of a status may have the highest `_id` there is, and then it lies
            // behind itself.
            let next = keys.iter().find_map(|key| {
                let status = raw::find(key, STATUS)?.to_owned();
                (Some(&status) != last.as_ref()).then_some(status)
            });
            let Some(next) = next else {
                return Ok(Some(near));
            };
            behind = joined(&[
                &field(STATUS, next.as_ref()),
                &field("_id", ValueRef::MAX_KEY),
            ]);
            let short = next.bytes.len() <= LONGEST as usize;
            if short && is_near_miss(&bson_of(next.as_ref()), &self.delivered) {
                near.push(next.clone());
            }
            last = Some(next);
        }
        Ok(None)
    }

    /// The next two keys of an index.
    async fn keys_from(
        &self,
        index: &str,
        from: &RawDocument,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let mut command = Writer::default();
        command
            .string("find", &self.names.orders)
            .document("min", from);
        let walk = rawdoc! { "hint": index, "returnKey": true, "limit": 2, "collation": { "locale": SIMPLE } };
        let command = joined(&[&command.finish(), &walk, &self.read_options()]);
        Ok(self.answer_in_time(&command, usize::MAX).await?.rows)
    }
}
