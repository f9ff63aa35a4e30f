//! Comparing the order's part of an archived document with the live order: byte by byte, and by the
//! names of the fields that differ.

use std::collections::{HashMap, HashSet};

use bson::RawDocument;

use crate::{
    bytes::raw::{self, Element, ValueRef},
    domain::{
        enrich::{MISSING_FIELDS, is_ours, original},
        text::cut,
    },
};

/// How many fields are named, and the most of each name, in bytes.
const NAMED: usize = 10;
const LONGEST_NAME: usize = 64;

const ID: &[u8] = b"_id";

/// How the order's part of an archived document compares with the live order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// Byte for byte the same.
    Same,
    /// Fields of the order are absent, or in another order; what is there is the same.
    InPart,
    /// Not the same.
    Different,
}

/// How the two compare, and by which fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// How.
    pub likeness: Likeness,
    /// The names of the fields that differ or are absent, a few of them; none where only their
    /// order differs.
    pub fields: Vec<String>,
    /// How many more there are.
    pub more: usize,
}

/// Compares a live order with its archived document. Where the two belong together by the number
/// alone, their `_id`s are not compared.
///
/// A document without a list of missing fields was made by a program before archd, which may have
/// left fields of the order out; under the names that the archive adds nothing is the order's there.
pub fn compare(order: &RawDocument, archived: &RawDocument, with_id: bool) -> Comparison {
    let counts = |element: &Element<'_>| with_id || element.key != ID;
    let is_orders = |element: &Element<'_>| counts(element) && !is_ours(element.key);
    if raw::find(archived, MISSING_FIELDS).is_some() {
        let rebuilt = original(archived);
        let order = fields(order, counts);
        let rebuilt = fields(&rebuilt, counts);
        return compared(&order, &rebuilt, Likeness::Different);
    }
    let (order, archived) = (fields(order, is_orders), fields(archived, is_orders));
    compared(&order, &archived, Likeness::InPart)
}

fn fields<'a>(
    document: &'a RawDocument,
    counts: impl Fn(&Element<'_>) -> bool,
) -> Vec<Element<'a>> {
    let elements = raw::elements(document.as_bytes());
    elements.filter(counts).collect()
}

/// `if_absent` is what it means that fields are absent, or in another order, and all others the
/// same.
fn compared(order: &[Element<'_>], archived: &[Element<'_>], if_absent: Likeness) -> Comparison {
    let told = |likeness, names: &[&[u8]]| Comparison {
        likeness,
        fields: names.iter().take(NAMED).map(|name| shown(name)).collect(),
        more: names.len().saturating_sub(NAMED),
    };
    if order == archived {
        return told(Likeness::Same, &[]);
    }
    let (ours, theirs) = (by_name(order), by_name(archived));
    let mut absent = Vec::new();
    let mut different = Vec::new();
    let mut seen = HashSet::new();
    for Element { key, .. } in order.iter().chain(archived) {
        if !seen.insert(*key) {
            continue;
        }
        match (ours.get(key), theirs.get(key)) {
            (Some(_), None) => absent.push(*key),
            (ours, theirs) if ours != theirs => different.push(*key),
            _ => {}
        }
    }
    if different.is_empty() {
        return told(if_absent, &absent);
    }
    if if_absent == Likeness::Different {
        different.splice(0..0, absent);
    }
    told(Likeness::Different, &different)
}

/// The values of each name: a name may stand several times.
fn by_name<'a>(fields: &[Element<'a>]) -> HashMap<&'a [u8], Vec<ValueRef<'a>>> {
    let mut values: HashMap<&[u8], Vec<ValueRef<'_>>> = HashMap::new();
    for field in fields {
        values.entry(field.key).or_default().push(field.value);
    }
    values
}

fn shown(name: &[u8]) -> String {
    cut(&String::from_utf8_lossy(name), LONGEST_NAME)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bson::{Document, RawDocumentBuf, doc};

    use super::*;

    fn raw(document: Document) -> RawDocumentBuf {
        RawDocumentBuf::try_from(&document).unwrap()
    }

    fn order() -> Document {
        doc! { "_id": 1, "numero_commande": "CMD-1", "status": "livrée", "n": { "x": 1 }, "note": "a" }
    }

    fn by_archd(order: Document) -> Document {
        let mut archived = order;
        archived.extend(doc! {
            "nom_client": "Zoé", "prix_menu": 2, "incomplete": false, "missing_fields": [], "date_archivage": 1, "archived_by": "x",
        });
        archived
    }

    fn by_script(order: Document) -> Document {
        let mut archived = by_archd(order);
        archived.remove("missing_fields");
        archived
    }

    fn with(mut order: Document, field: &str, value: impl Into<bson::Bson>) -> Document {
        order.insert(field, value);
        order
    }

    fn without(mut order: Document, field: &str) -> Document {
        order.remove(field);
        order
    }

    #[test]
    fn what_differs_is_named_and_what_a_script_left_out_is_no_difference() {
        use Likeness::{Different, InPart, Same};
        let turned = doc! { "status": "livrée", "_id": 1, "numero_commande": "CMD-1", "n": { "x": 1 }, "note": "a" };
        let many: Document = (0..12).map(|n| (format!("f{n}"), n.into())).collect();
        let mut swollen = order();
        swollen.extend(many);
        let table = [
            (by_archd(order()), true, Same, &[][..], 0),
            (by_archd(with(order(), "n", doc! { "x": 1.0 })), true, Different, &["n"], 0),
            (by_archd(without(order(), "note")), true, Different, &["note"], 0),
            (by_archd(with(order(), "new", 1)), true, Different, &["new"], 0),
            (by_archd(turned.clone()), true, Different, &[], 0),
            (by_archd(with(order(), "_id", 1.0)), true, Different, &["_id"], 0),
            (by_archd(with(order(), "_id", 7)), false, Same, &[], 0),
            (
                by_archd(swollen), true, Different,
                &["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9"], 2,
            ),
            (by_script(order()), true, Same, &[], 0),
            (by_script(with(order(), "_id", "mine")), false, Same, &[], 0),
            (by_script(without(order(), "note")), true, InPart, &["note"], 0),
            (by_script(turned), true, InPart, &[], 0),
            (
                by_script(with(without(order(), "note"), "status", "annulée")), true, Different,
                &["status"], 0,
            ),
            (by_script(with(order(), "x", 1)), true, Different, &["x"], 0),
        ];
        for (archived, with_id, likeness, fields, more) in table {
            let found = compare(&raw(order()), &raw(archived.clone()), with_id);
            let fields = fields.iter().map(|name| (*name).to_owned()).collect();
            let wanted = Comparison { likeness, fields, more };
            assert_eq!(found, wanted, "{archived}");
        }
    }

    #[test]
    fn a_name_of_the_archives_that_the_order_carries_is_compared_where_archd_kept_it() {
        let carried = with(order(), "nom_client", "own");
        let fields = doc! { "at": 5, "name": "nom_client", "value": "own" };
        let archived = by_archd(order());
        let kept = with(archived.clone(), "original_fields", vec![fields]);
        assert_eq!(compare(&raw(carried.clone()), &raw(kept), true).likeness, Likeness::Same);
        let lost = compare(&raw(carried.clone()), &raw(archived), true);
        assert_eq!((lost.likeness, lost.fields), (Likeness::Different, vec!["nom_client".to_owned()]));
        let script = compare(&raw(carried), &raw(by_script(order())), true);
        assert_eq!(script.likeness, Likeness::Same);
    }
}
