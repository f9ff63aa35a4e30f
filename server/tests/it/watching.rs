//! Every order is archived at the moment it is delivered, from the first start on, through pauses
//! and restarts.

use bson::{Document, doc};
use order_archiver_api::v1 as pb;
use tokio_stream::StreamExt;

use crate::support::{TestServer, eventually, order, within};

/// A server that watches.
async fn watching() -> TestServer {
    let server = TestServer::start_with(|config| config.watch = true)
        .await
        .with_references()
        .await;
    server.watcher_is(pb::WatcherState::Watching).await;
    server
}

#[tokio::test]
async fn an_order_is_archived_when_its_status_becomes_delivered_in_any_way() {
    let server = watching().await;
    let orders = server.collection("Commande");
    let waiting = |numero: &str| {
        let mut order = order(numero);
        order.insert("status", "en_cours");
        order
    };
    orders.insert_one(order("inserted")).await.unwrap();
    for numero in ["updated", "replaced", "by pipeline", "left alone"] {
        orders.insert_one(waiting(numero)).await.unwrap();
    }
    orders
        .update_one(
            doc! { "numero_commande": "updated" },
            doc! { "$set": { "status": "livrée" } },
        )
        .await
        .unwrap();
    orders
        .replace_one(doc! { "numero_commande": "replaced" }, {
            let mut order = order("replaced");
            order.remove("_id");
            order
        })
        .await
        .unwrap();
    orders
        .update_one(
            doc! { "numero_commande": "by pipeline" },
            vec![doc! { "$set": { "status": "livrée" } }],
        )
        .await
        .unwrap();
    orders
        .update_one(
            doc! { "numero_commande": "upserted" },
            doc! { "$set": { "status": "livrée" } },
        )
        .upsert(true)
        .await
        .unwrap();
    let archived = server.archived(5).await;
    assert_eq!(
        archived,
        ["by pipeline", "inserted", "replaced", "updated", "upserted"]
    );
    // Counting follows the write.
    let counts = eventually(async || {
        let counts = server.watcher_now().await.counts.unwrap();
        (counts.archived == 5).then_some(counts)
    })
    .await;
    assert_eq!((counts.found, counts.errors), (5, 0));
    server.shut_down().await;
}

#[tokio::test]
async fn a_first_start_takes_its_starting_point_then_catches_up_and_says_so() {
    let server = TestServer::start().await.with_references().await;
    server
        .insert(
            "Commande",
            (0..25).map(|number| order(format!("old-{number}"))),
        )
        .await;
    let mut news = server.tail_events(pb::TailEventsRequest::default()).await;
    within(news.message()).await.unwrap();
    let watching = server.second(|config| config.watch = true).await;
    let mut told = Vec::new();
    while !told.contains(&pb::EventKind::GapClosed) {
        let kind = within(news.next()).await.unwrap().unwrap().kind();
        if ![
            pb::EventKind::Archived,
            pb::EventKind::Heartbeat,
            pb::EventKind::BatchProgress,
        ]
        .contains(&kind)
        {
            told.push(kind);
        }
    }
    use pb::EventKind::{BatchFinished, BatchStarted, GapClosed, GapOpened};
    told.retain(|kind| *kind != pb::EventKind::WatcherState);
    assert_eq!(told, [GapOpened, BatchStarted, BatchFinished, GapClosed]);
    watching.watcher_is(pb::WatcherState::Watching).await;
    assert_eq!(watching.archived(25).await.len(), 25);
    assert!(watching.watcher_now().await.open_gaps.is_empty());
    watching.shut_down().await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_paused_watcher_stays_paused_over_a_restart_and_misses_nothing() {
    let server = watching().await;
    let paused = server.pause_watcher().await;
    assert_eq!(paused.state(), pb::WatcherState::Paused);
    server.insert("Commande", [order("while paused")]).await;
    let (config, database) = (server.config.clone(), server.database.clone());
    server.shut_down().await;

    let server = TestServer::launch(config, database).await;
    server.ready().await;
    server.watcher_is(pb::WatcherState::Paused).await;
    assert_eq!(server.all("Historique").await, Vec::<Document>::new());
    let resumed = server.resume_watcher().await;
    assert_ne!(resumed.state(), pb::WatcherState::Paused);
    assert_eq!(server.archived(1).await, ["while paused"]);
    server.shut_down().await;
}

#[tokio::test]
async fn what_is_delivered_while_the_server_is_away_is_archived_when_it_is_back() {
    let server = watching().await;
    server.insert("Commande", [order("before")]).await;
    server.archived(1).await;
    let (config, database) = (server.config.clone(), server.database.clone());
    server.shut_down().await;
    database
        .collection::<Document>("Commande")
        .insert_one(order("meanwhile"))
        .await
        .unwrap();

    let server = TestServer::launch(config, database).await;
    server.ready().await;
    assert_eq!(server.archived(2).await, ["before", "meanwhile"]);
    let batches = server
        .list_batches(pb::ListBatchesRequest::default())
        .await
        .batches;
    assert_eq!(
        batches.len(),
        1,
        "only the first start needs a catch-up batch: {batches:?}"
    );
    server.shut_down().await;
}

#[tokio::test]
async fn the_statistics_say_how_far_the_watcher_is_behind_while_there_is_one() {
    let idle = TestServer::start().await;
    let lag = async || idle.stats_now().await.watcher_lag;
    assert_eq!(lag().await, None);
    let watching = idle.another(|config| config.watch = true).await;
    watching.watcher_is(pb::WatcherState::Watching).await;
    let shown = lag().await.unwrap();
    let told = idle.watcher_now().await.lag.unwrap();
    assert!((0..60).contains(&shown.seconds), "{shown:?}, {told:?}");
    // Paused it does not move, and other writes do.
    idle.pause_watcher().await;
    let place = idle.watcher_now().await.position_time;
    eventually(async || {
        idle.insert("autre", [doc! {}]).await;
        (lag().await.unwrap().seconds > shown.seconds + 1).then_some(())
    })
    .await;
    assert_eq!(idle.watcher_now().await.position_time, place);
    watching.shut_down().await;
    assert_eq!(lag().await, None);
    idle.shut_down().await;
}
