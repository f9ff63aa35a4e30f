//! What was held is written by nobody but its holder: not by one that was silent, nor by a call that
//! comes late.

use std::time::Duration;

use archd::{
    domain::partition::Partition,
    store::{
        Store,
        watch::{
            gap::Gap,
            lease::{Heartbeat, Lease},
            partition::Holding,
            record::State,
            split::Split,
        },
    },
};
use bson::{DateTime, RawDocumentBuf, Timestamp, doc, rawdoc};
use devkit::ReplicaSet;
use mongodb::Database;

use super::{states, store, take};
use crate::faults::state;

const PARTITION: Partition = Partition { index: 1, of: 2 };

/// A checkpoint of so many seconds, as far as a lease has to know one.
fn place(seconds: u32) -> RawDocumentBuf {
    let time = Timestamp {
        time: seconds,
        increment: 1,
    };
    rawdoc! { "time": time }
}

#[tokio::test]
async fn a_holder_that_was_silent_saves_nothing_over_its_successor_or_over_another_split() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let store = store(&database, Duration::from_secs(600)).await;
    let watch = store.take_watch("leads", "leads").await.unwrap().unwrap();
    let lead = Lease::of_watch(watch.epoch);
    let checkpoint = RawDocumentBuf::new();
    let first = Split::NONE.followed_by(2, 1);
    assert!(store.split_watch(&lead, first, &checkpoint).await.unwrap());
    let take = async |split, owner: &str| take(&store, PARTITION, split, owner).await;
    let silent = take(first, "silent").await.unwrap();
    assert_eq!(take(first, "early").await, None);
    let heartbeat = Heartbeat::bare(State::Watching, "");
    assert!(store.keep_watch(&silent, &heartbeat).await.unwrap());
    // As if that had been long ago.
    let long_ago = doc! { "$set": { "alive_at": DateTime::from_millis(0) } };
    let of_partition = doc! { "_id": "watcher-1" };
    let aged = states(&database).update_one(of_partition, long_ago).await;
    assert_eq!(aged.unwrap().modified_count, 1);
    let successor = take(first, "successor").await.unwrap();
    assert_eq!(successor.epoch, silent.epoch + 1);
    assert!(!store.keep_watch(&silent, &heartbeat).await.unwrap());
    assert!(!store.note_lost(&silent, "late").await.unwrap());
    assert!(matches!(
        store.holding(&silent).await.unwrap(),
        Holding::Lost
    ));
    assert!(matches!(
        store.holding(&successor).await.unwrap(),
        Holding::Goes(_, Some(_))
    ));
    let mut on = heartbeat.clone();
    let moved = place(9);
    on.checkpoint = Some(&moved);
    assert!(store.keep_watch(&successor, &on).await.unwrap());

    // Split anew, nobody has it any more, and what was said of it holds no longer.
    let second = first.followed_by(3, 1);
    assert!(store.split_watch(&lead, second, &checkpoint).await.unwrap());
    assert!(matches!(
        store.holding(&successor).await.unwrap(),
        Holding::Replaced
    ));
    let held = store.held_partitions(second).await.unwrap();
    assert_eq!(held.len(), 3);
    assert!(held.iter().all(|held| held.owner_now().is_none()));
    let third = take(second, "third").await.unwrap();
    assert_eq!(third.epoch, successor.epoch + 1);
    assert_eq!(take(first, "of before").await, None);
    let held = store.held_partitions(second).await.unwrap();
    assert_eq!(held[1].owner_now(), Some("third"));
    assert_eq!((held[1].position, &held[1].checkpoint), (None, &None));
    assert!(!store.keep_watch(&successor, &heartbeat).await.unwrap());

    // Who leads no more changes nothing either.
    store.leave_watch(&lead, State::Stopped).await.unwrap();
    store.take_watch("next", "next").await.unwrap().unwrap();
    let late = second.followed_by(4, 1);
    assert!(!store.split_watch(&lead, late, &checkpoint).await.unwrap());
}

#[tokio::test]
async fn a_copy_of_a_split_that_comes_late_changes_nothing() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let store = store(&database, Duration::from_secs(600)).await;
    let watch = store.take_watch("leads", "leads").await.unwrap().unwrap();
    let lead = Lease::of_watch(watch.epoch);
    let first = Split::NONE.followed_by(2, 1);
    let second = first.followed_by(3, 1);
    assert!(store.split_watch(&lead, first, &place(1)).await.unwrap());
    assert!(store.split_watch(&lead, second, &place(2)).await.unwrap());
    let mut on = Heartbeat::bare(State::Watching, "");
    let further = place(3);
    on.checkpoint = Some(&further);
    assert!(store.keep_watch(&lead, &on).await.unwrap());
    let before = state(&database).await;

    // Of the one before, and of the latest itself, which has been done, as is said.
    assert!(!store.split_watch(&lead, first, &place(1)).await.unwrap());
    assert!(store.split_watch(&lead, second, &place(2)).await.unwrap());
    // And of a new starting point, which splits too.
    let gap = Gap {
        from: None,
        to: Timestamp {
            time: 1,
            increment: 1,
        },
        batch_id: String::new(),
        cause: "late".to_owned(),
    };
    for split in [first, second] {
        let opened = store.open_gap(&lead, &place(1), &gap, Some(split)).await;
        assert!(!opened.unwrap(), "{split:?}");
    }
    assert_eq!(state(&database).await, before);
}

#[tokio::test]
async fn what_is_made_anew_is_not_written_by_whoever_held_the_one_before() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let store = store(&database, Duration::from_secs(600)).await;
    let watch = store.take_watch("first", "first").await.unwrap().unwrap();
    let first = Lease::of_watch(watch.epoch);
    remove(&database, "watcher").await;
    let watch = store.take_watch("second", "second").await.unwrap().unwrap();
    let lead = Lease::of_watch(watch.epoch);
    assert_is_nobodys(&store, &first, Ended::Lost).await;
    assert_goes_on(&store, &lead).await;

    let one = Split::NONE.followed_by(2, 1);
    assert!(store.split_watch(&lead, one, &place(1)).await.unwrap());
    let old = take(&store, PARTITION, one, "old").await.unwrap();
    remove(&database, "watcher-1").await;
    let new = take(&store, PARTITION, one, "new").await.unwrap();
    assert_is_nobodys(&store, &old, Ended::Lost).await;
    assert_goes_on(&store, &new).await;

    // Of another split it is another one, whatever its epoch.
    let other = one.followed_by(2, 1);
    assert!(store.split_watch(&lead, other, &place(1)).await.unwrap());
    remove(&database, "watcher-1").await;
    let newest = take(&store, PARTITION, other, "newest").await.unwrap();
    let same = doc! { "$set": { "epoch": new.epoch } };
    let of_partition = doc! { "_id": "watcher-1", "epoch": newest.epoch };
    let renumbered = states(&database).update_one(of_partition, same).await;
    assert_eq!(renumbered.unwrap().modified_count, 1);
    assert_is_nobodys(&store, &new, Ended::Replaced).await;
    let epoch = new.epoch;
    assert_goes_on(&store, &Lease { epoch, ..newest }).await;
}

async fn remove(database: &Database, id: &str) {
    let removed = states(database).delete_one(doc! { "_id": id }).await;
    assert_eq!(removed.unwrap().deleted_count, 1);
}

enum Ended {
    Lost,
    Replaced,
}

/// That nothing can be written under a lease, which has ended in this way.
async fn assert_is_nobodys(store: &Store, lease: &Lease, ended: Ended) {
    let heartbeat = Heartbeat::bare(State::Watching, "");
    assert!(!store.keep_watch(lease, &heartbeat).await.unwrap());
    assert!(!store.note_lost(lease, "late").await.unwrap());
    assert!(!store.leave_watch(lease, State::Stopped).await.unwrap());
    let holding = store.holding(lease).await.unwrap();
    let is_so = match ended {
        Ended::Lost => matches!(holding, Holding::Lost),
        Ended::Replaced => matches!(holding, Holding::Replaced),
    };
    assert!(is_so, "{holding:?}");
}

async fn assert_goes_on(store: &Store, lease: &Lease) {
    let heartbeat = Heartbeat::bare(State::Watching, "");
    assert!(store.keep_watch(lease, &heartbeat).await.unwrap());
    let holding = store.holding(lease).await.unwrap();
    assert!(matches!(holding, Holding::Goes(..)), "{holding:?}");
}
