//! Putting orders into quarantine, each with the reason and its bytes.

use std::collections::HashSet;

use bson::{RawDocumentBuf, doc, rawdoc};

use super::{bytes::bytes_statements, record::entry_id};
use crate::{
    bytes::raw::{self, Value, ValueRef, Writer},
    domain::{
        judge::Refusal,
        order::{NUMERO, Order},
        text::cut,
    },
    store::{
        Error, Store,
        encoding::document::{document_value, field, joined, raw},
        state::{
            expressions::{date_or, millis_or, replaced_unless_newer},
            version::{CURRENT, FORMAT},
        },
    },
};

impl Store {
    /// Puts orders into quarantine, or notes one more attempt for those that are there. Says which
    /// entries are new.
    pub async fn quarantine_orders(
        &self,
        refused: &[(&Order, &Refusal)],
    ) -> Result<HashSet<String>, Error> {
        if refused.is_empty() {
            return Ok(HashSet::new());
        }
        // The bytes first: an entry is never without them.
        let parts: Vec<RawDocumentBuf> = refused
            .iter()
            .flat_map(|(order, _)| bytes_statements(order))
            .collect();
        self.write_all(
            rawdoc! { "update": self.names.quarantine_bytes.as_str() },
            "updates",
            &parts,
        )
        .await?;
        let call = uuid::Uuid::new_v4().to_string();
        let entries: Vec<RawDocumentBuf> = refused
            .iter()
            .map(|(order, refusal)| entry_statement(order, refusal, &call))
            .collect();
        self.write_all(
            rawdoc! { "update": self.names.quarantine.as_str() },
            "updates",
            &entries,
        )
        .await?;
        self.made_by(&call, refused).await
    }

    /// The entries of these orders that a call has made. Read, because the answer that said so may
    /// have been lost.
    async fn made_by(
        &self,
        call: &str,
        refused: &[(&Order, &Refusal)],
    ) -> Result<HashSet<String>, Error> {
        let ids: Vec<String> = refused
            .iter()
            .map(|(order, _)| entry_id(order.id()))
            .collect();
        let filter = doc! { "_id": { "$in": ids }, "made_by": call };
        let find = doc! {
            "find": &self.names.quarantine, "filter": filter, "projection": { "_id": 1 },
        };
        let find = raw(&find);
        let rows = self.rows(&joined(&[&find, &self.read_options()])).await?;
        let id = |row: &RawDocumentBuf| raw::find(row, "_id")?.as_str().map(str::to_owned);
        Ok(rows.iter().filter_map(id).collect())
    }
}

/// Makes the entry of an order, or notes one more attempt; whether this call makes it, it notes
/// too.
fn entry_statement(order: &Order, refusal: &Refusal, call: &str) -> RawDocumentBuf {
    let literal = |value: ValueRef<'_>| field("$literal", value);
    let text = |text: &str| literal(Value::string(text).as_ref());
    let mut set = Writer::default();
    set.document("order_id", &literal(order.id()));
    set.document(
        NUMERO,
        &order
            .numero()
            .map_or_else(|| literal(ValueRef::NULL), |numero| text(&cut(numero, 256))),
    );
    set.document("reason", &text(refusal.reason.name()))
        .document("detail", &text(&refusal.detail));
    set.int32("bytes", i32::try_from(order.size()).unwrap_or(i32::MAX))
        .int32(FORMAT, CURRENT);
    // A pipeline, because only there the database's own clock can be written. What the entry held
    // before may be anything.
    let times = doc! {
        "first_seen": date_or("first_seen", "$$NOW"), "last_seen": "$$NOW",
        "attempts": { "$add": [millis_or("attempts", 0), 1] },
        "made_by": { "$cond": [{ "$eq": [{ "$type": "$reason" }, "missing"] }, call, "$made_by"] },
    };
    let times = raw(&times);
    let set = joined(&[&set.finish(), &times]);
    let mut merged = Writer::default();
    merged.array(
        "$mergeObjects",
        [Value::string("$$ROOT").as_ref(), document_value(&set)],
    );
    replaced_unless_newer(&rawdoc! { "_id": entry_id(order.id()) }, &merged.finish())
}
