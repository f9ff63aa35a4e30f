//! Collections: what the collections hold that archd reads, and what it finds in the archive before
//! it begins.

use std::collections::HashMap;

use bson::{RawDocumentBuf, rawdoc};

use super::{
    Error, Inspector,
    archive::{look::Archive, repeated::Repeated},
    deployment::indexes::AbsentIndex,
};
use crate::{
    bytes::raw::{self, Value, ValueRef, Writer, kind},
    domain::order::{NUMERO, STATUS},
    store::encoding::document::joined,
};

/// How many archived orders are compared from each end of the archive.
const SAMPLE: i32 = 50;

/// A collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionSummary {
    /// Its name.
    pub name: String,
    /// How many documents it holds, by its own count; none when it does not exist.
    pub documents: Option<i64>,
}

/// Archived orders beside the live orders of the same numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// How many pairs were compared.
    pub compared: usize,
    /// The numbers of those that differ in their `_id`.
    pub otherwise: Vec<String>,
}

impl Inspector {
    /// The collections of these names, and the names of all others that the user can see.
    pub async fn summaries(
        &self,
        names: &[&str],
    ) -> Result<(Vec<CollectionSummary>, Vec<String>), Error> {
        let list =
            rawdoc! { "listCollections": 1, "nameOnly": true, "authorizedCollections": true };
        let rows = self.store.rows(&list).await?;
        let name = |row: &RawDocumentBuf| {
            raw::find(row, "name").and_then(|name| name.as_str().map(str::to_owned))
        };
        let mut others: Vec<String> = rows.iter().filter_map(name).collect();
        let mut summaries = Vec::new();
        for name in names {
            let there = others.iter().position(|other| other == name);
            let documents = match there {
                Some(index) => {
                    others.remove(index);
                    Some(self.store.collection_size(name).await?)
                }
                None => None,
            };
            summaries.push(CollectionSummary {
                name: (*name).to_owned(),
                documents,
            });
        }
        others.sort();
        Ok((summaries, others))
    }

    /// The archive: what it is, and what keeps its numbers unique. `sharded` says whether a mongos
    /// answers.
    pub async fn archive(&self, sharded: bool) -> Result<Archive, Error> {
        let look = || self.store.look_at_archive(sharded);
        self.store.retry(look).await
    }

    /// What hinders a unique index of the archive: by a look at all of it, for as long as one call
    /// may take, or where that is too short by what the last build of the index met.
    pub async fn repeated(&self) -> Result<Repeated, Error> {
        let found = self.store.repeated(self.store.policy.operation_timeout);
        match found.await {
            Err(error) if error.is_slow() => self.store.failed_build().await?.ok_or(error),
            found => found,
        }
    }

    /// How far the database is with the build of the unique index; none where nobody can tell.
    pub async fn build_progress(&self) -> Option<String> {
        self.store.build_progress().await
    }

    /// See [`super::Store::absent_indexes`].
    pub async fn absent_indexes(&self) -> Result<Vec<AbsentIndex>, Error> {
        self.store.absent_indexes().await
    }

    /// Compares a few archived orders, from either end of the archive, with the delivered orders of
    /// their numbers.
    pub async fn sample(&self) -> Result<Sample, Error> {
        let mut archived = HashMap::new();
        for direction in [1, -1] {
            let command = rawdoc! {
                "find": self.store.names.archive.as_str(), "sort": { "_id": direction }, "limit": SAMPLE,
                "projection": { "numero_commande": 1 },
            };
            let rows = self
                .store
                .rows(&joined(&[&command, &self.store.read_options()]))
                .await?;
            archived.extend(rows.iter().filter_map(identity));
        }
        let numbers: Vec<Value> = archived.keys().cloned().collect();
        let orders = self
            .store
            .rows_for(NUMERO, &numbers, |filter| {
                let mut command = Writer::default();
                command
                    .string("find", &self.store.names.orders)
                    .document("filter", filter)
                    .document("projection", &rawdoc! { "numero_commande": 1, "status": 1 });
                joined(&[&command.finish(), &self.store.read_options()])
            })
            .await?;
        let delivered = |order: &&RawDocumentBuf| {
            raw::find(order, STATUS).and_then(ValueRef::as_str) == Some(self.store.delivered())
        };
        let mut sample = Sample::default();
        for (numero, id) in orders.iter().filter(delivered).filter_map(identity) {
            if let Some(archived) = archived.get(&numero) {
                sample.compared += 1;
                if *archived != id {
                    let numero = numero.as_ref().as_str().unwrap_or_default();
                    sample.otherwise.push(numero.to_owned());
                }
            }
        }
        sample.otherwise.sort();
        Ok(sample)
    }
}

/// A document's number, if that is a text, and its `_id`.
fn identity(document: &RawDocumentBuf) -> Option<(Value, Value)> {
    let numero = raw::find(document, NUMERO).filter(|numero| numero.kind == kind::STRING)?;
    Some((numero.to_owned(), raw::find(document, "_id")?.to_owned()))
}
