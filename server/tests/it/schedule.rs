//! Each time of the schedule makes exactly one batch, however many instances serve the database.

use std::collections::BTreeSet;

use archd::{config::Config, domain::schedule::Schedule};
use bson::{Document, doc};
use chrono::{DateTime, TimeDelta};

use crate::support::{TestServer, eventually, orders};

fn every(expression: &str) -> impl FnOnce(&mut Config) {
    let schedule = Schedule::new(expression, "Europe/Paris").unwrap();
    |config| config.schedule = Some(schedule)
}

/// The request ids of the batches, once there are so many.
async fn scheduled(server: &TestServer, at_least: usize) -> Vec<String> {
    eventually(async || {
        let batches = server.all("archd_batches").await;
        let ids: Vec<String> = batches.iter().filter_map(request_id).collect();
        (ids.len() >= at_least).then_some(ids)
    })
    .await
}

fn request_id(batch: &Document) -> Option<String> {
    batch.get_str("request_id").ok().map(str::to_owned)
}

#[tokio::test]
async fn two_instances_make_one_batch_each_time() {
    let one = TestServer::start_with(every("*/2 * * * * *")).await;
    let other = one
        .another(|config| {
            every("*/2 * * * * *")(config);
            config.schedule_catch_up = true;
        })
        .await;
    one.insert("Commande", orders(5)).await;
    let made = scheduled(&one, 6).await;
    let times: BTreeSet<DateTime<_>> = made
        .iter()
        .map(|id| DateTime::parse_from_rfc3339(id.strip_prefix("schedule ").unwrap()).unwrap())
        .collect();
    assert_eq!(times.len(), made.len(), "one batch a time: {made:?}");
    let first = *times.first().unwrap();
    for time in &times {
        let since = *time - first;
        assert_eq!(since.num_seconds() % 2, 0, "{made:?}");
        assert_eq!(since, TimeDelta::seconds(since.num_seconds()), "{made:?}");
    }
    assert_eq!(one.all("Historique").await.len(), 5);
    // Nothing but the schedule asked for a batch.
    let batches = one.all("archd_batches").await;
    assert!(batches.iter().all(|batch| request_id(batch).is_some()));
    one.shut_down().await;
    other.shut_down().await;
}

#[tokio::test]
async fn a_missed_time_is_made_up_for_once_and_only_if_asked() {
    let yearly = || every("0 0 29 2 *");
    let off = TestServer::start_with(yearly()).await;
    let catching_up = |config: &mut Config| {
        yearly()(config);
        config.schedule_catch_up = true;
    };
    let one = off.another(catching_up).await;
    let made = scheduled(&one, 1).await;
    assert!(made[0].ends_with("-02-29T00:00:00+01:00"), "{made:?}");
    assert!(made[0].starts_with("schedule "), "{made:?}");
    let batch = one.all("archd_batches").await.remove(0);
    assert_eq!(batch.get_str("instance").unwrap(), one.config.instance);
    for server in [off, one] {
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_batch_that_is_due_waits_for_the_one_that_is_running() {
    let server = TestServer::start().await;
    // An instance elsewhere runs this batch, and need not say so while the test lasts.
    let lease = 3_600_000;
    let alive = bson::DateTime::from_millis(bson::DateTime::now().timestamp_millis() + lease);
    let running = doc! {
        "_id": "0", "state": "running", "active": true, "instance": "elsewhere", "counts": {}, "options": {},
        "created": bson::DateTime::from_millis(0), "updated": bson::DateTime::from_millis(0), "alive_until": alive, "lease": lease,
        "epoch": 1_i64,
    };
    server.insert("archd_batches", [running]).await;
    let catching_up = server
        .another(|config| {
            every("0 0 29 2 *")(config);
            config.schedule_catch_up = true;
        })
        .await;
    let ended = doc! { "$set": { "state": "succeeded" }, "$unset": { "active": true } };
    let batches = server.collection("archd_batches");
    batches
        .update_one(doc! { "_id": "0" }, ended)
        .await
        .unwrap();
    scheduled(&server, 1).await;
    catching_up.shut_down().await;
    server.shut_down().await;
}

#[tokio::test]
async fn the_statistics_say_when_the_next_batch_is_due() {
    let off = TestServer::start().await;
    assert_eq!(off.stats_next_batch().await.0, None);
    let on = off.another(every("0 0 29 2 *")).await;
    let (next, read) = on.stats_next_batch().await;
    let next = DateTime::from_timestamp_secs(next.unwrap()).unwrap();
    assert!(next.timestamp() > read);
    assert!(
        next.to_rfc3339().ends_with("-02-28T23:00:00+00:00"),
        "{next}"
    );
    on.shut_down().await;
    off.shut_down().await;
}

impl TestServer {
    /// When the next batch is due and when the figures were read, in seconds since 1970.
    async fn stats_next_batch(&self) -> (Option<i64>, i64) {
        let stats = self.stats_now().await;
        let next = stats.next_batch_time.map(|time| time.seconds);
        (next, stats.read_time.unwrap().seconds)
    }
}
