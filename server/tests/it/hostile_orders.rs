//! A batch gives every order its due, whatever it holds: no bad order harms a neighbour, and no byte of any is lost.

use std::collections::HashMap;

use archd::{
    bytes::raw::{self, Value, ValueRef, Writer, kind},
    domain::{
        enrich::{LARGEST_DOCUMENT, original},
        judge::Reason,
    },
    store::quarantine::record::entry_id,
};
use bson::{Binary, Bson, Document, RawDocumentBuf, doc, oid::ObjectId, spec::BinarySubtype};
use order_archiver_api::v1 as pb;

use crate::support::{TestServer, order, tally};
use tonic::Code;

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

/// Puts the orders among good ones, runs a batch, and holds every one of them to its due. A second batch changes nothing.
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
                let entry = entry(server, &entry_id(id)).await;
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

/// An entry as `ListQuarantined` shows it.
async fn entry(server: &TestServer, id: &str) -> pb::QuarantineEntry {
    let request = pb::ListQuarantinedRequest {
        id: id.to_owned(),
        with_documents: true,
        ..Default::default()
    };
    let listed = server.quarantine().list_quarantined(request).await.unwrap();
    let [entry] = listed.into_inner().entries.try_into().unwrap();
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

#[tokio::test]
async fn an_order_without_usable_number_is_quarantined() {
    let server = TestServer::start().await.with_references().await;
    let mut nameless = good();
    nameless.remove("numero_commande");
    let no_number = || Due::Quarantined(Reason::NoUsableNumber);
    let mut all = vec![("no number".to_owned(), raw_of(&nameless), no_number())];
    let numbers: [Bson; 8] = [
        Bson::Null,
        "".into(),
        12.into(),
        f64::NAN.into(),
        vec!["CMD"].into(),
        doc! { "$ne": Bson::Null }.into(),
        Bson::Symbol("CMD".into()),
        Bson::Undefined,
    ];
    for number in numbers {
        let order = with(doc! { "numero_commande": number.clone() });
        all.push((number.to_string(), order, no_number()));
    }
    all.push((
        "broken text".to_owned(),
        with_text(&raw_of(&good()), b"numero_commande", b"CMD-\xff"),
        no_number(),
    ));
    all_get_their_due(&server, all).await;
}

#[tokio::test]
async fn an_id_joins_its_equal_and_nobody_else() {
    let server = TestServer::start().await.with_references().await;
    let someone = ObjectId::new();
    let clients: [(Bson, &str); 8] = [
        ("1".into(), "Texte"),
        (2.5.into(), "Double"),
        (decimal("7.00"), "Décimal"),
        (9_i64.into(), "Long"),
        (someone.into(), "Objet"),
        (Bson::Null, "Nul"),
        (vec![21, 22].into(), "Liste"),
        (doc! { "a": 1 }.into(), "Document"),
    ];
    let clients = clients.map(|(id, nom)| doc! { "id_client": id, "Nom": nom });
    server.insert("Client", clients).await;
    server
        .insert("Client", [doc! { "Nom": "Sans identifiant" }])
        .await;
    let broken = raw_of(&doc! { "_id": ObjectId::new(), "Nom": "Cassé" });
    server
        .insert_raw("Client", [with_text(&broken, b"id_client", b"\xff\xfe")])
        .await;

    let table: [(Bson, Option<&str>); 24] = [
        (1.into(), Some("Zoé Martin")),
        (1_i64.into(), Some("Zoé Martin")),
        (1.0.into(), Some("Zoé Martin")),
        (decimal("1.00"), Some("Zoé Martin")),
        ("1".into(), Some("Texte")),
        (decimal("2.50"), Some("Double")),
        (7.into(), Some("Décimal")),
        (9.0.into(), Some("Long")),
        (someone.into(), Some("Objet")),
        ("9".into(), None),
        (someone.to_hex().into(), None),
        (Bson::Null, None),
        (Bson::Undefined, None),
        (vec![1].into(), None),
        (vec![21, 22].into(), None),
        (21.into(), None),
        (Bson::Array(vec![]), None),
        (Bson::Array(vec![Bson::Null]), None),
        (doc! { "a": 1 }.into(), None),
        (doc! { "$gt": 0 }.into(), None),
        (true.into(), None),
        (f64::NAN.into(), None),
        (
            bson::Regex {
                pattern: ".*".try_into().unwrap(),
                options: "".try_into().unwrap(),
            }
            .into(),
            None,
        ),
        (Bson::MinKey, None),
    ];
    let mut all = Vec::new();
    for (id, name) in table {
        let due = match name {
            Some(name) => Due::Archived(doc! { "nom_client": name }),
            None => without(&["nom_client", "email_client"]),
        };
        all.push((id.to_string(), with(doc! { "id_client": id }), due));
    }
    let fields = good().into_iter();
    let homeless: Document = fields
        .filter(|(name, _)| !name.starts_with("id_"))
        .collect();
    let alone = without(&[
        "nom_client",
        "email_client",
        "nom_livreur",
        "nom_restaurant",
        "nom_menu",
        "prix_menu",
    ]);
    let nobody = doc! { "id_client": 404, "id_livreur": "nobody", "id_restaurant": Bson::Null, "id_menu": [1] };
    all.extend(cases(vec![
        ("no ids", raw_of(&homeless), alone),
        (
            "ids of nobody",
            with(nobody),
            without(&[
                "nom_client",
                "email_client",
                "nom_livreur",
                "nom_restaurant",
                "nom_menu",
                "prix_menu",
            ]),
        ),
        (
            "a broken id",
            with_text(&raw_of(&good()), b"id_client", b"\xff\xfe"),
            Due::Archived(doc! { "nom_client": "Cassé" }),
        ),
        (
            "another broken id",
            with_text(&raw_of(&good()), b"id_client", b"\xff\xfd"),
            without(&["nom_client", "email_client"]),
        ),
    ]));
    all_get_their_due(&server, all).await;
}

#[tokio::test]
async fn an_empty_timestamp_is_not_taken_for_now() {
    let server = TestServer::start().await.with_references().await;
    let empty = bson::Timestamp {
        time: 0,
        increment: 0,
    };
    server.insert("Commande", [good()]).await;
    // An insert would replace it by the time; only an update leaves it as it is.
    let update = doc! { "$set": { "timestamp": empty, "after": 1 } };
    let orders = server.collection("Commande");
    orders.update_one(doc! {}, update).await.unwrap();

    assert_eq!(tally(server.run_batch().await.counts), [1, 1, 0, 0]);
    let [archived] = server.all_raw("Historique").await.try_into().unwrap();
    assert_eq!([original(&archived)], server.all_raw("Commande").await[..]);
}

#[tokio::test]
async fn names_and_values_of_any_kind_are_carried_as_they_are() {
    let server = TestServer::start().await.with_references().await;
    server
        .insert(
            "Client",
            [
                doc! { "id_client": 2, "Prénom": 5, "Nom": " \t", "Email": ["x"] },
                doc! { "id_client": 3, "Prénom": "", "Nom": "Durand", "Email": Bson::Null },
            ],
        )
        .await;
    let broken = raw_of(&doc! { "_id": ObjectId::new(), "id_client": 4, "Nom": "Petit" });
    server
        .insert_raw("Client", [with_text(&broken, b"Email", b"\xff@example.fr")])
        .await;
    server
        .insert(
            "Menu",
            [doc! { "id_menu": 2, "name": { "fr": "Menu" }, "price": "12,50" }],
        )
        .await;
    let mut poor = good();
    poor.remove("coût_commande");
    poor.remove("date_commande");
    all_get_their_due(&server, cases(vec![
        ("names that are no strings", with(doc! { "id_client": 2 }), Due::Archived(doc! { "nom_client": Bson::Null, "email_client": ["x"], "missing_fields": ["nom_client"] })),
        ("carried for want of a name", with(doc! { "id_client": 2, "nom_client": ["M."] }), Due::Archived(doc! { "nom_client": ["M."], "incomplete": false })),
        ("a blank first name", with(doc! { "id_client": 3 }), Due::Archived(doc! { "nom_client": "Durand", "email_client": Bson::Null, "missing_fields": ["email_client"] })),
        ("broken text in a reference", with(doc! { "id_client": 4 }), Due::Archived(doc! { "nom_client": "Petit", "incomplete": false })),
        ("a menu of other types", with(doc! { "id_menu": 2 }), Due::Archived(doc! { "nom_menu": { "fr": "Menu" }, "prix_menu": "12,50", "incomplete": false })),
        ("price and date of other types", with(doc! { "coût_commande": "24,90", "date_commande": "hier" }), Due::Archived(doc! { "coût_commande": "24,90", "date_commande": "hier", "incomplete": false })),
        ("price and date as documents", with(doc! { "coût_commande": { "$add": [1, 2] }, "date_commande": [1] }), complete()),
        ("price and date null", with(doc! { "coût_commande": Bson::Null, "date_commande": Bson::Null }), without(&["coût_commande", "date_commande"])),
        ("no price, no date", raw_of(&poor), without(&["coût_commande", "date_commande"])),
    ]))
    .await;
}

#[tokio::test]
async fn an_order_of_any_shape_is_rebuilt_byte_for_byte() {
    let server = TestServer::start().await.with_references().await;
    let helpers = doc! {
        "client": 1, "livreur": [2], "restaurant": { "x": 3 }, "menu": "m", "order": { "_id": 9 }, "key0": 4, "joined0": [5], "archived": [6],
    };
    let ours = doc! {
        "nom_client": "own", "email_client": 1, "nom_livreur": Bson::Null, "nom_restaurant": [], "nom_menu": {}, "prix_menu": 2.5,
        "incomplete": "maybe", "missing_fields": 3, "date_archivage": "never", "archived_by": { "deep": [1] }, "original_fields": [{ "at": 0, "name": "x", "value": 1 }],
    };
    let code = bson::JavaScriptCodeWithScope {
        code: "g()".into(),
        scope: doc! { "x": 1 },
    };
    let binary = |subtype, bytes: &[u8]| Binary {
        subtype,
        bytes: bytes.to_vec(),
    };
    let regex = bson::Regex {
        pattern: "^a".try_into().unwrap(),
        options: "ix".try_into().unwrap(),
    };
    let types = doc! {
        "double": f64::NAN, "minus": -0.0, "string": "nul\u{0}inside", "document": { "": {} }, "array": [[], 1, Bson::Null], "undefined": Bson::Undefined,
        "generic": binary(BinarySubtype::Generic, b"\0\xff"), "uuid": binary(BinarySubtype::Uuid, &[7; 16]), "md5": binary(BinarySubtype::Md5, &[8; 16]),
        "old": binary(BinarySubtype::BinaryOld, b"old"), "own": binary(BinarySubtype::UserDefined(0x80), b""), "id": ObjectId::new(), "yes": true, "no": false,
        "date": bson::DateTime::MIN, "later": bson::DateTime::MAX, "null": Bson::Null, "regex": regex, "code": Bson::JavaScriptCode("f()".into()), "scoped": code,
        "symbol": Bson::Symbol("s".into()), "int": i32::MIN, "long": i64::MIN, "timestamp": bson::Timestamp { time: 1, increment: 2 },
        "nothing": { "timestamp": bson::Timestamp { time: 0, increment: 0 } },
        "decimal": decimal("-1.10E-6000"), "nan": decimal("NaN"), "min": Bson::MinKey, "max": Bson::MaxKey,
    };
    let mut pointer = Writer::default();
    for element in raw::elements(with(types.clone()).as_bytes()) {
        pointer.value(element.key, element.value);
    }
    let target = ValueRef {
        kind: 0x0c,
        bytes: b"\x04\0\0\0a.b\0twelve bytes",
    };
    pointer.value("pointer", target);
    let many: Document = (0..10_000)
        .map(|at| (format!("f{at}"), Bson::from(at)))
        .collect();
    all_get_their_due(
        &server,
        cases(vec![
            ("names that the join uses", with(helpers), complete()),
            ("names that the archive uses", with(ours), complete()),
            ("every type", pointer.finish(), complete()),
            (
                "operators and dots for names",
                with(doc! { "$x": 5, "$set": { "a": 1 }, "a.b": 6, "": 7, "_ID": 8, " ": { "$a.b": 9 } }),
                complete(),
            ),
            ("90 levels", with(doc! { "deep": nested(90) }), complete()),
            (
                "150 levels under a name of ours",
                with(doc! { "incomplete": nested(150) }),
                complete(),
            ),
            ("10,000 fields", with(many), complete()),
            (
                "broken text",
                with_text(&raw_of(&good()), b"note", b"sans \xff\xfeoignons"),
                complete(),
            ),
            (
                "a broken name",
                with_text(&raw_of(&good()), b"no\xffte", b"x"),
                complete(),
            ),
            (
                "broken text under a name of ours",
                with_text(&raw_of(&good()), b"nom_menu", b"\xc3"),
                complete(),
            ),
            (
                "a broken `_id`",
                with_text(&raw_of(&good()), b"_id", b"\xff\xfe\xfd"),
                complete(),
            ),
        ]),
    )
    .await;
    for (numero, json) in [("note", "�"), ("no\u{fffd}te", "�")] {
        let listed = server
            .archive()
            .list_archived_orders(pb::ListArchivedOrdersRequest {
                with_documents: true,
                page_size: 1000,
                ..Default::default()
            })
            .await
            .unwrap()
            .into_inner();
        let shown = |order: &pb::ArchivedOrder| {
            order.document_json.contains(numero) && order.document_json.contains(json)
        };
        assert!(listed.orders.iter().any(shown), "{numero}");
    }
}

/// An ordinary order of exactly this many bytes.
fn of_size(bytes: usize) -> RawDocumentBuf {
    let order = with(doc! { "padding": "" });
    let padding = "x".repeat(bytes - order.as_bytes().len());
    with_text(&order, b"padding", padding.as_bytes())
}

#[tokio::test]
async fn an_order_is_archived_up_to_the_last_byte_that_fits() {
    let server = TestServer::start().await.with_references().await;
    let probe = raw_of(&good());
    server.insert_raw("Commande", [probe.clone()]).await;
    server.run_batch().await;
    let [archived] = server.all_raw("Historique").await.try_into().unwrap();
    let added = archived.as_bytes().len() - probe.as_bytes().len();
    for name in ["Commande", "Historique"] {
        server.collection(name).drop().await.unwrap();
    }
    // The server makes the unique index anew only when it starts or the database comes back.
    server
        .database
        .run_command(doc! { "createIndexes": "Historique", "indexes": [{ "key": { "numero_commande": 1 }, "name": "n", "unique": true }] })
        .await
        .unwrap();

    let largest = LARGEST_DOCUMENT - added;
    let too_large = || Due::Quarantined(Reason::TooLarge);
    all_get_their_due(
        &server,
        cases(vec![
            ("fits to the byte", of_size(largest), complete()),
            ("one byte over", of_size(largest + 1), too_large()),
            (
                "as large as it gets",
                of_size(LARGEST_DOCUMENT),
                too_large(),
            ),
            ("fits again", of_size(largest), complete()),
        ]),
    )
    .await;
}

#[tokio::test]
async fn many_large_orders_in_one_page_are_all_archived() {
    let server = TestServer::start().await.with_references().await;
    let large = |at: usize| {
        (
            format!("large {at}"),
            of_size(5 * 1024 * 1024 + at),
            complete(),
        )
    };
    all_get_their_due(&server, (0..12).map(large).collect()).await;
}

#[tokio::test]
async fn large_numbers_and_ids_hold_nobody_up() {
    let server = TestServer::start().await.with_references().await;
    let large = |letter: &str| letter.repeat(5 * 1024 * 1024);
    let mut all = Vec::new();
    for letter in ["a", "b", "c", "d", "e", "f"] {
        let number = with(doc! { "numero_commande": large(letter) });
        all.push((format!("number {letter}"), number, complete()));
        let id = with(doc! { "id_client": large(letter) });
        let due = without(&["nom_client", "email_client"]);
        all.push((format!("id of a client {letter}"), id, due));
        let id = with(doc! { "_id": large(letter) });
        let due = Due::Quarantined(Reason::TooLarge);
        all.push((format!("id {letter}"), id, due));
    }
    all_get_their_due(&server, all).await;
}

#[tokio::test]
async fn of_two_orders_with_one_number_one_is_archived_and_the_other_is_a_conflict() {
    // On one page, and on two that are archived at the same time.
    for chunk_size in [500, 1] {
        let server = TestServer::start_with(|config| config.chunk_size = chunk_size).await;
        let numbered = with(doc! { "numero_commande": "CMD-1" });
        let other = with(doc! { "numero_commande": "CMD-1", "note": "another order" });
        server.insert_raw("Commande", [numbered, other]).await;
        assert_eq!(tally(server.run_batch().await.counts), [2, 1, 0, 1]);
        let archive = server.all("Historique").await;
        assert_eq!(archive.len(), 1);
        let entries = server.all("archd_quarantine").await;
        let reasons: Vec<_> = entries
            .iter()
            .map(|entry| entry.get_str("reason").unwrap())
            .collect();
        assert_eq!(reasons, [Reason::NumberConflict.name()]);
        assert_eq!(tally(server.run_batch().await.counts), [2, 0, 1, 1]);
        assert_eq!(server.all("Historique").await, archive);
    }
}

#[tokio::test]
async fn a_number_that_the_archive_holds_in_another_form_is_a_conflict() {
    let server = TestServer::start().await.with_references().await;
    server
        .insert(
            "Historique",
            [
                doc! { "_id": 1, "numero_commande": ["CMD-1", "CMD-2"] },
                doc! { "_id": 2, "numero_commande": Bson::Symbol("CMD-3".into()) },
                doc! { "_id": 3, "numero_commande": "CMD-4" },
            ],
        )
        .await;
    let conflict = || Due::Quarantined(Reason::NumberConflict);
    let numbered = |numero: &str| with(doc! { "numero_commande": numero });
    let orders = cases(vec![
        ("in a list", numbered("CMD-2"), conflict()),
        ("as a symbol", numbered("CMD-3"), conflict()),
        (
            "the same `_id`, as another kind of number",
            with(doc! { "_id": 3_i64, "numero_commande": "CMD-5" }),
            conflict(),
        ),
    ]);
    server
        .insert_raw("Commande", orders.iter().map(|(_, order, _)| order.clone()))
        .await;
    let same = with(doc! { "_id": 3.0, "numero_commande": "CMD-4" });
    assert_eq!(id_of(&same).kind, kind::DOUBLE);
    let batch = server.run_batch().await;
    assert_eq!(tally(batch.counts), [3, 0, 0, 3], "{batch:?}");
    for (name, order, _) in &orders {
        let entry = entry(&server, &entry_id(id_of(order))).await;
        assert_eq!(
            entry.reason(),
            pb::QuarantineReason::NumberConflict,
            "{name}"
        );
    }
    server.collection("Commande").drop().await.unwrap();
    server.insert_raw("Commande", [same]).await;
    let batch = server.run_batch().await;
    assert_eq!(tally(batch.counts), [1, 0, 1, 0], "{batch:?}");
}

#[tokio::test]
async fn an_order_renumbered_after_archiving_is_a_conflict_until_that_is_mended() {
    let server = TestServer::start().await.with_references().await;
    let renumber = async |numero: &str| {
        let update = doc! { "$set": { "numero_commande": numero } };
        let orders = server.collection("Commande");
        orders.update_one(doc! { "_id": 7 }, update).await.unwrap();
    };
    server
        .insert_raw(
            "Commande",
            [with(doc! { "_id": 7, "numero_commande": "CMD-1" })],
        )
        .await;
    assert_eq!(tally(server.run_batch().await.counts), [1, 1, 0, 0]);
    let archive = server.all_raw("Historique").await;

    for numero in ["CMD-2".to_owned(), "C".repeat(256)] {
        renumber(&numero).await;
        // A batch looks at the archive's index of `_id`s, where the order is.
        assert_eq!(tally(server.run_batch().await.counts), [1, 0, 1, 0]);
        let status = server.archive_order(&numero).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        let entry = entry(&server, &entry_id(value_of(&7.into()).as_ref())).await;
        assert_eq!(entry.reason(), pb::QuarantineReason::NumberConflict);
        assert!(entry.detail.len() < 1024, "{}", entry.detail.len());
        assert_eq!(server.all_raw("Historique").await, archive);
    }
    renumber("CMD-1").await;
    assert_eq!(tally(server.run_batch().await.counts), [1, 0, 1, 0]);
    assert_eq!(server.all("archd_quarantine").await, []);
}

#[tokio::test]
async fn statuses_that_only_look_delivered_are_counted_and_left_alone() {
    let server = TestServer::start().await.with_references().await;
    let near: [Bson; 14] = [
        "livre\u{301}e".into(),
        "Livrée".into(),
        "LIVRÉE".into(),
        " livrée".into(),
        "livrée ".into(),
        "livrée\n".into(),
        "livrée\u{200b}".into(),
        "livrée\u{0}".into(),
        "livree".into(),
        vec!["livrée"].into(),
        vec!["livrée", "Livrée"].into(),
        vec!["Livrée", "LIVRÉE"].into(),
        doc! { "v": "livrée" }.into(),
        Bson::Symbol("livrée".into()),
    ];
    let far: [Bson; 6] = [
        "en_cours".into(),
        "annulée".into(),
        "non livrée".into(),
        Bson::Null,
        1.into(),
        Bson::Array(vec![]),
    ];
    let mut orders = Vec::new();
    for (at, status) in near.iter().enumerate() {
        for copy in 0..=at {
            let numero = format!("NEAR-{at}-{copy}");
            orders.push(with(doc! { "numero_commande": numero, "status": status }));
        }
    }
    orders.extend(far.iter().map(|status| with(doc! { "status": status })));
    orders.push(with_text(&raw_of(&good()), b"status", b"livr\xe9e"));
    orders.push(raw_of(&good()));
    server.insert_raw("Commande", orders).await;

    let all = pb::BatchOptions::default();
    let rehearsed = pb::BatchOptions {
        validate_only: true,
        ..all
    };
    let limited = pb::BatchOptions { limit: 1, ..all };
    let mut found = Vec::new();
    for indexed in [false, true] {
        if indexed {
            server.index_status().await;
            server.collection("Historique").drop().await.unwrap();
        }
        for (options, duplicates) in [(rehearsed, 0), (all, 0), (all, 1), (limited, 1)] {
            let batch = server.run_batch_with(options).await;
            let tally = tally(batch.counts);
            assert_eq!(tally, [1, 1 - duplicates, duplicates, 0], "{batch:?}");
            found.push(batch.near_misses);
        }
    }
    let stats = server
        .stats()
        .get_stats(pb::GetStatsRequest {
            include_near_misses: true,
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    found.push(stats.near_misses);
    for misses in found {
        assert_eq!(misses.len(), near.len(), "{misses:?}");
        for (at, status) in near.iter().enumerate() {
            let json = status.clone().into_relaxed_extjson().to_string();
            let miss = misses.iter().find(|miss| miss.status_json == json);
            let miss = miss.unwrap_or_else(|| panic!("{json} is not among {misses:?}"));
            assert_eq!(miss.orders, i64::try_from(at).unwrap() + 1, "{json}");
            assert_eq!(miss.examples.len(), (at + 1).min(3), "{json}");
            let of_it = |numero: &String| numero.starts_with(&format!("NEAR-{at}-"));
            assert!(miss.examples.iter().all(of_it), "{miss:?}");
        }
    }
    let without = server
        .stats()
        .get_stats(pb::GetStatsRequest::default())
        .await
        .unwrap();
    assert_eq!(without.into_inner().near_misses, []);
}

#[tokio::test]
async fn a_batch_pages_through_ids_of_every_type() {
    for chunk_size in 1..=3 {
        for indexed in [false, true] {
            page_through_ids_of_every_type(chunk_size, indexed).await;
        }
    }
}

async fn page_through_ids_of_every_type(chunk_size: usize, indexed: bool) {
    let server = TestServer::start_with(|config| config.chunk_size = chunk_size)
        .await
        .with_references()
        .await;
    if indexed {
        server.index_status().await;
    }
    let ids: [Bson; 23] = [
        Bson::MinKey,
        Bson::Null,
        f64::NAN.into(),
        f64::NEG_INFINITY.into(),
        (-1).into(),
        0.5.into(),
        1.into(),
        2_i64.into(),
        decimal("3.5"),
        "".into(),
        "a".into(),
        Bson::Symbol("b".into()),
        doc! {}.into(),
        doc! { "a": 1 }.into(),
        doc! { "a": { "b": "c" } }.into(),
        Binary {
            subtype: BinarySubtype::Generic,
            bytes: vec![1],
        }
        .into(),
        bson::Uuid::new().into(),
        ObjectId::new().into(),
        false.into(),
        true.into(),
        bson::DateTime::from_millis(-1).into(),
        Bson::Timestamp(bson::Timestamp {
            time: 1,
            increment: 1,
        }),
        Bson::MaxKey,
    ];
    let order = |id: &Bson| (id.to_string(), with(doc! { "_id": id }), complete());
    all_get_their_due(&server, ids.iter().map(order).collect()).await;
}
