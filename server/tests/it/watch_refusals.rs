//! Whatever the database answers while orders are read and written, each is archived once.

use std::time::Duration;

use bson::{Document, doc};
use futures::TryStreamExt;
use order_archiver_api::v1 as pb;
use tokio::time::timeout;

use crate::{
    faults::{FailPoints, deliver, settled, state},
    support::{TestServer, eventually, order},
};

/// Codes that a cursor dies of and a new one does not: not now, not here, killed.
const PASSING: [i32; 25] = [
    6, 7, 43, 46, 50, 63, 89, 91, 112, 133, 134, 150, 175, 189, 202, 234, 237, 262, 9001, 10107,
    11600, 11601, 11602, 13435, 13436,
];

/// Every code ends the stream once, and then its opening.
#[tokio::test]
async fn a_stream_that_the_database_ends_is_opened_again() {
    let points = FailPoints::turn().await;
    let server = points.watching().await;
    for (before, code) in PASSING.into_iter().enumerate() {
        let how = doc! { "errorCode": code };
        points.fail(&["aggregate"], doc! { "times": 1 }, how).await;
        let fail = doc! {
            "configureFailPoint": "failGetMoreAfterCursorCheckout", "mode": { "times": 1 }, "data": { "errorCode": code },
        };
        let entered = points.set.nodes()[0].admin(fail).await.unwrap();
        deliver(&server.database, &format!("code {code} first")).await;
        let met = doc! {
            "waitForFailPoint": "failGetMoreAfterCursorCheckout", "maxTimeMS": 30_000,
            "timesEntered": entered.get_i32("count").unwrap() + 1,
        };
        points.set.nodes()[0].admin(met).await.unwrap();
        deliver(&server.database, &format!("code {code} then")).await;
        // The stream got on between two codes, so the pauses between tries begin anew and never
        // grow to their 10 s.
        let archived = server.archived(2 * (before + 1));
        timeout(Duration::from_secs(10), archived).await.unwrap();
    }
    settled(&server.database).await;
    let gap = state(&server.database)
        .await
        .get_document("closed_gap")
        .unwrap()
        .clone();
    assert_eq!(gap.get_str("cause").unwrap(), "first start");
    server.shut_down().await;
}

/// What the database is doing for the server's stream.
async fn operation(server: &TestServer, filter: Document) -> Document {
    let admin = server.database.client().database("admin");
    eventually(async || {
        let all = doc! { "$currentOp": { "allUsers": true, "idleCursors": true } };
        let mut filter = filter.clone();
        filter.insert("ns", format!("{}.Commande", server.database.name()));
        let pipeline = [all, doc! { "$match": filter }];
        let found = admin.aggregate(pipeline).await.unwrap();
        let found: Vec<Document> = found.try_collect().await.unwrap();
        found.into_iter().next()
    })
    .await
}

#[tokio::test]
async fn a_stream_that_an_operator_kills_is_opened_again() {
    let points = FailPoints::turn().await;
    let server = points.watching().await;
    let reading = doc! { "op": "getmore" };
    let killed = operation(&server, reading.clone()).await;
    let admin = server.database.client().database("admin");
    let kill = doc! { "killOp": 1, "op": killed.get("opid").unwrap() };
    admin.run_command(kill).await.unwrap();
    deliver(&server.database, "after killOp").await;
    server.archived(1).await;
    let reading = operation(&server, reading).await;
    let cursor = reading
        .get_document("cursor")
        .unwrap()
        .get("cursorId")
        .unwrap();
    let kill = doc! { "killCursors": "Commande", "cursors": [cursor] };
    server.database.run_command(kill).await.unwrap();
    deliver(&server.database, "after killCursors").await;
    settled(&server.database).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_write_that_a_majority_does_not_confirm_is_looked_up() {
    let points = FailPoints::turn().await;
    let server = points.watching().await;
    let concern =
        doc! { "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" } };
    points.fail(&["insert"], doc! { "times": 1 }, concern).await;
    deliver(&server.database, "unconfirmed").await;
    settled(&server.database).await;
    archived_once(&server, 1).await;
    server.shut_down().await;
}

/// That the watcher counts so many orders, none of them twice.
async fn archived_once(server: &TestServer, count: i64) {
    let counts = eventually(async || {
        let counts = server.watcher_now().await.counts.unwrap();
        (counts.archived > 0).then_some(counts)
    })
    .await;
    assert_eq!(
        (counts.archived, counts.duplicates, counts.errors),
        (count, 0, 0)
    );
}

#[tokio::test]
async fn a_write_that_is_cut_twice_is_looked_up_and_sent_again() {
    let points = FailPoints::turn().await;
    let server = points.watching().await;
    let cut = doc! { "closeConnection": true };
    points.fail(&["insert"], doc! { "times": 2 }, cut).await;
    deliver(&server.database, "cut").await;
    settled(&server.database).await;
    archived_once(&server, 1).await;
    server.shut_down().await;
}

/// An insert is never more than one message of 16 MiB, so that its one reply tells of every
/// document in it.
#[tokio::test]
async fn a_large_write_that_is_refused_halfway_is_finished_later() {
    let points = FailPoints::turn().await;
    let server = points.watching().await;
    let refuse = doc! { "errorCode": 13 };
    points.fail(&["insert"], doc! { "skip": 1 }, refuse).await;
    let large = (0..5).map(|number| {
        let mut order = order(format!("large {number}"));
        order.insert("notes", "x".repeat(5 << 20));
        order
    });
    server.insert("Commande", large).await;
    server.watcher_is(pb::WatcherState::Retrying).await;
    let halfway = server.all("Historique").await.len();
    assert!((1..5).contains(&halfway), "{halfway}");
    let watcher = server.watcher_now().await;
    assert!(
        watcher.last_error.contains("may not run `insert`"),
        "{watcher:?}"
    );
    points.mend().await;
    settled(&server.database).await;
    server.shut_down().await;
}

/// Right after an election a primary can have an order and not know yet that a majority has it: a
/// read must wait for that.
#[tokio::test]
async fn an_order_is_read_no_earlier_than_the_history_told_of_it() {
    let points = FailPoints::turn().await;
    let server = points.watching().await;
    server
        .database
        .run_command(doc! { "profile": 2 })
        .await
        .unwrap();
    deliver(&server.database, "told").await;
    settled(&server.database).await;
    server
        .database
        .run_command(doc! { "profile": 0 })
        .await
        .unwrap();
    let told = doc! { "op": "i", "o.numero_commande": "told", "ns": format!("{}.Commande", server.database.name()) };
    let oplog = server
        .database
        .client()
        .database("local")
        .collection::<Document>("oplog.rs");
    let told = oplog
        .find_one(told)
        .await
        .unwrap()
        .unwrap()
        .get_timestamp("ts")
        .unwrap();
    let reads =
        doc! { "command.aggregate": "Commande", "command.pipeline.0.$match": { "$exists": true } };
    let profile = server.collection("system.profile");
    let read = profile.find_one(reads).await.unwrap().unwrap();
    let concern = read
        .get_document("command")
        .unwrap()
        .get_document("readConcern")
        .unwrap();
    assert!(
        concern.get_timestamp("afterClusterTime").unwrap() >= told,
        "{concern}"
    );
    server.shut_down().await;
}
