//! `archctl status` and `archctl health` against archd itself: what is wrong is told until it is
//! mended, and a database that is away too.

use bson::Bson;
use order_archiver_api::v1::WatcherState;

use crate::{
    faults::relayed,
    support::{TestServer, eventually, order},
};

#[tokio::test]
async fn what_is_wrong_is_told_until_it_is_mended() {
    let server = TestServer::start_with(|config| config.watch = true).await;
    server.watcher_is(WatcherState::Watching).await;
    let well = server.archctl("status").await;
    assert_eq!(well.code, Some(0), "{well:?}");
    assert!(well.first().starts_with("ok: watching, "), "{well:?}");
    assert_eq!(server.archctl("health").await.code, Some(0));

    server.pause_watcher().await;
    let paused = server.archctl("status").await;
    assert_eq!(paused.code, Some(11), "{paused:?}");
    let words = "not ok: the watcher is paused for ";
    assert!(paused.first().starts_with(words), "{paused:?}");
    let json = server.archctl("status --output json").await.json();
    assert_eq!(json["problems"][0]["kind"], "watcher", "{json}");
    let ignored = server.archctl("status --ignore watcher").await;
    assert_eq!(ignored.code, Some(0), "{ignored:?}");

    server.resume_watcher().await;
    server.watcher_is(WatcherState::Watching).await;
    server.insert("Commande", [order(Bson::Null)]).await;
    let quarantined = eventually(async || {
        let status = server.archctl("status").await;
        (status.code == Some(11)).then_some(status)
    })
    .await;
    assert_eq!(quarantined.first(), "not ok: 1 order is in quarantine");
}

#[tokio::test]
async fn a_server_whose_database_is_away_does_not_serve() {
    let (relay, server) = relayed().await;
    server.ready().await;
    let serving = server.archctl("health --wait 30s").await;
    assert_eq!((serving.code, serving.first()), (Some(0), "serving"));
    relay.pause();
    server.health(tonic_health::ServingStatus::NotServing).await;
    let health = server.archctl("health").await;
    assert_eq!((health.code, health.first()), (Some(11), "not serving"));
    let status = server.archctl("status").await;
    assert_eq!((status.code, status.first()), (Some(4), ""), "{status:?}");
    relay.resume();
    let serving = server.archctl("health --wait 30s").await;
    assert_eq!(serving.code, Some(0), "{serving:?}");
}
