//! Names, prices and dates are archived as they are, whatever their types.

use bson::{Bson, doc, oid::ObjectId};

use super::{Due, all_get_their_due, cases, complete, good, raw_of, with, with_text, without};
use crate::support::TestServer;

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
