//! The differences that can be acknowledged: those of the latest verification with a verdict that
//! fail it.

use bson::{RawDocument, RawDocumentBuf, doc};

use super::record::Acknowledgeable;
use crate::{
    bytes::raw::{self, Value, ValueRef},
    domain::{
        order::NUMERO,
        verify::{class::Class, fingerprint::fingerprint},
    },
    store::{
        Error, Store,
        encoding::document::{document_value, field, joined, raw as raw_document},
    },
};

/// More differences of one number than this are not acknowledged at once.
const MOST: i64 = 1_000;

impl Store {
    /// The differences of a number that fail the verdict of the latest verification that has one.
    pub async fn acknowledgeable(&self, numero: &str) -> Result<Vec<Acknowledgeable>, Error> {
        let latest = doc! {
            "find": &self.names.verifications, "filter": { "verdict": { "$type": "string" } },
            "sort": { "created": -1, "_id": -1 }, "limit": 1, "projection": { "_id": 1 },
        };
        let latest = self
            .rows(&joined(&[&raw_document(&latest), &self.read_options()]))
            .await?;
        let latest = latest
            .first()
            .and_then(|row| raw::find(row, "_id"))
            .and_then(ValueRef::as_str);
        let Some(latest) = latest else {
            return Ok(Vec::new());
        };
        let find = doc! {
            "find": &self.names.differences, "limit": MOST,
            "filter": { "verification": latest, "settled": true, NUMERO: { "$eq": numero } },
        };
        let rows = self
            .rows(&joined(&[&raw_document(&find), &self.read_options()]))
            .await?;
        let mut found = Vec::new();
        for row in &rows {
            let Some(class) = class_in(row).filter(|class| class.fails()) else {
                continue;
            };
            found.push(self.acknowledgeable_in(numero, class, row).await?);
        }
        Ok(found)
    }

    async fn acknowledgeable_in(
        &self,
        numero: &str,
        class: Class,
        row: &RawDocument,
    ) -> Result<Acknowledgeable, Error> {
        let side = |name| raw::find(row, name).unwrap_or(ValueRef::NULL).to_owned();
        let (order_id, archive_id) = (side("order_id"), side("archive_id"));
        let known = raw::find(row, "fingerprint")
            .and_then(ValueRef::as_str)
            .unwrap_or_default();
        // A verification that looked at `_id`s alone knows no bytes: those of now are meant then.
        let fingerprint = match known {
            "" => {
                let (order, archived) = futures::try_join!(
                    self.whole_side(&self.names.orders, &order_id),
                    self.whole_side(&self.names.archive, &archive_id),
                )?;
                fingerprint(class, order.as_deref(), archived.as_deref())
            }
            known => known.to_owned(),
        };
        Ok(Acknowledgeable {
            numero: numero.to_owned(),
            class: class.name().to_owned(),
            fingerprint,
            order_id,
            archive_id,
        })
    }

    /// One side of a difference, whole, if it has that side.
    async fn whole_side(
        &self,
        collection: &str,
        id: &Value,
    ) -> Result<Option<RawDocumentBuf>, Error> {
        if id.as_ref().is_null() {
            return Ok(None);
        }
        let filter = field("_id", document_value(&field("$eq", id.as_ref())));
        let mut find = raw::Writer::default();
        find.string("find", collection).document("filter", &filter);
        let limit = bson::rawdoc! { "limit": 1 };
        Ok(self
            .rows(&joined(&[&find.finish(), &limit, &self.read_options()]))
            .await?
            .pop())
    }
}

fn class_in(row: &RawDocument) -> Option<Class> {
    raw::find(row, "class")
        .and_then(ValueRef::as_str)
        .and_then(Class::of_name)
}
