//! The indexes that archiving is slow without: which are absent, making them, and the commands that
//! make them by hand.

use bson::{Document, doc, rawdoc};
use tracing::warn;

use super::{
    index_spec::{IndexSpec, Instead, free_name},
    shell,
};
use crate::{
    domain::order::{NUMERO, Reference, STATUS},
    store::{Error, Store, encoding::document::plain, wire::command::SIMPLE},
};

/// An index that archiving is slow without, and that is not there.
#[derive(Clone, Debug, PartialEq)]
pub struct AbsentIndex {
    /// The collection without it.
    pub collection: String,
    /// What it is to begin with.
    pub key: Document,
    /// What happens without it.
    pub without: &'static str,
    /// Why one that looks like it does not serve; none where none looks like it.
    pub instead: Option<Instead>,
    /// A name for it that no other index has.
    pub name: String,
}

impl AbsentIndex {
    /// What is missing, and what happens without it, in a sentence.
    pub fn sentence(&self) -> String {
        let fields = self.key.keys().cloned().collect::<Vec<_>>().join(" and ");
        let AbsentIndex {
            collection,
            without,
            instead,
            ..
        } = self;
        match instead {
            None => format!("{collection} has no index on {fields}, so {without}"),
            Some(Instead::Building) => {
                format!("the index of {collection} on {fields} is still being built: {without}")
            }
            Some(Instead::Hidden(name)) => format!(
                "the index {name:?} of {collection} on {fields} is hidden from queries, so {without}"
            ),
        }
    }

    /// The command for the shell that mends it; none where it mends itself.
    pub fn mend(&self, database: &str) -> Option<String> {
        let collection = shell::collection(database, &self.collection);
        match &self.instead {
            None => {
                let key = &self.key;
                let usual = free_name(&[], key) == self.name;
                let mut options = self.options();
                if !usual {
                    options.insert("name", &self.name);
                }
                Some(match options.is_empty() {
                    true => format!("{collection}.createIndex({key})"),
                    false => format!("{collection}.createIndex({key}, {options})"),
                })
            }
            Some(Instead::Building) => None,
            Some(Instead::Hidden(name)) => Some(format!("{collection}.unhideIndex({name:?})")),
        }
    }

    /// Joins compare as the collection does, pages byte by byte.
    fn options(&self) -> Document {
        match self.is_for_paging() {
            true => doc! { "collation": { "locale": SIMPLE } },
            false => doc! {},
        }
    }

    fn is_for_paging(&self) -> bool {
        self.key.len() > 1
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
            let sentence = index.sentence();
            match index.mend(self.database_name()) {
                None => sentence,
                Some(mend) if index.instead.is_some() => format!("{sentence}; mend: {mend}"),
                Some(mend) => {
                    format!("{sentence}; mend: {mend}, or start the batch with --create-indexes")
                }
            }
        };
        Ok(absent.iter().map(sentence).collect())
    }

    /// The indexes that archiving is slow without, and that are not there.
    pub async fn absent_indexes(&self) -> Result<Vec<AbsentIndex>, Error> {
        let mut absent = Vec::new();
        for (collection, key, without) in self.wanted_indexes() {
            let there = match self.indexes(&collection).await {
                Err(error) if error.is_of_a_view() => continue,
                there => there?,
            };
            if let Some(instead) = lacks(&there, &key) {
                absent.push(AbsentIndex {
                    name: free_name(&there, &key),
                    collection,
                    key,
                    without,
                    instead,
                });
            }
        }
        Ok(absent)
    }

    /// Makes the indexes that archiving is slow without. One that the database refuses is left to
    /// whoever reads the warnings.
    pub async fn create_absent_indexes(&self) -> Result<(), Error> {
        // Only those, because the database refuses a second index that does the same, under
        // whatever name.
        for absent in self.absent_indexes().await? {
            if absent.instead.is_some() {
                continue;
            }
            let mut index = absent.options();
            index.insert("name", &absent.name);
            index.insert("key", &absent.key);
            match self.create_indexes(&absent.collection, vec![index]).await {
                Err(error @ Error::Refused { .. }) => {
                    warn!(%error, collection = absent.collection, index = absent.name, "an index could not be made; archiving goes on without it");
                }
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// The name of the index that a batch can page along without a look at the orders themselves,
    /// if there is one.
    pub async fn paging_index(&self) -> Result<Option<String>, Error> {
        let indexes = match self.indexes(&self.names.orders).await {
            Err(Error::Denied { .. } | Error::Refused { .. }) => return Ok(None),
            indexes => indexes?,
        };
        let paging = indexes
            .iter()
            .find(|index| index.orders_all_by(&[STATUS, "_id"]));
        Ok(paging.map(|index| index.name().to_owned()))
    }

    fn wanted_indexes(&self) -> Vec<(String, Document, &'static str)> {
        let joins = Reference::ALL.map(|reference| {
            (
                self.names.of(reference).to_owned(),
                doc! { reference.id_field(): 1 },
                "every join reads it whole",
            )
        });
        let orders = |key, without| (self.names.orders.clone(), key, without);
        let by_number = orders(doc! { NUMERO: 1 }, "looking up a number reads it whole");
        let paging = orders(doc! { STATUS: 1, "_id": 1 }, "every batch reads it whole");
        joins.into_iter().chain([by_number, paging]).collect()
    }

    pub(in crate::store) async fn create_indexes(
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
    pub(in crate::store) async fn indexes(
        &self,
        collection: &str,
    ) -> Result<Vec<IndexSpec>, Error> {
        self.retry(|| self.list_indexes(collection)).await
    }
}

/// The collation of the collection with these indexes; none where it compares byte by byte. The
/// index on `_id` compares as its collection does.
pub(super) fn collation_of(indexes: &[IndexSpec]) -> Option<&Document> {
    let of_ids = indexes.iter().find(|index| index.name() == "_id_");
    of_ids.and_then(IndexSpec::collation)
}

/// Whether none of these indexes serves as one with this key should; and which would serve if it
/// were otherwise.
fn lacks(there: &[IndexSpec], key: &Document) -> Option<Option<Instead>> {
    let fields: Vec<&str> = key.keys().map(String::as_str).collect();
    let collation = collation_of(there);
    let serves = |index: &IndexSpec| match fields.as_slice() {
        // A join takes any index that begins with its field.
        [field] => index.finds_by(field, collation),
        fields => index.orders_all_by(fields),
    };
    if there.iter().any(serves) {
        return None;
    }
    let would = there.iter().find_map(|index| {
        let (seen, instead) = index.if_it_were_used()?;
        serves(&seen).then_some(instead)
    });
    Some(would)
}

impl Store {
    /// The indexes of a collection, asked for once; none of one that does not exist.
    pub(in crate::store) async fn list_indexes(
        &self,
        collection: &str,
    ) -> Result<Vec<IndexSpec>, Error> {
        const NAMESPACE_NOT_FOUND: i32 = 26;
        let list = rawdoc! {
            "listIndexes": collection, "includeIndexBuildInfo": true, "cursor": {}, "maxTimeMS": self.max_time(),
        };
        match self.rows_once(&list).await {
            Ok(rows) => Ok(rows.iter().filter_map(plain).map(IndexSpec::of).collect()),
            Err(Error::Refused {
                code: NAMESPACE_NOT_FOUND,
                ..
            }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(name: &str, key: Document, options: Document) -> Document {
        let mut spec = doc! { "v": 2, "key": key, "name": name };
        spec.extend(options);
        doc! { "spec": spec }
    }

    fn absent(there: &[Document], key: Document) -> Option<AbsentIndex> {
        let there: Vec<IndexSpec> = there.iter().cloned().map(IndexSpec::of).collect();
        lacks(&there, &key).map(|instead| AbsentIndex {
            collection: "C".to_owned(),
            name: free_name(&there, &key),
            key,
            without: "it is slow",
            instead,
        })
    }

    #[test]
    fn what_serves_is_judged_by_the_collation_of_the_collection() {
        let fr = || doc! { "collation": { "locale": "fr", "strength": 1 } };
        let id = |options| index("_id_", doc! { "_id": 1 }, options);
        let join = || doc! { "id_menu": 1 };
        let paging = || doc! { "status": 1, "_id": 1 };
        for (there, key, serves) in [
            (vec![], join(), false),
            (vec![id(doc! {})], join(), false),
            (vec![index("a", join(), doc! {}), id(doc! {})], join(), true),
            (vec![id(fr()), index("a", join(), fr())], join(), true),
            (vec![id(fr()), index("a", join(), doc! {})], join(), false),
            (vec![id(fr()), index("a", paging(), fr())], paging(), false),
            (
                vec![id(fr()), index("a", paging(), doc! {})],
                paging(),
                true,
            ),
        ] {
            assert_eq!(absent(&there, key).is_none(), serves, "{there:?}");
        }
    }

    #[test]
    fn the_mend_is_a_command_that_the_database_takes() {
        let paging = || doc! { "status": 1, "_id": 1 };
        let fr = doc! { "collation": { "locale": "fr" } };
        let usual = index("status_1__id_1", paging(), fr);
        let hidden = index("by_status", paging(), doc! { "hidden": true });
        let mut building = index("by_status", paging(), doc! {});
        building.insert("indexBuildInfo", doc! { "buildUUID": "any" });
        let on = |rest: &str| {
            Some(format!(
                "db.getSiblingDB(\"d\").getCollection(\"C\").{rest}"
            ))
        };
        for (there, key, mend) in [
            (
                vec![],
                doc! { "id_menu": 1 },
                on(r#"createIndex({ "id_menu": 1 })"#),
            ),
            (
                vec![],
                paging(),
                on(
                    r#"createIndex({ "status": 1, "_id": 1 }, { "collation": { "locale": "simple" } })"#,
                ),
            ),
            (
                vec![usual],
                paging(),
                on(
                    r#"createIndex({ "status": 1, "_id": 1 }, { "collation": { "locale": "simple" }, "name": "archd_status_1__id_1" })"#,
                ),
            ),
            (vec![hidden], paging(), on(r#"unhideIndex("by_status")"#)),
            (vec![building], paging(), None),
        ] {
            assert_eq!(absent(&there, key).unwrap().mend("d"), mend, "{there:?}");
        }
    }
}
