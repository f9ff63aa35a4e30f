//! The naive comparison: everything in memory, decoded, and held against everything else, by the
//! rules as they are written down. It shares no code with the verifier.

use std::collections::{BTreeMap, BTreeSet};

use archd::bytes::raw::Value;
use bson::{Bson, Document, RawDocumentBuf, doc};

const ENRICHED: [&str; 6] = [
    "nom_client",
    "email_client",
    "nom_livreur",
    "nom_restaurant",
    "nom_menu",
    "prix_menu",
];
const CARRIED: [&str; 2] = ["coût_commande", "date_commande"];
const NOTES: [&str; 5] = [
    "incomplete",
    "missing_fields",
    "date_archivage",
    "archived_by",
    "original_fields",
];

/// Both sides, and the `_id`s of the orders in quarantine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Platform {
    pub(crate) orders: Vec<Document>,
    pub(crate) archive: Vec<Document>,
    pub(crate) quarantined: Vec<Bson>,
}

/// What a verification has to find.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Expected {
    /// Class, order and archived document of each difference.
    pub(crate) told: Vec<String>,
    pub(crate) delivered: i64,
    pub(crate) archived: i64,
    pub(crate) verified: i64,
    pub(crate) by_class: BTreeMap<&'static str, i64>,
}

/// A value as its bytes decode.
pub(crate) fn bson_of(value: &Value) -> Bson {
    let mut document = vec![0; 4];
    document.push(value.kind);
    document.extend(b"v\0");
    document.extend(&value.bytes);
    document.push(0);
    let length = i32::try_from(document.len()).unwrap();
    document[..4].copy_from_slice(&length.to_le_bytes());
    let document = RawDocumentBuf::from_bytes(document).unwrap();
    Document::try_from(document.as_ref())
        .unwrap()
        .remove("v")
        .unwrap()
}

fn id(document: &Document) -> &Bson {
    document.get("_id").unwrap()
}

/// Whether the database takes two `_id`s for one.
fn is_one(one: &Bson, other: &Bson) -> bool {
    let number = |value: &Bson| match value {
        Bson::Int32(number) => Some(f64::from(*number)),
        Bson::Int64(number) => Some(*number as f64),
        Bson::Double(number) => Some(*number),
        _ => None,
    };
    match (one, other) {
        (Bson::Document(one), Bson::Document(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((a, one), (b, other))| a == b && is_one(one, other))
        }
        _ => match (number(one), number(other)) {
            (Some(one), Some(other)) => one == other,
            (None, None) => bytes_of(one) == bytes_of(other),
            _ => false,
        },
    }
}

fn bytes_of(value: &Bson) -> Vec<u8> {
    RawDocumentBuf::try_from(&doc! { "v": value.clone() })
        .unwrap()
        .into_bytes()
}

fn number(document: &Document) -> Option<&str> {
    let text = document.get("numero_commande")?.as_str()?;
    (!text.is_empty()).then_some(text)
}

fn is_delivered(order: &Document) -> bool {
    matches!(order.get("status"), Some(Bson::String(status)) if status == "livrée")
}

fn is_ours(name: &str) -> bool {
    ENRICHED.contains(&name) || NOTES.contains(&name)
}

/// The fields that the order had, in their places.
fn rebuilt(archived: &Document) -> Vec<(String, Bson)> {
    let mut moved: Vec<(i64, String, Bson)> = Vec::new();
    if let Some(Bson::Array(entries)) = archived.get("original_fields") {
        for entry in entries.iter().filter_map(Bson::as_document) {
            let at = match entry.get("at") {
                Some(Bson::Int32(at)) => i64::from(*at),
                _ => continue,
            };
            let name = entry.get_str("name").unwrap().to_owned();
            moved.push((at, name, entry.get("value").unwrap().clone()));
        }
    }
    let id_is_moved = moved.iter().any(|(_, name, _)| name == "_id");
    let mut fields: Vec<(String, Bson)> = archived
        .iter()
        .filter(|(name, _)| !(is_ours(name) || id_is_moved && *name == "_id"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for (at, name, value) in moved {
        let at = usize::try_from(at).unwrap().min(fields.len());
        fields.insert(at, (name, value));
    }
    fields
}

fn sequence(document: &Document) -> Vec<(String, Bson)> {
    let fields = document.iter();
    fields
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn same(one: &[(String, Bson)], other: &[(String, Bson)]) -> bool {
    let bytes = |fields: &[(String, Bson)]| -> Vec<(String, Vec<u8>)> {
        let fields = fields.iter();
        fields
            .map(|(name, value)| (name.clone(), bytes_of(value)))
            .collect()
    };
    bytes(one) == bytes(other)
}

/// The class of the difference between an order and its archived document.
fn difference(order: &Document, archived: &Document, by_id: bool) -> Option<&'static str> {
    let counts = |name: &str| by_id || name != "_id";
    if archived.contains_key("missing_fields") {
        let keep = |fields: Vec<(String, Bson)>| -> Vec<_> {
            fields
                .into_iter()
                .filter(|(name, _)| counts(name))
                .collect()
        };
        if !same(&keep(sequence(order)), &keep(rebuilt(archived))) {
            return Some("altered");
        }
    } else {
        let keep = |fields: Vec<(String, Bson)>| -> Vec<_> {
            fields
                .into_iter()
                .filter(|(name, _)| counts(name) && !is_ours(name))
                .collect()
        };
        let (live, kept) = (keep(sequence(order)), keep(sequence(archived)));
        let agrees = |(name, value): &(String, Bson)| {
            live.iter()
                .any(|(other, own)| other == name && bytes_of(own) == bytes_of(value))
        };
        if !kept.iter().all(agrees) {
            return Some("altered");
        }
        if !same(&live, &kept) {
            return Some("not_rebuildable");
        }
    }
    is_damaged(archived).then_some("damaged")
}

fn is_damaged(archived: &Document) -> bool {
    let moved: Vec<(String, Bson)> = rebuilt(archived);
    let absent = |value: Option<&Bson>| matches!(value, None | Some(Bson::Null));
    let mut missing: Vec<&str> = Vec::new();
    for name in ENRICHED {
        if absent(archived.get(name)) {
            missing.push(name);
        }
    }
    for name in CARRIED {
        let own = moved.iter().find(|(other, _)| other == name);
        if absent(own.map(|(_, value)| value)) {
            missing.push(name);
        }
    }
    missing.sort_unstable();
    let agrees = match archived.get("missing_fields") {
        None => true,
        Some(Bson::Array(names)) => {
            let names: Option<Vec<&str>> = names.iter().map(Bson::as_str).collect();
            names.is_some_and(|mut names| {
                names.sort_unstable();
                names == missing
            })
        }
        Some(_) => false,
    };
    let incomplete = archived.get("incomplete") == Some(&Bson::Boolean(!missing.is_empty()));
    let dated = matches!(archived.get("date_archivage"), Some(Bson::DateTime(_)));
    let signed = matches!(archived.get("archived_by"), Some(Bson::String(_)));
    !(agrees && incomplete && dated && signed)
}

impl Platform {
    fn live(&self, wanted: &Bson) -> Option<&Document> {
        self.orders.iter().find(|order| is_one(id(order), wanted))
    }

    fn document(&self, wanted: &Bson) -> Option<&Document> {
        self.archive.iter().find(|it| is_one(id(it), wanted))
    }

    /// Archived documents that are one too many for their number.
    fn surplus(&self) -> Vec<&Document> {
        let mut by_number: BTreeMap<&str, Vec<&Document>> = BTreeMap::new();
        for document in &self.archive {
            if let Some(Bson::String(numero)) = document.get("numero_commande") {
                by_number.entry(numero).or_default().push(document);
            }
        }
        let mut surplus = Vec::new();
        for (numero, mut documents) in by_number {
            let is_its = |document: &&Document| {
                let order = self.live(id(document));
                order.is_some_and(|order| order.get("numero_commande") == Some(&numero.into()))
            };
            let keeper = documents.iter().position(is_its).unwrap_or(0);
            documents.remove(keeper);
            surplus.extend(documents);
        }
        surplus
    }

    /// Archived orders whose status an index takes for the delivered one.
    pub(crate) fn archived_lookalikes(&self) -> i64 {
        let looks = |order: &&Document| match order.get("status") {
            Some(Bson::Array(members)) => members.contains(&"livrée".into()),
            Some(Bson::Symbol(text)) => text == "livrée",
            _ => false,
        };
        let orders = self.orders.iter().filter(looks);
        orders
            .filter(|order| self.document(id(order)).is_some())
            .count() as i64
    }

    /// The first by type and bytes of their `_id`s.
    fn first<'d>(documents: impl Iterator<Item = &'d Document>) -> Option<&'d Document> {
        documents.min_by_key(|document| {
            let bytes = bytes_of(id(document));
            (bytes[4], bytes[7..].to_vec())
        })
    }

    /// What a verification has to find that compares contents, or only looks for presence.
    pub(crate) fn expected(&self, contents: bool) -> Expected {
        let surplus = self.surplus();
        let is_surplus = |document: &Document| surplus.iter().any(|it| it == &document);
        let delivered = || self.orders.iter().filter(|order| is_delivered(order));
        let with_number = |numero: Option<&str>| {
            let numero = numero.map(str::to_owned);
            delivered()
                .filter(move |order| numero.is_some() && number(order).map(str::to_owned) == numero)
        };
        // Archived documents that nobody claims by `_id`, and that are not too many.
        let unclaimed = || {
            let documents = self.archive.iter();
            documents.filter(|it| self.live(id(it)).is_none() && !is_surplus(it))
        };
        let mut found: BTreeSet<(&'static str, Option<String>, Option<String>)> = BTreeSet::new();
        let shown = |document: Option<&Document>| document.map(|it| id(it).to_string());
        let mut failing: BTreeSet<String> = BTreeSet::new();
        let mut note =
            |class: &'static str, order: Option<&Document>, archived: Option<&Document>| {
                found.insert((class, shown(order), shown(archived)));
                let fails = ["missing", "altered", "doubled", "damaged"].contains(&class);
                if let Some(order) = order.filter(|order| fails && is_delivered(order)) {
                    failing.insert(id(order).to_string());
                }
            };
        for document in &self.archive {
            let order = self.live(id(document));
            if is_surplus(document) {
                let order = order.or_else(|| Platform::first(with_number(number(document))));
                note("doubled", order, Some(document));
            } else if let Some(order) = order {
                let Some(class) = difference(order, document, true).filter(|_| contents) else {
                    continue;
                };
                let numero = number(order);
                let is_renumbered =
                    is_delivered(order) && numero.is_some() && numero != number(document);
                let others = unclaimed().filter(|it| is_renumbered && number(it) == numero);
                let others: Vec<&Document> = others.collect();
                if others.is_empty() {
                    note(class, Some(order), Some(document));
                }
                for other in others {
                    note("doubled", Some(order), Some(other));
                }
            } else {
                let orders: Vec<&Document> = with_number(number(document)).collect();
                let is_free = |order: &&&Document| self.document(id(order)).is_none();
                if orders.iter().any(|order| is_free(&order)) {
                    continue;
                }
                match Platform::first(orders.into_iter()) {
                    Some(order) => note("doubled", Some(order), Some(document)),
                    None if contents && is_damaged(document) => {
                        note("damaged", None, Some(document))
                    }
                    None => note("orphaned", None, Some(document)),
                }
            }
        }
        for order in delivered() {
            if self.document(id(order)).is_some() {
                continue;
            }
            let numero = number(order);
            let own = unclaimed().filter(|it| numero.is_some() && number(it) == numero);
            // One document is the archive of one order.
            let free = with_number(numero).filter(|order| self.document(id(order)).is_none());
            let is_first = Platform::first(free).is_some_and(|first| id(first) == id(order));
            match Platform::first(own).filter(|_| is_first) {
                Some(document) if contents => {
                    if let Some(class) = difference(order, document, false) {
                        note(class, Some(order), Some(document));
                    }
                }
                Some(_) => {}
                None => {
                    let quarantined = self.quarantined.iter();
                    let is_its = |it: &&Bson| bytes_of(it) == bytes_of(id(order));
                    match quarantined.filter(is_its).count() {
                        0 => note("missing", Some(order), None),
                        _ => note("quarantined", Some(order), None),
                    }
                }
            }
        }
        let mut expected = Expected {
            delivered: delivered().count() as i64,
            archived: self.archive.len() as i64,
            ..Expected::default()
        };
        for (class, order, archived) in found {
            *expected.by_class.entry(class).or_default() += 1;
            let side = |side: Option<String>| side.unwrap_or("null".to_owned());
            let told = format!("{class} {} {}", side(order), side(archived));
            expected.told.push(told);
        }
        expected.told.sort();
        let quarantined = expected.by_class.get("quarantined").copied().unwrap_or(0);
        expected.verified = expected.delivered - quarantined - failing.len() as i64;
        expected
    }
}
