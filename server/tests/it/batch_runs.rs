//! Only what happened counts as a run of a batch: an answer that was lost, or a majority that was
//! away, makes no second one.

use std::time::Duration;

use archd::config::Config;
use bson::{DateTime, Document, doc};
use devkit::{
    ReplicaSet,
    relay::{Deed, Plan, Relay},
};
use mongodb::Database;
use order_archiver_api::v1 as pb;

use crate::{
    faults::FailPoints,
    support::{TestServer, eventually, orders, tally, within},
};

/// As many runs without progress as a batch may have.
const MOST_RUNS_WITHOUT_PROGRESS: i64 = 5;

/// A batch that an instance has left in its first run, at this moment from now, in milliseconds.
fn orphan(alive_until: i64) -> Document {
    let now = DateTime::now();
    let alive_until = DateTime::from_millis(now.timestamp_millis() + alive_until);
    doc! {
        "_id": "b-1", "state": "running", "active": true, "instance": "gone", "options": { "limit": 0_i64, "create_indexes": false },
        "created": now, "started": now, "updated": now, "alive_until": alive_until, "lease": 15_000_i64,
        "epoch": 1_i64, "begun": 1_i64, "lives": 1_i64, "barren_lives": 0_i64,
    }
}

async fn put(database: &Database, batch: Document) {
    let batches = database.collection("archd_batches");
    batches.insert_one(batch).await.unwrap();
    let commande = database.collection("Commande");
    commande.insert_many(orders(3)).await.unwrap();
}

/// The batch once it has been taken up so often.
async fn taken_up(database: &Database, times: i64) {
    let batches = database.collection::<Document>("archd_batches");
    let taken_up = doc! { "epoch": { "$gte": 1 + times } };
    eventually(async || batches.find_one(taken_up.clone()).await.unwrap()).await;
}

/// A server whose changes of a batch happen, while the majority that is to confirm them is away;
/// until the fail point is mended.
async fn without_a_majority(points: &FailPoints, change: impl FnOnce(&mut Config)) -> TestServer {
    let database = points.set.fresh_database().await.unwrap();
    put(&database, orphan(0)).await;
    let unconfirmed =
        doc! { "writeConcernError": { "code": 64, "errmsg": "the majority is away" } };
    points
        .fail(&["findAndModify"], "alwaysOn", unconfirmed)
        .await;
    let mut config = Config::simulation(&points.set.uri(), database.name()).unwrap();
    change(&mut config);
    TestServer::launch(config, database).await
}

async fn all_archived_in_the_second_run(server: &TestServer) {
    let batch = server.batch_end("b-1").await;
    assert_eq!(batch.state(), pb::BatchState::Succeeded, "{batch:?}");
    assert_eq!((tally(batch.counts), batch.resumes), ([3, 3, 0, 0], 1));
}

#[tokio::test]
async fn a_take_up_that_is_confirmed_late_is_one_run() {
    let points = FailPoints::turn().await;
    let server = without_a_majority(&points, |_| {}).await;
    taken_up(&server.database, 1).await;
    points.mend().await;
    server.ready().await;
    all_archived_in_the_second_run(&server).await;
    let batches = server.all("archd_batches").await;
    assert_eq!(batches[0].get_i64("epoch").unwrap(), 2, "{batches:?}");
}

#[tokio::test]
async fn a_take_up_that_is_never_confirmed_is_no_run() {
    let points = FailPoints::turn().await;
    let server = without_a_majority(&points, |config| {
        config.lease = Duration::from_secs(1);
        config.retry_attempts = 1;
    });
    let server = server.await;
    taken_up(&server.database, MOST_RUNS_WITHOUT_PROGRESS + 2).await;
    points.mend().await;
    server.ready().await;
    all_archived_in_the_second_run(&server).await;
}

#[tokio::test]
async fn an_instance_that_is_slow_to_give_its_heartbeat_does_not_take_up_its_own_batch() {
    let points = FailPoints::turn().await;
    let server = TestServer::start_on(points.set, |config| {
        config.lease = Duration::from_secs(1);
        config.chunk_size = 5;
    });
    let server = server.await;
    server.insert("Commande", orders(20)).await;
    let slow = doc! { "blockConnection": true, "blockTimeMS": 1_500 };
    points.fail(&["findAndModify"], "alwaysOn", slow).await;
    let options = pb::BatchOptions {
        max_orders_per_second: Some(40),
        ..Default::default()
    };
    let batch = server.run_batch_with(options).await;
    points.mend().await;
    assert_eq!((tally(batch.counts), batch.resumes), ([20, 20, 0, 0], 0));
    let batches = server.all("archd_batches").await;
    assert_eq!(batches[0].get_i64("epoch").unwrap(), 1, "{batches:?}");
}

#[tokio::test]
async fn a_heartbeat_from_a_clock_that_ran_ahead_counts_for_nothing() {
    let server = TestServer::start().await;
    put(&server.database, orphan(3_600_000)).await;
    let other = server.another(|_| {}).await;
    all_archived_in_the_second_run(&other).await;
}

#[tokio::test]
async fn a_request_that_is_sent_again_does_not_begin_the_batch_again() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let commande = database.collection("Commande");
    commande.insert_many(orders(3)).await.unwrap();
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
    let patient = |config: &mut Config| {
        config.retry_attempts = 10;
        config.request_timeout = Duration::from_secs(60);
    };
    let asked = TestServer::on_with(&relay.uri(), database.name(), patient).await;
    asked.ready().await;
    // The first request arrives and its answer is lost; the next ones do not even arrive.
    relay.on("pending", Plan::First(1), Deed::Swallow);
    relay.on("pending", Plan::Always, Deed::Cut);
    let answer = async { asked.start_batch(pb::BatchOptions::default(), "").await };
    let another = async {
        let hasty = |config: &mut Config| config.lease = Duration::from_secs(1);
        let server = TestServer::on_with(&set.uri(), database.name(), hasty).await;
        let batches = database.collection::<Document>("archd_batches");
        let ended = doc! { "state": "succeeded" };
        eventually(async || batches.find_one(ended.clone()).await.unwrap()).await;
        relay.clear();
        server
    };
    let (answer, other) = within(async { tokio::join!(answer, another) }).await;
    let (batch, already) = answer.unwrap();
    assert_eq!((batch.state(), already), (pb::BatchState::Succeeded, false));
    assert_eq!(tally(batch.counts), [3, 3, 0, 0]);
    assert_eq!(other.all("archd_batches").await.len(), 1);
}
