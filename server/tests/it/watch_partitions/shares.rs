//! Partitions are spread evenly over the instances, as these come and go or die.

use std::collections::BTreeMap;

use devkit::{ReplicaSet, audit};
use mongodb::Database;
use tokio::process::Child;

use super::{split, spread, spread_is, wanting};
use crate::{
    crash_loop::{assert_all_archived, assert_place_was_kept},
    faults::{deliver, fresh, settled},
    load::{Load, seed},
    process::archd,
};

#[tokio::test]
async fn partitions_are_spread_evenly_and_move_as_instances_come_and_go() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let first = wanting(&database, 4).await;
    spread_is(&first, 4, &[4]).await;
    deliver(&database, "one reads all").await;
    settled(&database).await;
    let second = wanting(&database, 4).await;
    spread_is(&first, 4, &[2, 2]).await;
    let third = wanting(&database, 4).await;
    let watcher = spread_is(&second, 4, &[1, 1, 2]).await;
    // Which instance tells makes no difference, and one of them leads.
    assert_eq!(spread(&third.watcher_now().await), spread(&watcher));
    let names = [&first, &second, &third].map(|server| server.config.instance.clone());
    assert!(names.contains(&watcher.instance), "{watcher:?}");
    for number in 0..40 {
        deliver(&database, &format!("three read {number}")).await;
    }
    settled(&database).await;
    let before = first.watcher_now().await;
    first.shut_down().await;
    let watcher = spread_is(&second, 4, &[2, 2]).await;
    for (old, new) in before.partitions.iter().zip(&watcher.partitions) {
        // Whoever had one keeps it, under its epoch.
        let kept = old.instance == new.instance;
        assert_eq!(old.epoch == new.epoch, kept, "{old:?} {new:?}");
    }
    deliver(&database, "two read").await;
    settled(&database).await;
    assert_place_was_kept(&database).await;
    second.shut_down().await;
    third.shut_down().await;
}

/// The real program, which reads its share of this database's partitions and does nothing else.
fn sharing(uri: &str, database: &Database, partitions: &str, name: &str) -> Child {
    let settings = [
        ("MONGODB_URI", uri),
        ("MONGODB_DATABASE", database.name()),
        ("ARCHD_LEASE", "2s"),
        ("ARCHD_WATCH_PARTITIONS", partitions),
        ("ARCHD_INSTANCE", name),
    ];
    let mut command = archd(&["watch"], &settings);
    command.stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null());
    command.spawn().unwrap()
}

#[tokio::test]
async fn the_partitions_of_an_instance_that_is_killed_are_read_by_the_others_after_its_lease() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let load = Load::start(&database, seed()).await;
    let observer = wanting(&database, 3).await;
    split(&observer, 3).await;
    let mut victim = sharing(&set.uri(), &database, "3", "victim");
    let own = observer.config.instance.clone();
    let watcher = spread_is(&observer, 3, &[1, 2]).await;
    assert!(spread(&watcher).contains_key("victim"), "{watcher:?}");
    victim.kill().await.unwrap();
    let watcher = spread_is(&observer, 3, &[3]).await;
    assert_eq!(spread(&watcher), BTreeMap::from([(own, 3)]));
    let delivered = load.stop().await;
    assert_all_archived(&database, delivered).await;
    assert_place_was_kept(&database).await;
    assert_eq!(audit::history(&database).await.unwrap(), [""; 0]);
    observer.shut_down().await;
}
