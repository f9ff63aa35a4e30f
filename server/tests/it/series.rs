//! The figures step by step: what happened in each step of a window, and how long orders had waited
//! until they were archived.

use bson::{DateTime, Document, doc};
use order_archiver_api::v1 as pb;
use tonic::Code;

use crate::{
    faults::FailPoints,
    support::{TestServer, eventually, order, orders},
};

const MINUTE: i64 = 60;

async fn stats(server: &TestServer, window: i64, step: i64) -> pb::GetStatsResponse {
    let seconds = |seconds| prost_types::Duration { seconds, nanos: 0 };
    let request = pb::GetStatsRequest {
        window: Some(seconds(window)),
        series_step: Some(seconds(step)),
        ..pb::GetStatsRequest::default()
    };
    server.get_stats(request).await
}

fn archived(point: &pb::StatsPoint) -> i64 {
    point.counts.unwrap_or_default().archived
}

fn latencies(series: &[pb::StatsPoint]) -> Vec<i64> {
    let mut sums = vec![0; 10];
    for point in series {
        let latency = point.latency.as_ref().unwrap();
        assert_eq!(latency.counts.len(), sums.len());
        for (sum, count) in sums.iter_mut().zip(&latency.counts) {
            *sum += count;
        }
    }
    sums
}

/// The latencies of the last hour, once so many orders have been counted in them.
async fn latencies_of(server: &TestServer, orders: i64) -> Vec<i64> {
    eventually(async || {
        let series = stats(server, 60 * MINUTE, MINUTE).await.series;
        let latencies = latencies(&series);
        (latencies.iter().sum::<i64>() == orders).then_some(latencies)
    })
    .await
}

#[tokio::test]
async fn each_step_of_the_window_has_a_point_whatever_happened_in_it() {
    let server = TestServer::start().await.with_references().await;
    let now = DateTime::now().timestamp_millis();
    let counter = |minutes_ago: i64, more: Document| {
        let minute = DateTime::from_millis((now / 60_000 - minutes_ago) * 60_000);
        let id = doc! { "door": "watch", "minute": minute };
        let mut counter = doc! { "_id": id, "minute": minute, "format": 1 };
        counter.extend(more);
        counter
    };
    let counters = [
        // As an older archd left them.
        counter(90, doc! { "archived": 1_000_i64 }),
        counter(30, doc! { "archived": 7_i64, "quarantined": 2_i64 }),
        counter(
            29,
            doc! { "archived": 4_i64, "latency": { "to_2_s": 4_i64 } },
        ),
        // Nobody can read these.
        counter(20, doc! { "archived": 100_i64, "latency": "long" }),
        counter(
            19,
            doc! { "archived": 100_i64, "latency": { "to_2_s": "many" } },
        ),
    ];
    server.insert("archd_counters", counters).await;
    server.insert("Commande", orders(3)).await;
    server.run_batch().await;
    let stats = eventually(async || {
        let stats = stats(&server, 60 * MINUTE, MINUTE).await;
        (stats.window?.archived == 3 + 7 + 4).then_some(stats)
    })
    .await;

    let series = &stats.series;
    assert_eq!(series.len(), 61);
    let starts: Vec<i64> = series
        .iter()
        .map(|point| point.start_time.unwrap().seconds)
        .collect();
    assert!(starts.iter().all(|start| start % MINUTE == 0));
    assert!(starts.is_sorted_by(|one, next| one + MINUTE == *next));
    let read = stats.read_time.unwrap().seconds;
    assert!((0..MINUTE).contains(&(read - starts[60])));
    assert_eq!(series.iter().map(archived).sum::<i64>(), 3 + 7 + 4);
    let at = |minutes_ago: i64| {
        let start = (now / 60_000 - minutes_ago) * MINUTE;
        series
            .iter()
            .find(|point| point.start_time.unwrap().seconds == start)
            .unwrap()
    };
    let counts = at(30).counts.unwrap();
    assert_eq!((counts.found, counts.archived, counts.errors), (9, 7, 2));
    assert_eq!(
        (archived(at(25)), archived(at(20)), archived(at(19))),
        (0, 0, 0)
    );
    // Of a batch's orders nobody knows since when they had waited.
    assert_eq!(latencies(series), [0, 0, 0, 0, 4, 0, 0, 0, 0, 0]);
    assert_eq!(stats.unreadable.len(), 2, "{:?}", stats.unreadable);
}

#[tokio::test]
async fn without_a_step_there_is_no_series_and_bad_steps_are_refused() {
    let server = TestServer::start().await;
    assert!(server.stats_now().await.series.is_empty());
    assert!(stats(&server, 60 * MINUTE, 0).await.series.is_empty());
    assert_eq!(
        stats(&server, 24 * 60 * MINUTE, MINUTE).await.series.len(),
        1_441
    );
    for (window, step) in [
        (3_600, 90),
        (3_600, 59),
        (3_600, -60),
        (1_501 * MINUTE, MINUTE),
    ] {
        let seconds = |seconds| prost_types::Duration { seconds, nanos: 0 };
        let request = pb::GetStatsRequest {
            window: Some(seconds(window)),
            series_step: Some(seconds(step)),
            ..pb::GetStatsRequest::default()
        };
        let refused = server.stats().get_stats(request).await.unwrap_err();
        assert_eq!(
            refused.code(),
            Code::InvalidArgument,
            "{window} s by {step} s"
        );
        assert!(refused.message().contains("series_step"), "{refused}");
    }
}

#[tokio::test]
async fn an_order_s_latency_runs_from_its_change_or_its_call_until_a_majority_holds_it() {
    const BLOCKED: i64 = 1_200;
    let points = FailPoints::turn().await;
    let server = points.watching().await;
    let block = async || {
        let block = doc! { "blockConnection": true, "blockTimeMS": BLOCKED };
        points.fail(&["insert"], doc! { "times": 1 }, block).await;
    };
    server.insert("Commande", [order("quick")]).await;
    server.archived(1).await;
    let quick = latencies_of(&server, 1).await;
    block().await;
    server.insert("Commande", [order("slow")]).await;
    server.archived(2).await;
    let slow = latencies_of(&server, 2).await;
    let beyond_a_second = |latencies: &[i64]| latencies[4..].iter().sum::<i64>();
    assert_eq!(
        beyond_a_second(&slow),
        beyond_a_second(&quick) + 1,
        "{slow:?}"
    );

    server.pause_watcher().await;
    server.watcher_is(pb::WatcherState::Paused).await;
    server.insert("Commande", [order("called")]).await;
    block().await;
    server.archive_order("called").await.unwrap();
    let called = latencies_of(&server, 3).await;
    assert_eq!(
        beyond_a_second(&called),
        beyond_a_second(&slow) + 1,
        "{called:?}"
    );
    // Neither a second call nor the watcher's own reading counts again.
    server.archive_order("called").await.unwrap();
    server.resume_watcher().await;
    server.watcher_is(pb::WatcherState::Watching).await;
    server.insert("Commande", [order("last")]).await;
    server.archived(4).await;
    let last = latencies_of(&server, 4).await;
    assert_eq!(beyond_a_second(&last), beyond_a_second(&called), "{last:?}");
    points.mend().await;
}
