//! Indexes: those of a collection, and those that archiving is slow without.

use bson::{Document, doc, rawdoc};

use super::{Error, Store, command::SIMPLE, setup::whole};
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
            Err(error @ Error::Refused { .. }) => {
                return Ok(vec![format!(
                    "whether the indexes that joins need are there is not known: {error}"
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
            let there = match self.indexes(&index.collection).await {
                Err(error) if error.is_of_a_view() => continue,
                there => there?,
            };
            let serves = match index.key.len() {
                // A join takes any index that begins with its field.
                1 => there.iter().any(|there| {
                    let key = there.get_document("key");
                    key.is_ok_and(|key| key.keys().take(1).eq(index.key.keys()))
                }),
                _ => there.iter().any(can_be_paged),
            };
            if !serves {
                absent.push(index);
            }
        }
        Ok(absent)
    }

    /// Makes the indexes that archiving is slow without.
    pub async fn create_absent_indexes(&self) -> Result<(), Error> {
        // Only those, because the database refuses a second index with the same key, under whatever name.
        for AbsentIndex {
            collection, key, ..
        } in self.absent_indexes().await?
        {
            let name = key.keys().map(|field| format!("{field}_1"));
            let name = name.collect::<Vec<_>>().join("_");
            let mut index = doc! { "name": name };
            if key.len() > 1 {
                // Joins compare as the collection does, pages byte by byte.
                index.insert("collation", doc! { "locale": SIMPLE });
            }
            index.insert("key", key);
            self.create_indexes(&collection, vec![index]).await?;
        }
        Ok(())
    }

    /// The name of the index that a batch can page along without a look at the orders themselves, if there is one.
    pub async fn paging_index(&self) -> Result<Option<String>, Error> {
        let indexes = match self.indexes(&self.names.orders).await {
            Err(Error::Denied { .. } | Error::Refused { .. }) => return Ok(None),
            indexes => indexes?,
        };
        let paging = indexes.iter().find(|index| can_be_paged(index));
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

/// Whether an index holds every order, in the order of status and `_id`, byte by byte.
fn can_be_paged(index: &Document) -> bool {
    let narrower = ["partialFilterExpression", "sparse", "hidden"];
    is_on(index, &[STATUS, "_id"])
        && compares_bytes(index)
        && !narrower.iter().any(|option| index.contains_key(option))
}

/// Whether an index compares texts byte by byte.
pub(super) fn compares_bytes(index: &Document) -> bool {
    let collation = index.get_document("collation");
    collation.map_or(true, |collation| {
        collation
            .get_str("locale")
            .is_ok_and(|locale| locale == SIMPLE)
    })
}

/// Whether an index is on exactly these fields, ascending.
pub(super) fn is_on(index: &Document, fields: &[&str]) -> bool {
    // Shells differ in the kind of number that they write there.
    index
        .get_document("key")
        .is_ok_and(|key| key.keys().eq(fields) && key.values().all(|order| whole(Some(order)) == 1))
}

fn paging_key() -> Document {
    doc! { STATUS: 1, "_id": 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_pages_only_along_an_index_that_holds_every_order_by_its_bytes() {
        let key = || doc! { "key": { "status": 1, "_id": 1 } };
        let with = |name: &str, option: bson::Bson| {
            let mut index = key();
            index.insert(name, option);
            index
        };
        let simple = doc! { "locale": SIMPLE };
        for good in [
            key(),
            doc! { "key": { "status": 1.0, "_id": 1_i64 } },
            with("collation", simple.into()),
        ] {
            assert!(can_be_paged(&good), "{good}");
        }
        for bad in [
            doc! { "key": { "status": 1 } },
            doc! { "key": { "_id": 1, "status": 1 } },
            doc! { "key": { "status": 1, "_id": -1 } },
            doc! { "key": { "status": "hashed", "_id": 1 } },
            doc! { "key": { "status": 1, "_id": 1, "date_commande": 1 } },
            with(
                "partialFilterExpression",
                doc! { "status": "livrée" }.into(),
            ),
            with("sparse", true.into()),
            with("hidden", true.into()),
            with("collation", doc! { "locale": "fr" }.into()),
        ] {
            assert!(!can_be_paged(&bad), "{bad}");
        }
    }
}
