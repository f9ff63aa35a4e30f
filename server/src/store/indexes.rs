//! Indexes: those of a collection, and those that archiving is slow without.

use bson::{Document, doc, rawdoc};

use super::{Error, Store};
use crate::domain::order::{NUMERO, Reference, STATUS};

/// An index that archiving is slow without, and that is not there.
#[derive(Clone, Debug, PartialEq)]
pub struct AbsentIndex {
    /// The collection without it.
    pub collection: String,
    /// What it is to begin with.
    pub key: Document,
    /// What happens without it.
    pub without: &'static str,
}

impl AbsentIndex {
    /// The fields it is to begin with, for people.
    pub fn fields(&self) -> String {
        self.key.keys().cloned().collect::<Vec<_>>().join(" and ")
    }
}

impl Store {
    /// What archiving is slow without, each as a sentence with the command that mends it.
    pub async fn index_warnings(&self) -> Result<Vec<String>, Error> {
        let absent = match self.absent_indexes().await {
            Err(Error::Denied { command }) => {
                return Ok(vec![format!(
                    "whether the indexes that joins need are there is not known; mend: grant `{command}` on the live collections"
                )]);
            }
            absent => absent?,
        };
        let sentence = |index: &AbsentIndex| {
            let AbsentIndex {
                collection,
                key,
                without,
            } = index;
            let fields = index.fields();
            format!(
                "{collection} has no index on {fields}, so {without}; mend: db.getCollection({collection:?}).createIndex({key}), or start the batch with --create-indexes"
            )
        };
        Ok(absent.iter().map(sentence).collect())
    }

    /// The indexes that archiving is slow without, and that are not there.
    pub async fn absent_indexes(&self) -> Result<Vec<AbsentIndex>, Error> {
        let mut absent = Vec::new();
        for index in self.wanted_indexes() {
            let begins_so = |there: &Document| {
                there
                    .get_document("key")
                    .is_ok_and(|key| key.keys().take(index.key.len()).eq(index.key.keys()))
            };
            if !self.indexes(&index.collection).await?.iter().any(begins_so) {
                absent.push(index);
            }
        }
        Ok(absent)
    }

    /// Makes the indexes that archiving is slow without.
    pub async fn create_absent_indexes(&self) -> Result<(), Error> {
        // Only those, because the database refuses a second index on the same fields, under whatever name.
        for AbsentIndex {
            collection, key, ..
        } in self.absent_indexes().await?
        {
            let name = key.keys().map(|field| format!("{field}_1"));
            let name = name.collect::<Vec<_>>().join("_");
            let index = doc! { "key": key, "name": name };
            self.create_indexes(&collection, vec![index]).await?;
        }
        Ok(())
    }

    /// The name of the index that a batch can page along without a look at the orders themselves, if there is one.
    pub async fn paging_index(&self) -> Result<Option<String>, Error> {
        let plain = |index: &&Document| {
            let narrower = ["partialFilterExpression", "sparse", "collation", "hidden"];
            index
                .get_document("key")
                .is_ok_and(|key| *key == paging_key())
                && !narrower.iter().any(|option| index.contains_key(option))
        };
        let indexes = match self.indexes(&self.names.orders).await {
            Err(Error::Denied { .. }) => return Ok(None),
            indexes => indexes?,
        };
        let paging = indexes.iter().find(plain);
        Ok(paging.and_then(|index| index.get_str("name").ok().map(str::to_owned)))
    }

    fn wanted_indexes(&self) -> Vec<AbsentIndex> {
        let joins = Reference::ALL.map(|reference| AbsentIndex {
            collection: self.names.of(reference).to_owned(),
            key: doc! { reference.id_field(): 1 },
            without: "every join reads it whole",
        });
        let orders = |key, without| AbsentIndex {
            collection: self.names.orders.clone(),
            key,
            without,
        };
        let by_number = orders(doc! { NUMERO: 1 }, "looking up a number reads it whole");
        let paging = orders(paging_key(), "every batch reads it whole");
        joins.into_iter().chain([by_number, paging]).collect()
    }

    pub(super) async fn create_indexes(
        &self,
        collection: &str,
        indexes: Vec<Document>,
    ) -> Result<(), Error> {
        let command = bson::RawDocumentBuf::try_from(
            &doc! { "createIndexes": collection, "indexes": indexes, "writeConcern": { "w": "majority" } },
        );
        let command = command.expect("index descriptions are plain documents");
        self.retry(|| self.run(command.clone())).await.map(|_| ())
    }

    /// The indexes of a collection; none of one that does not exist.
    pub(super) async fn indexes(&self, collection: &str) -> Result<Vec<Document>, Error> {
        const NAMESPACE_NOT_FOUND: i32 = 26;
        match self.rows(&rawdoc! { "listIndexes": collection }).await {
            Ok(rows) => Ok(rows
                .iter()
                .filter_map(|row| Document::try_from(row.as_ref()).ok())
                .collect()),
            Err(Error::Refused {
                code: NAMESPACE_NOT_FOUND,
                ..
            }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

fn paging_key() -> Document {
    doc! { STATUS: 1, "_id": 1 }
}
