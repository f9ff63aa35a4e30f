//! An archd of before there were partitions and one that has them work on one record, whichever comes
//! after the other.

use std::time::Duration;

use archd::{
    bytes::checkpoint::{Checkpoint, seal, time_of},
    domain::partition::Partition,
    store::{
        Store,
        orders::deliveries::stages,
        watch::{
            lease::{Heartbeat, Lease},
            record::State,
        },
        wire::changes::{Scope, Start},
    },
};
use bson::{Document, Timestamp, doc};
use devkit::ReplicaSet;
use mongodb::Database;

use super::{split, states, store, wanting};
use crate::{
    crash_loop::assert_place_was_kept,
    faults::{deliver, fresh, settled, state},
    support::{TestServer, eventually, within},
};

#[tokio::test]
async fn whoever_wants_one_partition_leaves_the_record_as_it_always_was() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let server = wanting(&database, 1).await;
    split(&server, 1).await;
    deliver(&database, "one").await;
    settled(&database).await;
    server.shut_down().await;
    let watcher = state(&database).await;
    for field in ["split", "wanted"] {
        assert!(!watcher.contains_key(field), "{watcher}");
    }
    let partitions = doc! { "_id": { "$regex": "^watcher-" } };
    let partitions = states(&database).count_documents(partitions).await;
    assert_eq!(partitions.unwrap(), 0);
}

/// What an archd that knows of no partitions does: it takes the watch, archives these orders, saves
/// a place behind them, and gives the watch back. Fields that it does not know stay as they are.
async fn older(database: &Database, numbers: &[&str]) {
    let store: Store = store(database, Duration::from_secs(600)).await;
    let watch = store.take_watch("older", "older").await.unwrap().unwrap();
    let lease = Lease::of_watch(watch.epoch);
    let uri = ReplicaSet::shared().await.unwrap().uri();
    let server = TestServer::on_with(&uri, database.name(), |_| {}).await;
    server.ready().await;
    for number in numbers {
        server.archive_order(number).await.unwrap();
    }
    server.shut_down().await;
    let orders = Scope::Collection(&store.names().orders);
    let stages = stages(store.delivered(), Partition::WHOLE);
    let changes = store.changes(orders, &Start::Now, stages).await;
    let position = within(changes.unwrap().next()).await.unwrap().position;
    let time = time_of(&position).unwrap();
    let identity = store.checkpoint_identity(Partition::WHOLE);
    let place = seal(&Checkpoint { position, time }, &identity);
    let mut heartbeat = Heartbeat::bare(State::Watching, "");
    heartbeat.checkpoint = Some(&place);
    assert!(store.keep_watch(&lease, &heartbeat).await.unwrap());
    assert!(store.leave_watch(&lease, State::Stopped).await.unwrap());
}

/// Stops whoever watches once all that has happened is read, and says how many orders were met that
/// had been archived: the counts are whole when a server has stopped.
async fn met_again(server: TestServer) -> i64 {
    let now = store(&server.database, Duration::from_secs(1)).await;
    let now = now.hello().await.unwrap().latest.unwrap();
    eventually(async || {
        let position = server.watcher_now().await.position_time?;
        (position.seconds >= i64::from(now.time)).then_some(())
    })
    .await;
    let serves = server.second(|config| config.watch = false).await;
    server.shut_down().await;
    let counts = serves.watcher_now().await.counts.unwrap();
    serves.shut_down().await;
    counts.duplicates
}

#[tokio::test]
async fn an_older_archd_takes_a_split_watch_and_gives_it_back_further_on() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let server = wanting(&database, 4).await;
    split(&server, 4).await;
    for number in 0..20 {
        deliver(&database, &format!("four {number}")).await;
    }
    settled(&database).await;
    let duplicates = met_again(server).await;
    let split_before = state(&database)
        .await
        .get_document("split")
        .unwrap()
        .clone();
    let meanwhile: Vec<String> = (0..20)
        .map(|number| format!("meanwhile {number}"))
        .collect();
    let meanwhile: Vec<&str> = meanwhile.iter().map(String::as_str).collect();
    for number in &meanwhile {
        deliver(&database, number).await;
    }
    older(&database, &meanwhile).await;
    let watcher = state(&database).await;
    assert_eq!(watcher.get_document("split").unwrap(), &split_before);

    // Each partition goes on from where that one was, and meets none of these again.
    let server = wanting(&database, 4).await;
    split(&server, 4).await;
    deliver(&database, "rolled forward").await;
    settled(&database).await;
    let watcher = state(&database).await;
    assert_eq!(watcher.get_document("split").unwrap(), &split_before);
    assert_eq!(met_again(server).await, duplicates);

    // Nor does whoever splits it anew during a pause, when nobody reads on from there.
    deliver(&database, "alone").await;
    older(&database, &["alone"]).await;
    let serves = TestServer::on_with(&set.uri(), database.name(), |_| {}).await;
    serves.ready().await;
    serves.pause_watcher().await;
    let before = state(&database).await;
    let server = wanting(&database, 2).await;
    let is_two = async || serves.watcher_now().await.partition_count == 2;
    eventually(async || is_two().await.then_some(())).await;
    assert!(time_of_place(&state(&database).await) >= time_of_place(&before));
    serves.resume_watcher().await;
    split(&server, 2).await;
    settled(&database).await;
    assert_place_was_kept(&database).await;
    assert_eq!(met_again(server).await, duplicates);
    serves.shut_down().await;
}

fn time_of_place(watcher: &Document) -> Timestamp {
    let checkpoint = watcher.get_document("checkpoint").unwrap();
    checkpoint.get_timestamp("time").unwrap()
}
