//! A batch gives every order its due, whatever it holds: no bad order harms a neighbour, and no
//! byte of any is lost.

mod any_shape;
mod any_type;
mod empty_timestamp;
mod ids_of_every_type;
mod large_pages;
mod large_values;
mod largest;
mod nearly_delivered;
mod no_number;
mod one_number_twice;
mod other_forms;
mod reference_ids;
mod renumbered;

use std::collections::HashMap;

use archd::{
    bytes::raw::{self, Value, ValueRef, Writer},
    domain::{enrich::original, judge::Reason},
    store::quarantine::record::entry_id,
};
use bson::{Bson, Document, RawDocumentBuf, doc, oid::ObjectId};
use order_archiver_api::v1 as pb;

use crate::support::{TestServer, order, tally};

/// What is to become of an order.
enum Due {
    /// It is archived, and these fields of its archived document are these.
    Archived(Document),
    /// It goes to quarantine.
    Quarantined(Reason),
}

/// What it is about an order that is bad, the order, and what is to become of it.
type Case = (String, RawDocumentBuf, Due);

fn complete() -> Due {
    Due::Archived(doc! {
        "nom_client": "Zoé Martin", "email_client": "zoe@example.fr", "nom_livreur": "Ali Benali", "nom_restaurant": "Le Bistrot",
        "nom_menu": "Menu du jour", "prix_menu": 12.5, "incomplete": false, "missing_fields": [],
    })
}

fn without(names: &[&str]) -> Due {
    Due::Archived(doc! { "incomplete": true, "missing_fields": names })
}

/// An ordinary order with a number of its own.
fn good() -> Document {
    order(format!("CMD-{}", ObjectId::new()))
}

/// An ordinary order in which these fields are different.
fn with(fields: Document) -> RawDocumentBuf {
    let mut order = good();
    order.extend(fields);
    raw_of(&order)
}

fn raw_of(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

/// A copy of a document in which a field holds a string of any bytes.
fn with_text(document: &RawDocumentBuf, name: &[u8], text: &[u8]) -> RawDocumentBuf {
    let text = Value::text(text);
    let mut writer = Writer::default();
    let mut there = false;
    for element in raw::elements(document.as_bytes()) {
        let it = element.key == name;
        there |= it;
        writer.value(element.key, if it { text.as_ref() } else { element.value });
    }
    if !there {
        writer.value(name, text.as_ref());
    }
    writer.finish()
}

fn value_of(value: &Bson) -> Value {
    let document = raw_of(&doc! { "v": value });
    raw::find(&document, "v").unwrap().to_owned()
}

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse().unwrap())
}

fn nested(levels: usize) -> Bson {
    (0..levels).fold(Bson::from(1), |inner, level| match level % 2 {
        0 => doc! { "d": inner }.into(),
        _ => vec![inner].into(),
    })
}

fn id_of(order: &RawDocumentBuf) -> ValueRef<'_> {
    raw::find(order, "_id").unwrap()
}

/// Puts the orders among good ones, runs a batch, and holds every one of them to its due. A second
/// batch changes nothing.
async fn all_get_their_due(server: &TestServer, mut cases: Vec<Case>) {
    for at in 0..=cases.len() {
        let neighbour = (format!("neighbour {at}"), raw_of(&good()), complete());
        cases.insert(2 * at, neighbour);
    }
    let orders = cases.iter().map(|(_, order, _)| order.clone());
    server.insert_raw("Commande", orders).await;
    let refused = |(_, _, due): &&Case| matches!(due, Due::Quarantined(_));
    let errors = i64::try_from(cases.iter().filter(refused).count()).unwrap();
    let found = i64::try_from(cases.len()).unwrap();

    let batch = server.run_batch().await;
    let archive = server.all_raw("Historique").await;
    check(server, &cases, &archive).await;
    assert_eq!(batch.state(), pb::BatchState::Succeeded, "{batch:?}");
    assert_eq!(
        tally(batch.counts),
        [found, found - errors, 0, errors],
        "{batch:?}"
    );

    let again = server.run_batch().await;
    assert_eq!(tally(again.counts), [found, 0, found - errors, errors]);
    assert_eq!(server.all_raw("Historique").await, archive);
    assert_eq!(server.all_raw("Commande").await.len(), cases.len());
}

async fn check(server: &TestServer, cases: &[Case], archive: &[RawDocumentBuf]) {
    let archived: HashMap<ValueRef<'_>, &RawDocumentBuf> =
        archive.iter().map(|row| (id_of(row), row)).collect();
    for (name, order, due) in cases {
        let id = id_of(order);
        match due {
            Due::Archived(fields) => {
                let archived = archived
                    .get(&id)
                    .unwrap_or_else(|| panic!("{name} is not archived"));
                assert_eq!(original(archived), *order, "{name}");
                for (field, value) in fields {
                    let value = value_of(value);
                    assert_eq!(
                        raw::find(archived, field),
                        Some(value.as_ref()),
                        "{field} of {name}"
                    );
                }
            }
            Due::Quarantined(reason) => {
                assert!(!archived.contains_key(&id), "{name} is archived");
                let entry = entry(server, id).await;
                assert_eq!(
                    archd_reason(entry.reason()),
                    Some(*reason),
                    "{name}: {entry:?}"
                );
                assert_eq!(
                    usize::try_from(entry.document_bytes).unwrap(),
                    order.as_bytes().len(),
                    "{name}"
                );
                assert!(entry.order_id_json.len() <= 1024, "{name}");
                if order.as_bytes().len() < 1024 * 1024 {
                    let shown = archd::store::encoding::ext_json::text(
                        order,
                        archd::store::encoding::ext_json::Form::Canonical,
                    );
                    assert_eq!(entry.document_json, shown, "{name}");
                }
                assert_eq!(kept(server, &entry.id).await, order.as_bytes(), "{name}");
            }
        }
    }
}

/// The entry of the order with an `_id`, as `ListQuarantined` shows it.
async fn entry(server: &TestServer, order_id: ValueRef<'_>) -> pb::QuarantineEntry {
    let request = pb::ListQuarantinedRequest {
        id: entry_id(order_id),
        with_documents: true,
        ..Default::default()
    };
    let listed = server.list_quarantined(request).await;
    let [entry] = listed.entries.try_into().unwrap();
    entry
}

/// The bytes that the database holds for an entry.
async fn kept(server: &TestServer, id: &str) -> Vec<u8> {
    let parts = server.all("archd_quarantine_bytes").await;
    let part_of_it = |part: &&Document| part.get_str("_id").unwrap().starts_with(id);
    let parts = parts.iter().filter(part_of_it);
    parts
        .flat_map(|part| part.get_binary_generic("bytes").unwrap().clone())
        .collect()
}

fn archd_reason(reason: pb::QuarantineReason) -> Option<Reason> {
    Reason::ALL.into_iter().find(|own| {
        reason
            .as_str_name()
            .ends_with(&own.name().to_ascii_uppercase())
    })
}

fn cases(named: Vec<(&str, RawDocumentBuf, Due)>) -> Vec<Case> {
    let owned = |(name, order, due): (&str, _, _)| (name.to_owned(), order, due);
    named.into_iter().map(owned).collect()
}

/// An ordinary order of exactly this many bytes.
fn of_size(bytes: usize) -> RawDocumentBuf {
    let order = with(doc! { "padding": "" });
    let padding = "x".repeat(bytes - order.as_bytes().len());
    with_text(&order, b"padding", padding.as_bytes())
}
