//! The unique index on the number: what makes sure that the archive takes each number once, and
//! whether it is there.

use bson::{Document, doc};

use crate::{
    domain::order::NUMERO,
    store::{
        deployment::{
            index_spec::{IndexSpec, free_name},
            shell,
        },
        wire::command::SIMPLE,
    },
};

/// What keeps the archive's numbers unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A unique index is there, and queries use it.
    Kept,
    /// A unique index of this name is there, and is hidden from queries.
    Hidden(String),
    /// A unique index is being built: until that has ended it refuses nothing, and nobody knows
    /// whether it can be built.
    Building,
    /// There is none.
    Missing,
    /// A unique index of this name takes different numbers for one, and so refuses orders that the
    /// archive does not hold.
    Hindered(String),
}

/// What these indexes of the archive do for its numbers.
pub(super) fn guard_of(indexes: &[IndexSpec]) -> Guard {
    let coarse = indexes
        .iter()
        .find(|index| index.takes_texts_for_one(NUMERO));
    if let Some(index) = coarse {
        return Guard::Hindered(index.name().to_owned());
    }
    let mut guard = Guard::Missing;
    for index in indexes.iter().filter(|index| index.makes_unique(NUMERO)) {
        if index.is_being_built() {
            if guard == Guard::Missing {
                guard = Guard::Building;
            }
        } else if index.is_hidden() {
            guard = Guard::Hidden(index.name().to_owned());
        } else {
            return Guard::Kept;
        }
    }
    guard
}

/// The unique index, to be made beside these. A name of its own keeps every other index out of its
/// way.
pub(in crate::store) fn wanted(indexes: &[IndexSpec]) -> Document {
    let key = doc! { NUMERO: 1 };
    let name = free_name(indexes, &key);
    // Said aloud: an index has the collation of its collection otherwise, to which two numbers may
    // be one.
    doc! { "key": key, "name": name, "unique": true, "collation": { "locale": SIMPLE } }
}

/// What is wrong with an archive whose index takes different numbers for one.
pub fn hindered(archive: &str, index: &str) -> String {
    format!(
        "the unique index {index:?} of {archive} compares by a collation, which takes different texts for one {NUMERO}, so nothing is archived"
    )
}

/// The command that drops an index of the archive.
pub fn drop(database: &str, archive: &str, index: &str) -> String {
    format!(
        "{}.dropIndex({index:?})",
        shell::collection(database, archive)
    )
}

/// The command that makes it as the server does.
pub(in crate::store) fn make(database: &str, archive: &str, indexes: &[IndexSpec]) -> String {
    let mut options = wanted(indexes);
    let key = options.remove("key").unwrap_or_default();
    let archive = shell::collection(database, archive);
    format!("{archive}.createIndex({key}, {options})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(name: &str, options: Document) -> IndexSpec {
        let mut spec = doc! { "key": { NUMERO: 1 }, "name": name, "unique": true };
        spec.extend(options);
        IndexSpec::of(doc! { "spec": spec })
    }

    #[test]
    fn one_finished_index_is_enough_and_one_that_is_being_built_is_none() {
        let fine = || index("a", doc! {});
        let hidden = || index("b", doc! { "hidden": true });
        let sparse = || index("c", doc! { "sparse": true });
        let building = || {
            let spec = doc! { "key": { NUMERO: 1 }, "name": "d", "unique": true };
            IndexSpec::of(doc! { "spec": spec, "indexBuildInfo": { "buildUUID": "any" } })
        };
        let french = || index("e", doc! { "collation": { "locale": "fr", "strength": 1 } });
        let b = || "b".to_owned();
        for (indexes, guard) in [
            (vec![], Guard::Missing),
            (vec![sparse()], Guard::Missing),
            (vec![building()], Guard::Building),
            (vec![sparse(), building()], Guard::Building),
            (vec![building(), fine()], Guard::Kept),
            (vec![hidden(), building()], Guard::Hidden(b())),
            (vec![building(), hidden()], Guard::Hidden(b())),
            (vec![hidden(), fine()], Guard::Kept),
            (vec![fine(), french()], Guard::Hindered("e".to_owned())),
        ] {
            assert_eq!(guard_of(&indexes), guard, "{indexes:?}");
        }
    }

    #[test]
    fn it_is_made_beside_whatever_has_its_usual_name() {
        let name = |indexes: &[IndexSpec]| wanted(indexes).remove("name");
        assert_eq!(name(&[]), Some("numero_commande_1".into()));
        let taken = [index("numero_commande_1", doc! { "sparse": true })];
        assert_eq!(name(&taken), Some("archd_numero_commande_1".into()));
        let command = make("d", "H", &[]);
        let expected = r#"db.getSiblingDB("d").getCollection("H").createIndex({ "numero_commande": 1 }, { "name": "numero_commande_1", "unique": true, "collation": { "locale": "simple" } })"#;
        assert_eq!(command, expected);
    }
}
