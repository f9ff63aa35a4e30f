//! A reference collection may be a view, a time series or absent; what can't be one says so; and a
//! catch-up that fails backs off.

use bson::{Document, doc};
use devkit::{ReplicaSet, audit};
use mongodb::Database;
use order_archiver_api::v1 as pb;
use pb::{ArchiveOutcome, BatchState, WatcherState};

use crate::{
    faults::{FailPoints, fresh, watching},
    support::{TestServer, eventually, order, orders, tally},
};

/// Puts a view of all its documents in the place of a collection.
async fn make_view(database: &Database, name: &str) {
    let full = |name: &str| format!("{}.{name}", database.name());
    let base = format!("{name}_base");
    let admin = database.client().database("admin");
    if database
        .list_collection_names()
        .await
        .unwrap()
        .contains(&name.to_owned())
    {
        let rename = doc! { "renameCollection": full(name), "to": full(&base) };
        admin.run_command(rename).await.unwrap();
    }
    let view = doc! { "create": name, "viewOn": base, "pipeline": [] };
    database.run_command(view).await.unwrap();
}

#[tokio::test]
async fn orders_that_refer_to_views_are_archived_by_every_source_and_the_first_gap_closes() {
    let set = ReplicaSet::shared().await.unwrap();
    let views: [&[&str]; 4] = [
        &["Client"],
        &["Menu"],
        &["Livreur", "Restaurants"],
        &["Client", "Livreur", "Restaurants", "Menu"],
    ];
    for views in views {
        let database = fresh(set).await;
        for name in views {
            make_view(&database, name).await;
        }
        let early = database.collection::<Document>("Commande");
        early.insert_many(orders(12)).await.unwrap();
        let server = watching(&set.uri(), database, |_| {}).await;
        server.archived(12).await;
        server.insert("Commande", [order("WATCHED")]).await;
        server.archived(13).await;
        let create = pb::BatchOptions {
            create_indexes: true,
            ..Default::default()
        };
        let batch = server.run_batch_with(create).await;
        assert_eq!(batch.state(), BatchState::Succeeded, "{views:?}: {batch:?}");
        let named = |warning: &String| views.iter().any(|view| warning.contains(view));
        assert!(batch.warnings.iter().all(named), "{batch:?}");
        assert_eq!(batch.warnings.len(), views.len(), "{batch:?}");
        assert_eq!(tally(batch.counts), [13, 0, 13, 0], "{batch:?}");
        let audit = audit::audit(&server.database).await.unwrap();
        assert!(audit.is_clean(), "{views:?}: {audit:#?}");
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_reference_collection_that_is_a_time_series_or_absent_or_hidden_is_no_failure() {
    let set = ReplicaSet::shared().await.unwrap();
    for case in ["time series", "absent"] {
        let database = fresh(set).await;
        database
            .collection::<Document>("Menu")
            .drop()
            .await
            .unwrap();
        if case == "time series" {
            let series = doc! { "create": "Menu", "timeseries": { "timeField": "since" } };
            database.run_command(series).await.unwrap();
            let menu = doc! { "since": bson::DateTime::from_millis(1), "id_menu": 1, "name": "Menu du jour", "price": 12.5 };
            database.collection("Menu").insert_one(menu).await.unwrap();
        }
        let server = TestServer::on(&set.uri(), database.name()).await;
        server.ready().await;
        server.insert("Commande", orders(5)).await;
        let batch = server.run_batch().await;
        assert_eq!(batch.state(), BatchState::Succeeded, "{case}: {batch:?}");
        assert_eq!(tally(batch.counts), [5, 5, 0, 0], "{case}: {batch:?}");
        let audit = audit::audit(&server.database).await.unwrap();
        assert!(audit.is_clean(), "{case}: {audit:#?}");
        server.shut_down().await;
    }
    // The look at the indexes is refused, for whatever reason: the archiving needs none of it.
    let points = FailPoints::turn().await;
    let server = TestServer::start_on(points.set, |_| {})
        .await
        .with_references()
        .await;
    server.insert("Commande", orders(5)).await;
    let namespace = format!("{}.Client", server.database.name());
    for code in [20, 26, 13] {
        let how = doc! { "errorCode": code, "namespace": &namespace };
        points.fail(&["listIndexes"], "alwaysOn", how).await;
        let batch = server.run_batch().await;
        points.mend().await;
        assert_eq!(batch.state(), BatchState::Succeeded, "{code}: {batch:?}");
    }
}

#[tokio::test]
async fn orders_that_are_a_view_can_be_neither_watched_nor_paged_and_it_says_so() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    database
        .collection("Commande")
        .insert_many(orders(3))
        .await
        .unwrap();
    make_view(&database, "Commande").await;
    let server =
        TestServer::on_with(&set.uri(), database.name(), |config| config.watch = true).await;
    server.ready().await;
    server.watcher_is(WatcherState::Unsupported).await;
    let says = |text: &str| {
        text.contains("Commande is a view") && text.contains("ARCHD_COLLECTION_ORDERS")
    };
    let watcher = server.watcher_now().await;
    assert!(says(&watcher.last_error), "{watcher:?}");
    let batch = server.run_batch().await;
    assert_eq!(batch.state(), BatchState::Failed, "{batch:?}");
    assert!(says(&batch.message), "{batch:?}");
    // One by one they can be read.
    let answer = server.archive_order("CMD-2025-000002").await.unwrap();
    assert_eq!(answer.outcome(), ArchiveOutcome::Archived, "{answer:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn a_catch_up_that_fails_says_why_waits_longer_each_time_and_closes_the_gap_in_the_end() {
    let points = FailPoints::turn().await;
    let database = fresh(points.set).await;
    database
        .collection("Commande")
        .insert_many(orders(3))
        .await
        .unwrap();
    let namespace = format!("{}.Commande", database.name());
    let refusal = doc! { "errorCode": 96, "namespace": namespace };
    points.fail(&["find"], "alwaysOn", refusal).await;
    let uri = points.set.uri();
    let server = TestServer::on_with(&uri, database.name(), |config| config.watch = true).await;
    server.ready().await;
    server.watcher_is(WatcherState::CatchingUp).await;
    let failed = eventually(async || {
        let failed = server.all("archd_batches").await;
        (failed.len() >= 3).then_some(failed)
    });
    let failed = failed.await;
    let watcher = server.watcher_now().await;
    assert!(watcher.last_error.contains("(96)"), "{watcher:?}");
    assert_eq!(watcher.open_gaps.len(), 1, "{watcher:?}");
    let at = |name: &str, batch: &Document| batch.get_datetime(name).unwrap().timestamp_millis();
    let pause = |pair: &[Document]| at("created", &pair[1]) - at("ended", &pair[0]);
    let pauses: Vec<i64> = failed.windows(2).map(pause).collect();
    assert!((4_500..9_000).contains(&pauses[0]), "{pauses:?}");
    assert!((9_500..17_000).contains(&pauses[1]), "{pauses:?}");

    points.mend().await;
    server.watcher_is(WatcherState::Watching).await;
    server.archived(3).await;
    // The fault stays to be read, with its time.
    let watcher = server.watcher_now().await;
    assert!(watcher.last_error.contains("(96)"), "{watcher:?}");
    let (since, error) = (watcher.state_since_time, watcher.last_error_time);
    assert!(
        since.unwrap().seconds >= error.unwrap().seconds,
        "{watcher:?}"
    );
    assert!(watcher.open_gaps.is_empty(), "{watcher:?}");
    server.shut_down().await;
}
