//! Every conclusion, on orders as they come to be so.

use bson::{DateTime, Document, doc, oid::ObjectId};
use order_archiver_api::v1 as pb;
use pb::{ArchiveLikeness, ArchiveMatch, OrderConclusion, WatcherPassage};
use tonic::Code;

use super::{ask, explain, private, server, with};
use crate::support::{TestServer, eventually, faults, order};

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

async fn change(server: &TestServer, collection: &str, numero: &str, set: Document) {
    let changed = server
        .collection(collection)
        .update_one(doc! { "numero_commande": numero }, doc! { "$set": set })
        .await;
    assert_eq!(changed.unwrap().modified_count, 1);
}

async fn delete(server: &TestServer, collection: &str, numero: &str) {
    let deleted = server
        .collection(collection)
        .delete_one(doc! { "numero_commande": numero })
        .await;
    assert_eq!(deleted.unwrap().deleted_count, 1);
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
    assert_eq!(same.summary, "archived, byte for byte as the live order is");
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
async fn an_order_that_is_not_archived_is_told_why_and_when_it_will_be() {
    let server = TestServer::start_with(|config| {
        config.schedule =
            Some(archd::domain::schedule::Schedule::new("0 2 * * *", "Europe/Paris").unwrap());
    })
    .await;
    let (decomposed, cut) = ("livre\u{301}e", vec![0_u8; 5_000]);
    server
        .insert(
            "Commande",
            [
                private("delivered"),
                with(private("near"), "status", decomposed),
                with(private("list"), "status", vec!["livrée"]),
                with(private("cooking"), "status", "en_cours"),
                with(private("odd"), "status", doc! { "canary": "x", "n": 1 }),
                with(private("long"), "status", String::from_utf8(cut).unwrap()),
            ],
        )
        .await;
    let delivered = explain(&server, "delivered").await;
    assert_eq!(delivered.conclusion(), OrderConclusion::NotArchived);
    assert_eq!(
        delivered.advice[0],
        "`ArchiveOrder delivered` archives it now"
    );
    assert_eq!(delivered.advice[1], "else the next batch archives it");
    let next = delivered.next_batch_time.unwrap();
    let hours = (next.seconds - delivered.read_time.unwrap().seconds) as f64 / 3_600.0;
    assert!((0.0..=25.0).contains(&hours), "{delivered:?}");
    assert_eq!(delivered.orders[0].watcher(), WatcherPassage::Unknown);
    assert_eq!(
        delivered.orders[0].watcher_detail,
        "nobody has ever watched"
    );
    assert_eq!(delivered.watcher_state(), pb::WatcherState::Unspecified);

    let near = explain(&server, "near").await;
    assert_eq!(near.conclusion(), OrderConclusion::NearMiss);
    let seen = &near.orders[0];
    assert_eq!(seen.near_miss_kind(), pb::NearMissKind::AccentForm);
    assert_eq!(seen.status_escaped, r#""livre\u0301e""#);
    assert_eq!(
        seen.status_code_points,
        "U+006C U+0069 U+0076 U+0072 U+0065 U+0301 U+0065"
    );
    assert_eq!(seen.difference, "decomposed accent: e + U+0301");
    assert!(seen.mend.contains("updateMany") && near.advice[0].contains(&seen.mend));
    let list = explain(&server, "list").await;
    assert_eq!(list.conclusion(), OrderConclusion::NearMiss);
    assert_eq!(
        (
            list.orders[0].status_type.as_str(),
            list.orders[0].status_code_points.as_str()
        ),
        ("array", "")
    );

    for (numero, status, type_name) in [
        ("cooking", "\"en_cours\"", "string"),
        ("odd", "", "object"),
        ("long", "", "string"),
    ] {
        let found = explain(&server, numero).await;
        assert_eq!(
            found.conclusion(),
            OrderConclusion::NotDelivered,
            "{found:?}"
        );
        assert_eq!(
            (
                found.orders[0].status_json.as_str(),
                found.orders[0].status_type.as_str()
            ),
            (status, type_name)
        );
        assert!(
            found.advice[0].starts_with("nothing: the first batch"),
            "{found:?}"
        );
    }
    server.shut_down().await;
}

#[tokio::test]
async fn orders_that_share_a_number_or_an_archived_one_are_told_apart() {
    let server = server().await;
    server
        .insert(
            "Commande",
            [private("two"), with(private("two"), "status", "en_cours")],
        )
        .await;
    server.archive_order("two").await.unwrap();
    let two = explain(&server, "two").await;
    assert_eq!(two.conclusion(), OrderConclusion::SeveralOrders);
    let of_each: Vec<_> = two
        .orders
        .iter()
        .map(pb::ExplainedOrder::conclusion)
        .collect();
    assert_eq!(
        of_each,
        [OrderConclusion::Archived, OrderConclusion::NotDelivered]
    );
    assert!(two.summary.starts_with("2 live orders"), "{}", two.summary);

    // Renumbered after it was archived, and another order came to its old number.
    server.insert("Commande", [private("old")]).await;
    server.archive_order("old").await.unwrap();
    change(
        &server,
        "Commande",
        "old",
        doc! { "numero_commande": "new" },
    )
    .await;
    let old = explain(&server, "old").await;
    assert_eq!(old.conclusion(), OrderConclusion::OtherNumber);
    assert_eq!(
        old.summary,
        "archived under this number, and the live order has the number new"
    );
    let new = explain(&server, "new").await;
    assert_eq!(new.conclusion(), OrderConclusion::OtherNumber);
    assert_eq!(new.summary, "archived under another number, old");
    assert_eq!(new.archived[0].numero_commande, "old");
    server.insert("Commande", [private("old")]).await;
    let taken = explain(&server, "old").await;
    assert_eq!(taken.conclusion(), OrderConclusion::NumberTaken);
    assert_eq!(taken.archived[0].belongs(), ArchiveMatch::OtherOrder);
    assert_eq!(taken.archived[0].order_numero_commande, "new");

    // As an attempt finds it, it goes to quarantine.
    let refused = server.archive_order("old").await.unwrap_err();
    assert_eq!(faults(&refused).0, "QUARANTINED");
    let quarantined = explain(&server, "old").await;
    assert_eq!(quarantined.conclusion(), OrderConclusion::Quarantined);
    let entry = &quarantined.quarantined[0];
    assert_eq!(entry.reason(), pb::QuarantineReason::NumberConflict);
    assert!(
        quarantined.summary.ends_with(&entry.detail),
        "{}",
        quarantined.summary
    );
    assert!(quarantined.advice[0].contains(&format!("`RetryQuarantined {}`", entry.id)));

    // A copy of an archived order under its own number, beside the one under another.
    let mut copy = server
        .collection("Historique")
        .find_one(doc! { "numero_commande": "old" })
        .await
        .unwrap()
        .unwrap();
    copy.extend(doc! { "_id": "copy", "numero_commande": "new" });
    server.insert("Historique", [copy.clone()]).await;
    let twice = explain(&server, "new").await;
    assert_eq!(twice.conclusion(), OrderConclusion::ArchivedTwice);
    assert_eq!(twice.archived.len(), 2);
    // One number twice, where the index is gone.
    server
        .collection("Historique")
        .drop_indexes()
        .await
        .unwrap();
    copy.insert("_id", "copy of copy");
    server.insert("Historique", [copy]).await;
    let twice = explain(&server, "new").await;
    assert_eq!(twice.conclusion(), OrderConclusion::ArchivedTwice);
    assert_eq!(twice.archived.len(), 3);
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

#[tokio::test]
async fn what_is_left_of_an_order_is_told_and_nothing_else_is_known() {
    let server = server().await;
    // In quarantine, and deleted since.
    server
        .insert("Commande", [private("taken"), private("free")])
        .await;
    server.archive_order("taken").await.unwrap();
    change(
        &server,
        "Commande",
        "free",
        doc! { "numero_commande": "taken" },
    )
    .await;
    server.archive_order("taken").await.unwrap_err();
    server
        .collection("Commande")
        .delete_many(doc! {})
        .await
        .unwrap();
    delete(&server, "Historique", "taken").await;
    let left = explain(&server, "taken").await;
    assert_eq!(left.conclusion(), OrderConclusion::Quarantined);
    assert!(
        left.advice[0].contains("the live order is gone"),
        "{:?}",
        left.advice
    );

    // Of what was once replaced the record is left, and of what was acknowledged.
    let created = DateTime::from_millis(1_760_700_000_000);
    let record = |id: &str, numero: &str| {
        doc! {
            "_id": id, "numero": numero, "class": "altered", "by": "ops", "reason": "one byte", "created": created, "format": 1,
        }
    };
    let mut replaced = record("r-1", "gone");
    replaced.extend(doc! { "archive_id": 7, "document": private("gone") });
    server.insert("archd_replaced", [replaced]).await;
    let mut noted = record("a-1", "gone");
    noted.extend(doc! { "fingerprint": "f", "order_id": 7, "archive_id": 7 });
    let mut torn = record("a-2", "gone");
    torn.extend(doc! { "fingerprint": 7 });
    server.insert("archd_acknowledgements", [noted, torn]).await;
    let gone = explain(&server, "gone").await;
    assert_eq!(gone.conclusion(), OrderConclusion::Gone);
    let (replaced, noted) = (&gone.replaced[0], &gone.acknowledgements[0]);
    assert_eq!(
        (replaced.id.as_str(), replaced.archive_id_json.as_str()),
        ("r-1", "7")
    );
    assert_eq!(
        (replaced.class(), noted.class()),
        (pb::DifferenceClass::Altered, pb::DifferenceClass::Altered)
    );
    assert_eq!(
        (noted.by.as_str(), noted.reason.as_str()),
        ("ops", "one byte")
    );
    assert_eq!(gone.unreadable[0].name, "archd_acknowledgements/a-2");

    let nothing = ask(
        &server,
        pb::ExplainOrderRequest {
            numero_commande: "nobody".to_owned(),
            ..Default::default()
        },
    )
    .await;
    let nothing = nothing.unwrap_err();
    assert_eq!(
        (nothing.code(), faults(&nothing).0.as_str()),
        (Code::NotFound, "NOT_FOUND")
    );
    server.shut_down().await;
}

#[tokio::test]
async fn whether_the_watcher_has_passed_an_order_is_told_from_the_history() {
    let server = TestServer::start_with(|config| {
        config.watch = true;
        config.schedule = None;
    })
    .await;
    server.watcher_is(pb::WatcherState::Watching).await;
    server.insert("Commande", [private("seen")]).await;
    server.archived(1).await;
    delete(&server, "Historique", "seen").await;
    let seen = eventually(async || {
        let seen = explain(&server, "seen").await;
        // Until it has saved its position behind the order.
        (seen.orders[0].watcher() == WatcherPassage::Passed).then_some(seen)
    })
    .await;
    assert_eq!(seen.conclusion(), OrderConclusion::NotArchived);
    assert!(
        seen.advice[1].contains("has passed it by, and no schedule"),
        "{:?}",
        seen.advice
    );
    assert!(seen.watcher_position_time.is_some());

    server.pause_watcher().await;
    server.watcher_is(pb::WatcherState::Paused).await;
    server.insert("Commande", [private("ahead")]).await;
    let ahead = explain(&server, "ahead").await;
    assert_eq!(ahead.orders[0].watcher(), WatcherPassage::Ahead);
    assert_eq!(ahead.watcher_state(), pb::WatcherState::Paused);
    assert!(
        ahead.advice[1].starts_with("nobody watches"),
        "{:?}",
        ahead.advice
    );
    // What the history no longer tells, nobody can.
    let torn = doc! { "$set": { "checkpoint.checksum": "torn" } };
    server
        .collection("archd_state")
        .update_one(doc! { "_id": "watcher" }, torn)
        .await
        .unwrap();
    let unknown = explain(&server, "ahead").await;
    assert_eq!(unknown.orders[0].watcher(), WatcherPassage::Unknown);
    assert!(!unknown.orders[0].watcher_detail.is_empty());
    server.shut_down().await;
}
