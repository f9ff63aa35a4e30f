//! An index as the database lists it, and what it can be relied on for: told by what it does, not
//! by its name or the spelling of its options.

use std::cmp::Ordering;

use bson::{Bson, Document};

use crate::store::wire::command::SIMPLE;

/// An index of a collection.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexSpec {
    spec: Document,
    building: bool,
}

impl IndexSpec {
    /// Reads a row of `listIndexes` with `includeIndexBuildInfo`.
    pub(in crate::store) fn of(row: Document) -> IndexSpec {
        let building = row.contains_key("indexBuildInfo") || row.contains_key("buildUUID");
        let spec = row.get_document("spec").ok().cloned();
        IndexSpec {
            spec: spec.unwrap_or(row),
            building,
        }
    }

    /// Its name.
    pub(in crate::store) fn name(&self) -> &str {
        self.spec.get_str("name").unwrap_or_default()
    }

    /// Whether it is still being built: it then refuses no duplicates, and no query uses it.
    pub(in crate::store) fn is_being_built(&self) -> bool {
        self.building
    }

    /// Whether it is kept from queries. It goes on refusing duplicates.
    pub(in crate::store) fn is_hidden(&self) -> bool {
        self.is_set("hidden")
    }

    /// Whether documents expire by it.
    pub(in crate::store) fn expires_documents(&self) -> bool {
        self.spec.contains_key("expireAfterSeconds")
    }

    /// Whether, once it is built, no two documents have the same value in a field, byte by byte, or
    /// both none.
    pub(in crate::store) fn makes_unique(&self, field: &str) -> bool {
        // The direction makes no difference. A hashed index can't be unique.
        let alone = self.key().is_some_and(|key| {
            key.keys().eq([field]) && key.values().all(|way| direction(way).is_some())
        });
        // One by which documents expire has to go before anything is archived.
        alone
            && self.is_set("unique")
            && self.holds_every_document()
            && self.compares_bytes()
            && !self.expires_documents()
    }

    /// Whether it refuses documents whose texts in a field differ, because a collation takes them
    /// for one.
    pub(in crate::store) fn takes_texts_for_one(&self, field: &str) -> bool {
        let key = self.key();
        key.is_some_and(|key| key.keys().eq([field]))
            && self.is_set("unique")
            && self.collation().is_some()
    }

    /// Whether it can refuse documents that differ in each of these fields, byte by byte: it is
    /// unique, and by more or by less than one of them.
    pub(in crate::store) fn refuses_despite(&self, fields: &[&str]) -> bool {
        let tells_apart = |key: &Document| key.keys().any(|name| fields.contains(&name.as_str()));
        self.is_set("unique") && !(self.compares_bytes() && self.key().is_some_and(tells_apart))
    }

    /// What it is on.
    pub(in crate::store) fn shown_key(&self) -> String {
        self.key().map_or_else(String::new, Document::to_string)
    }

    /// Whether it holds every document, ordered by these fields, ascending and byte by byte, and
    /// queries may use it.
    pub(super) fn orders_all_by(&self, fields: &[&str]) -> bool {
        let ascends = |way| direction(way) == Some(Ordering::Greater);
        let key = self.key();
        key.is_some_and(|key| key.keys().eq(fields) && key.values().all(ascends))
            && self.holds_every_document()
            && self.compares_bytes()
            && self.can_be_used()
    }

    /// Whether documents are found by it that have a value in a field, compared by this collation;
    /// none is byte by byte.
    pub(in crate::store) fn finds_by(&self, field: &str, collation: Option<&Document>) -> bool {
        let first = self.key().and_then(|key| key.iter().next());
        let equal = |way: &Bson| direction(way).is_some() || way.as_str() == Some("hashed");
        // A sparse index will do: it leaves out only documents without a value.
        first.is_some_and(|(name, way)| name == field && equal(way))
            && !self.is_partial()
            && self.collation() == collation
            && self.can_be_used()
    }

    /// Whether the documents with a value in the first field are found by it in the order of the
    /// second, byte by byte.
    pub(in crate::store) fn finds_in_order(&self, first: &str, second: &str) -> bool {
        let key = self.key();
        let begins = key.is_some_and(|key| {
            let names: Vec<&str> = key.keys().map(String::as_str).take(2).collect();
            names == [first, second] && key.values().take(2).all(|way| direction(way).is_some())
        });
        begins && self.holds_every_document() && self.compares_bytes() && self.can_be_used()
    }

    /// The same index as queries could use it, where they can't, and why they can't.
    pub(super) fn if_it_were_used(&self) -> Option<(IndexSpec, Instead)> {
        let instead = if self.building {
            Instead::Building
        } else if self.is_hidden() {
            Instead::Hidden(self.name().to_owned())
        } else {
            return None;
        };
        let mut used = self.clone();
        used.building = false;
        used.spec.remove("hidden");
        Some((used, instead))
    }

    /// The collation that it compares by; none is byte by byte.
    pub(in crate::store) fn collation(&self) -> Option<&Document> {
        let collation = self.spec.get_document("collation").ok();
        let is_simple =
            |collation: &&Document| collation.get_str("locale").is_ok_and(|it| it == SIMPLE);
        collation.filter(|collation| !is_simple(collation))
    }

    fn compares_bytes(&self) -> bool {
        self.collation().is_none()
    }

    fn can_be_used(&self) -> bool {
        !self.building && !self.is_hidden()
    }

    fn holds_every_document(&self) -> bool {
        !self.is_set("sparse") && !self.is_partial()
    }

    fn is_partial(&self) -> bool {
        let filter = self.spec.get_document("partialFilterExpression");
        filter.is_ok_and(|filter| !filter.is_empty())
    }

    fn key(&self) -> Option<&Document> {
        self.spec.get_document("key").ok()
    }

    /// Whether an option is switched on. Drivers and shells have written `true`, `1` and `1.0`, and
    /// `false` where it is off.
    fn is_set(&self, option: &str) -> bool {
        match self.spec.get(option) {
            None | Some(Bson::Null | Bson::Undefined | Bson::Boolean(false)) => false,
            Some(Bson::Int32(number)) => *number != 0,
            Some(Bson::Int64(number)) => *number != 0,
            Some(Bson::Double(number)) => *number != 0.0,
            Some(_) => true,
        }
    }
}

/// Whether a field of a key ascends or descends; none where it is hashed or the like.
fn direction(way: &Bson) -> Option<Ordering> {
    let way = match way {
        Bson::Int32(way) => f64::from(*way),
        Bson::Int64(way) => *way as f64,
        Bson::Double(way) => *way,
        _ => return None,
    };
    way.partial_cmp(&0.0).filter(|order| order.is_ne())
}

/// A name for a new index: the usual one, unless an index with other options has it.
pub(in crate::store) fn free_name(indexes: &[IndexSpec], key: &Document) -> String {
    let usual: Vec<String> = key.keys().map(|field| format!("{field}_1")).collect();
    let usual = usual.join("_");
    let numbered = (2..).map(|number| format!("archd_{usual}_{number}"));
    let mut names = [usual.clone(), format!("archd_{usual}")]
        .into_iter()
        .chain(numbered);
    let free = names.find(|name| indexes.iter().all(|index| index.name() != name));
    free.expect("there are endlessly many names")
}

/// An index that would serve if it were otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instead {
    /// It is still being built.
    Building,
    /// The index of this name is hidden from queries.
    Hidden(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    fn index(key: Document, options: Document) -> IndexSpec {
        let mut spec = doc! { "v": 2, "key": key, "name": "any" };
        spec.extend(options);
        IndexSpec::of(doc! { "spec": spec })
    }

    /// As MongoDB 6.0.5 lists an index that is being built.
    fn building(key: Document, options: Document) -> IndexSpec {
        let IndexSpec { spec, .. } = index(key, options);
        IndexSpec::of(doc! { "spec": spec, "indexBuildInfo": { "buildUUID": "any" } })
    }

    #[test]
    fn a_unique_index_is_known_by_what_it_does() {
        let number = || doc! { "n": 1 };
        let fr = || doc! { "locale": "fr" };
        for good in [
            index(number(), doc! { "unique": true }),
            index(number(), doc! { "unique": 1 }),
            index(number(), doc! { "unique": 1.0 }),
            index(number(), doc! { "unique": 1_i64, "sparse": false }),
            index(number(), doc! { "unique": true, "hidden": false }),
            index(number(), doc! { "unique": true, "hidden": true }),
            index(
                number(),
                doc! { "unique": true, "partialFilterExpression": {} },
            ),
            index(
                number(),
                doc! { "unique": true, "collation": { "locale": SIMPLE } },
            ),
            index(doc! { "n": -1 }, doc! { "unique": true }),
            index(doc! { "n": 1.0 }, doc! { "unique": true, "sparse": 0 }),
            IndexSpec::of(doc! { "key": number(), "unique": true }),
        ] {
            assert!(good.makes_unique("n"), "{good:?}");
            assert!(
                !good.makes_unique("m") && !good.is_being_built(),
                "{good:?}"
            );
        }
        for bad in [
            index(number(), doc! {}),
            index(number(), doc! { "unique": false }),
            index(number(), doc! { "unique": 0 }),
            index(number(), doc! { "unique": true, "sparse": true }),
            index(number(), doc! { "unique": true, "sparse": 1 }),
            index(
                number(),
                doc! { "unique": true, "expireAfterSeconds": 3_600 },
            ),
            index(number(), doc! { "unique": true, "collation": fr() }),
            index(
                number(),
                doc! { "unique": true, "partialFilterExpression": { "a": 1 } },
            ),
            index(doc! { "n": 1, "m": 1 }, doc! { "unique": true }),
            index(doc! { "n": "hashed" }, doc! { "unique": true }),
        ] {
            assert!(!bad.makes_unique("n"), "{bad:?}");
        }
        let unfinished = building(number(), doc! { "unique": true });
        assert!(unfinished.makes_unique("n") && unfinished.is_being_built());
    }

    #[test]
    fn an_index_that_tells_all_orders_apart_refuses_none_of_them() {
        let refuses =
            |key: Document, options: Document| index(key, options).refuses_despite(&["_id", "n"]);
        let unique = || doc! { "unique": true };
        let fr = doc! { "unique": true, "collation": { "locale": "fr" } };
        assert!(refuses(doc! { "a": 1 }, unique()));
        assert!(refuses(
            doc! { "a": 1 },
            doc! { "unique": 1, "sparse": true }
        ));
        assert!(refuses(doc! { "a": 1, "b": -1 }, unique()));
        assert!(refuses(doc! { "n.a": 1 }, unique()));
        assert!(refuses(doc! { "a": 1, "n": 1 }, fr));
        assert!(!refuses(doc! { "a": 1 }, doc! {}));
        assert!(!refuses(doc! { "a": 1, "n": 1 }, unique()));
        assert!(!refuses(doc! { "_id": -1, "a": 1 }, unique()));
        assert!(!refuses(doc! { "n": 1 }, unique()));
    }

    #[test]
    fn a_batch_pages_only_along_an_index_that_holds_every_order_by_its_bytes() {
        let key = || doc! { "status": 1, "_id": 1 };
        let is_good = |index: &IndexSpec| index.orders_all_by(&["status", "_id"]);
        for good in [
            index(key(), doc! {}),
            index(doc! { "status": 1.0, "_id": 1_i64 }, doc! {}),
            index(key(), doc! { "sparse": false, "hidden": false }),
            index(key(), doc! { "partialFilterExpression": {} }),
            index(key(), doc! { "collation": { "locale": SIMPLE } }),
        ] {
            assert!(is_good(&good), "{good:?}");
        }
        for bad in [
            index(doc! { "status": 1 }, doc! {}),
            index(doc! { "_id": 1, "status": 1 }, doc! {}),
            index(doc! { "status": 1, "_id": -1 }, doc! {}),
            index(doc! { "status": "hashed", "_id": 1 }, doc! {}),
            index(doc! { "status": 1, "_id": 1, "date": 1 }, doc! {}),
            index(
                key(),
                doc! { "partialFilterExpression": { "status": "livrée" } },
            ),
            index(key(), doc! { "sparse": true }),
            index(key(), doc! { "hidden": true }),
            index(key(), doc! { "collation": { "locale": "fr" } }),
            building(key(), doc! {}),
        ] {
            assert!(!is_good(&bad), "{bad:?}");
        }
    }

    #[test]
    fn a_join_finds_by_any_index_that_begins_with_its_field_and_compares_alike() {
        let id = || doc! { "id": 1 };
        let fr = doc! { "locale": "fr" };
        for (found, by) in [
            (true, index(id(), doc! {})),
            (true, index(doc! { "id": -1, "name": "text" }, doc! {})),
            (true, index(doc! { "id": "hashed" }, doc! {})),
            (true, index(id(), doc! { "sparse": true })),
            (false, index(doc! { "name": 1, "id": 1 }, doc! {})),
            (false, index(doc! { "id": "2dsphere" }, doc! {})),
            (false, index(id(), doc! { "hidden": true })),
            (false, index(id(), doc! { "collation": &fr })),
            (
                false,
                index(id(), doc! { "partialFilterExpression": { "a": 1 } }),
            ),
            (false, building(id(), doc! {})),
        ] {
            assert_eq!(by.finds_by("id", None), found, "{by:?}");
        }
        let french = index(id(), doc! { "collation": &fr });
        assert!(french.finds_by("id", Some(&fr)));
        assert!(!index(id(), doc! {}).finds_by("id", Some(&fr)));
    }

    #[test]
    fn a_new_index_gets_a_name_that_nobody_has() {
        let named = |name: &str| IndexSpec::of(doc! { "key": {}, "name": name });
        let key = doc! { "status": 1, "_id": 1 };
        let mut there = Vec::new();
        for name in [
            "status_1__id_1",
            "archd_status_1__id_1",
            "archd_status_1__id_1_2",
        ] {
            assert_eq!(free_name(&there, &key), name);
            there.push(named(name));
        }
    }
}
