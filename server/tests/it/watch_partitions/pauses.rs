//! A pause is one of all partitions, and of what is caught up with.

use std::collections::BTreeMap;

use bson::doc;
use devkit::ReplicaSet;
use order_archiver_api::v1 as pb;
use pb::WatcherState::{Paused, Starting, Watching};

use super::{in_two, split, spread_is, states, wanting};
use crate::{
    crash_loop::assert_place_was_kept,
    faults::{deliver, fresh, settled, state},
    support::{TestServer, eventually, order, within},
};

#[tokio::test]
async fn a_pause_is_one_of_all_partitions_and_nothing_is_missed_by_it() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let first = wanting(&database, 3).await;
    let second = wanting(&database, 3).await;
    spread_is(&first, 3, &[1, 2]).await;
    // Asked of whichever instance.
    for asked in [&first, &second] {
        let paused = asked.pause_watcher().await;
        assert_eq!(paused.state(), Paused, "{paused:?}");
        let all = |it: &pb::WatchPartition| it.state() == Paused;
        assert!(paused.partitions.iter().all(all), "{paused:?}");
        let before = first.all("Historique").await.len();
        for number in 0..30 {
            deliver(&database, &format!("{} {number}", asked.config.instance)).await;
        }
        // An order that is asked for comes after what a watcher would have read.
        asked
            .insert("Commande", [order(asked.config.instance.clone())])
            .await;
        let numero = asked.config.instance.clone();
        asked.archive_order(&numero).await.unwrap();
        assert_eq!(first.all("Historique").await.len(), before + 1);
        // An instance counts once in ten seconds, and this one has not yet.
        let counts = TestServer::on_with(&set.uri(), database.name(), |_| {}).await;
        counts.ready().await;
        let waiting = counts.watcher_now().await.waiting.unwrap();
        assert_eq!(waiting.orders, 30, "{waiting:?}");
        counts.shut_down().await;
        asked.resume_watcher().await;
        split(asked, 3).await;
        settled(&database).await;
    }
    // What is wanted meanwhile is done where the partitions are.
    first.pause_watcher().await;
    deliver(&database, "split while paused").await;
    let third = wanting(&database, 2).await;
    eventually(async || (third.watcher_now().await.partition_count == 2).then_some(())).await;
    eventually(async || (third.watcher_now().await.state() == Paused).then_some(())).await;
    third.resume_watcher().await;
    split(&third, 2).await;
    settled(&database).await;
    assert_place_was_kept(&database).await;
    for server in [first, second, third] {
        server.shut_down().await;
    }
}

#[tokio::test]
async fn nothing_is_caught_up_with_during_a_pause() {
    let (database, server) = in_two().await;
    server.pause_watcher().await;
    let batches = server.all("archd_batches").await.len();
    server.shut_down().await;
    // A gap that opened just before the pause, so that no batch for it has begun.
    let watcher = state(&database).await;
    let to = watcher.get_document("checkpoint").unwrap().get("time");
    let gap = doc! { "to": to, "batch_id": "", "cause": "a test" };
    let open = doc! { "$set": { "gap": gap } };
    let of_watcher = doc! { "_id": "watcher" };
    states(&database)
        .update_one(of_watcher, open)
        .await
        .unwrap();

    let server = wanting(&database, 2).await;
    let name = &server.config.instance;
    // Until it has led for three heartbeats.
    let mut beats = Vec::new();
    eventually(async || {
        let watcher = state(&database).await;
        let is_led = watcher.get_str("instance").unwrap() == name;
        let beat = *watcher.get_datetime("alive_at").unwrap();
        if is_led && watcher.get_str("state").unwrap() == "paused" && !beats.contains(&beat) {
            beats.push(beat);
        }
        (beats.len() == 3).then_some(())
    })
    .await;
    assert_eq!(server.all("archd_batches").await.len(), batches);
    assert!(state(&database).await.contains_key("gap"));
    server.resume_watcher().await;
    split(&server, 2).await;
    let has_gap = async || state(&database).await.contains_key("gap");
    eventually(async || (!has_gap().await).then_some(())).await;
    assert_eq!(server.all("archd_batches").await.len(), batches + 1);
    server.shut_down().await;
}

/// Else a pause that is asked for right after would find all of them paused, and be answered while
/// they begin to read.
#[tokio::test]
async fn whoever_reads_on_after_a_pause_says_so_before_it_reads() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let server = wanting(&database, 2).await;
    split(&server, 2).await;
    server.pause_watcher().await;
    let mut news = server.news().await;
    server.resume_watcher().await;
    let mut told: BTreeMap<i32, Vec<pb::WatcherState>> = BTreeMap::new();
    let is_read = |states: &Vec<pb::WatcherState>| states.contains(&Watching);
    while told.len() < 2 || !told.values().all(is_read) {
        let message = within(news.message()).await.unwrap().unwrap();
        if let Some(pb::tail_events_response::Event::WatchPartition(partition)) = message.event {
            let states = told.entry(partition.index).or_default();
            states.push(partition.state());
        }
    }
    for (partition, states) in told {
        assert_eq!(states, [Starting, Watching], "{partition}");
    }
    server.shut_down().await;
}
