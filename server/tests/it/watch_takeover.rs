//! What an instance is told of a take-up is its own: frozen at any point of it, it never has its
//! successor's for its own.

use std::time::Duration;

use archd::{
    config::Config,
    store::{
        Store,
        batches::{
            options::Options,
            progress::{Ended, Progress},
            record::{Batch, StopReason},
        },
        jobs::{limits::Limits, record::State as BatchState},
        watch::{
            lease::{Heartbeat, Lease},
            record::State,
        },
    },
};
use bson::{DateTime, doc};
use devkit::{
    ReplicaSet,
    relay::{Deed, Plan, Relay},
};
use mongodb::Database;
use order_archiver_api::v1 as pb;

use crate::{
    faults::{FailPoints, state},
    support::{TestServer, eventually, within},
};

const FROZEN: &str = "frozen";
/// How long the instance is frozen: much longer than its lease.
const FOR: Duration = Duration::from_millis(2_500);
/// No holder of such a lease is silent in a test.
const LONG: Duration = Duration::from_secs(600);

/// A store whose calls a fail point can tell from the others'.
async fn store(uri: &str, database: &Database, name: &str, lease: Duration) -> Store {
    let uri = format!(
        "{uri}{}appName={name}",
        if uri.contains('?') { '&' } else { '?' }
    );
    let mut config = Config::simulation(&uri, database.name()).unwrap();
    config.lease = lease;
    Store::new(&config).await.unwrap()
}

fn heartbeat() -> Heartbeat<'static> {
    Heartbeat::bare(State::Watching, "")
}

async fn freeze(points: &FailPoints, command: &str) {
    let block =
        doc! { "blockConnection": true, "blockTimeMS": FOR.as_millis() as i64, "appName": FROZEN };
    points.fail(&[command], doc! { "times": 1 }, block).await;
}

#[tokio::test]
async fn an_instance_frozen_while_it_takes_the_watch_never_takes_its_successors_epoch_for_its_own()
{
    let points = FailPoints::turn().await;
    for command in ["update", "findAndModify", "aggregate", "find"] {
        let database = points.set.fresh_database().await.unwrap();
        let uri = points.set.uri();
        let frozen = store(&uri, &database, FROZEN, Duration::from_millis(300)).await;
        let successor = store(&uri, &database, "successor", LONG).await;
        // Connected before, so that nothing but the take-up is frozen.
        frozen.hello().await.unwrap();
        freeze(&points, command).await;
        let taking = frozen.clone();
        let taking = tokio::spawn(async move { taking.take_watch("frozen", "frozen").await });
        let theirs = eventually(async || {
            let taken = successor
                .take_watch("successor", "successor")
                .await
                .unwrap()?;
            // The one that is frozen may come later, and is silent then for longer than its lease.
            tokio::time::sleep(Duration::from_millis(400)).await;
            Some(taken)
        });
        let theirs = theirs.await;
        let ours = within(taking).await.unwrap().unwrap();
        points.mend().await;
        if let Some(ours) = ours {
            assert_ne!(ours.epoch, theirs.epoch, "{command}: {ours:?}");
            assert_eq!(ours.instance, "frozen", "{command}");
            assert!(
                !frozen
                    .keep_watch(&Lease::of_watch(ours.epoch), &heartbeat())
                    .await
                    .unwrap(),
                "{command}"
            );
        }
        assert!(
            successor
                .keep_watch(&Lease::of_watch(theirs.epoch), &heartbeat())
                .await
                .unwrap(),
            "{command}"
        );
        let held = state(&database).await;
        assert_eq!(held.get_str("instance").unwrap(), "successor", "{command}");
    }
}

#[tokio::test]
async fn a_watch_whose_answer_was_lost_is_taken_once() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
    let store = store(&relay.uri(), &database, "relayed", LONG).await;
    let first = store.take_watch("first", "first").await.unwrap().unwrap();
    for (bytes, epoch) in ["taken_by", "findAndModify"].into_iter().zip(first.epoch..) {
        let lease = Lease::of_watch(epoch);
        let left = store.leave_watch(&lease, State::Stopped).await;
        assert!(left.unwrap(), "{bytes}");
        relay.on(bytes, Plan::First(1), Deed::Swallow);
        let taken = store.take_watch("again", "again").await.unwrap().unwrap();
        relay.clear();
        let held = state(&database).await;
        assert_eq!(held.get_i64("epoch").unwrap(), taken.epoch, "{held}");
        assert_eq!(held.get_i64("epoch").unwrap(), epoch + 1, "{held}");
    }
}

#[tokio::test]
async fn an_instance_frozen_while_it_takes_a_batch_up_never_takes_its_successors_progress_for_its_own()
 {
    let points = FailPoints::turn().await;
    for command in ["findAndModify", "find"] {
        let database = points.set.fresh_database().await.unwrap();
        let uri = points.set.uri();
        let frozen = store(&uri, &database, FROZEN, Duration::from_millis(300)).await;
        let successor = store(&uri, &database, "successor", LONG).await;
        successor.prepare_collections().await.unwrap();
        frozen.hello().await.unwrap();
        let (batch, _) = successor
            .ask_for_job::<Batch>(&Options::default(), None, "caller")
            .await
            .unwrap();
        freeze(&points, command).await;
        let taking = frozen.clone();
        let taking = tokio::spawn(async move { taking.take_up_job::<Batch>("frozen", None).await });
        let taken = eventually(async || {
            let taken = successor
                .take_up_job::<Batch>("successor", None)
                .await
                .unwrap()?;
            (taken.job.head.id == batch.head.id).then_some(taken)
        })
        .await;
        let further = Progress {
            exhausted: true,
            stamps: vec![DateTime::now()],
            ..Progress::default()
        };
        let saved = successor.save_batch(&taken.lease, &further).await.unwrap();
        assert!(saved.is_some(), "{command}");
        let ours = within(taking).await.unwrap().unwrap();
        points.mend().await;
        if let Some(ours) = ours {
            assert!(!ours.progress.exhausted, "{command}: {ours:?}");
            assert!(!frozen.keep_job(&ours.lease).await.unwrap(), "{command}");
        }
    }
}

#[tokio::test]
async fn what_was_asked_of_a_batch_is_told_truly_when_the_answer_was_lost_and_the_batch_has_ended_since()
 {
    let set = ReplicaSet::shared().await.unwrap();
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
    for (bytes, cancels) in [("cancelling", true), ("max_orders_per_second", false)] {
        let database = set.fresh_database().await.unwrap();
        let runner = store(&set.uri(), &database, "runner", LONG).await;
        let asking = store(&relay.uri(), &database, "asking", LONG).await;
        runner.prepare_collections().await.unwrap();
        asking.hello().await.unwrap();
        let (batch, _) = runner
            .ask_for_job::<Batch>(&Options::default(), None, "caller")
            .await
            .unwrap();
        let taken = runner
            .take_up_job::<Batch>("runner", None)
            .await
            .unwrap()
            .unwrap();
        relay.on(bytes, Plan::First(1), Deed::Swallow);
        relay.on(bytes, Plan::Always, Deed::Delay(Duration::from_secs(1)));
        let id = batch.head.id.clone();
        let asked = tokio::spawn(async move {
            if cancels {
                asking
                    .cancel_job::<Batch>(&id)
                    .await
                    .map(|asked| asked.is_some())
            } else {
                let limits = Limits {
                    max_orders_per_second: Some(7),
                    ..Limits::default()
                };
                asking
                    .tune_batch(&id, &limits)
                    .await
                    .map(|asked| asked.is_some())
            }
        });
        eventually(async || {
            let batch = runner.job::<Batch>(&batch.head.id).await.unwrap()?;
            let tuned = batch.limits.max_orders_per_second == Some(7);
            (batch.head.state == BatchState::Cancelling || tuned).then_some(())
        })
        .await;
        let end = Ended {
            state: BatchState::Cancelled,
            reason: StopReason::Cancelled,
            message: String::new(),
            counts: Default::default(),
            near_misses_beyond: Default::default(),
            near_misses: Vec::new(),
            warning: None,
        };
        assert!(runner.end_batch(&taken.lease, &end).await.unwrap());
        assert!(within(asked).await.unwrap().unwrap(), "{bytes}");
        relay.clear();
        let ended = runner.job::<Batch>(&batch.head.id).await.unwrap().unwrap();
        assert_eq!(ended.head.state, BatchState::Cancelled, "{bytes}");
    }
}

#[tokio::test]
async fn a_pause_that_somebody_else_takes_back_is_answered_with_how_things_are() {
    let server = TestServer::start().await;
    let watched = doc! {
        "_id": "watcher", "owner": "elsewhere", "instance": "elsewhere", "epoch": 4_i64, "paused": false, "state": "watching",
        "last_error": "", "alive_at": DateTime::now(), "lease": 600_000_i64,
    };
    server.insert("archd_state", [watched]).await;
    let mut watcher = server.watcher();
    let pausing =
        tokio::spawn(async move { watcher.pause_watcher(pb::PauseWatcherRequest {}).await });
    eventually(async || {
        state(&server.database)
            .await
            .get_bool("paused")
            .unwrap()
            .then_some(())
    })
    .await;
    let states = server.collection("archd_state");
    let resume = doc! { "$set": { "paused": false } };
    states
        .update_one(doc! { "_id": "watcher" }, resume)
        .await
        .unwrap();
    let answered = tokio::time::timeout(Duration::from_secs(3), pausing).await;
    let answer = answered
        .expect("nobody waits for what was taken back")
        .unwrap();
    let watcher = answer.unwrap().into_inner().watcher.unwrap();
    assert_eq!(watcher.state(), pb::WatcherState::Watching);
}
