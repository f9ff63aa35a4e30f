//! The live orders that have a number, and what their statuses are, character by character.

use bson::{DateTime, Document, RawDocument, RawDocumentBuf, Timestamp, doc, rawdoc};

use super::{MOST, short, short_of_type};
use crate::{
    bytes::raw::{self, Value, ValueRef, Writer, kind},
    domain::{
        explanation::{conclusion::Standing, status::code_points},
        judge::Field,
        near_miss::{LONGEST_STATUS, NearMiss},
        order::{NUMERO, STATUS},
    },
    store::{
        Error, Store,
        archive::read::SIZE,
        encoding::{
            document::{document_value, field, joined, raw},
            ext_json,
        },
        orders::delivered_status::DeliveredStatus,
        state::format::number,
    },
};

/// Code of JavaScript, whose value is a text.
const CODE: u8 = 0x0d;
/// What a projection calls the type of a status.
const TYPE: &str = "status_type";

/// A live order.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveOrder {
    /// Its `_id`.
    pub id: Value,
    /// When it was ordered, if that is a date.
    pub ordered: Option<DateTime>,
    /// Its size, in bytes.
    pub bytes: usize,
    /// Its status.
    pub status: Status,
}

/// A status, as far as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The database's name for its type; `missing` where there is none.
    pub type_name: String,
    /// As Extended JSON, cut; empty where it is not told.
    pub json: String,
    /// Its characters one by one; empty where it is no text.
    pub code_points: String,
    /// What it is to the delivered one.
    pub standing: Standing,
    /// What there is to tell of one that only looks delivered.
    pub near_miss: Option<NearMiss>,
}

impl Status {
    /// What is told of a status: one that is no text may hold anything, so only its type is told
    /// unless it is a near miss.
    pub(super) fn of(
        value: Option<ValueRef<'_>>,
        type_name: &str,
        delivered: DeliveredStatus<'_>,
    ) -> Status {
        let near_miss = value.and_then(|value| delivered.near_miss(value));
        let text = value.and_then(text_in);
        let is_delivered = value.and_then(ValueRef::as_str) == Some(delivered.text());
        let told = value.filter(|_| text.is_some() || near_miss.is_some());
        Status {
            type_name: type_name.to_owned(),
            json: told.map_or_else(String::new, |value| ext_json::shown(value, LONGEST_STATUS)),
            code_points: text.map_or_else(String::new, code_points),
            standing: match (is_delivered, &near_miss) {
                (true, _) => Standing::Delivered,
                (false, Some(_)) => Standing::NearMiss,
                (false, None) => Standing::Other,
            },
            near_miss,
        }
    }
}

/// The bytes of a text, of a symbol or of code: a length, the text and a zero.
fn text_in(value: ValueRef<'_>) -> Option<&[u8]> {
    let is_text = matches!(value.kind, kind::STRING | kind::SYMBOL | CODE);
    let text = value.bytes.get(4..value.bytes.len().checked_sub(1)?)?;
    is_text.then_some(text)
}

impl Store {
    /// The live orders with this number, some of them, whether there are more, and a cluster time
    /// that nothing told of them is later than.
    pub(super) async fn live_orders(
        &self,
        numero: &str,
    ) -> Result<(Vec<LiveOrder>, bool, Option<Timestamp>), Error> {
        // To the database a list is each of its members, and a symbol its text; neither is a number.
        const ASKED: i64 = 100;
        let find = doc! {
            "find": &self.names.orders, "filter": { NUMERO: { "$eq": numero } }, "limit": ASKED,
            "projection": head(),
        };
        let command = joined(&[&raw(&find), &self.read_options()]);
        let answer = self.answer_in_time(&command, usize::MAX).await?;
        let has_it = |row: &&RawDocumentBuf| {
            raw::find(row, NUMERO).and_then(ValueRef::as_str) == Some(numero)
        };
        let mut orders = answer.rows.iter().filter(has_it);
        let told = orders
            .by_ref()
            .take(MOST)
            .map(|row| self.live_order(row))
            .collect();
        Ok((told, orders.next().is_some(), answer.time))
    }

    /// The live order with this very `_id`, and its number, if that is a text.
    pub(super) async fn live_order_with(
        &self,
        id: ValueRef<'_>,
    ) -> Result<Option<Option<String>>, Error> {
        let find = rawdoc! { "limit": 1, "projection": raw(&doc! { NUMERO: short_of_type(NUMERO, "string") }) };
        let rows = self
            .rows(&self.by_id(&self.names.orders, id, &find))
            .await?;
        let numero = |row: &RawDocumentBuf| {
            raw::find(row, NUMERO)
                .and_then(ValueRef::as_str)
                .map(str::to_owned)
        };
        Ok(rows.first().map(numero))
    }

    /// The document with this `_id`, as its collection compares it, whole.
    pub(in crate::store) async fn whole_with(
        &self,
        collection: &str,
        id: ValueRef<'_>,
    ) -> Result<Option<RawDocumentBuf>, Error> {
        let limit = rawdoc! { "limit": 1 };
        Ok(self.rows(&self.by_id(collection, id, &limit)).await?.pop())
    }

    /// The command that finds documents by an `_id`.
    pub(super) fn by_id(
        &self,
        collection: &str,
        id: ValueRef<'_>,
        options: &RawDocument,
    ) -> RawDocumentBuf {
        let filter = field("_id", document_value(&field("$eq", id)));
        let mut find = Writer::default();
        find.string("find", collection).document("filter", &filter);
        joined(&[&find.finish(), options, &self.read_options()])
    }

    fn live_order(&self, row: &RawDocument) -> LiveOrder {
        let type_name = raw::find(row, TYPE)
            .and_then(ValueRef::as_str)
            .unwrap_or_default();
        let status = raw::find(row, STATUS);
        LiveOrder {
            id: raw::find(row, "_id").unwrap_or(ValueRef::NULL).to_owned(),
            ordered: raw::find(row, Field::DateCommande.name()).and_then(ValueRef::as_date),
            bytes: size(row),
            status: Status::of(status, type_name, self.delivered_status()),
        }
    }
}

/// What is read of an order.
fn head() -> Document {
    let date = Field::DateCommande.name();
    doc! {
        NUMERO: short_of_type(NUMERO, "string"), STATUS: short(STATUS),
        TYPE: { "$type": format!("${STATUS}") }, date: short_of_type(date, "date"),
        "bytes": SIZE.clone(),
    }
}

/// The size in a row.
pub(super) fn size(row: &RawDocument) -> usize {
    let bytes = raw::find(row, "bytes").and_then(number);
    bytes
        .and_then(|bytes| usize::try_from(bytes).ok())
        .unwrap_or(usize::MAX)
}
