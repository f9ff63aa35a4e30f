//! What an archived document holds besides its order: read in one walk, and whether it agrees with
//! the fields that it speaks of.

use std::collections::HashSet;

use bson::{DateTime, RawDocument};

use super::{class::Class, compare::Found};
use crate::{
    bytes::raw::{self, ValueRef, kind},
    domain::{
        enrich::{
            ARCHIVED_BY, DATE_ARCHIVAGE, INCOMPLETE, MISSING_FIELDS, ORIGINAL_FIELDS, is_ours,
            original,
        },
        judge::Field,
    },
};

/// The fields that are looked for: the eight, in the order of [`Field::ALL`], then the archive's
/// notes.
const NAMES: [&str; 13] = [
    Field::NomClient.name(),
    Field::EmailClient.name(),
    Field::NomLivreur.name(),
    Field::NomRestaurant.name(),
    Field::NomMenu.name(),
    Field::PrixMenu.name(),
    Field::CoutCommande.name(),
    Field::DateCommande.name(),
    INCOMPLETE,
    MISSING_FIELDS,
    DATE_ARCHIVAGE,
    ARCHIVED_BY,
    ORIGINAL_FIELDS,
];
const INCOMPLETE_AT: usize = 8;
const MISSING_AT: usize = 9;
const DATE_AT: usize = 10;
const BY_AT: usize = 11;
const ORIGINAL_AT: usize = 12;

/// An archived document whose fields were walked over once.
#[derive(Clone, Copy, Debug)]
pub struct Archived<'d> {
    document: &'d RawDocument,
    /// The first value of each of [`NAMES`].
    values: [Option<ValueRef<'d>>; NAMES.len()],
    own: Option<&'d [u8]>,
}

impl<'d> Archived<'d> {
    /// Walks over an archived document.
    pub fn read(document: &'d RawDocument) -> Archived<'d> {
        let bytes = document.as_bytes();
        let mut values = [None; NAMES.len()];
        let mut elements = raw::elements(bytes);
        // Where the first field begins that the archive has added, and whether one of the order's
        // own comes after it.
        let (mut end, mut scattered) = (None, false);
        loop {
            let at = bytes.len() - elements.left();
            let Some(element) = elements.next() else {
                let end = end.unwrap_or(at);
                let together = !scattered && values[ORIGINAL_AT].is_none();
                return Archived {
                    document,
                    values,
                    own: together.then(|| &bytes[size_of::<i32>()..end]),
                };
            };
            match matches!(element.key.len(), 8..=15)
                .then(|| {
                    let mut names = NAMES.iter();
                    names.position(|name| name.as_bytes() == element.key)
                })
                .flatten()
            {
                Some(name) => {
                    values[name].get_or_insert(element.value);
                    match is_ours(element.key) {
                        true => _ = end.get_or_insert(at),
                        false => scattered |= end.is_some(),
                    }
                }
                None => scattered |= end.is_some(),
            }
        }
    }

    /// The whole document.
    pub fn document(&self) -> &'d RawDocument {
        self.document
    }

    /// The bytes of the order's fields, where they stand together at the beginning and nothing of
    /// the order stands elsewhere: as in nearly every document.
    pub fn own(&self) -> Option<&'d [u8]> {
        self.own
    }

    /// Whether it says which fields are missing; the script before archd did not.
    pub fn has_list(&self) -> bool {
        self.values[MISSING_AT].is_some()
    }

    /// When it was archived.
    pub fn date(&self) -> Option<DateTime> {
        self.values[DATE_AT].and_then(ValueRef::as_date)
    }

    /// What enrichment has added, in the order of [`Field::ENRICHED`].
    pub fn enriched(&self) -> [Option<ValueRef<'d>>; 6] {
        std::array::from_fn(|at| self.values[at])
    }

    /// What is amiss with the archive's notes.
    pub fn damage(&self) -> Option<Found> {
        let mut faults: Vec<(&str, &str)> = Vec::new();
        let missing: Vec<&str> = Field::ALL
            .into_iter()
            .filter(|field| !self.has(*field))
            .map(Field::name)
            .collect();
        match self.values[INCOMPLETE_AT].map(ValueRef::as_bool) {
            None => faults.push((INCOMPLETE, "is absent")),
            Some(None) => faults.push((INCOMPLETE, "is neither true nor false")),
            Some(Some(incomplete)) if incomplete == missing.is_empty() => {
                faults.push((INCOMPLETE, "does not agree with the fields"));
            }
            Some(Some(_)) => {}
        }
        if let Some(list) = self.values[MISSING_AT] {
            match named_in(list) {
                None => faults.push((
                    MISSING_FIELDS,
                    "is not a list of fields that can be missing",
                )),
                Some(named) if !is_same_set(&named, &missing) => {
                    faults.push((MISSING_FIELDS, "does not name the fields that are missing"));
                }
                Some(_) => {}
            }
        }
        if self.date().is_none() {
            faults.push((DATE_ARCHIVAGE, "is not a date"));
        }
        let by = self.values[BY_AT].and_then(ValueRef::string_bytes);
        if by.is_none() {
            faults.push((ARCHIVED_BY, "is not a text"));
        }
        let sentence = |(name, fault): &(&str, &str)| format!("`{name}` {fault}");
        let sentences: Vec<String> = faults.iter().map(sentence).collect();
        (!faults.is_empty()).then(|| Found {
            class: Class::Damaged,
            fields: faults.iter().map(|(name, _)| (*name).to_owned()).collect(),
            detail: sentences.join("; "),
        })
    }

    /// Whether a field of the eight is there, and not null.
    fn has(&self, field: Field) -> bool {
        let is_own = !Field::ENRICHED.contains(&field);
        if is_own && self.values[ORIGINAL_AT].is_some() {
            // It may have had to leave its place, and another of its name stand there.
            let order = original(self.document);
            return raw::find(&order, field.name()).is_some_and(|value| !value.is_null());
        }
        self.values[field as usize].is_some_and(|value| !value.is_null())
    }
}

/// The fields in a list; none where it is no list of fields that can be missing.
fn named_in(list: ValueRef<'_>) -> Option<Vec<&str>> {
    if list.kind != kind::ARRAY {
        return None;
    }
    let known = |name: &&str| Field::ALL.iter().any(|field| field.name() == *name);
    let names = list.elements();
    names
        .map(|name| name.value.as_str().filter(known))
        .collect()
}

/// Whether each of these stands among those, once, and no other.
fn is_same_set(named: &[&str], missing: &[&str]) -> bool {
    // Nearly always both are empty, or in the same order.
    named == missing || {
        let set = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let (one, other): (HashSet<String>, HashSet<String>) = (set(named), set(missing));
        named.len() == missing.len() && one == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{Bson, Document, RawDocumentBuf, doc};

    fn archived() -> Document {
        doc! {
            "_id": 1, "numero_commande": "CMD-1", "coût_commande": 9.5, "date_commande": DateTime::MIN,
            "nom_client": "a", "email_client": "b", "nom_livreur": "c", "nom_restaurant": "d", "nom_menu": "e",
            "prix_menu": 1, "incomplete": false, "missing_fields": [], "date_archivage": DateTime::from_millis(5),
            "archived_by": "archd",
        }
    }

    fn damage(change: impl FnOnce(&mut Document)) -> Vec<String> {
        let mut document = archived();
        change(&mut document);
        let document = RawDocumentBuf::try_from(&document).unwrap();
        let found = Archived::read(&document).damage();
        found.map(|found| found.fields).unwrap_or_default()
    }

    #[test]
    fn notes_that_do_not_agree_with_the_fields_are_named() {
        type Change = fn(&mut Document);
        let table: &[(Change, &[&str])] = &[
            (|_| {}, &[]),
            (|it| drop(it.remove("incomplete")), &["incomplete"]),
            (|it| drop(it.insert("incomplete", 0)), &["incomplete"]),
            (|it| drop(it.insert("incomplete", true)), &["incomplete"]),
            (
                |it| drop(it.insert("missing_fields", 1)),
                &["missing_fields"],
            ),
            (
                |it| drop(it.insert("missing_fields", Bson::Null)),
                &["missing_fields"],
            ),
            (
                |it| drop(it.insert("missing_fields", vec!["x"])),
                &["missing_fields"],
            ),
            (
                |it| drop(it.insert("missing_fields", vec!["prix_menu"])),
                &["missing_fields"],
            ),
            (
                |it| drop(it.insert("prix_menu", Bson::Null)),
                &["incomplete", "missing_fields"],
            ),
            (
                |it| drop(it.remove("coût_commande")),
                &["incomplete", "missing_fields"],
            ),
            (|it| drop(it.remove("date_archivage")), &["date_archivage"]),
            (
                |it| drop(it.insert("date_archivage", "x")),
                &["date_archivage"],
            ),
            (|it| drop(it.insert("archived_by", 1)), &["archived_by"]),
            // As the script left them, and as they should be.
            (|it| drop(it.remove("missing_fields")), &[]),
            (
                |it| {
                    it.remove("missing_fields");
                    it.insert("nom_menu", Bson::Null);
                },
                &["incomplete"],
            ),
            (
                |it| {
                    it.extend(doc! { "nom_client": Bson::Null, "prix_menu": Bson::Null, "incomplete": true });
                    it.insert("missing_fields", vec!["prix_menu", "nom_client"]);
                },
                &[],
            ),
            (
                |it| {
                    it.extend(doc! { "nom_client": Bson::Null, "incomplete": true });
                    it.insert("missing_fields", vec!["nom_client", "nom_client"]);
                },
                &["missing_fields"],
            ),
            (
                |it| {
                    it.remove("coût_commande");
                    let empty = bson::Timestamp {
                        time: 0,
                        increment: 0,
                    };
                    let moved = doc! { "at": 2, "name": "coût_commande", "value": empty };
                    it.insert("original_fields", vec![moved]);
                },
                &[],
            ),
            (
                // The order had it twice: first a timestamp, which had to leave its place, then null.
                |it| {
                    it.insert("coût_commande", Bson::Null);
                    let empty = bson::Timestamp {
                        time: 0,
                        increment: 0,
                    };
                    let moved = doc! { "at": 2, "name": "coût_commande", "value": empty };
                    it.insert("original_fields", vec![moved]);
                },
                &[],
            ),
        ];
        for (at, (change, fields)) in table.iter().enumerate() {
            assert_eq!(damage(change), *fields, "{at}");
        }
    }

    #[test]
    fn the_orders_own_bytes_are_known_only_where_they_stand_together() {
        let own = |document: &Document| {
            let document = RawDocumentBuf::try_from(document).unwrap();
            Archived::read(&document).own().map(<[u8]>::to_vec)
        };
        let order = doc! { "_id": 1, "numero_commande": "CMD-1", "coût_commande": 9.5, "date_commande": DateTime::MIN };
        let bytes = RawDocumentBuf::try_from(&order).unwrap().into_bytes();
        assert_eq!(
            own(&archived()).as_deref(),
            Some(&bytes[4..bytes.len() - 1])
        );
        assert_eq!(own(&order).as_deref(), Some(&bytes[4..bytes.len() - 1]));
        for (name, value) in [("note", Bson::Null), ("original_fields", Bson::Null)] {
            let mut scattered = archived();
            scattered.insert(name, value);
            assert_eq!(own(&scattered), None, "{name}");
        }
    }
}
