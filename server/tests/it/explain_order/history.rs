//! With the history, what happened to an order is told in its order, as far back as that reaches.

use std::time::Duration;

use bson::doc;
use devkit::ReplicaSet;
use order_archiver_api::v1 as pb;
use pb::OrderChangeKind as Kind;
use prost_types::Duration as Length;

use super::{ask, private, server, with};
use crate::{faults::FailPoints, support::TestServer};

async fn history(server: &TestServer, numero: &str) -> pb::OrderHistory {
    let request = pb::ExplainOrderRequest {
        numero_commande: numero.to_owned(),
        with_history: true,
        history_limit: Some(Length {
            seconds: 60,
            nanos: 0,
        }),
    };
    ask(server, request).await.unwrap().history.unwrap()
}

#[tokio::test]
async fn what_happened_to_an_order_is_told_with_its_statuses_and_no_other_values() {
    let server = server().await;
    server
        .insert(
            "Commande",
            [with(private("a"), "status", "en_cours"), private("other")],
        )
        .await;
    let orders = server.collection("Commande");
    let of = || doc! { "numero_commande": "a" };
    for set in [
        doc! { "$set": { "note": "canary" } },
        doc! { "$set": { "status": "livre\u{301}e" } },
        doc! { "$set": { "status": "livrée", "adresse": "canary" } },
    ] {
        orders.update_one(of(), set).await.unwrap();
    }
    server.archive_order("a").await.unwrap();
    server.archive_order("other").await.unwrap();
    let archive = server.collection("Historique");
    archive
        .update_one(of(), doc! { "$set": { "note": "canary 2" } })
        .await
        .unwrap();
    archive.delete_one(of()).await.unwrap();
    orders
        .update_one(of(), doc! { "$unset": { "status": 1 } })
        .await
        .unwrap();
    let story = history(&server, "a").await;
    let told: Vec<(Kind, &str, bool)> = story
        .changes
        .iter()
        .map(|it| (it.kind(), it.status.as_str(), it.delivered))
        .collect();
    let wanted = [
        (Kind::StatusSet, "", false),
        (Kind::ArchiveDeleted, "", false),
        (Kind::ArchiveChanged, "", false),
        (Kind::Archived, "", false),
        (Kind::StatusSet, "\"livrée\"", true),
        (Kind::StatusSet, r#""livre\u0301e""#, false),
        (Kind::OrderChanged, "", false),
        (Kind::OrderCreated, "\"en_cours\"", false),
    ];
    assert_eq!(told, wanted, "{story:?}");
    assert!(story.changes.iter().all(|change| change.time.is_some()));
    assert_eq!(story.changes[1].collection, "Historique");
    assert!(story.changes[0].document_id_json.starts_with("{\"$oid\""));
    // A history that is whole goes back to its own beginning.
    assert!(story.ends_there && story.since_time.is_some(), "{story:?}");
    assert_eq!((story.more_changes, story.stopped.as_str()), (0, ""));

    orders.delete_one(of()).await.unwrap();
    server
        .insert("Historique", [with(private("a"), "_id", 7)])
        .await;
    server.collection("Commande").drop().await.unwrap();
    let story = history(&server, "a").await;
    let kinds: Vec<Kind> = story.changes.iter().map(pb::OrderChange::kind).collect();
    // By the `_id` of the archived document, which is all that is left.
    assert_eq!(kinds, [Kind::CollectionGone, Kind::Archived]);
    server.shut_down().await;
}

#[tokio::test]
async fn a_quarantined_order_has_a_history_too_and_only_the_latest_hundred_changes_are_told() {
    let server = server().await;
    server
        .insert("Commande", [private("taken"), private("q")])
        .await;
    server.archive_order("taken").await.unwrap();
    let orders = server.collection("Commande");
    let moved = doc! { "$set": { "numero_commande": "taken" } };
    orders
        .update_one(doc! { "numero_commande": "q" }, moved)
        .await
        .unwrap();
    for _ in 0..2 {
        server.archive_order("taken").await.unwrap_err();
    }
    let entry = server.all("archd_quarantine").await.remove(0);
    let drop = pb::DropQuarantinedRequest {
        ids: vec![entry.get_str("_id").unwrap().to_owned()],
    };
    server.quarantine().drop_quarantined(drop).await.unwrap();
    let story = history(&server, "taken").await;
    let count = |kind| {
        story
            .changes
            .iter()
            .filter(|change| change.kind() == kind)
            .count()
    };
    assert_eq!(
        (count(Kind::Quarantined), count(Kind::QuarantineLeft)),
        (1, 1),
        "{story:?}"
    );
    assert!(count(Kind::QuarantineChanged) >= 1, "{story:?}");

    for n in 0..120 {
        let noted = doc! { "$set": { "note": n } };
        orders
            .update_one(doc! { "numero_commande": "taken" }, noted)
            .await
            .unwrap();
    }
    let story = history(&server, "taken").await;
    assert_eq!(story.changes.len(), 100);
    assert!(story.more_changes >= 20, "{}", story.more_changes);
    assert_eq!(story.changes[0].kind(), Kind::OrderChanged);
    server.shut_down().await;
}

#[tokio::test]
async fn a_history_that_cannot_be_read_takes_nothing_from_the_rest() {
    let points = FailPoints::turn().await;
    let server = TestServer::start_on(points.set, |_| {}).await;
    server.insert("Commande", [private("a")]).await;
    let request = pb::ExplainOrderRequest {
        numero_commande: "a".to_owned(),
        with_history: true,
        history_limit: None,
    };
    // No privilege: of the calls that ExplainOrder makes, only those of the history are aggregations
    // on a database without a watcher's document.
    let denied =
        doc! { "errorCode": 13, "namespace": format!("{}.$cmd.aggregate", server.database.name()) };
    points.fail(&["aggregate"], "alwaysOn", denied).await;
    let answer = ask(&server, request).await.unwrap();
    points.mend().await;
    assert_eq!(answer.conclusion(), pb::OrderConclusion::NotArchived);
    let story = answer.history.unwrap();
    assert!(
        story
            .stopped
            .contains("the database user may not run `aggregate`"),
        "{story:?}"
    );
    assert_eq!((story.changes.len(), story.since_time), (0, None));
    server.shut_down().await;
}

#[tokio::test]
async fn a_look_that_runs_out_of_time_says_how_far_it_came() {
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::start_on(&set, |_| {}).await;
    server.insert("Commande", [private("a")]).await;
    let request = pb::ExplainOrderRequest {
        numero_commande: "a".to_owned(),
        with_history: true,
        history_limit: Some(Length {
            seconds: 0,
            nanos: 1_000_000,
        }),
    };
    let story = ask(&server, request).await.unwrap().history.unwrap();
    assert!(story.since_time.is_none() && !story.ends_there, "{story:?}");
    assert_eq!(
        story.stopped,
        format!("the time was over: {:?}", Duration::from_millis(1))
    );
    assert_eq!(story.changes, []);
    server.shut_down().await;
}
