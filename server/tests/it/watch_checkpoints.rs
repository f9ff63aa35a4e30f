//! A checkpoint is followed only after it has been looked at: a wrong one opens a gap that a
//! catch-up batch closes.

use archd::bytes::checkpoint::{Checkpoint, Identity, seal, time_of};
use bson::{Bson, Document, RawDocumentBuf, Timestamp, doc};
use devkit::{ReplicaSet, Standalone};
use order_archiver_api::v1 as pb;

use crate::{
    faults::{clean, deliver, fresh, settled, state, watching},
    support::{TestServer, eventually},
};

/// Lets a server watch, changes its checkpoint while it is away, and lets it watch again; the cause
/// of the gap that it found.
async fn found_after(change: impl FnOnce(&mut Document)) -> Option<String> {
    let gap = gap_after(change).await?;
    Some(gap.get_str("cause").unwrap().to_owned())
}

/// The same, and the whole gap.
async fn gap_after(change: impl FnOnce(&mut Document)) -> Option<Document> {
    let set = ReplicaSet::shared().await.unwrap();
    let server = watching(&set.uri(), fresh(set).await, |_| {}).await;
    deliver(&server.database, "before").await;
    settled(&server.database).await;
    let (config, database) = (server.config.clone(), server.database.clone());
    server.shut_down().await;
    let states = database.collection::<Document>("archd_state");
    let watcher = doc! { "_id": "watcher" };
    states
        .update_one(watcher.clone(), doc! { "$unset": { "closed_gap": "" } })
        .await
        .unwrap();
    let mut changed = state(&database).await;
    change(&mut changed);
    deliver(&database, "meanwhile").await;
    states.replace_one(watcher, changed).await.unwrap();

    let server = TestServer::launch(config, database).await;
    server.ready().await;
    server.archived(2).await;
    server.watcher_is(pb::WatcherState::Watching).await;
    deliver(&server.database, "after").await;
    assert_eq!(server.archived(3).await, ["after", "before", "meanwhile"]);
    clean(&server.database).await;
    let watcher = state(&server.database).await;
    server.shut_down().await;
    watcher.get_document("closed_gap").ok().cloned()
}

fn checkpoint(watcher: &mut Document) -> &mut Document {
    watcher.get_document_mut("checkpoint").unwrap()
}

/// Seals the checkpoint anew, as an honest server with this identity and place would have.
fn resealed(watcher: &mut Document, change: impl FnOnce(&mut Checkpoint, &mut Identity)) {
    let stored = checkpoint(watcher);
    let text = |name: &str| stored.get_str(name).unwrap().to_owned();
    let mut identity = Identity {
        namespace: text("namespace"),
        pipeline: text("pipeline"),
    };
    let token = stored.get_document("token").unwrap();
    let position = RawDocumentBuf::try_from(token).unwrap();
    let mut place = Checkpoint {
        time: time_of(&position).unwrap(),
        position,
    };
    change(&mut place, &mut identity);
    *stored = Document::try_from(seal(&place, &identity).as_ref()).unwrap();
}

/// Changes the text of the token.
fn scrawled(watcher: &mut Document, change: impl FnOnce(&mut String)) {
    let token = checkpoint(watcher).get_document_mut("token").unwrap();
    let Some(Bson::String(data)) = token.get_mut("_data") else {
        panic!("a token without data")
    };
    change(data);
}

const ALTERED: Option<&str> = Some("the checkpoint was altered");
const TORN: Option<&str> = Some("the checkpoint is torn");

#[tokio::test]
async fn a_good_checkpoint_leaves_no_gap() {
    assert_eq!(found_after(|_| {}).await, None);
}

#[tokio::test]
async fn a_token_cut_short_is_noticed() {
    let cause = found_after(|watcher| scrawled(watcher, |data| data.truncate(20))).await;
    assert_eq!(cause.as_deref(), ALTERED);
}

#[tokio::test]
async fn a_flipped_digit_is_noticed() {
    let flip = |data: &mut String| {
        let last = if data.pop() == Some('0') { '1' } else { '0' };
        data.push(last);
    };
    let cause = found_after(|watcher| scrawled(watcher, flip)).await;
    assert_eq!(cause.as_deref(), ALTERED);
}

#[tokio::test]
async fn an_empty_token_is_noticed() {
    let cause = found_after(|watcher| scrawled(watcher, String::clear)).await;
    assert_eq!(cause.as_deref(), ALTERED);
}

#[tokio::test]
async fn a_missing_token_is_noticed() {
    let cause = found_after(|watcher| drop(checkpoint(watcher).remove("token"))).await;
    assert_eq!(cause.as_deref(), TORN);
}

#[tokio::test]
async fn a_checkpoint_that_is_no_document_is_noticed() {
    let cause = found_after(|watcher| drop(watcher.insert("checkpoint", 5))).await;
    assert_eq!(cause.as_deref(), TORN);
}

#[tokio::test]
async fn a_time_that_is_not_the_tokens_is_noticed() {
    let later = Timestamp {
        time: 2_000_000_000,
        increment: 1,
    };
    let cause = found_after(|watcher| drop(checkpoint(watcher).insert("time", later))).await;
    assert_eq!(cause.as_deref(), ALTERED);
}

#[tokio::test]
async fn a_place_in_another_collection_is_noticed() {
    let cause = found_after(|watcher| {
        resealed(watcher, |_, identity| {
            "test.Autre".clone_into(&mut identity.namespace)
        });
    })
    .await;
    assert_eq!(
        cause.as_deref(),
        Some("the checkpoint belongs to another collection")
    );
}

#[tokio::test]
async fn a_place_in_the_future_is_noticed() {
    let cause = found_after(|watcher| {
        resealed(watcher, |place, _| place.time.time += 3_600);
    })
    .await;
    assert_eq!(cause.as_deref(), Some("the checkpoint lies in the future"));
}

/// Sealed well and still no good to the database: it is followed by its time, without a gap.
#[tokio::test]
async fn a_place_that_the_database_refuses_is_followed_by_its_moment() {
    let cause = found_after(|watcher| {
        resealed(watcher, |place, _| {
            place.position = bson::rawdoc! { "_data": "" }
        });
    })
    .await;
    assert_eq!(cause, None);
}

#[tokio::test]
async fn a_place_of_another_filter_is_followed_by_its_moment() {
    let cause = found_after(|watcher| {
        resealed(watcher, |_, identity| {
            "another filter".clone_into(&mut identity.pipeline)
        });
    })
    .await;
    assert_eq!(cause, None);
}

#[tokio::test]
async fn a_checkpoint_that_is_gone_is_a_first_start() {
    let cause = found_after(|watcher| drop(watcher.remove("checkpoint"))).await;
    assert_eq!(cause.as_deref(), Some("first start"));
}

#[tokio::test]
async fn a_gap_that_is_still_open_becomes_part_of_the_next_one() {
    let long_ago = Timestamp {
        time: 1_600_000_000,
        increment: 7,
    };
    let open = doc! { "from": long_ago, "to": Timestamp { time: 1_600_000_100, increment: 1 }, "batch_id": "", "cause": "of old" };
    let gap = gap_after(|watcher| {
        watcher.insert("gap", open);
        scrawled(watcher, String::clear);
    })
    .await
    .unwrap();
    assert_eq!(gap.get_str("cause").ok(), ALTERED);
    assert_eq!(gap.get_timestamp("from").unwrap(), long_ago);
    assert!(gap.get_timestamp("to").unwrap().time > 1_700_000_000);
    // What is made up for on a first start has no beginning.
    let open = doc! { "to": long_ago, "batch_id": "", "cause": "first start" };
    let gap = gap_after(|watcher| {
        watcher.insert("gap", open);
        scrawled(watcher, String::clear);
    })
    .await
    .unwrap();
    assert_eq!(gap.get("from"), None);
}

#[tokio::test]
async fn a_standalone_mongod_cannot_be_watched_and_its_batches_run() {
    let mongod = Standalone::start().await.unwrap();
    let server = TestServer::on_with(&mongod.uri(), "alone", |config| config.watch = true).await;
    let server = server.with_references().await;
    server.ready().await;
    server.watcher_is(pb::WatcherState::Unsupported).await;
    let watcher = server.watcher_now().await;
    assert!(watcher.last_error.contains("--replSet"), "{watcher:?}");
    deliver(&server.database, "by batch").await;
    server.run_batch().await;
    let audit = eventually(async || devkit::audit::audit(&server.database).await.ok()).await;
    assert!(audit.is_clean() && audit.archived == 1, "{audit:#?}");
    server.shut_down().await;
}
