//! A batch keeps to the rate that it is given, waits for a database that labours, says why, and
//! stops when its time is over.

use bson::{Bson, DateTime, doc};
use devkit::ReplicaSet;
use order_archiver_api::v1 as pb;
use pb::{BatchOptions, BatchState, BatchStopReason};
use prost_types::Timestamp;

use crate::{
    faults::{FailPoints, assert_clean},
    support::{TestServer, eventually, order, orders, tally, within},
};

const CHUNK: usize = 50;

async fn server_with(count: usize) -> TestServer {
    let server = TestServer::start_with(|config| config.chunk_size = CHUNK).await;
    server.insert("Commande", orders(count)).await;
    server
}

const fn millis(millis: i32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration {
        seconds: (millis / 1_000) as i64,
        nanos: millis % 1_000 * 1_000_000,
    })
}

fn at_most(orders: i32) -> BatchOptions {
    BatchOptions {
        max_orders_per_second: Some(orders),
        ..Default::default()
    }
}

fn found(batch: &pb::Batch) -> i64 {
    batch.counts.map_or(0, |counts| counts.found)
}

/// Seconds by the database's clock.
fn seconds(time: Option<Timestamp>) -> f64 {
    let time = time.unwrap();
    time.seconds as f64 + f64::from(time.nanos) / 1e9
}

/// What a batch says of itself from now on.
struct News(tonic::Streaming<pb::WatchBatchResponse>);

impl News {
    async fn of(server: &TestServer, id: &str) -> News {
        let request = pb::WatchBatchRequest { id: id.to_owned() };
        let news = server.batches().watch_batch(request).await.unwrap();
        News(news.into_inner())
    }

    /// Starts a batch and listens to it.
    async fn of_new(server: &TestServer, options: BatchOptions) -> (String, News) {
        let (batch, _) = server.start_batch(options, "").await.unwrap();
        let news = News::of(server, &batch.id).await;
        (batch.id, news)
    }

    async fn next(&mut self) -> pb::Batch {
        let batch = within(self.0.message()).await.unwrap().unwrap();
        batch.batch.unwrap()
    }

    /// The batch as soon as it is like this, while it runs.
    async fn until(&mut self, is: impl Fn(&pb::Batch) -> bool) -> pb::Batch {
        within(async {
            loop {
                let batch = self.next().await;
                if is(&batch) {
                    return batch;
                }
                assert!(batch.end_time.is_none(), "too quick: {batch:?}");
            }
        })
        .await
    }

    /// That the batch meets no more than so many orders a second for so long, begun at a state of
    /// it; the state at the end.
    async fn keeps_to(
        &mut self,
        rate: f64,
        begun: &pb::Batch,
        slack: i64,
        for_seconds: f64,
    ) -> pb::Batch {
        let reason = format!("limited to {rate} orders/s");
        loop {
            let batch = self.until(|_| true).await;
            assert!(batch.end_time.is_none(), "too quick: {batch:?}");
            let took = seconds(batch.update_time) - seconds(begun.update_time);
            let met = found(&batch) - found(begun);
            let most = (rate * took) as i64 + slack;
            assert!(
                met <= most,
                "{met} orders in {took} s, at most {rate} a second"
            );
            assert_eq!(batch.throttle, reason);
            if took >= for_seconds {
                let least = (rate * took) as i64 / 4;
                assert!(met >= least, "only {met} orders in {took} s");
                return batch;
            }
        }
    }
}

fn end(batch: &pb::Batch) -> (BatchState, BatchStopReason) {
    (batch.state(), batch.stop_reason())
}

const EXHAUSTED: (BatchState, BatchStopReason) =
    (BatchState::Succeeded, BatchStopReason::Exhausted);

/// That a batch has ended as it should, and everything is archived.
async fn all_archived(server: &TestServer, id: &str, count: i64) {
    let batch = server.batch_end(id).await;
    assert_eq!((end(&batch), batch.throttle.as_str()), (EXHAUSTED, ""));
    assert_eq!(tally(batch.counts), [count, count, 0, 0]);
    assert_clean(&server.database).await;
}

#[tokio::test]
async fn the_most_orders_a_second_are_kept_to_and_change_while_it_runs() {
    const MANY: i64 = 6_000;
    // Pages that were admitted before, and are counted after.
    const UNDER_WAY: i64 = 2 * CHUNK as i64;
    let server = server_with(MANY as usize).await;
    let (id, mut news) = News::of_new(&server, at_most(100)).await;
    let limited =
        |rate| move |batch: &pb::Batch| batch.throttle == format!("limited to {rate} orders/s");
    let begun = news.until(limited(100)).await;
    news.keeps_to(100.0, &begun, UNDER_WAY, 3.0).await;

    server.set_rate(&id, 20).await;
    let slower = news.until(limited(20)).await;
    news.keeps_to(20.0, &slower, UNDER_WAY, 4.0).await;

    // At this rate the rest would take minutes, and nobody waits for so long.
    server.set_rate(&id, 0).await;
    all_archived(&server, &id, MANY).await;
}

#[tokio::test]
async fn a_batch_whose_time_is_over_leaves_the_rest_to_the_next_one() {
    const MANY: i64 = 3_000;
    let server = server_with(MANY as usize).await;
    let options = BatchOptions {
        max_runtime: millis(2_000),
        ..at_most(200)
    };
    let batch = server.run_batch_with(options).await;
    assert_eq!(
        end(&batch),
        (BatchState::Succeeded, BatchStopReason::MaxRuntime)
    );
    let took = seconds(batch.end_time) - seconds(batch.start_time);
    assert!((2.0..12.0).contains(&took), "{took} s");
    let [found, archived, duplicates, errors] = tally(batch.counts);
    assert!(0 < found && found < MANY, "{found}");
    assert_eq!((archived, duplicates, errors), (found, 0, 0));
    assert_eq!(server.all("Historique").await.len() as i64, found);

    let next = server.run_batch().await;
    assert_eq!(end(&next), EXHAUSTED);
    assert_eq!(tally(next.counts), [MANY, MANY - found, found, 0]);
}

#[tokio::test]
async fn slow_inserts_slow_the_batch_down_until_they_are_fast_again() {
    let points = FailPoints::turn().await;
    let server = TestServer::start_on(points.set, |config| config.chunk_size = 5).await;
    server.insert("Commande", orders(1_500)).await;
    let slow = doc! { "blockConnection": true, "blockTimeMS": 400 };
    points.fail(&["insert"], "alwaysOn", slow).await;
    let options = BatchOptions {
        max_write_latency: millis(100),
        ..Default::default()
    };
    let (id, mut news) = News::of_new(&server, options).await;
    let batch = news.until(|batch| !batch.throttle.is_empty()).await;
    let (reason, limit) = batch.throttle.split_once(" > ").unwrap();
    assert!(
        reason.starts_with("throttled: write latency 0."),
        "{batch:?}"
    );
    assert_eq!(limit, "0.1 s");

    points.mend().await;
    news.until(|batch| batch.throttle.is_empty()).await;
    all_archived(&server, &id, 1_500).await;
}

#[tokio::test]
async fn a_secondary_that_falls_behind_is_waited_for() {
    const MANY: i64 = 3_000;
    let set = ReplicaSet::start_nodes(3).await.unwrap();
    let server = TestServer::start_on(&set, |config| config.chunk_size = CHUNK).await;
    server.insert("Commande", orders(MANY as usize)).await;
    let options = BatchOptions {
        max_replication_lag: millis(1_500),
        ..at_most(100)
    };
    let (id, mut news) = News::of_new(&server, options).await;
    news.until(|batch| found(batch) > 0).await;

    let primary = set.primary().await.unwrap().address();
    let behind = set.nodes().iter().find(|node| node.address() != primary);
    let behind = behind.unwrap();
    let stop = doc! { "configureFailPoint": "rsSyncApplyStop", "mode": "alwaysOn" };
    behind.configure_fail_point(stop).await.unwrap();
    let waits = |batch: &pb::Batch| batch.throttle.starts_with("throttled: replication lag ");
    let batch = news.until(waits).await;
    assert!(batch.throttle.ends_with(" s > 1.5 s"), "{batch:?}");
    // The pages that were under way are counted by then; afterwards nothing moves but the lag.
    let later = |since: f64| move |batch: &pb::Batch| seconds(batch.update_time) > since + 2.0;
    let still = news.until(later(seconds(batch.update_time))).await;
    let still_later = news.until(later(seconds(still.update_time))).await;
    assert!(waits(&still) && waits(&still_later), "{still_later:?}");
    assert_eq!(found(&still), found(&still_later));

    behind.clear_fail_point("rsSyncApplyStop").await.unwrap();
    news.until(|batch| found(batch) > found(&still_later)).await;
    server.set_rate(&id, 0).await;
    all_archived(&server, &id, MANY).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_slow_insert_slows_down_only_what_comes_right_after_it() {
    const MANY: i64 = 600;
    let points = FailPoints::turn().await;
    let server = TestServer::start_on(points.set, |config| config.chunk_size = 5).await;
    server.insert("Commande", orders(MANY as usize)).await;
    server.run_batch().await;
    server.insert("Commande", [order("slow")]).await;
    let slow = doc! { "blockConnection": true, "blockTimeMS": 2_000 };
    points.fail(&["insert"], "alwaysOn", slow).await;
    server.archive_order("slow").await.unwrap();
    points.mend().await;

    // There is nothing to insert any more, and a pause of 2 s before each of a dozen pages would be
    // noticed.
    let options = BatchOptions {
        max_write_latency: millis(100),
        ..Default::default()
    };
    let batch = server.run_batch_with(options).await;
    assert_eq!(tally(batch.counts), [MANY + 1, 0, MANY + 1, 0]);
    let took = seconds(batch.end_time) - seconds(batch.start_time);
    assert!(took < 10.0, "{took} s");
}

#[tokio::test]
async fn a_secondary_that_is_delayed_on_purpose_is_not_waited_for() {
    let set = ReplicaSet::start_nodes(3).await.unwrap();
    let primary = set.primary().await.unwrap();
    let answer = primary.admin(doc! { "replSetGetConfig": 1 }).await.unwrap();
    let mut config = answer.get_document("config").unwrap().clone();
    let members = config.get_array_mut("members").unwrap().iter_mut();
    let delayed = members
        .filter_map(Bson::as_document_mut)
        .find(|member| member.get_str("host").unwrap() != primary.address());
    delayed
        .unwrap()
        .extend(doc! { "secondaryDelaySecs": 3_600_i64, "priority": 0, "hidden": true });
    config.insert("version", config.get_i32("version").unwrap() + 1);
    let delay = doc! { "replSetReconfig": config };
    primary.admin(delay).await.unwrap();

    let server = TestServer::start_on(&set, |config| config.chunk_size = CHUNK).await;
    eventually(async || {
        server.insert("autre", [doc! {}]).await;
        let status = primary.admin(doc! { "replSetGetStatus": 1 }).await.unwrap();
        let members = status.get_array("members").unwrap().iter();
        let dates: Vec<DateTime> = members
            .map(|member| {
                *member
                    .as_document()
                    .unwrap()
                    .get_datetime("optimeDate")
                    .unwrap()
            })
            .collect();
        let apart = dates.iter().max()?.timestamp_millis() - dates.iter().min()?.timestamp_millis();
        (apart > 2_000).then_some(())
    })
    .await;
    server.insert("Commande", orders(500)).await;
    let options = BatchOptions {
        max_replication_lag: millis(1_500),
        ..Default::default()
    };
    let (batch, _) = server.start_batch(options, "").await.unwrap();
    all_archived(&server, &batch.id, 500).await;
    server.shut_down().await;
}
