//! A database that was put back to a backup, archd's own documents included, is gone on with: leases
//! of then have run out, a batch of then is taken up, the watcher follows its place of then, and in
//! the end every delivered order is archived once.

use std::{collections::BTreeMap, time::Duration};

use bson::Document;
use devkit::audit::audit;
use mongodb::Database;
use order_archiver_api::v1 as pb;

use crate::support::{TestServer, order, orders};

/// All documents of a database, by collection: what a dump holds.
async fn dump(server: &TestServer) -> BTreeMap<String, Vec<Document>> {
    let mut dump = BTreeMap::new();
    for name in server.database.list_collection_names().await.unwrap() {
        dump.insert(name.clone(), server.all(&name).await);
    }
    dump
}

/// Puts it back in the place of all that is there.
async fn restore(database: &Database, dump: BTreeMap<String, Vec<Document>>) {
    database.drop().await.unwrap();
    for (name, documents) in dump
        .into_iter()
        .filter(|(_, documents)| !documents.is_empty())
    {
        let collection = database.collection::<Document>(&name);
        collection.insert_many(documents).await.unwrap();
    }
}

async fn watcher_document(server: &TestServer) -> Document {
    let mut state = server.all("archd_state").await.into_iter();
    state
        .find(|it| it.get_str("_id").ok() == Some("watcher"))
        .unwrap()
}

#[tokio::test]
async fn what_was_restored_is_archived_once_and_batch_and_watch_of_then_go_on() {
    let server = TestServer::start_with(|config| {
        config.watch = true;
        config.lease = Duration::from_secs(2);
    })
    .await
    .with_references()
    .await;
    server.watcher_is(pb::WatcherState::Watching).await;
    server.insert("Commande", [order("watched before")]).await;
    server.archived(1).await;
    server.verify_with(Default::default()).await;
    server.pause_watcher().await;
    server.watcher_is(pb::WatcherState::Paused).await;
    server.insert("Commande", orders(60)).await;
    let slow = pb::BatchOptions {
        max_orders_per_second: Some(10),
        ..pb::BatchOptions::default()
    };
    let (batch, _) = server.start_batch(slow, "").await.unwrap();
    server.batch_under_way(&batch.id).await;
    let backup = dump(&server).await;
    let before = watcher_document(&server).await;

    // Life goes on, and is undone.
    server.resume_watcher().await;
    server.insert("Commande", [order("after the backup")]).await;
    server.set_rate(&batch.id, 0).await;
    server.batch_end(&batch.id).await;
    server.archived(62).await;
    let (config, database) = (server.config.clone(), server.database.clone());
    server.shut_down().await;
    restore(&database, backup).await;

    let mut config = config;
    config.instance = "after the restore".to_owned();
    let server = TestServer::launch(config, database).await;
    server.ready().await;
    // The batch of then: its instance has been silent since.
    server.set_rate(&batch.id, 0).await;
    let ended = server.batch_end(&batch.id).await;
    assert_eq!(ended.state(), pb::BatchState::Succeeded, "{ended:?}");
    assert_eq!(ended.instance, "after the restore");
    assert!(ended.resumes >= 1, "{ended:?}");
    // The watch of then: paused, as it was.
    assert_eq!(server.watcher_now().await.state(), pb::WatcherState::Paused);
    server.resume_watcher().await;
    server.watcher_is(pb::WatcherState::Watching).await;
    server.insert("Commande", [order("watched after")]).await;
    let archived = server.archived(62).await;
    assert!(
        archived.contains(&"watched after".to_owned()),
        "{archived:?}"
    );
    assert!(
        !archived.contains(&"after the backup".to_owned()),
        "{archived:?}"
    );
    let after = watcher_document(&server).await;
    assert!(after.get_i64("epoch").unwrap() > before.get_i64("epoch").unwrap());

    // As docs/operations.md has it: a batch, and a verification of everything.
    let batch = server.run_batch().await;
    assert_eq!(batch.state(), pb::BatchState::Succeeded, "{batch:?}");
    let verification = server.verify_with(Default::default()).await;
    assert_eq!(
        verification.verdict(),
        pb::Verdict::Verified,
        "{verification:?}"
    );
    let audit = audit(&server.database).await.unwrap();
    assert!(audit.is_clean(), "{audit:#?}");
    server.shut_down().await;
}
