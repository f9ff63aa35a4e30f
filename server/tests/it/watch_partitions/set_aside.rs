//! Documents of the watch that can't be read are named and set aside, and the watch goes on as it was
//! wanted.

use bson::doc;
use devkit::ReplicaSet;
use mongodb::Database;
use order_archiver_api::v1 as pb;

use super::{in_two, split, states, wanting};
use crate::{
    crash_loop::assert_place_was_kept,
    faults::{clean, deliver, fresh, settled},
    process::{run, settings_on},
    support::eventually,
};

/// Sets a document aside, as people do.
async fn set_aside(database: &Database, name: &str) {
    let settings = settings_on(database.name(), &[]).await;
    let (code, said, _) = run(&["state", "--set-aside", name], &settings).await;
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn a_partition_that_cannot_be_read_is_named_and_set_aside_and_read_from_the_wholes_place() {
    let (database, server) = in_two().await;
    let spoil = doc! { "$set": { "generation": "one" } };
    let of_partition = doc! { "_id": "watcher-1" };
    states(&database)
        .update_one(of_partition, spoil)
        .await
        .unwrap();
    let refused = eventually(async || {
        let asked = server.watcher().get_watcher(pb::GetWatcherRequest {}).await;
        asked.err()
    })
    .await;
    assert!(
        refused.message().contains("archd_state/watcher-1"),
        "{refused:?}"
    );
    deliver(&database, "meanwhile").await;
    set_aside(&database, "archd_state/watcher-1").await;
    split(&server, 2).await;
    deliver(&database, "after").await;
    clean(&database).await;
    assert_place_was_kept(&database).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_watcher_that_is_set_aside_is_split_again_as_it_was_wanted() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let server = wanting(&database, 2).await;
    let before = split(&server, 2).await;
    deliver(&database, "before").await;
    settled(&database).await;
    let spoil = doc! { "$set": { "lease": "long" } };
    let of_watcher = doc! { "_id": "watcher" };
    states(&database)
        .update_one(of_watcher, spoil)
        .await
        .unwrap();
    let asked = async || server.watcher().get_watcher(pb::GetWatcherRequest {}).await;
    eventually(async || asked().await.err()).await;
    deliver(&database, "meanwhile").await;
    set_aside(&database, "archd_state/watcher").await;
    let after = split(&server, 2).await;
    for (old, new) in before.partitions.iter().zip(&after.partitions) {
        assert!(new.epoch > old.epoch, "{old:?} {new:?}");
    }
    deliver(&database, "after").await;
    clean(&database).await;
    assert_place_was_kept(&database).await;
    server.shut_down().await;
}
