//! Compares one live order with one archived document, byte for byte.

use std::collections::HashSet;

use bson::RawDocument;

use super::{class::Class, metadata::Archived};
use crate::{
    bytes::raw::{self, Element},
    domain::{
        enrich::{is_ours, original},
        text::cut,
    },
};

/// How many fields are named, and how much of each name, in bytes.
const NAMED: (usize, usize) = (10, 64);

/// By what an archived document belongs to its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// By its `_id`.
    Id,
    /// By its number: the script before archd gave documents `_id`s of their own.
    Number,
}

/// What was found to differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub class: Class,
    /// The names of the fields.
    pub fields: Vec<String>,
    /// The same for people, without what stands in the fields.
    pub detail: String,
}

/// What differs between a live order and its archived document. What the archive's side has
/// changed is [`Class::Altered`]; whether the live side has, only the history tells.
pub fn compare(live: &RawDocument, archived: &Archived<'_>, by: Match) -> Option<Found> {
    // As in nearly every document: the archived one begins with the order, byte for byte.
    let as_it_was = by == Match::Id && archived.has_list() && archived.own() == Some(fields(live));
    let found = match archived.has_list() {
        _ if as_it_was => None,
        true => rebuilt(live, archived, by),
        false => of_script(live, archived, by),
    };
    found.or_else(|| archived.damage())
}

/// The bytes of a document's fields.
fn fields(document: &RawDocument) -> &[u8] {
    let bytes = document.as_bytes();
    &bytes[size_of::<i32>()..bytes.len() - 1]
}

fn rebuilt(live: &RawDocument, archived: &Archived<'_>, by: Match) -> Option<Found> {
    let order = original(archived.document());
    let counts = |element: &Element<'_>| by == Match::Id || element.key != b"_id";
    let (live, order) = (walk(live, counts), walk(&order, counts));
    if live == order {
        return None;
    }
    let mut differ = not_in(&live, &order);
    differ.extend(not_in(&order, &live));
    Some(match differ.is_empty() {
        false => Found {
            class: Class::Altered,
            fields: named(&differ),
            detail: "fields of the order are not what they are in the live order".to_owned(),
        },
        true => Found {
            class: Class::Altered,
            fields: named(&out_of_place(&live, &order)),
            detail: "the fields of the order stand in another order".to_owned(),
        },
    })
}

/// A document of the script before archd, which may have left fields out, or in another order.
fn of_script(live: &RawDocument, archived: &Archived<'_>, by: Match) -> Option<Found> {
    let counts =
        |element: &Element<'_>| !is_ours(element.key) && (by == Match::Id || element.key != b"_id");
    let (live, kept) = (walk(live, counts), walk(archived.document(), counts));
    if live == kept {
        return None;
    }
    let altered = not_in(&kept, &live);
    if !altered.is_empty() {
        return Some(Found {
            class: Class::Altered,
            fields: named(&altered),
            detail: "fields of the order are not what they are in the live order".to_owned(),
        });
    }
    let absent = not_in(&live, &kept);
    Some(match absent.is_empty() {
        false => Found {
            class: Class::NotRebuildable,
            fields: named(&absent),
            detail: "fields of the order are absent, as the script before archd left them"
                .to_owned(),
        },
        true => Found {
            class: Class::NotRebuildable,
            fields: named(&out_of_place(&live, &kept)),
            detail: "the fields of the order stand in another order, as the script before archd left them".to_owned(),
        },
    })
}

/// The fields of a document that count.
fn walk(document: &RawDocument, counts: impl Fn(&Element<'_>) -> bool) -> Vec<Element<'_>> {
    let elements = raw::elements(document.as_bytes());
    elements.filter(|element| counts(element)).collect()
}

/// The names of the fields that those do not hold just so.
fn not_in<'d>(fields: &[Element<'d>], those: &[Element<'_>]) -> Vec<&'d [u8]> {
    let those: HashSet<&Element<'_>> = those.iter().collect();
    let other = fields.iter().filter(|field| !those.contains(*field));
    other.map(|field| field.key).collect()
}

/// The names of the fields that stand where those have another one, or none.
fn out_of_place<'d>(fields: &[Element<'d>], those: &[Element<'_>]) -> Vec<&'d [u8]> {
    let moved = fields.iter().enumerate();
    let moved = moved.filter(|(at, field)| those.get(*at) != Some(*field));
    moved.map(|(_, field)| field.key).collect()
}

/// Names as they are told: each once, the first of them, and not all of a long one.
fn named(names: &[&[u8]]) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for name in names {
        if told.len() == NAMED.0 {
            break;
        }
        let name = cut(&String::from_utf8_lossy(name), NAMED.1);
        if !told.contains(&name) {
            told.push(name);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bytes::raw::{Value, ValueRef},
        domain::{
            enrich::{Stamp, enrich},
            judge::{Content, Fields},
            order::Order,
        },
    };
    use bson::{Bson, DateTime, Document, RawDocumentBuf, doc};

    fn raw_of(document: &Document) -> RawDocumentBuf {
        RawDocumentBuf::try_from(document).unwrap()
    }

    fn order() -> Document {
        doc! {
            "_id": 1, "numero_commande": "CMD-1", "status": "livrée", "coût_commande": 9.5,
            "date_commande": DateTime::from_millis(1), "adresse": { "ville": "Paris", "code": 75 },
        }
    }

    /// An order as archd archives it.
    fn archive(order: &Document) -> Document {
        let content = |text| Content::Made(Value::string(text));
        let fields = Fields {
            values: ["a", "b", "c", "d", "e", "f"].map(content),
            missing: vec![],
        };
        let stamp = Stamp {
            date_archivage: DateTime::from_millis(5),
            archived_by: "archd".to_owned(),
        };
        let order = Order::new(raw_of(order));
        let archived = enrich(&order, &fields, &stamp).document;
        Document::try_from(archived.as_ref()).unwrap()
    }

    fn compared(live: &Document, archived: &Document, by: Match) -> Option<(Class, Vec<String>)> {
        let archived = raw_of(archived);
        let found = compare(&raw_of(live), &Archived::read(&archived), by);
        found.map(|found| (found.class, found.fields))
    }

    fn with(mut document: Document, more: Document) -> Document {
        document.extend(more);
        document
    }

    #[test]
    fn an_order_is_what_its_archive_rebuilds_whatever_it_holds() {
        for more in [
            doc! {},
            doc! { "nom_client": "own", "incomplete": 5, "z": 1 },
            doc! { "t": bson::Timestamp { time: 0, increment: 0 } },
            doc! { "original_fields": [1] },
        ] {
            let live = with(order(), more);
            assert_eq!(compared(&live, &archive(&live), Match::Id), None, "{live}");
        }
    }

    #[test]
    fn each_byte_that_is_another_one_is_told_by_its_field() {
        let archived = || archive(&order());
        let moved = {
            let mut live = order();
            let status = live.remove("status").unwrap();
            with(live, doc! { "status": status })
        };
        let table = [
            (with(order(), doc! { "status": "annulée" }), vec!["status"]),
            (
                with(order(), doc! { "coût_commande": 9.6 }),
                vec!["coût_commande"],
            ),
            (with(order(), doc! { "_id": 1.0 }), vec!["_id"]),
            (
                with(
                    order(),
                    doc! { "adresse": { "ville": "paris", "code": 75 } },
                ),
                vec!["adresse"],
            ),
            (
                with(
                    order(),
                    doc! { "adresse": { "code": 75, "ville": "Paris" } },
                ),
                vec!["adresse"],
            ),
            (with(order(), doc! { "remboursé": true }), vec!["remboursé"]),
            (
                with(order(), doc! { "nom_client": "own" }),
                vec!["nom_client"],
            ),
        ];
        for (live, fields) in table {
            let found = compared(&live, &archived(), Match::Id);
            let fields = fields.into_iter().map(str::to_owned).collect();
            assert_eq!(found, Some((Class::Altered, fields)), "{live}");
        }
        let (class, fields) = compared(&moved, &archived(), Match::Id).unwrap();
        assert_eq!(
            (class, fields[0].as_str()),
            (Class::Altered, "coût_commande")
        );
        let extra = with(archived(), doc! { "note": 1 });
        let found = compared(&order(), &extra, Match::Id);
        assert_eq!(found, Some((Class::Altered, vec!["note".to_owned()])));
        // A field of the archive's own name in front of the order's is no part of the order.
        let mut smuggled = doc! { "_id": 1, "nom_client": "own" };
        smuggled.extend(archived());
        let live = with(doc! { "_id": 1, "nom_client": "own" }, order());
        let (class, _) = compared(&live, &smuggled, Match::Id).unwrap();
        assert_eq!(class, Class::Altered);
    }

    #[test]
    fn a_difference_of_the_order_comes_before_one_of_the_notes() {
        let damaged = with(archive(&order()), doc! { "incomplete": true });
        let found = compared(&order(), &damaged, Match::Id);
        assert_eq!(found, Some((Class::Damaged, vec!["incomplete".to_owned()])));
        let live = with(order(), doc! { "status": "annulée" });
        let (class, _) = compared(&live, &damaged, Match::Id).unwrap();
        assert_eq!(class, Class::Altered);
    }

    #[test]
    fn by_number_the_id_is_not_compared() {
        let other = with(archive(&order()), doc! { "_id": "own" });
        assert_eq!(compared(&order(), &other, Match::Number), None);
        let found = compared(&order(), &other, Match::Id);
        assert_eq!(found, Some((Class::Altered, vec!["_id".to_owned()])));
    }

    #[test]
    fn what_the_script_left_out_is_not_rebuildable_and_what_it_changed_is_altered() {
        let script = |document: Document| {
            let mut archived = archive(&document);
            archived.remove("missing_fields");
            archived
        };
        let mut short = order();
        short.remove("adresse");
        let mut moved = doc! { "status": "livrée" };
        moved.extend(order());
        let table: Vec<(Document, Option<(Class, &str)>)> = vec![
            (order(), None),
            (short.clone(), Some((Class::NotRebuildable, "adresse"))),
            (moved, Some((Class::NotRebuildable, "_id"))),
            (
                with(short, doc! { "coût_commande": 1 }),
                Some((Class::Altered, "coût_commande")),
            ),
            (
                with(order(), doc! { "note": 1 }),
                Some((Class::Altered, "note")),
            ),
        ];
        for (kept, expected) in table {
            let found = compared(&order(), &script(kept.clone()), Match::Id);
            let found = found.map(|(class, fields)| (class, fields[0].clone()));
            let expected = expected.map(|(class, field)| (class, field.to_owned()));
            assert_eq!(found, expected, "{kept}");
        }
        let mut other_id = script(order());
        other_id.insert("_id", "own");
        assert_eq!(compared(&order(), &other_id, Match::Number), None);
    }

    #[test]
    fn few_names_are_told_and_not_all_of_a_long_one() {
        let long = "é".repeat(100);
        let mut live = order();
        for at in 0..20 {
            live.insert(format!("{long}{at}"), at);
        }
        live.insert("x", ValueRef::NULL.kind as i32);
        let (_, fields) = compared(&live, &archive(&order()), Match::Id).unwrap();
        assert!(fields.len() <= 10 && fields.iter().all(|name| name.len() <= 64));
        assert_eq!(Bson::from(fields[0].ends_with('…')), Bson::from(true));
    }
}
