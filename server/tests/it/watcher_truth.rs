//! A watcher that is paused, stopped or gone says so, since when, and how many delivered orders
//! wait; it never looks like one that works.

use std::time::Duration;

use bson::{DateTime, Document, doc};
use order_archiver_api::v1 as pb;
use tokio::io::{AsyncBufReadExt, BufReader};
use tonic::Code;
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};

use crate::{
    faults::{FailPoints, deliver, state},
    process::{archd, settings_on, signal},
    support::{TestServer, eventually, faults, order, orders, within},
};

/// A server that watches, and another one that serves alone.
async fn pair() -> (TestServer, TestServer) {
    let serves = TestServer::start().await.with_references().await;
    let watches = serves.another(|config| config.watch = true).await;
    watches.watcher_is(pb::WatcherState::Watching).await;
    (watches, serves)
}

async fn resume(server: &TestServer) -> Result<pb::Watcher, tonic::Status> {
    let mut client = server.watcher();
    let resumed = client.resume_watcher(pb::ResumeWatcherRequest {}).await;
    Ok(resumed?.into_inner().watcher.unwrap())
}

/// Waits until health says this of the watcher, and holds it to say that the rest is well.
async fn health(server: &TestServer, watcher: ServingStatus) {
    let mut client = HealthClient::new(server.channel.clone());
    let mut check = async |service: &str| {
        let service = service.to_owned();
        let answer = client.check(HealthCheckRequest { service }).await;
        answer.unwrap().into_inner().status
    };
    eventually(async || {
        let status = check("orderarchiver.v1.WatcherService").await;
        (status == watcher as i32).then_some(())
    })
    .await;
    assert_eq!(check("").await, ServingStatus::Serving as i32);
}

fn waits(orders: i64) -> Option<pb::WaitingOrders> {
    Some(pb::WaitingOrders {
        orders,
        ..pb::WaitingOrders::default()
    })
}

fn seconds(time: Option<prost_types::Timestamp>) -> f64 {
    let time = time.expect("a time");
    time.seconds as f64 + f64::from(time.nanos) / 1e9
}

/// The database's clock is that of this machine.
fn now() -> f64 {
    DateTime::now().timestamp_millis() as f64 / 1e3
}

/// The watcher's document as another instance left it, which was last heard of a minute ago.
fn dead() -> Document {
    let then = DateTime::from_millis(DateTime::now().timestamp_millis() - 60_000);
    doc! {
        "_id": "watcher", "owner": "elsewhere", "instance": "i1", "epoch": 4_i64, "paused": false,
        "state": "watching", "last_error": "", "alive_at": then, "lease": 15_000_i64,
    }
}

#[tokio::test]
async fn a_paused_watcher_says_since_when_and_how_many_delivered_orders_wait() {
    let (watches, serves) = pair().await;
    // One of before, which has been purged from the archive since.
    deliver(&serves.database, "before").await;
    serves.archived(1).await;
    let began = now();
    let paused = serves.pause_watcher().await;
    let ended = now();
    assert_eq!(paused.state(), pb::WatcherState::Paused, "{paused:?}");
    assert!(paused.paused, "{paused:?}");
    let since = seconds(paused.state_since_time);
    assert!(
        (began - 0.01..=ended + 0.01).contains(&since),
        "{began} {paused:?}"
    );
    assert_eq!(paused.waiting, waits(0), "{paused:?}");
    assert_eq!(paused.wall_lag, None, "{paused:?}");
    serves
        .collection("Historique")
        .delete_many(doc! {})
        .await
        .unwrap();
    serves
        .collection("Commande")
        .delete_many(doc! {})
        .await
        .unwrap();

    serves.insert("Commande", orders(30)).await;
    let mut late = order("late");
    late.insert("status", "en_cours");
    serves.insert("Commande", [late]).await;
    // However often it is delivered, it is one order; and one that is not delivered is none.
    let mut cooking = order("cooking");
    cooking.insert("status", "en_preparation");
    serves.insert("Commande", [cooking]).await;
    let commande = serves.collection("Commande");
    for status in ["livrée", "en_cours", "livrée"] {
        let set = doc! { "$set": { "status": status } };
        commande
            .update_one(doc! { "numero_commande": "late" }, set)
            .await
            .unwrap();
    }
    // What is archived by another way does not wait.
    serves.archive_order("CMD-2025-000007").await.unwrap();

    // An instance counts once in ten seconds, and this one has not yet.
    for told in [
        watches.watcher_now().await,
        watches.stats_now().await.watcher.unwrap(),
    ] {
        assert_eq!(told.state(), pb::WatcherState::Paused, "{told:?}");
        assert_eq!(told.waiting, waits(30), "{told:?}");
        assert_eq!(told.state_since_time, paused.state_since_time, "{told:?}");
        assert_eq!(told.able_instances, Some(1), "{told:?}");
    }
    health(&serves, ServingStatus::NotServing).await;

    let resumed = resume(&serves).await.unwrap();
    assert_ne!(resumed.state(), pb::WatcherState::Paused, "{resumed:?}");
    assert_eq!(serves.archived(31).await.len(), 31);
    serves.watcher_is(pb::WatcherState::Watching).await;
    let watching = serves.watcher_now().await;
    assert_eq!(
        (watching.waiting.as_ref(), watching.able_instances),
        (None, None)
    );
    assert!(
        watching.wall_lag.is_some() && !watching.paused,
        "{watching:?}"
    );
    assert!(seconds(watching.state_since_time) >= ended, "{watching:?}");
    assert_eq!(serves.stats_now().await.watcher.unwrap().waiting, None);
    health(&serves, ServingStatus::Serving).await;
    watches.shut_down().await;
    serves.shut_down().await;
}

#[tokio::test]
async fn orders_that_went_with_their_collection_do_not_wait() {
    let (watches, serves) = pair().await;
    watches.pause_watcher().await;
    serves.insert("Commande", orders(3)).await;
    serves.collection("Commande").drop().await.unwrap();
    assert_eq!(serves.watcher_now().await.waiting, waits(0));
    serves.insert("Commande", orders(2)).await;
    let another = serves.another(|_| {}).await;
    assert_eq!(another.watcher_now().await.waiting, waits(2));
    another.shut_down().await;
    watches.shut_down().await;
    serves.shut_down().await;
}

#[tokio::test]
async fn when_nobody_watches_everybody_says_so_with_since_when_who_was_the_last_and_what_waits() {
    let (watches, serves) = pair().await;
    deliver(&serves.database, "watched").await;
    serves.archived(1).await;
    let (last, began) = (watches.config.instance.clone(), now());
    watches.shut_down().await;
    serves.insert("Commande", orders(3)).await;
    for told in [
        serves.watcher_now().await,
        serves.stats_now().await.watcher.unwrap(),
    ] {
        assert_eq!(told.state(), pb::WatcherState::Stopped, "{told:?}");
        assert_eq!(told.instance, last, "{told:?}");
        let since = seconds(told.state_since_time);
        assert!(
            (began - 0.01..=now() + 0.01).contains(&since),
            "{began} {told:?}"
        );
        assert_eq!((told.lag, told.wall_lag), (None, None), "{told:?}");
        assert_eq!(told.waiting, waits(3), "{told:?}");
        assert_eq!(told.able_instances, Some(0), "{told:?}");
    }
    assert_eq!(serves.stats_now().await.watcher_lag, None);
    health(&serves, ServingStatus::NotServing).await;

    // Of a database that nobody has ever watched nothing is amiss.
    let fresh = TestServer::start().await;
    let told = fresh.stats_now().await.watcher.unwrap();
    assert_eq!(
        (told.state(), told.instance.as_str()),
        (pb::WatcherState::Stopped, "")
    );
    health(&fresh, ServingStatus::Serving).await;
    fresh.shut_down().await;
    serves.shut_down().await;
}

#[tokio::test]
async fn an_instance_that_died_while_it_watched_has_stopped_since_it_was_last_heard_of() {
    let server = TestServer::start().await;
    let document = dead();
    let alive_at = document
        .get_datetime("alive_at")
        .unwrap()
        .timestamp_millis();
    server.insert("archd_state", [document]).await;
    for told in [
        server.watcher_now().await,
        server.stats_now().await.watcher.unwrap(),
    ] {
        assert_eq!(told.state(), pb::WatcherState::Stopped, "{told:?}");
        assert_eq!(told.instance, "i1", "{told:?}");
        let since = seconds(told.state_since_time);
        assert!((since - alive_at as f64 / 1e3).abs() < 0.001, "{told:?}");
        let waiting = told.waiting.unwrap();
        assert_eq!(waiting.unknown, "the watcher has no position yet");
    }
    assert_eq!(server.stats_now().await.watcher_lag, None);
    health(&server, ServingStatus::NotServing).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_watcher_that_no_running_instance_could_run_is_not_resumed_and_the_mend_is_told() {
    let (watches, serves) = pair().await;
    serves.pause_watcher().await;
    // Whoever holds it, paused, goes on when told to.
    resume(&serves).await.unwrap();
    serves.pause_watcher().await;
    watches.shut_down().await;
    let refused = resume(&serves).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert_eq!(faults(&refused).0, "WATCHER_OFF", "{refused:?}");
    for mend in ["ARCHD_WATCH=true", "`archd watch`"] {
        assert!(refused.message().contains(mend), "{refused:?}");
    }
    let left = serves.watcher_now().await;
    assert!(
        left.paused && left.state() == pb::WatcherState::Stopped,
        "{left:?}"
    );

    let able = serves.another(|config| config.watch = true).await;
    serves.watcher_is(pb::WatcherState::Paused).await;
    let resumed = resume(&serves).await.unwrap();
    assert!(!resumed.paused, "{resumed:?}");
    serves.watcher_is(pb::WatcherState::Watching).await;
    able.shut_down().await;
    serves.shut_down().await;
}

#[tokio::test]
async fn the_latest_fault_stays_with_its_time_after_it_has_passed() {
    let points = FailPoints::turn().await;
    let server = points.watching().await;
    assert_eq!(server.watcher_now().await.last_error, "");
    let began = now();
    let refuse = doc! { "errorCode": 13 };
    points.fail(&["insert"], "alwaysOn", refuse).await;
    deliver(&server.database, "refused").await;
    server.watcher_is(pb::WatcherState::Retrying).await;
    points.mend().await;
    server.archived(1).await;
    server.watcher_is(pb::WatcherState::Watching).await;
    let ended = now();
    let told = async |when: &str| {
        let watcher = server.watcher_now().await;
        let text = &watcher.last_error;
        assert!(text.contains("may not run `insert`"), "{when}: {watcher:?}");
        let time = seconds(watcher.last_error_time);
        assert!(
            (began - 0.01..=ended + 0.01).contains(&time),
            "{when}: {watcher:?}"
        );
        time
    };
    let first = told("watching").await;
    // The place moves, and is saved with a heartbeat.
    deliver(&server.database, "well").await;
    server.archived(2).await;
    let saved = server.watcher_now().await.saved_time;
    eventually(async || (server.watcher_now().await.saved_time != saved).then_some(())).await;
    assert_eq!(told("saved").await, first);
    server.pause_watcher().await;
    assert_eq!(told("paused").await, first);
    resume(&server).await.unwrap();
    server.watcher_is(pb::WatcherState::Watching).await;
    assert_eq!(told("resumed").await, first);
    server.shut_down().await;
}

#[tokio::test]
async fn a_count_that_takes_too_long_says_at_least_and_everybody_shares_one() {
    let points = FailPoints::turn().await;
    let server = points.watching().await;
    server.pause_watcher().await;
    let (config, database) = (server.config.clone(), server.database.clone());
    server.shut_down().await;
    database
        .collection("Commande")
        .insert_many(orders(5_000))
        .await
        .unwrap();
    let server = TestServer::launch(config, database).await;
    server.ready().await;
    server.watcher_is(pb::WatcherState::Paused).await;
    // Another count, by an instance that has made none.
    let other = server.second(|config| config.watch = false).await;
    let slow = doc! { "blockConnection": true, "blockTimeMS": 3_000 };
    points.fail(&["getMore"], "alwaysOn", slow).await;
    server
        .database
        .run_command(doc! { "profile": 2 })
        .await
        .unwrap();
    let began = tokio::time::Instant::now();
    let asked = (0..20).map(|_| other.watcher_now());
    let told = futures::future::join_all(asked).await;
    assert!(
        began.elapsed() < Duration::from_millis(2_500),
        "{:?}",
        began.elapsed()
    );
    for watcher in told {
        let waiting = watcher.waiting.unwrap();
        assert!(waiting.at_least, "{waiting:?}");
        assert!((1..5_000).contains(&waiting.orders), "{waiting:?}");
    }
    points.mend().await;
    server
        .database
        .run_command(doc! { "profile": 0 })
        .await
        .unwrap();
    // Twenty callers, and two questions to the archive: whether it holds the first 2,000 orders.
    let archive = format!("{}.Historique", server.database.name());
    let asked = doc! { "ns": archive, "op": "query" };
    let profile = server.collection("system.profile");
    assert_eq!(profile.count_documents(asked).await.unwrap(), 2);
    other.shut_down().await;

    // Left alone, a count comes to its end.
    let other = server.second(|config| config.watch = false).await;
    let waiting = other.watcher_now().await.waiting;
    assert_eq!(waiting, waits(5_000));
    other.shut_down().await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_standby_that_stops_in_good_order_logs_no_warning() {
    let watches = TestServer::start_with(|config| config.watch = true).await;
    watches.watcher_is(pb::WatcherState::Watching).await;
    let settings = settings_on(watches.database.name(), &[]).await;
    let arguments = [
        "serve",
        "--listen=127.0.0.1:0",
        "--schedule=off",
        "--log-format=json",
    ];
    let mut standby = archd(&arguments, &settings).spawn().unwrap();
    let mut log = BufReader::new(standby.stderr.take().unwrap()).lines();
    let mut said: Vec<serde_json::Value> = Vec::new();
    within(async {
        while let Some(line) = log.next_line().await.unwrap() {
            said.push(serde_json::from_str(&line).unwrap());
            if line.contains("the database is ready") {
                signal(&standby, "TERM");
            }
        }
    })
    .await;
    let code = within(standby.wait()).await.unwrap().code();
    assert_eq!(code, Some(0), "{said:#?}");
    let loud: Vec<_> = said
        .iter()
        .filter(|line| line["level"] == "WARN" || line["level"] == "ERROR")
        .collect();
    assert!(loud.is_empty() && said.len() >= 3, "{said:#?}");
    let held = state(&watches.database).await;
    assert_eq!(held.get_str("instance").unwrap(), watches.config.instance);
    watches.shut_down().await;
}
