//! A document that a newer version wrote is left alone, and what needs it says so.

use bson::doc;
use order_archiver_api::v1 as pb;
use tonic_health::ServingStatus;

use super::{assert_named, assert_works, health, left, program, server, spoil, spoil_counters};
use crate::{
    faults::state,
    support::{order, orders, tally},
};

#[tokio::test]
async fn a_newer_batch_is_left_alone_and_callers_and_the_watcher_go_on() {
    let server = server().await;
    let mut newer = left("newer");
    newer.insert("format", 2);
    server.insert("archd_batches", [newer.clone()]).await;
    health(&server, "Batch", ServingStatus::NotServing).await;
    let status = server
        .start_batch(pb::BatchOptions::default(), "")
        .await
        .unwrap_err();
    assert_named(&status, "STATE_NEWER", "archd_batches/newer", "format 2");
    let cancel = pb::CancelBatchRequest {
        id: "newer".to_owned(),
    };
    let status = server.batches().cancel_batch(cancel).await.unwrap_err();
    assert_named(&status, "STATE_NEWER", "archd_batches/newer", "format 2");
    assert_works(&server, "meanwhile").await;
    server.insert("Commande", [order("seen")]).await;
    server.archived(4).await;
    let (code, said) = program(&server, &["state", "--set-aside", "all"]).await;
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("run the newer archd"), "{said}");
    let batches = server.all("archd_batches").await;
    assert!(batches.contains(&newer), "{batches:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn a_newer_watcher_is_left_alone_and_batches_and_callers_go_on() {
    let server = server().await;
    spoil(
        &server,
        "archd_state",
        "watcher",
        doc! { "format": 2, "epoch": 100_i64 },
    )
    .await;
    health(&server, "Watcher", ServingStatus::NotServing).await;
    let status = server
        .watcher()
        .get_watcher(pb::GetWatcherRequest {})
        .await
        .unwrap_err();
    assert_named(&status, "STATE_NEWER", "archd_state/watcher", "format 2");
    let pausing = server
        .watcher()
        .pause_watcher(pb::PauseWatcherRequest {})
        .await;
    assert_named(
        &pausing.unwrap_err(),
        "STATE_NEWER",
        "archd_state/watcher",
        "format 2",
    );
    let before = state(&server.database).await;
    assert_works(&server, "meanwhile").await;
    server.insert("Commande", orders(3)).await;
    assert_eq!(server.run_batch().await.state(), pb::BatchState::Succeeded);
    server.archived(6).await;
    assert_eq!(state(&server.database).await, before);
    server.shut_down().await;
}

#[tokio::test]
async fn a_newer_format_while_it_is_at_work_takes_the_work_from_an_instance() {
    let server = server().await;
    // With the epoch that this very instance holds.
    spoil(&server, "archd_state", "watcher", doc! { "format": 2 }).await;
    let before = state(&server.database).await;
    server.insert("Commande", orders(1)).await;
    health(&server, "Watcher", ServingStatus::NotServing).await;
    let after = state(&server.database).await;
    assert_eq!(after.get("checkpoint"), before.get("checkpoint"));
    server
        .insert(
            "Commande",
            (0..500).map(|number| order(format!("slow-{number}"))),
        )
        .await;
    let slow = pb::BatchOptions {
        max_orders_per_second: Some(20),
        ..Default::default()
    };
    let (running, _) = server.start_batch(slow, "").await.unwrap();
    server.batch_under_way(&running.id).await;
    spoil(
        &server,
        "archd_batches",
        running.id.clone(),
        doc! { "format": 2 },
    )
    .await;
    let counts = async || {
        server
            .all("archd_batches")
            .await
            .iter()
            .find(|batch| batch.get_str("_id").unwrap() == running.id)
            .unwrap()
            .clone()
    };
    let left = counts().await;
    health(&server, "Batch", ServingStatus::NotServing).await;
    assert_eq!(counts().await, left);
    server.shut_down().await;
}

#[tokio::test]
async fn newer_counters_are_left_alone_and_the_statistics_say_so() {
    let server = server().await;
    spoil_counters(&server, doc! { "format": 2 }).await;
    let newer = async || {
        let counters = server.all("archd_counters").await.into_iter();
        counters
            .filter(|counter| counter.get_i32("format").ok() == Some(2))
            .collect::<Vec<_>>()
    };
    let before = newer().await;
    assert_works(&server, "uncounted").await;
    server.insert("Commande", [order("seen")]).await;
    server.archived(4).await;
    assert_eq!(server.run_batch().await.state(), pb::BatchState::Succeeded);
    assert_eq!(newer().await, before);
    let stats = server.stats_now().await;
    assert_eq!(stats.unreadable.len(), 3, "{stats:?}");
    assert!(
        stats.unreadable.iter().all(|document| document.newer),
        "{stats:?}"
    );
    server.shut_down().await;
}

#[tokio::test]
async fn newer_entries_in_quarantine_are_listed_as_such_and_left_alone() {
    let server = server().await;
    let request = pb::ListQuarantinedRequest::default();
    let id = server.list_quarantined(request.clone()).await.entries[0]
        .id
        .clone();
    spoil(
        &server,
        "archd_quarantine",
        id.clone(),
        doc! { "format": 2 },
    )
    .await;
    spoil(
        &server,
        "archd_quarantine_bytes",
        format!("{id}/0000"),
        doc! { "format": 2, "bytes": "packed" },
    )
    .await;
    let before = (
        server.all("archd_quarantine").await,
        server.all("archd_quarantine_bytes").await,
    );
    let batch = server.run_batch().await;
    assert_eq!(tally(batch.counts)[3], 1, "{batch:?}");
    let list = server.list_quarantined(request).await;
    assert!(
        list.entries.is_empty() && list.unreadable[0].newer,
        "{list:?}"
    );
    let dropping = server
        .quarantine()
        .drop_quarantined(pb::DropQuarantinedRequest {
            ids: vec![id.clone()],
        })
        .await;
    assert_named(&dropping.unwrap_err(), "STATE_NEWER", &id, "format 2");
    let after = (
        server.all("archd_quarantine").await,
        server.all("archd_quarantine_bytes").await,
    );
    assert_eq!(before, after);
    server.shut_down().await;
}
