//! A place that is lost is lost for all: the whole is caught up once, and at a growing pace.

use std::time::Duration;

use archd::{domain::partition::Partition, store::watch::record::State};
use bson::{DateTime, Document, doc};
use devkit::ReplicaSet;
use futures::StreamExt;
use mongodb::{
    Database,
    change_stream::{ChangeStream, event::ChangeStreamEvent},
};

use super::{in_two, split, states, store, take, wanting};
use crate::{
    faults::{clean, deliver, fresh, settled, state},
    support::{eventually, within},
};

/// Alters a checkpoint, so that nobody follows it.
async fn alter_checkpoint(database: &Database, id: &str) {
    let alter = doc! { "$set": { "checkpoint.token._data": "82" } };
    let altered = states(database).update_one(doc! { "_id": id }, alter).await;
    assert_eq!(altered.unwrap().modified_count, 1);
}

/// Waits until no gap is open, and says what was the cause of the last one.
async fn closed_gap(database: &Database) -> String {
    let watcher = eventually(async || {
        let watcher = state(database).await;
        (!watcher.contains_key("gap")).then_some(watcher)
    });
    let watcher = watcher.await;
    let gap = watcher.get_document("closed_gap").unwrap();
    gap.get_str("cause").unwrap().to_owned()
}

#[tokio::test]
async fn a_partition_whose_place_is_lost_has_the_whole_caught_up_once() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let server = wanting(&database, 3).await;
    split(&server, 3).await;
    deliver(&database, "before").await;
    settled(&database).await;
    let batches = server.all("archd_batches").await.len();
    server.shut_down().await;
    deliver(&database, "meanwhile").await;
    // Two of them at once.
    for partition in ["watcher-1", "watcher-2"] {
        alter_checkpoint(&database, partition).await;
    }
    let server = wanting(&database, 3).await;
    clean(&database).await;
    split(&server, 3).await;
    let cause = closed_gap(&database).await;
    assert!(cause.contains("the checkpoint was altered"), "{cause}");
    assert_eq!(server.all("archd_batches").await.len(), batches + 1);
    deliver(&database, "after").await;
    clean(&database).await;
    server.shut_down().await;
}

/// The generation and the time of the next new starting point.
async fn next_split(watcher: &mut ChangeStream<ChangeStreamEvent<Document>>) -> (i64, DateTime) {
    loop {
        let change = within(watcher.next()).await.unwrap().unwrap();
        let updated = change.update_description.map(|it| it.updated_fields);
        let split = updated.and_then(|fields| Some(fields.get_document("split").ok()?.clone()));
        if let Some(split) = split {
            let generation = split.get_i64("generation").unwrap();
            return (generation, change.wall_time.unwrap());
        }
    }
}

#[tokio::test]
async fn a_place_that_is_lost_again_and_again_is_begun_anew_after_longer_and_longer_pauses() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let server = wanting(&database, 2).await;
    let watcher = split(&server, 2).await;
    settled(&database).await;
    let of_watcher = doc! { "$match": { "documentKey._id": "watcher" } };
    let mut changes = states(&database)
        .watch()
        .pipeline([of_watcher])
        .await
        .unwrap();
    let mut generation = 0;
    let mut begun = Vec::new();
    for _ in 0..5 {
        // Before anybody can have read: its stream opens for a moment.
        let lost = doc! { "$set": { "lost": "lost by a test" } };
        let taken = doc! { "_id": "watcher-0", "generation": { "$gte": generation } };
        eventually(async || {
            let lost = states(&database)
                .update_one(taken.clone(), lost.clone())
                .await;
            (lost.unwrap().modified_count == 1).then_some(())
        })
        .await;
        let time;
        (generation, time) = next_split(&mut changes).await;
        begun.push(time.timestamp_millis());
    }
    // By the database's clock, and each a half longer at most.
    let pauses: Vec<i64> = begun.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (pause, least) in pauses.iter().zip([200, 400, 800, 1_600]) {
        assert!(*pause >= least, "{pauses:?}");
    }
    deliver(&database, "after").await;
    clean(&database).await;
    let after = split(&server, 2).await;
    assert!(after.partitions[0].epoch > watcher.partitions[0].epoch);
    let cause = closed_gap(&database).await;
    assert!(cause.contains("lost by a test"), "{cause}");
    server.shut_down().await;
}

#[tokio::test]
async fn a_partition_that_finds_no_place_to_begin_at_has_a_new_one_taken() {
    let (database, server) = in_two().await;
    // Made anew, and held by somebody who lives and has saved no place yet: so the whole has none.
    let silent = store(&database, Duration::from_secs(600)).await;
    let now = silent.watcher().await.unwrap().unwrap().split;
    let of_partition = doc! { "_id": "watcher-1" };
    states(&database).delete_one(of_partition).await.unwrap();
    let partition = Partition { index: 1, of: 2 };
    let lease = take(&silent, partition, now, "silent").await.unwrap();
    let is_starting = async || state(&database).await.get_str("state").unwrap() == "starting";
    eventually(async || is_starting().await.then_some(())).await;
    alter_checkpoint(&database, "watcher").await;
    assert!(silent.leave_watch(&lease, State::Stopped).await.unwrap());
    deliver(&database, "after").await;
    clean(&database).await;
    split(&server, 2).await;
    let cause = closed_gap(&database).await;
    assert!(cause.contains("the checkpoint was altered"), "{cause}");
    server.shut_down().await;
}
