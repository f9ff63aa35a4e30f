//! A database whose disk is full ends by itself; once there is space and the database is back, work
//! goes on and nothing is lost.

use std::{fs, time::SystemTime};

use bson::Document;
use devkit::{Options, audit};
use order_archiver_api::v1 as pb;
use tonic_health::ServingStatus;

use crate::{
    crash_loop::{archived, assert_all_archived, assert_place_was_kept, caught_up, kept},
    load::{Load, seed},
    support::{TestServer, assert_unavailable, eventually, order},
};

#[tokio::test]
async fn the_watcher_and_a_batch_outlive_a_full_disk() {
    const BACKLOG: usize = 10_000;
    let options = Options::new().own_disk().oplog_mb(16);
    let set = options.start().await.unwrap();
    let node = &set.nodes()[0];
    let database = set.client().await.unwrap().database("livraison");
    let backlog = (0..BACKLOG).map(|number| order(format!("old-{number}")));
    let orders = database.collection::<Document>("Commande");
    orders.insert_many(backlog).await.unwrap();
    let load = Load::start(&database, seed()).await;

    // A first start: it watches, and a batch catches up on what was there before.
    let server = TestServer::on_with(&set.uri(), database.name(), |config| {
        config.watch = true;
        config.chunk_size = 20;
    })
    .await;
    archived(&server.database, 1).await;
    eventually(async || {
        let watcher = kept(&server.database).await;
        let gap = watcher.get_document("gap").expect("too quick");
        (!gap.get_str("batch_id").unwrap().is_empty()).then_some(())
    })
    .await;
    node.fill_disk().unwrap();
    node.ended().await.unwrap();
    let ended = SystemTime::now();
    let log = fs::read_to_string(node.log()).unwrap();
    // What it says depends on the way in which this machine lets a disk be full.
    let full = ["No space left on device", "File too large"];
    assert!(full.iter().any(|reason| log.contains(reason)), "{log}");
    server.health(ServingStatus::NotServing).await;
    let answer = server.archive_order("CMD-0000001").await;
    assert_unavailable(&answer.unwrap_err(), "DATABASE_UNAVAILABLE");

    node.free_disk().unwrap();
    node.restart().await.unwrap();
    server.ready().await;
    caught_up(&server.database).await;
    let watcher = kept(&server.database).await;
    let gap = watcher.get_document("closed_gap").unwrap();
    let batch = server.batch_end(gap.get_str("batch_id").unwrap()).await;
    assert_eq!(batch.state(), pb::BatchState::Succeeded, "{batch:?}");
    let batch_ended = SystemTime::try_from(batch.end_time.unwrap()).unwrap();
    assert!(batch_ended > ended, "the disk was full too late");
    let delivered = BACKLOG + load.stop().await;
    assert_all_archived(&server.database, delivered).await;
    assert_place_was_kept(&server.database).await;
    let history = audit::history(&server.database).await.unwrap();
    assert_eq!(history, [""; 0]);
    server.shut_down().await;
}
