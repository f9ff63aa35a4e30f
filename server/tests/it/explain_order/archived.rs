//! Archived orders are compared with the live ones byte by byte, whatever archived them.

use bson::{DateTime, Document, doc, oid::ObjectId};
use order_archiver_api::v1 as pb;
use pb::{ArchiveLikeness, ArchiveMatch, OrderConclusion};

use super::{change, delete, explain, private, server, with};
use crate::support::order;

/// What the script before archd left of an order, under an `_id` of its own.
fn by_script(order: &Document) -> Document {
    let mut archived = order.clone();
    archived.insert("_id", ObjectId::new());
    archived.extend(doc! {
        "nom_client": "canary", "email_client": "canary@example.fr", "nom_livreur": "canary", "nom_restaurant": "canary",
        "nom_menu": "canary", "prix_menu": 12.5, "incomplete": false, "date_archivage": DateTime::from_millis(1_760_700_000_000),
        "archived_by": "script v1.0",
    });
    archived
}

#[tokio::test]
async fn an_archived_order_is_compared_with_the_live_one_byte_by_byte() {
    let server = server().await;
    for numero in [
        "same", "altered", "amended", "damaged", "refunded", "purged",
    ] {
        server.insert("Commande", [private(numero)]).await;
        server.archive_order(numero).await.unwrap();
    }
    let same = explain(&server, "same").await;
    assert_eq!(same.conclusion(), OrderConclusion::Archived, "{same:?}");
    assert_eq!(
        same.summary,
        "archived; its own fields are those of the live order, byte for byte"
    );
    assert_eq!(same.advice, Vec::<String>::new());
    let (order, archived) = (&same.orders[0], &same.archived[0]);
    assert_eq!(order.order_id_json, archived.archive_id_json);
    assert!(order.order_id_json.starts_with("{\"$oid\":\""), "{order:?}");
    assert!(order.delivered && order.status_json == "\"livrée\"");
    assert_eq!(
        order.status_code_points,
        "U+006C U+0069 U+0076 U+0072 U+00E9 U+0065"
    );
    assert_eq!(order.date_commande.unwrap().seconds, 1_760_624_625);
    assert_eq!(archived.belongs(), ArchiveMatch::Id);
    assert_eq!(archived.likeness(), ArchiveLikeness::Same);
    assert_eq!(
        (archived.archived_by.as_str(), archived.incomplete),
        ("script v2.0", false)
    );
    assert!(archived.date_archivage.is_some() && same.read_time.is_some());

    // One of the archive's bytes, and one of the order's: which side changed is not told apart here.
    change(
        &server,
        "Historique",
        "altered",
        doc! { "note.deep": ["canarY"], "coût_commande": 24.9_f32 as f64 },
    )
    .await;
    let altered = explain(&server, "altered").await;
    assert_eq!(altered.conclusion(), OrderConclusion::Different);
    assert_eq!(
        altered.archived[0].differing_fields,
        ["coût_commande", "note"]
    );
    assert!(
        altered.advice.join(" ").contains("`RepairOrders`"),
        "{:?}",
        altered.advice
    );
    change(&server, "Commande", "amended", doc! { "id_menu": 1.0 }).await;
    let amended = explain(&server, "amended").await;
    assert_eq!(amended.conclusion(), OrderConclusion::Different);
    assert_eq!(amended.archived[0].differing_fields, ["id_menu"]);

    change(
        &server,
        "Historique",
        "damaged",
        doc! { "incomplete": true },
    )
    .await;
    let damaged = explain(&server, "damaged").await;
    assert_eq!(damaged.conclusion(), OrderConclusion::Damaged);
    assert_eq!(damaged.archived[0].likeness(), ArchiveLikeness::Damaged);
    assert_eq!(damaged.archived[0].differing_fields, ["incomplete"]);

    change(
        &server,
        "Commande",
        "refunded",
        doc! { "status": "remboursée" },
    )
    .await;
    let refunded = explain(&server, "refunded").await;
    assert_eq!(refunded.conclusion(), OrderConclusion::NoLongerDelivered);
    assert_eq!(refunded.archived[0].differing_fields, ["status"]);
    assert!(!refunded.orders[0].delivered);

    delete(&server, "Commande", "purged").await;
    let purged = explain(&server, "purged").await;
    assert_eq!(purged.conclusion(), OrderConclusion::ArchivedAlone);
    assert_eq!(purged.archived[0].belongs(), ArchiveMatch::None);
    assert!(purged.orders.is_empty() && purged.advice.is_empty());
    server.shut_down().await;
}

#[tokio::test]
async fn what_a_script_archived_belongs_to_its_order_by_the_number() {
    let server = server().await;
    let (whole, part) = (
        order("whole"),
        with(order("part"), "adresse", "canary street"),
    );
    let mut kept = by_script(&part);
    kept.remove("adresse");
    server.insert("Historique", [by_script(&whole), kept]).await;
    server.insert("Commande", [whole, part]).await;
    let found = explain(&server, "whole").await;
    assert_eq!(found.conclusion(), OrderConclusion::OtherId, "{found:?}");
    assert_eq!(found.archived[0].belongs(), ArchiveMatch::Number);
    assert_eq!(
        found.archived[0].order_id_json,
        found.orders[0].order_id_json
    );
    assert_ne!(
        found.archived[0].archive_id_json,
        found.orders[0].order_id_json
    );
    let found = explain(&server, "part").await;
    assert_eq!(found.conclusion(), OrderConclusion::ArchivedInPart);
    assert_eq!(found.archived[0].differing_fields, ["adresse"]);
    assert!(found.archived[0].detail.contains("absent"), "{found:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn an_id_is_compared_as_the_database_does_and_told_where_it_differs() {
    let server = server().await;
    server
        .insert(
            "Commande",
            [
                with(order("one"), "_id", 1),
                with(order("text"), "_id", "é"),
            ],
        )
        .await;
    for numero in ["one", "text"] {
        server.archive_order(numero).await.unwrap();
    }
    let archive = server.collection("Historique");
    let mut one = archive
        .find_one_and_delete(doc! { "_id": 1 })
        .await
        .unwrap()
        .unwrap();
    one.insert("_id", 1.0);
    archive.insert_one(one).await.unwrap();
    let one = explain(&server, "one").await;
    assert_eq!(one.conclusion(), OrderConclusion::Different);
    assert_eq!(one.archived[0].belongs(), ArchiveMatch::Id);
    assert_eq!(one.archived[0].differing_fields, ["_id"]);
    let text = explain(&server, "text").await;
    assert_eq!(
        (text.conclusion(), text.orders[0].order_id_json.as_str()),
        (OrderConclusion::Archived, "\"é\"")
    );
    server.shut_down().await;
}
