//! Reading acknowledgements: those of a number, of a difference, and pages of all.

use bson::{doc, rawdoc};

use super::record::{Acknowledgement, BY_TIME, FINGERPRINT, NUMBER};
use crate::{
    bytes::raw::{self, Value, ValueRef, Writer},
    store::{
        Error, Store,
        encoding::document::{document_value, field, joined, raw},
        state::{fault::Fault, place::Place},
    },
};

impl Store {
    /// The acknowledgements of the differences with these fingerprints; several may be of one.
    pub async fn acknowledgements_of(
        &self,
        fingerprints: &[String],
    ) -> Result<Vec<Result<Acknowledgement, Fault>>, Error> {
        self.acknowledgements_with(FINGERPRINT, fingerprints).await
    }

    /// Whether anything was ever acknowledged.
    pub async fn anything_is_acknowledged(&self) -> Result<bool, Error> {
        let find = doc! {
            "find": &self.names.acknowledgements, "hint": { "_id": 1 }, "limit": 1, "projection": { "_id": 1 },
        };
        let find = joined(&[&raw(&find), &self.read_options()]);
        Ok(!self.rows(&find).await?.is_empty())
    }

    /// The acknowledgements that have one of these texts in a field.
    pub(super) async fn acknowledgements_with(
        &self,
        name: &str,
        texts: &[String],
    ) -> Result<Vec<Result<Acknowledgement, Fault>>, Error> {
        let texts: Vec<Value> = texts.iter().map(|text| Value::string(text)).collect();
        let rows = self
            .rows_for(name, &texts, |filter| {
                let mut find = Writer::default();
                find.string("find", &self.names.acknowledgements)
                    .document("filter", filter);
                joined(&[&find.finish(), &self.read_options()])
            })
            .await?;
        Ok(rows
            .iter()
            .map(|row| self.acknowledgement_in(row))
            .collect())
    }

    /// The acknowledgements of a number, the latest first, at most `limit`.
    pub(in crate::store) async fn acknowledgements_under(
        &self,
        numero: &str,
        limit: i32,
    ) -> Result<Vec<Result<Acknowledgement, Fault>>, Error> {
        let find = doc! {
            "find": &self.names.acknowledgements, "filter": { NUMBER: { "$eq": numero } },
            "sort": { "created": -1 }, "limit": limit,
        };
        let rows = self
            .rows(&joined(&[&raw(&find), &self.read_options()]))
            .await?;
        Ok(rows
            .iter()
            .map(|row| self.acknowledgement_in(row))
            .collect())
    }

    /// The latest acknowledgements before the one at this place, at most `limit`. None when that
    /// one is not there.
    pub async fn acknowledgements(
        &self,
        below: &Place,
        limit: usize,
    ) -> Result<Option<Vec<Result<Acknowledgement, Fault>>>, Error> {
        let collection = &self.names.acknowledgements;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let walk = doc! {
            "find": collection, "sort": { "created": -1, "_id": -1 }, "hint": BY_TIME,
            "skip": below.passed, "limit": limit,
        };
        let mut command = joined(&[&raw(&walk), &self.read_options()]);
        if let Some(after) = &below.after {
            let id = field("_id", after.as_ref());
            let mut of = Writer::default();
            of.string("find", collection)
                .document(
                    "filter",
                    &field("_id", document_value(&field("$eq", after.as_ref()))),
                )
                .document("projection", &rawdoc! { "created": 1 });
            let rows = self
                .rows(&joined(&[&of.finish(), &self.read_options()]))
                .await?;
            let Some(row) = rows.first() else {
                return Ok(None);
            };
            // A bound of the index, unlike a condition, has those of other types on its other side
            // too.
            let created = raw::find(row, "created").unwrap_or(ValueRef::NULL);
            let mut max = Writer::default();
            max.document("max", &joined(&[&field("created", created), &id]));
            command = joined(&[&command, &max.finish()]);
        }
        let rows = self.rows(&command).await?;
        Ok(Some(
            rows.iter()
                .map(|row| self.acknowledgement_in(row))
                .collect(),
        ))
    }
}
