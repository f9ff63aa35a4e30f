//! When the database's history no longer reaches back, that is said aloud and made up for: never a
//! silent start from now.

use std::process::Stdio;

use bson::{Document, doc};
use devkit::{Options, ReplicaSet};
use mongodb::Database;
use order_archiver_api::v1 as pb;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};
use tonic::Code;

use crate::{
    crash_loop::{caught_up, kept},
    faults::settled,
    process::{archd, signal},
    support::{TestServer, eventually, faults, order, within},
};

/// What the watcher's connections are called, so that a fault meets nobody else.
const APP: &str = "watched";

/// The real program, watching the server's database.
fn watching(set: &ReplicaSet, server: &TestServer) -> Child {
    let uri = format!("{}&appName={APP}", set.uri());
    let settings = [
        ("MONGODB_URI", uri.as_str()),
        ("MONGODB_DATABASE", server.database.name()),
        ("ARCHD_LEASE", "1s"),
    ];
    let mut command = archd(&["watch", "--log-format=json"], &settings);
    command.stdout(Stdio::null()).spawn().unwrap()
}

/// A mongod whose history soon passes out of its oplog: that is small, and what a crash would need
/// of it is cut every second.
async fn forgetful() -> ReplicaSet {
    let options = Options::new().oplog_mb(2);
    let options = options.arg("--syncdelay").arg("1");
    options.start().await.unwrap()
}

/// Writes until the oldest change that the database remembers comes after the watcher's place.
async fn roll_over(set: &ReplicaSet, database: &Database) {
    let place = kept(database).await;
    let place = place.get_document("checkpoint").unwrap();
    let place = place.get_timestamp("time").unwrap();
    let client = set.client().await.unwrap();
    let elsewhere = client.database("autre").collection::<Document>("bulk");
    let bulk = vec![doc! { "text": "x".repeat(100_000) }; 10];
    let oplog = client.database("local").collection::<Document>("oplog.rs");
    eventually(async || {
        elsewhere.insert_many(&bulk).await.unwrap();
        let oldest = oplog.find_one(doc! {}).sort(doc! { "$natural": 1 });
        let oldest = oldest.await.unwrap().unwrap();
        (oldest.get_timestamp("ts").unwrap() > place).then_some(())
    })
    .await;
}

/// Holds back what the watcher's process archives, or lets it through again.
async fn hold(set: &ReplicaSet, mode: &str) {
    let data = doc! {
        "failCommands": ["insert"], "appName": APP, "namespace": "livraison.Historique",
        "blockConnection": true, "blockTimeMS": 1_000,
    };
    let point = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
    set.configure_fail_point(point).await.unwrap();
}

/// That a gap is in the news, in `GetWatcher` and in the log of the watcher, and that it is closed
/// by a batch of its own.
async fn assert_made_up_for(
    set: &ReplicaSet,
    server: &TestServer,
    archiver: &mut Child,
    mut news: tonic::Streaming<pb::TailEventsResponse>,
) {
    use pb::EventKind::{BatchFinished, BatchStarted, GapClosed, GapOpened};
    let told = async {
        let mut told = Vec::new();
        while !told.contains(&GapClosed) {
            told.push(within(news.message()).await.unwrap().unwrap().kind());
        }
        told.retain(|kind| [GapOpened, BatchStarted, BatchFinished, GapClosed].contains(kind));
        told
    };
    // The gap can't be closed before it was looked at: the batch has an order to archive.
    let shown = async {
        let shown = eventually(async || server.watcher_now().await.open_gaps.into_iter().next());
        let shown = shown.await;
        hold(set, "off").await;
        shown
    };
    let (told, shown) = tokio::join!(told, shown);
    assert_eq!(told, [GapOpened, BatchStarted, BatchFinished, GapClosed]);
    let why = "the database's history no longer reaches back that far";
    assert_eq!(shown.cause, why);

    let mut log = BufReader::new(archiver.stderr.take().unwrap()).lines();
    for word in ["gap opened", "gap closed"] {
        within(async {
            loop {
                let line = log.next_line().await.unwrap().expect(word);
                if line.contains(word) && line.contains(why) {
                    return;
                }
            }
        })
        .await;
    }
}

/// That everything is archived once, and that a place from before the loss is refused for what it
/// is.
async fn assert_whole(server: TestServer, before: String) {
    settled(&server.database).await;
    let request = pb::TailEventsRequest {
        start: Some(pb::tail_events_request::Start::Cursor(before)),
        ..Default::default()
    };
    let status = server.events().tail_events(request).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert_eq!(faults(&status).0, "HISTORY_LOST");
    server.shut_down().await;
}

/// A server that does not watch, the program that does, and a reader's place in the news.
async fn started(set: &ReplicaSet) -> (TestServer, Child, String) {
    let server = TestServer::on(&set.uri(), "livraison").await;
    let server = server.with_references().await;
    server.ready().await;
    let archiver = watching(set, &server);
    caught_up(&server.database).await;
    server.insert("Commande", [order("before")]).await;
    server.archived(1).await;
    let request = pb::TailEventsRequest::default();
    let news = server.events().tail_events(request).await;
    let first = within(news.unwrap().into_inner().message()).await;
    (server, archiver, first.unwrap().unwrap().cursor)
}

#[tokio::test]
async fn history_that_was_lost_while_the_archiver_was_away_is_made_up_for_by_a_batch() {
    let set = forgetful().await;
    let (server, mut archiver, before) = started(&set).await;
    archiver.kill().await.unwrap();
    server.insert("Commande", [order("in the gap")]).await;
    roll_over(&set, &server.database).await;

    hold(&set, "alwaysOn").await;
    let news = server.news().await;
    let mut archiver = watching(&set, &server);
    assert_made_up_for(&set, &server, &mut archiver, news).await;
    server.insert("Commande", [order("later")]).await;
    assert_eq!(server.archived(3).await, ["before", "in the gap", "later"]);
    assert_whole(server, before).await;
}

#[tokio::test]
async fn history_that_overtakes_the_archiver_is_made_up_for_by_a_batch() {
    let set = forgetful().await;
    let (server, mut archiver, before) = started(&set).await;
    let place = kept(&server.database).await;
    signal(&archiver, "STOP");
    server.insert("Commande", [order("in the gap")]).await;
    roll_over(&set, &server.database).await;

    hold(&set, "alwaysOn").await;
    let news = server.news().await;
    signal(&archiver, "CONT");
    assert_made_up_for(&set, &server, &mut archiver, news).await;
    server.insert("Commande", [order("later")]).await;
    assert_eq!(server.archived(3).await, ["before", "in the gap", "later"]);
    let gap = kept(&server.database).await;
    let gap = gap.get_document("closed_gap").unwrap();
    let place = place.get_document("checkpoint").unwrap();
    assert!(gap.get_timestamp("from").unwrap() >= place.get_timestamp("time").unwrap());
    assert_whole(server, before).await;
}
