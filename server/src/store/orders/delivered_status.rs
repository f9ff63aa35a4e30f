//! The delivered status: what makes an order delivered here, and what is told of one that only
//! looks so.

use bson::{Bson, Document};

use super::reader::Reader;
use crate::{
    bytes::raw::{ValueRef, Writer},
    domain::{
        near_miss::{LONGEST_MEND, LONGEST_STATUS, NearMiss, is_near_miss},
        near_miss_kind::difference,
        order::STATUS,
        text::cut,
    },
    store::{Store, deployment::shell, encoding::ext_json},
};

/// The delivered status, and the orders in which others are mended to it.
#[derive(Clone, Copy, Debug)]
pub struct DeliveredStatus<'s> {
    status: &'s str,
    database: &'s str,
    orders: &'s str,
}

impl Store {
    /// What makes an order of this database delivered.
    pub fn delivered_status(&self) -> DeliveredStatus<'_> {
        DeliveredStatus {
            status: &self.delivered,
            database: &self.database,
            orders: &self.names.orders,
        }
    }
}

impl Reader {
    /// See [`Store::delivered_status`].
    pub fn delivered_status(&self) -> DeliveredStatus<'_> {
        self.store().delivered_status()
    }
}

impl<'s> DeliveredStatus<'s> {
    /// The exact text.
    pub fn text(self) -> &'s str {
        self.status
    }

    /// What there is to tell of a status that looks delivered and is not, of no order yet. None for
    /// any other.
    pub fn near_miss(self, status: ValueRef<'_>) -> Option<NearMiss> {
        let value = bson_of(status);
        if !is_near_miss(&value, self.status) {
            return None;
        }
        let (kind, difference) = difference(&value, self.status);
        let whole = ext_json::shown(status, usize::MAX);
        let shown = cut(&whole, LONGEST_STATUS);
        let mend = (whole.len() <= LONGEST_STATUS).then(|| self.mend(&value));
        let mend = mend.filter(|mend| mend.len() <= LONGEST_MEND);
        Some(NearMiss {
            status: shown,
            kind: Some(kind),
            difference,
            mend: mend.unwrap_or_default(),
            ..NearMiss::default()
        })
    }

    /// The command for the shell that makes every order of this very status delivered, and no
    /// other: to a plain condition a list is each of its members and a symbol its text.
    fn mend(self, status: &Bson) -> String {
        let orders = shell::collection(self.database, self.orders);
        let path = format!("\"${STATUS}\"");
        let is_of_type = |name: &str| format!("[{{ $type: {path} }}, \"{name}\"]");
        let (value, alike) = match status {
            Bson::Symbol(text) => (
                shell::literal(&Bson::String(text.clone())),
                is_of_type("symbol"),
            ),
            Bson::Array(_) => {
                let value = shell::literal(status);
                let whole = format!("[{path}, {{ $literal: {value} }}]");
                (value, whole)
            }
            Bson::Document(_) => (shell::literal(status), is_of_type("object")),
            Bson::JavaScriptCode(_) => (shell::literal(status), is_of_type("javascript")),
            _ => (shell::literal(status), is_of_type("string")),
        };
        let delivered = shell::literal(&Bson::String(self.status.to_owned()));
        format!(
            "{orders}.updateMany({{ {STATUS}: {{ $eq: {value} }}, $expr: {{ $eq: {alike} }} }}, {{ $set: {{ {STATUS}: {delivered} }} }}, {{ collation: {{ locale: \"simple\" }} }})"
        )
    }
}

/// A value decoded; null where it holds text that is not UTF-8, which resembles nothing.
pub(in crate::store) fn bson_of(value: ValueRef<'_>) -> Bson {
    let mut writer = Writer::default();
    writer.value("v", value);
    Document::try_from(writer.finish().as_ref())
        .ok()
        .and_then(|mut document| document.remove("v"))
        .unwrap_or(Bson::Null)
}
