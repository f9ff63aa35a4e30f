//! An order is joined with the documents whose ids equal its own, and with nobody else's.

use bson::{Bson, Document, doc, oid::ObjectId};

use super::{Due, all_get_their_due, cases, decimal, good, raw_of, with, with_text, without};
use crate::support::TestServer;

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
    let alone = || {
        without(&[
            "nom_client",
            "email_client",
            "nom_livreur",
            "nom_restaurant",
            "nom_menu",
            "prix_menu",
        ])
    };
    let nobody = doc! { "id_client": 404, "id_livreur": "nobody", "id_restaurant": Bson::Null, "id_menu": [1] };
    all.extend(cases(vec![
        ("no ids", raw_of(&homeless), alone()),
        ("ids of nobody", with(nobody), alone()),
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
