//! Writing seed data: documents that somebody made up, into collections that hold nothing else.

use bson::{Bson, Document, RawDocumentBuf, doc, rawdoc};

use super::{
    Error, Store,
    wire::{command::split_documents, reply::name_in},
};
use crate::{
    bytes::raw,
    store::encoding::document::{joined, raw, whole},
};

/// The highest whole number that is not above a number of any type; the nearest one that there is
/// for those beyond all.
fn floor(number: &Bson) -> i64 {
    match number {
        Bson::Double(number) => number.floor() as i64,
        Bson::Decimal128(number) => {
            let number = number.to_string().parse::<f64>();
            number.map_or(0, |number| number.floor() as i64)
        }
        number => whole(Some(number)),
    }
}

impl Store {
    /// Inserts documents into a collection, as many at a time as one message takes.
    pub async fn insert_documents(
        &self,
        collection: &str,
        documents: &[RawDocumentBuf],
    ) -> Result<(), Error> {
        for part in split_documents(documents) {
            let command = self.write_command(&rawdoc! { "insert": collection }, "documents", part);
            let reply = self.run(command).await?;
            let failure = reply
                .get_array("writeErrors")
                .ok()
                .and_then(|errors| errors.first())
                .and_then(Bson::as_document);
            if let Some(failure) = failure {
                let code = failure.get_i32("code").unwrap_or_default();
                return Err(Error::from_code("insert", code, &name_in(failure)));
            }
        }
        Ok(())
    }

    /// Sets fields of one live order.
    pub async fn update_order(&self, id: &Bson, set: &Document) -> Result<(), Error> {
        let statement =
            RawDocumentBuf::try_from(&doc! { "q": { "_id": id }, "u": { "$set": set } })
                .expect("seed data is plain");
        self.write_all(
            rawdoc! { "update": self.names.orders.as_str() },
            "updates",
            &[statement],
        )
        .await
    }

    /// The highest whole number in a field of a collection, 0 when there is none.
    pub async fn highest_value(&self, collection: &str, field: &str) -> Result<i64, Error> {
        let filter = doc! { field: { "$type": "number" } };
        let head = doc! { "find": collection, "filter": filter, "sort": { field: -1 }, "limit": 1, "projection": { field: 1 } };
        let rows = self.rows(&self.reading(&head)).await?;
        let row = rows
            .first()
            .and_then(|row| Document::try_from(row.as_ref()).ok());
        Ok(row.as_ref().and_then(|row| row.get(field)).map_or(0, floor))
    }

    /// The highest sequence in the numbers of the orders ("CMD-2025-000123" → 123), 0 when there is
    /// none.
    pub async fn highest_sequence(&self) -> Result<i64, Error> {
        let text = doc! { "$arrayElemAt": [{ "$split": ["$numero_commande", "-"] }, -1] };
        let sequence =
            doc! { "$convert": { "input": text, "to": "long", "onError": 0_i64, "onNull": 0_i64 } };
        let head = doc! {
            "aggregate": &self.names.orders, "cursor": {},
            "pipeline": [{ "$match": { "numero_commande": { "$regex": "^CMD-" } } }, { "$group": { "_id": Bson::Null, "highest": { "$max": sequence } } }],
        };
        let rows = self.rows(&self.reading(&head)).await?;
        let row = rows
            .first()
            .and_then(|row| Document::try_from(row.as_ref()).ok());
        Ok(whole(row.as_ref().and_then(|row| row.get("highest"))))
    }

    /// How many orders have each status, the most frequent first.
    pub async fn orders_by_status(&self) -> Result<Vec<(String, i64)>, Error> {
        let head = doc! {
            "aggregate": &self.names.orders, "cursor": {},
            "pipeline": [{ "$group": { "_id": "$status", "n": { "$sum": 1 } } }, { "$sort": { "n": -1, "_id": 1 } }],
        };
        let rows = self.rows(&self.reading(&head)).await?;
        let pair = |row: &RawDocumentBuf| {
            Some((
                raw::find(row, "_id")?.as_str()?.to_owned(),
                whole(Document::try_from(row.as_ref()).ok()?.get("n")),
            ))
        };
        Ok(rows.iter().filter_map(pair).collect())
    }

    fn reading(&self, head: &Document) -> RawDocumentBuf {
        joined(&[&raw(head), &self.read_options()])
    }
}
