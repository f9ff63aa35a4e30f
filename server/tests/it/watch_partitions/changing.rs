//! The number of partitions changes while orders are delivered, without a gap or a double, and what
//! holds a change up is told.

use std::time::Duration;

use archd::{
    domain::partition::Partition,
    store::watch::{record::State, split::Split},
};
use bson::{DateTime, doc};
use devkit::{ReplicaSet, audit};
use mongodb::Database;
use order_archiver_api::v1 as pb;

use super::{split, states, store, take, wanting};
use crate::{
    crash_loop::{assert_all_archived, assert_place_was_kept},
    faults::{clean, deliver, fresh, settled},
    load::{Load, seed},
    process::archd,
    program::{Program, text},
    support::{TestServer, archctl, eventually},
};

#[tokio::test]
async fn the_number_of_partitions_changes_under_load_without_a_gap_or_a_double() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let load = Load::start(&database, seed()).await;
    let mut watching = wanting(&database, 1).await;
    split(&watching, 1).await;
    for partitions in [4, 2, 3, 1, 4, 1] {
        // As in a rolling restart: for a while, instances with both settings are there.
        let next = wanting(&database, partitions).await;
        split(&next, partitions as usize).await;
        watching.shut_down().await;
        split(&next, partitions as usize).await;
        watching = next;
    }
    let delivered = load.stop().await;
    assert!(delivered > 100, "{delivered}");
    assert_all_archived(&database, delivered).await;
    assert_place_was_kept(&database).await;
    assert_eq!(audit::history(&database).await.unwrap(), [""; 0]);
    // The books of the watcher balance, whatever it met twice.
    let counts = watching.watcher_now().await.counts.unwrap();
    let met = counts.archived + counts.duplicates + counts.errors;
    assert_eq!(counts.found, met, "{counts:?}");
    watching.shut_down().await;
}

/// The split as it is now.
async fn split_now(database: &Database) -> Split {
    let store = store(database, Duration::from_secs(1)).await;
    store.watcher().await.unwrap().unwrap().split
}

#[tokio::test]
async fn a_partition_that_does_not_come_up_holds_the_change_up_and_is_named() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let two = wanting(&database, 2).await;
    split(&two, 2).await;
    settled(&database).await;
    two.shut_down().await;
    // Whoever has this one lives, and gets no further.
    let stuck = store(&database, Duration::from_secs(600)).await;
    let partition = Partition { index: 1, of: 2 };
    let lease = take(&stuck, partition, split_now(&database).await, "stuck").await;
    let lease = lease.unwrap();

    let settings = [
        ("MONGODB_URI", set.uri()),
        ("MONGODB_DATABASE", database.name().to_owned()),
        ("ARCHD_LEASE", "2s".to_owned()),
        ("ARCHD_WATCH_PARTITIONS", "3".to_owned()),
        ("ARCHD_LOG_FORMAT", "json".to_owned()),
    ];
    let settings = settings
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let mut leads = Program::of(&mut archd(&["watch"], &settings));
    let serves = TestServer::on_with(&set.uri(), database.name(), |_| {}).await;
    serves.ready().await;
    let watcher = eventually(async || {
        let watcher = serves.watcher_now().await;
        let holds_up: Vec<bool> = watcher.partitions.iter().map(holds_up).collect();
        (holds_up == [false, true]).then_some(watcher)
    })
    .await;
    assert_eq!(
        (watcher.partition_count, watcher.wanted_partition_count),
        (2, 3)
    );
    let shown = archctl(&serves.address, "watch status").await;
    let line = "Partitions  2, becoming 3; waits for partition 1\n";
    assert!(shown.stdout.contains(line), "{shown:?}");
    for number in 0..20 {
        deliver(&database, &format!("meanwhile {number}")).await;
    }

    // As if it had been asked for an hour ago.
    let earlier = DateTime::from_millis(DateTime::now().timestamp_millis() - 3_600_000);
    let asked = doc! { "$set": { "wanted.at": earlier } };
    let behind = doc! { "_id": "watcher-1" };
    let long_behind = doc! { "$unset": { "checkpoint": "" } };
    states(&database)
        .update_one(behind, long_behind)
        .await
        .unwrap();
    let of_watcher = doc! { "_id": "watcher" };
    states(&database)
        .update_one(of_watcher, asked)
        .await
        .unwrap();
    let line = leads
        .says("the number of partitions does not change yet")
        .await;
    assert_eq!(text(&line, "behind"), "1 (stuck)", "{line}");
    assert_eq!(serves.watcher_now().await.partition_count, 2);

    assert!(stuck.leave_watch(&lease, State::Stopped).await.unwrap());
    split(&serves, 3).await;
    clean(&database).await;
    assert_place_was_kept(&database).await;
    serves.shut_down().await;
}

fn holds_up(partition: &pb::WatchPartition) -> bool {
    partition.holds_up_change
}
