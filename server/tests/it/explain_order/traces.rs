//! Orders that share a number, and what is left of orders that are gone.

use bson::{DateTime, doc};
use order_archiver_api::v1 as pb;
use pb::{ArchiveMatch, OrderConclusion};
use tonic::Code;

use super::{ask, change, delete, explain, private, server, with};
use crate::support::faults;

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
