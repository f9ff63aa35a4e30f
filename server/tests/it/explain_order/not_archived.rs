//! Orders that are not archived: why, and who will archive them when.

use bson::doc;
use order_archiver_api::v1 as pb;
use pb::{OrderConclusion, WatcherPassage};

use super::{delete, explain, private, with};
use crate::support::{TestServer, eventually};

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
