//! Orders that are renamed away pause all partitions, once.

use bson::doc;
use devkit::ReplicaSet;
use mongodb::Database;
use order_archiver_api::v1 as pb;
use pb::WatcherState::Paused;

use super::{split, wanting};
use crate::{
    faults::{clean, deliver, fresh, settled},
    support::{TestServer, eventually},
};

async fn rename(database: &Database, from: &str, to: &str) {
    let name = |collection| format!("{}.{collection}", database.name());
    let rename = doc! { "renameCollection": name(from), "to": name(to) };
    let admin = database.client().database("admin");
    admin.run_command(rename).await.unwrap();
}

/// Waits until the watcher has paused.
async fn paused(server: &TestServer) -> pb::Watcher {
    eventually(async || {
        let watcher = server.watcher_now().await;
        (watcher.state() == Paused).then_some(watcher)
    })
    .await
}

#[tokio::test]
async fn orders_that_are_renamed_away_pause_all_partitions_until_one_resume() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let server = wanting(&database, 3).await;
    split(&server, 3).await;
    for number in 0..20 {
        deliver(&database, &format!("before {number}")).await;
    }
    settled(&database).await;
    rename(&database, "Commande", "Ailleurs").await;
    let paused = paused(&server).await;
    assert!(paused.last_error.contains("was renamed"), "{paused:?}");
    assert!(paused.paused && paused.asked_by.is_none(), "{paused:?}");
    rename(&database, "Ailleurs", "Commande").await;
    deliver(&database, "after").await;
    server.resume_watcher().await;
    clean(&database).await;
    let watcher = split(&server, 3).await;
    assert!(!watcher.paused, "{watcher:?}");
    server.shut_down().await;
}

/// The new partitions begin at the time of the renaming, and so they meet it too.
#[tokio::test]
async fn a_renaming_pauses_once_where_the_number_of_partitions_changes_meanwhile() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let three = wanting(&database, 3).await;
    split(&three, 3).await;
    deliver(&database, "before").await;
    settled(&database).await;
    rename(&database, "Commande", "Ailleurs").await;
    paused(&three).await;
    let two = wanting(&database, 2).await;
    eventually(async || (two.watcher_now().await.partition_count == 2).then_some(())).await;
    rename(&database, "Ailleurs", "Commande").await;
    two.resume_watcher().await;
    deliver(&database, "after").await;
    clean(&database).await;
    let watcher = split(&two, 2).await;
    assert!(!watcher.paused, "{watcher:?}");
    // And the next renaming is one of its own.
    rename(&database, "Commande", "Ailleurs").await;
    paused(&two).await;
    three.shut_down().await;
    two.shut_down().await;
}
