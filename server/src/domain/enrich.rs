//! Enrich: turns a bundle into the document that the archive keeps. Total: no input can make it
//! fail.

use bson::{DateTime, RawDocument, RawDocumentBuf};

use super::{
    judge::{Field, Fields},
    order::Order,
};
use crate::bytes::raw::{self, Element, Value, ValueRef, Writer, kind};

/// The largest document that the database stores, in bytes
/// (<https://www.mongodb.com/docs/manual/reference/limits/>).
pub const LARGEST_DOCUMENT: usize = 16 * 1024 * 1024;

/// Whether a field of the eight is missing.
pub const INCOMPLETE: &str = "incomplete";
/// Names of the missing fields.
pub(crate) const MISSING_FIELDS: &str = "missing_fields";
/// When the order was archived.
pub(crate) const DATE_ARCHIVAGE: &str = "date_archivage";
/// Who archived it.
pub(crate) const ARCHIVED_BY: &str = "archived_by";
/// Fields of the order that can't stand in their place, so that the order can be rebuilt from its
/// archive exactly: those whose names the archive takes for its own, and empty timestamps, which
/// the database replaces by the time of the insert. Of an `_id` that is not the order's first field
/// a copy is here, for its place: the archive has it first, as every insert does. A list of `{ at,
/// name, value }`: `at` counts the fields of the order before it. Absent in nearly every document.
pub(crate) const ORIGINAL_FIELDS: &str = "original_fields";

const ID: &[u8] = b"_id";

/// A timestamp of nothing but zeros.
const EMPTY_TIMESTAMP: ValueRef<'static> = ValueRef {
    kind: kind::TIMESTAMP,
    bytes: &[0; 8],
};

/// What the archive notes about the archiving itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When.
    pub date_archivage: DateTime,
    /// By whom.
    pub archived_by: String,
}

/// A document ready for the archive.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchiveDocument {
    /// Its bytes.
    pub document: RawDocumentBuf,
    /// Which of the eight fields it misses.
    pub missing: Vec<Field>,
}

impl ArchiveDocument {
    /// Whether the database can store it.
    pub fn fits(&self) -> bool {
        self.document.as_bytes().len() <= LARGEST_DOCUMENT
    }
}

/// Adds the fields and the stamp to an order, every field of which stays as it is.
pub fn enrich(order: &Order, fields: &Fields<'_>, stamp: &Stamp) -> ArchiveDocument {
    let mut archive = Writer::with_capacity(order.size() + 512);
    let mut displaced: Vec<Value> = Vec::new();
    for (at, element) in raw::elements(order.document().as_bytes()).enumerate() {
        if element.key == ID {
            // Here alone the database keeps an empty timestamp.
            archive.value(element.key, element.value);
            if at > 0 {
                displaced.push(displaced_field(at, element));
            }
        } else if is_ours(element.key) || element.value == EMPTY_TIMESTAMP {
            displaced.push(displaced_field(at, element));
        } else {
            archive.value(element.key, element.value);
        }
    }
    for (field, content) in Field::ENRICHED.iter().zip(&fields.values) {
        archive.value(field.name(), content.value());
    }
    archive.bool(INCOMPLETE, !fields.missing.is_empty());
    let missing: Vec<Value> = fields
        .missing
        .iter()
        .map(|field| Value::string(field.name()))
        .collect();
    archive.array(MISSING_FIELDS, missing.iter().map(Value::as_ref));
    archive
        .date(DATE_ARCHIVAGE, stamp.date_archivage)
        .string(ARCHIVED_BY, &stamp.archived_by);
    if !displaced.is_empty() {
        archive.array(ORIGINAL_FIELDS, displaced.iter().map(Value::as_ref));
    }
    ArchiveDocument {
        document: archive.finish(),
        missing: fields.missing.clone(),
    }
}

/// Rebuilds the order from its archived document, byte for byte.
pub fn original(archived: &RawDocument) -> RawDocumentBuf {
    let mut order = Writer::with_capacity(archived.as_bytes().len());
    let displaced = raw::find(archived, ORIGINAL_FIELDS).unwrap_or(ValueRef::NULL);
    let mut displaced = displaced.elements().map(|entry| entry.value).peekable();
    let id = Value::text(ID);
    let has_id_elsewhere = displaced
        .clone()
        .any(|entry| entry_field(entry, "name") == Some(id.as_ref()));
    let mut kept = raw::elements(archived.as_bytes())
        .filter(|element| !is_ours(element.key))
        .filter(|element| !(has_id_elsewhere && element.key == ID));
    for at in 0.. {
        let entry =
            displaced.next_if(|entry| entry_field(*entry, "at") == Some(at_value(at).as_ref()));
        let element = match entry {
            Some(entry) => entry_field(entry, "name")
                .and_then(ValueRef::string_bytes)
                .zip(entry_field(entry, "value"))
                .map(|(key, value)| Element { key, value }),
            None => kept.next(),
        };
        let Some(element) = element else { break };
        order.value(element.key, element.value);
    }
    order.finish()
}

/// Whether the archive gives this name a meaning of its own.
pub(super) fn is_ours(key: &[u8]) -> bool {
    // A look at the length spares nearly every field the comparisons.
    matches!(key.len(), 8..=15)
        && (Field::ENRICHED
            .iter()
            .any(|field| field.name().as_bytes() == key)
            || [
                INCOMPLETE,
                MISSING_FIELDS,
                DATE_ARCHIVAGE,
                ARCHIVED_BY,
                ORIGINAL_FIELDS,
            ]
            .iter()
            .any(|name| name.as_bytes() == key))
}

fn displaced_field(at: usize, element: Element<'_>) -> Value {
    let mut entry = Writer::with_capacity(element.value.bytes.len() + 64);
    entry
        .value("at", at_value(at).as_ref())
        .value("name", Value::text(element.key).as_ref())
        .value("value", element.value);
    Value {
        kind: kind::DOCUMENT,
        bytes: entry.finish().into_bytes().into(),
    }
}

fn at_value(at: usize) -> Value {
    let at = i32::try_from(at).expect("a document of 16 MiB holds fewer than 2^31 fields");
    Value {
        kind: kind::INT32,
        bytes: at.to_le_bytes().into(),
    }
}

fn entry_field<'a>(entry: ValueRef<'a>, name: &str) -> Option<ValueRef<'a>> {
    entry
        .elements()
        .find(|element| element.key == name.as_bytes())
        .map(|element| element.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::judge::Content;
    use bson::{Bson, Document, doc};

    const EMPTY: Bson = Bson::Timestamp(bson::Timestamp {
        time: 0,
        increment: 0,
    });

    fn stamp() -> Stamp {
        Stamp {
            date_archivage: DateTime::from_millis(1_767_225_600_000),
            archived_by: "script v2.0".into(),
        }
    }

    fn fields() -> Fields<'static> {
        let values = [
            "Zoé Martin",
            "zoe@example.fr",
            "Ali Benali",
            "Le Bistrot",
            "Menu du jour",
        ]
        .map(|text| Content::Made(Value::string(text)));
        let [a, b, c, d, e] = values;
        Fields {
            values: [a, b, c, d, e, Content::Found(ValueRef::NULL)],
            missing: vec![Field::PrixMenu],
        }
    }

    fn enriched(order: &RawDocumentBuf) -> RawDocumentBuf {
        enrich(&Order::new(order.clone()), &fields(), &stamp()).document
    }

    #[test]
    fn an_archived_order_is_the_order_then_the_names_then_the_stamp() {
        let order = doc! { "_id": 1, "numero_commande": "CMD-1", "status": "livrée", "coût_commande": 9.5, "items": [{ "x": 1 }] };
        let archived =
            Document::try_from(enriched(&RawDocumentBuf::try_from(&order).unwrap()).as_ref())
                .unwrap();
        let mut expected = order;
        expected.extend(doc! {
            "nom_client": "Zoé Martin", "email_client": "zoe@example.fr", "nom_livreur": "Ali Benali", "nom_restaurant": "Le Bistrot",
            "nom_menu": "Menu du jour", "prix_menu": Bson::Null, "incomplete": true, "missing_fields": ["prix_menu"],
            "date_archivage": stamp().date_archivage, "archived_by": "script v2.0",
        });
        assert_eq!(archived, expected);
    }

    #[test]
    fn the_order_can_be_rebuilt_from_its_archive() {
        let orders = [
            doc! { "_id": 1, "status": "livrée" },
            doc! { "_id": 1, "client": 1, "livreur": 2, "restaurant": 3, "menu": 4, "$x": 5, "a.b": 6, "": 7 },
            doc! { "nom_client": "own", "_id": 1, "incomplete": { "deep": [1] }, "missing_fields": 3, "date_archivage": "x", "archived_by": Bson::Null },
            doc! { "_id": 1, "original_fields": [{ "at": 0, "name": "x", "value": 1 }], "prix_menu": 2, "z": 1 },
            doc! { "incomplete": true },
            doc! { "_id": 1, "a": EMPTY, "b": 2 },
            doc! { "_id": EMPTY, "a": EMPTY, "b": { "_id": EMPTY } },
            doc! { "a": 1, "_id": EMPTY, "nom_client": "own", "b": EMPTY },
            doc! {},
        ];
        for order in orders {
            let order = RawDocumentBuf::try_from(&order).unwrap();
            assert_eq!(original(&enriched(&order)), order);
        }
    }

    #[test]
    fn the_id_is_never_displaced_wherever_it_stands_and_whatever_it_is() {
        for order in [
            doc! { "_id": EMPTY, "a": EMPTY },
            doc! { "a": EMPTY, "_id": EMPTY },
            doc! { "nom_client": "own", "_id": 7 },
        ] {
            let archived = enriched(&RawDocumentBuf::try_from(&order).unwrap());
            let archived = Document::try_from(archived.as_ref()).unwrap();
            assert_eq!(archived.get("_id"), order.get("_id"));
            assert_eq!(archived.get("a"), None);
        }
    }

    #[test]
    fn a_name_that_stands_twice_and_bytes_that_are_no_text_are_rebuilt_too() {
        let mut order = Writer::default();
        order
            .bool(INCOMPLETE, true)
            .int32(INCOMPLETE, 4)
            .value(
                b"\xff\xfe",
                ValueRef {
                    kind: kind::STRING,
                    bytes: b"\x02\0\0\0\xff\0",
                },
            )
            .int32("a", 1)
            .int32("a", 2);
        let order = order.finish();
        assert_eq!(original(&enriched(&order)), order);
    }
}
