//! When the database's history no longer reaches back, that is said aloud and made up for: never a silent start from now.

use std::process::Stdio;

use bson::{Document, doc};
use devkit::ReplicaSet;
use order_archiver_api::v1 as pb;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

use crate::{
    crash_loop::{caught_up, kept},
    process::archd,
    support::{TestServer, eventually, order, within},
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

/// A fault that the database answers to one call of the watcher.
async fn fault(set: &ReplicaSet, command: &str, code: i32) {
    let fault = doc! {
        "failCommands": [command], "errorCode": code, "appName": APP,
        "namespace": "livraison.Commande",
    };
    let point = doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": fault };
    set.configure_fail_point(point).await.unwrap();
}

/// That a gap is in the news, in `GetWatcher` and in the log of the watcher, and that it is closed by a batch of its own.
async fn assert_made_up_for(
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
    let shown = eventually(async || server.watcher_now().await.open_gaps.into_iter().next());
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

#[tokio::test]
async fn history_that_was_lost_while_the_archiver_was_away_is_made_up_for_by_a_batch() {
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::on(&set.uri(), "livraison").await;
    server.ready().await;
    let mut archiver = watching(&set, &server);
    caught_up(&server.database).await;
    archiver.kill().await.unwrap();
    server.insert("Commande", [order("in the gap")]).await;
    fault(&set, "aggregate", 286).await;

    let news = server.news().await;
    let mut archiver = watching(&set, &server);
    assert_made_up_for(&server, &mut archiver, news).await;
    assert_eq!(server.archived(1).await, ["in the gap"]);
    server.insert("Commande", [order("later")]).await;
    assert_eq!(server.archived(2).await, ["in the gap", "later"]);
    server.shut_down().await;
}

#[tokio::test]
async fn history_that_overtakes_the_archiver_is_made_up_for_by_a_batch() {
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::on(&set.uri(), "livraison").await;
    server.ready().await;
    let mut archiver = watching(&set, &server);
    caught_up(&server.database).await;
    let before = kept(&server.database).await;

    let news = server.news().await;
    fault(&set, "getMore", 136).await;
    server.insert("Commande", [order("in the gap")]).await;
    assert_made_up_for(&server, &mut archiver, news).await;
    assert_eq!(server.archived(1).await, ["in the gap"]);
    let gap = kept(&server.database).await;
    let gap: &Document = gap.get_document("closed_gap").unwrap();
    let place = before.get_document("checkpoint").unwrap();
    assert!(gap.get_timestamp("from").unwrap() >= place.get_timestamp("time").unwrap());
    server.shut_down().await;
}
