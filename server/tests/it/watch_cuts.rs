//! However often the way to the database breaks, the watcher loses no order; the driver's own
//! change stream does.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bson::{Document, doc};
use devkit::{
    ReplicaSet, audit,
    relay::{Deed, Plan, Relay},
};
use futures::StreamExt;
use mongodb::Client;
use order_archiver_api::v1 as pb;
use tokio::time::timeout;

use crate::{
    faults::{deliver, deliver_many, fresh, relayed, seed, settled, watching},
    support::eventually,
};

/// Every second reading of the stream is cut, and every second attempt to resume.
fn hostile(relay: &Relay) {
    relay.on("$changeStream", Plan::Every(2), Deed::Cut);
    relay.on("getMore", Plan::Every(2), Deed::Cut);
}

#[tokio::test]
async fn a_stream_that_is_cut_goes_on_from_its_last_place() {
    let (relay, server) = relayed().await;
    relay.on("getMore", Plan::First(1), Deed::Cut);
    deliver_many(&server, "cut", 20).await;
    assert_eq!(relay.clear(), 1);
    server.shut_down().await;
}

#[tokio::test]
async fn a_stream_that_is_cut_again_while_it_resumes_loses_nothing() {
    let (relay, server) = relayed().await;
    hostile(&relay);
    for number in 0..300 {
        deliver(&server.database, &format!("cut twice-{number}")).await;
    }
    // In weather that never clears up the pauses between tries grow long; what counts is that
    // nothing is lost in it.
    eventually(async || (relay.hits() >= 2).then_some(())).await;
    relay.clear();
    settled(&server.database).await;
    server.shut_down().await;
}

/// The negative control: this is what the watcher would be if the driver kept its place.
#[tokio::test]
async fn the_drivers_own_change_stream_loses_orders_in_the_same_weather() {
    // An order is lost when it is delivered between two cuts, which most rounds see but not every
    // one.
    const ROUNDS: usize = 12;
    for _ in 0..ROUNDS {
        if lost_by_the_driver().await > 0 {
            return;
        }
    }
    panic!("the audit saw no loss in {ROUNDS} rounds, so it would see none of ours");
}

/// How many orders a plain watcher loses in one round of the weather.
async fn lost_by_the_driver() -> usize {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
    let client = Client::with_uri_str(relay.uri()).await.unwrap();
    let orders = client
        .database(database.name())
        .collection::<Document>("Commande");
    deliver(&database, "first").await;
    let archive = database.collection::<Document>("Historique");
    hostile(&relay);
    let mut stream = orders.watch().await.unwrap();
    let mut archiving = tokio::spawn(async move {
        loop {
            match stream.next().await {
                Some(Ok(event)) => {
                    let order = event.full_document.unwrap();
                    let last = order.get_str("numero_commande").unwrap() == "last";
                    archive.insert_one(order).await.unwrap();
                    if last {
                        return;
                    }
                }
                _ => {
                    stream = loop {
                        if let Ok(opened) = orders.watch().await {
                            break opened;
                        }
                    }
                }
            }
        }
    });
    for number in 0..300 {
        deliver(&database, &format!("lost-{number}")).await;
    }
    // It may lose this one as well, so the weather clears up first.
    relay.clear();
    eventually(async || {
        deliver(&database, "last").await;
        timeout(Duration::from_millis(500), &mut archiving)
            .await
            .ok()
    })
    .await
    .unwrap();
    let audit = audit::audit(&database).await.unwrap();
    let lost = |line: &&String| line.starts_with("lost-") && line.ends_with(": not archived");
    audit.differences.iter().filter(lost).count()
}

#[tokio::test]
async fn a_reply_that_is_lost_on_its_way_is_read_again() {
    let (relay, server) = relayed().await;
    relay.on("getMore", Plan::Every(2), Deed::Swallow);
    deliver_many(&server, "swallowed", 200).await;
    // The stream is read about once a second even when nothing happens.
    eventually(async || (relay.hits() >= 1).then_some(())).await;
    relay.clear();
    settled(&server.database).await;
    server.shut_down().await;
}

#[tokio::test]
async fn an_archived_order_whose_confirmation_is_lost_is_archived_once() {
    let (relay, server) = relayed().await;
    relay.on("Historique", Plan::Every(3), Deed::Swallow);
    // A machine that stalls archives all of them in a few writes.
    let mut round = 0;
    while relay.hits() < 2 {
        deliver_many(&server, &format!("unconfirmed {round}"), 50).await;
        round += 1;
    }
    relay.clear();
    settled(&server.database).await;
    assert_eq!(server.watcher_now().await.counts.unwrap().errors, 0);
    server.shut_down().await;
}

#[tokio::test]
async fn a_black_hole_is_left_and_what_happened_meanwhile_is_archived() {
    let set = ReplicaSet::shared().await.unwrap();
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
    let server = watching(&relay.uri(), fresh(set).await, |config| {
        config.operation_timeout = Duration::from_secs(2);
    })
    .await;
    relay.pause();
    for number in 0..10 {
        deliver(&server.database, &format!("dark-{number}")).await;
    }
    server.health(tonic_health::ServingStatus::NotServing).await;
    relay.resume();
    settled(&server.database).await;
    server.shut_down().await;
}

/// The database looks through everything that was written meanwhile before it opens the stream.
#[tokio::test]
async fn a_stream_that_takes_longer_to_open_than_calls_may_is_opened_all_the_same() {
    let set = ReplicaSet::shared().await.unwrap();
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
    let server = watching(&relay.uri(), fresh(set).await, |config| {
        config.operation_timeout = Duration::from_secs(1);
        config.lease = Duration::from_secs(1);
    })
    .await;
    let slow = Deed::Delay(Duration::from_millis(3_500));
    relay.on("$changeStream", Plan::Always, slow);
    relay.cut();
    deliver(&server.database, "waits").await;
    server.watcher_is(pb::WatcherState::Retrying).await;
    // It lives meanwhile, and says that its stream is not open.
    let state = server.collection("archd_state");
    let mut heartbeats = BTreeSet::new();
    while heartbeats.len() < 4 {
        let watcher = state.find_one(doc! { "_id": "watcher" }).await;
        let watcher = watcher.unwrap().unwrap();
        assert_eq!(watcher.get_str("state").unwrap(), "retrying", "{watcher}");
        heartbeats.insert(*watcher.get_datetime("alive_at").unwrap());
    }
    settled(&server.database).await;
    server.watcher_is(pb::WatcherState::Watching).await;
    server.shut_down().await;
}

/// Waits until the rules have acted so many times more, and says how long that took.
async fn hit(relay: &Relay, times: u32) -> Duration {
    let (before, since) = (relay.hits(), Instant::now());
    eventually(async || (relay.hits() >= before + times).then_some(())).await;
    since.elapsed()
}

#[tokio::test]
async fn a_stream_that_never_opens_is_tried_ever_more_slowly_and_recovers_by_itself() {
    let (relay, server) = relayed().await;
    relay.on("$changeStream", Plan::Always, Deed::Cut);
    relay.cut();
    deliver(&server.database, "waits").await;
    server.watcher_is(pb::WatcherState::Retrying).await;
    // The driver itself tries each opening twice.
    let took = hit(&relay, 8).await;
    assert!(took > Duration::from_secs(8) / 5, "8 tries in {took:?}");
    let watcher = server.watcher_now().await;
    assert_eq!(watcher.state(), pb::WatcherState::Retrying, "{watcher:?}");
    assert!(
        watcher.last_error.contains("can't be reached"),
        "{watcher:?}"
    );
    relay.clear();
    settled(&server.database).await;
    server.watcher_is(pb::WatcherState::Watching).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_stream_that_opens_and_breaks_for_ever_is_tried_ever_more_slowly() {
    let (relay, server) = relayed().await;
    relay.on("getMore", Plan::Always, Deed::Cut);
    deliver(&server.database, "waits").await;
    server.watcher_is(pb::WatcherState::Retrying).await;
    let took = hit(&relay, 4).await;
    // Wherever in the row of pauses they begin: 400 ms, 800 ms and 1.6 s lie between four tries at
    // least.
    assert!(took > Duration::from_millis(2_700), "4 tries in {took:?}");
    relay.clear();
    settled(&server.database).await;
    server.shut_down().await;
}

#[tokio::test]
async fn no_weather_loses_an_order() {
    let seed = seed();
    let (relay, server) = relayed().await;
    for (place, (bytes, deed)) in [
        ("$changeStream", Deed::Cut),
        ("getMore", Deed::Swallow),
        ("getMore", Deed::Cut),
        ("insert", Deed::Swallow),
        ("archd_state", Deed::Cut),
        ("Commande", Deed::Delay(Duration::from_millis(20))),
    ]
    .into_iter()
    .enumerate()
    {
        relay.on(bytes, Plan::OneIn(5, seed.wrapping_add(place as u64)), deed);
    }
    for number in 0..300 {
        deliver(&server.database, &format!("weather-{number}")).await;
    }
    relay.clear();
    settled(&server.database).await;
    server.shut_down().await;
}
