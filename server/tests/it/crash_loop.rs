//! The archiver may be killed at any moment: what was delivered is archived exactly once all the
//! same.

use std::{process::Stdio, time::Duration};

use bson::{Document, doc};
use devkit::{ReplicaSet, audit::audit};
use mongodb::{Database, options::ReadConcern};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    process::Child,
    time::{sleep, timeout},
};

use crate::{
    load::{Load, how_many, seed},
    process::archd,
    support::{eventually, order},
};

/// The real program, watching this database and nothing else.
pub(crate) fn watching(uri: &str, database: &Database) -> Child {
    let settings = [
        ("MONGODB_URI", uri),
        ("MONGODB_DATABASE", database.name()),
        ("ARCHD_LEASE", "1s"),
    ];
    let mut command = archd(&["watch"], &settings);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// How many orders are archived, as soon as anybody answers: whoever is asked may have been frozen.
pub(crate) async fn count(database: &Database) -> u64 {
    let archive = database.collection::<Document>("Historique");
    eventually(async || {
        let count = archive
            .count_documents(doc! {})
            .read_concern(ReadConcern::majority());
        let answer = timeout(Duration::from_secs(1), count.into_future());
        answer.await.ok()?.ok()
    })
    .await
}

/// Waits until the archive holds at least so many orders.
pub(crate) async fn archived(database: &Database, at_least: u64) {
    eventually(async || (count(database).await >= at_least).then_some(())).await;
}

/// Waits until the watcher has closed a gap.
pub(crate) async fn caught_up(database: &Database) {
    eventually(async || {
        kept(database)
            .await
            .contains_key("closed_gap")
            .then_some(())
    })
    .await;
}

/// What the watcher keeps in the database.
pub(crate) async fn kept(database: &Database) -> Document {
    let state = database.collection::<Document>("archd_state");
    let watcher = state
        .find_one(doc! { "_id": "watcher" })
        .read_concern(ReadConcern::majority());
    watcher.await.unwrap().unwrap_or_default()
}

/// That the archive holds so many orders, each as it must be.
pub(crate) async fn assert_all_archived(database: &Database, delivered: usize) {
    archived(database, delivered as u64).await;
    let audit = audit(database).await.unwrap();
    assert!(audit.is_clean(), "{:#?}", audit.differences);
    assert_eq!((audit.delivered, audit.archived), (delivered, delivered));
}

/// That the watcher has caught up once, when it first started, and has never lost its place since.
pub(crate) async fn assert_place_was_kept(database: &Database) {
    caught_up(database).await;
    let watcher = kept(database).await;
    let gap = watcher.get_document("closed_gap").unwrap();
    assert_eq!(gap.get_str("cause").unwrap(), "first start", "{watcher}");
    assert!(!watcher.contains_key("gap"), "{watcher}");
}

#[tokio::test]
async fn killed_at_random_moments_it_loses_nothing_and_doubles_nothing() {
    let (seed, crashes) = (seed(), how_many("CRASHES", 50));
    // Most of the time a new process waits for its predecessor's lease to end, so two loops side by
    // side take half as long.
    tokio::join!(
        crash_loop(seed, crashes / 2),
        crash_loop(seed.wrapping_add(1), crashes.div_ceil(2))
    );
}

async fn crash_loop(seed: u64, crashes: usize) {
    let mut dice = StdRng::seed_from_u64(seed);
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let load = Load::start(&database, seed).await;
    // Otherwise the catch-up batch of a first start, begun again in every run, would make up for
    // whatever the watcher loses.
    let mut archiver = watching(&set.uri(), &database);
    caught_up(&database).await;
    archiver.kill().await.unwrap();
    for _ in 0..crashes {
        let before = count(&database).await;
        let mut archiver = watching(&set.uri(), &database);
        archived(&database, before + 1).await;
        sleep(Duration::from_millis(dice.random_range(150..700))).await;
        archiver.kill().await.unwrap();
    }
    let _archiver = watching(&set.uri(), &database);
    let delivered = load.stop().await;
    assert_all_archived(&database, delivered).await;
    assert_place_was_kept(&database).await;
}

#[tokio::test]
async fn killed_while_it_catches_up_it_begins_another_batch_and_closes_the_gap() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let old = (0..20_000).map(|number| order(format!("old-{number}")));
    let orders = database.collection::<Document>("Commande");
    orders.insert_many(old).await.unwrap();

    let mut archiver = watching(&set.uri(), &database);
    archived(&database, 1).await;
    archiver.kill().await.unwrap();
    let gap = kept(&database).await.get_document("gap").unwrap().clone();
    assert_ne!(gap.get_str("batch_id").unwrap(), "");

    let _archiver = watching(&set.uri(), &database);
    assert_all_archived(&database, 20_000).await;
    assert_place_was_kept(&database).await;
}
