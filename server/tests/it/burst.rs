//! A whole evening's orders delivered by one statement: they drain, in bounded memory, and the
//! checkpoint never runs ahead.

use std::{fs, time::Instant};

use bson::{Document, doc};
use devkit::ReplicaSet;
use mongodb::{Client, Database};

use crate::{
    crash_loop::{
        archived, assert_all_archived, assert_place_was_kept, caught_up, count, watching,
    },
    load::how_many,
    support::{order, references},
};

/// The most memory that `archd` may ever have held, in KiB.
const MEMORY: u64 = 150 * 1024;

#[tokio::test]
async fn a_burst_is_drained_in_bounded_memory_and_the_checkpoint_never_runs_ahead() {
    let burst = how_many("ORDERS", 20_000);
    let set = ReplicaSet::start().await.unwrap();
    let client = set.client().await.unwrap();
    let database = client.database("livraison");
    for (collection, document) in references() {
        let collection = database.collection::<Document>(collection);
        collection.insert_one(document).await.unwrap();
    }
    let orders = database.collection::<Document>("Commande");
    let waiting = (0..burst).map(|number| {
        let mut order = order(format!("CMD-{number:07}"));
        order.insert("status", "en_cours");
        order
    });
    orders.insert_many(waiting).await.unwrap();
    let archiver = watching(&set.uri(), &database);
    caught_up(&database).await;

    let since = Instant::now();
    let delivered = doc! { "$set": { "status": "livrée" } };
    orders.update_many(doc! {}, delivered).await.unwrap();
    let mut looks = 0;
    while count(&database).await < burst as u64 {
        let (due, archived) = due_and_archived(&client, &database).await;
        assert!(
            due <= archived,
            "the checkpoint stands for {due} orders, and {archived} are archived"
        );
        looks += 1;
    }
    archived(&database, burst as u64).await;
    let took = since.elapsed().as_secs_f64();
    let memory = peak_memory(archiver.id().unwrap());
    println!(
        "{burst} orders in {took:.1} s, {:.0} a second; {} MiB at most; looked at {looks} moments",
        burst as f64 / took,
        memory / 1024
    );
    assert!(memory < MEMORY, "{memory} KiB");
    assert_all_archived(&database, burst).await;
    assert_place_was_kept(&database).await;
}

/// How many orders were delivered up to the checkpoint, and how many are archived, both as of one
/// moment.
async fn due_and_archived(client: &Client, database: &Database) -> (u64, u64) {
    let mut moment = client.start_session().snapshot(true).await.unwrap();
    let state = database.collection::<Document>("archd_state");
    let watcher = state
        .find_one(doc! { "_id": "watcher" })
        .session(&mut moment);
    let watcher = watcher.await.unwrap().unwrap();
    let archive = database.collection::<Document>("Historique");
    let archived = archive
        .count_documents(doc! {})
        .session(&mut moment)
        .await
        .unwrap();
    let checkpoint = watcher.get_document("checkpoint").unwrap();
    let history = client.database("local").collection::<Document>("oplog.rs");
    let upto = doc! { "$lte": checkpoint.get_timestamp("time").unwrap() };
    let delivered = doc! { "ns": format!("{}.Commande", database.name()), "op": "u", "ts": upto };
    (history.count_documents(delivered).await.unwrap(), archived)
}

/// The most memory that a process has ever held, in KiB.
fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
