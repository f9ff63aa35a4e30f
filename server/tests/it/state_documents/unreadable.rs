//! A document that can't be read is named, stops what depends on it and nothing else, and can be
//! set aside.

use bson::{Bson, doc};
use devkit::audit;
use order_archiver_api::v1 as pb;
use tonic_health::ServingStatus;

use super::{
    assert_named, assert_works, health, left, program, server, set_aside, spoil, spoil_counters,
};
use crate::support::{eventually, order, orders, tally};

#[tokio::test]
async fn a_bad_active_batch_is_named_and_set_aside_while_everything_else_goes_on() {
    for (field, bad) in [
        ("epoch", Bson::from("two")),
        ("lease", doc! {}.into()),
        ("state", "sleeping".into()),
        ("counts", doc! { "found": "many" }.into()),
        ("alive_until", "tomorrow".into()),
    ] {
        let server = server().await;
        let mut active = left("bad");
        active.insert(field, bad);
        server.insert("archd_batches", [active]).await;
        health(&server, "Batch", ServingStatus::NotServing).await;
        health(&server, "", ServingStatus::Serving).await;
        health(&server, "Watcher", ServingStatus::Serving).await;
        let status = server
            .start_batch(pb::BatchOptions::default(), "")
            .await
            .unwrap_err();
        assert_named(
            &status,
            "STATE_UNREADABLE",
            "archd_batches/bad",
            &format!("`{field}"),
        );
        assert_works(&server, "meanwhile").await;
        let listed = server.list_batches(pb::ListBatchesRequest::default()).await;
        assert!(!listed.batches.is_empty(), "{listed:?}");
        assert_eq!(listed.unreadable[0].name, "archd_batches/bad");
        set_aside(&server, "archd_batches/bad").await;
        health(&server, "Batch", ServingStatus::Serving).await;
        assert_eq!(
            server.run_batch().await.state(),
            pb::BatchState::Succeeded,
            "{field}"
        );
        assert!(audit::audit(&server.database).await.unwrap().is_clean());
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_bad_watcher_is_told_in_health_and_set_aside_while_batches_and_callers_go_on() {
    for (field, bad) in [
        ("lease", Bson::from("long")),
        ("epoch", "first".into()),
        ("paused", "no".into()),
        ("gap", doc! { "to": "then" }.into()),
    ] {
        let server = server().await;
        spoil(&server, "archd_state", "watcher", doc! { field: bad }).await;
        health(&server, "Watcher", ServingStatus::NotServing).await;
        health(&server, "Batch", ServingStatus::Serving).await;
        let status = server
            .watcher()
            .get_watcher(pb::GetWatcherRequest {})
            .await
            .unwrap_err();
        assert_named(
            &status,
            "STATE_UNREADABLE",
            "archd_state/watcher",
            &format!("`{field}"),
        );
        assert_works(&server, "meanwhile").await;
        assert_eq!(server.run_batch().await.state(), pb::BatchState::Succeeded);
        set_aside(&server, "archd_state/watcher").await;
        server.watcher_is(pb::WatcherState::Watching).await;
        health(&server, "Watcher", ServingStatus::Serving).await;
        server.insert("Commande", [order("afterwards")]).await;
        eventually(async || {
            audit::audit(&server.database)
                .await
                .unwrap()
                .is_clean()
                .then_some(())
        })
        .await;
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_bad_counter_never_fails_an_order_and_is_named_in_the_statistics() {
    for field in ["archived", "incomplete", "quarantined"] {
        let server = server().await;
        spoil_counters(&server, doc! { field: "many" }).await;
        // In whichever way it comes.
        assert_works(&server, "asked-again").await;
        server.insert("Commande", [order("seen")]).await;
        server.archived(4).await;
        server.insert("Commande", orders(3)).await;
        server.archived(7).await;
        let batch = server.run_batch().await;
        assert_eq!(batch.state(), pb::BatchState::Succeeded, "{batch:?}");
        assert_eq!(tally(batch.counts)[3], 1, "{batch:?}");
        let stats = server.stats_now().await;
        assert_eq!(stats.unreadable.len(), 3, "{:?}", stats.unreadable);
        let watcher = server.watcher_now().await;
        assert_eq!(
            (watcher.state(), watcher.counts),
            (pb::WatcherState::Watching, None)
        );
        let problem = &stats.unreadable[0].problem;
        assert!(
            problem.contains(&format!("`{field}` is of type string")),
            "{problem}"
        );
        let (code, said) = program(&server, &["state", "--set-aside", "all"]).await;
        assert_eq!(code, Some(0), "{said}");
        assert_works(&server, "counted").await;
        assert!(server.watcher_now().await.counts.is_some());
        let stats = server.stats_now().await;
        assert!(
            stats.unreadable.is_empty() && stats.lifetime.unwrap().found > 0,
            "{stats:?}"
        );
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_bad_entry_in_quarantine_holds_up_neither_orders_nor_the_list() {
    for (field, bad) in [
        ("attempts", Bson::from("twice")),
        ("first_seen", 1.into()),
        ("reason", Bson::Null),
    ] {
        let server = server().await;
        let listed = async || {
            let request = pb::ListQuarantinedRequest::default();
            server.list_quarantined(request).await
        };
        let id = listed().await.entries[0].id.clone();
        server.insert("Commande", [order(8)]).await;
        server.run_batch().await;
        spoil(&server, "archd_quarantine", id.clone(), doc! { field: bad }).await;
        let list = listed().await;
        assert_eq!(
            (list.entries.len(), list.unreadable.len()),
            (1, 1),
            "{list:?}"
        );
        assert_eq!(list.unreadable[0].name, format!("archd_quarantine/{id}"));
        let ids = vec![id.clone()];
        let retry = pb::RetryQuarantinedRequest { ids };
        let status = server
            .quarantine()
            .retry_quarantined(retry)
            .await
            .unwrap_err();
        assert_named(&status, "STATE_UNREADABLE", &id, field);
        let mut news = server.news().await;
        // The order is met again, and its entry is written anew.
        let batch = server.run_batch().await;
        assert_eq!(tally(batch.counts)[3], 2, "{batch:?}");
        assert_eq!(listed().await.entries.len(), 2);
        assert!(news.message().await.is_ok());
        server.shut_down().await;
    }
}

#[tokio::test]
async fn the_identity_of_the_database_is_looked_after_too() {
    let server = server().await;
    drop(server.news().await);
    spoil(&server, "archd_state", "identity", doc! { "uuid": 7 }).await;
    health(&server, "Event", ServingStatus::NotServing).await;
    assert_works(&server, "meanwhile").await;
    set_aside(&server, "archd_state/identity").await;
    health(&server, "Event", ServingStatus::Serving).await;
    server.shut_down().await;
}
