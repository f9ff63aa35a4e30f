//! The figures, also step by step.

use std::time::Duration;

use bson::DateTime;
use order_archiver_api::v1 as pb;
use prost_types::Timestamp;

use super::{
    batch::{batch, counts},
    document::unreadable,
    near_misses::near_misses,
    time::{duration, timestamp},
    verification::verification,
    watcher::watcher_now,
};
use crate::{
    domain::{latency::LatencyHistogram, schedule::Schedule},
    observe::stats::Stats,
    privileges::Need,
    store::counters::series::Point,
};

/// The figures, with those of a window of this length, and the privileges that are lacking.
pub(crate) fn stats(
    stats: Stats,
    window: Duration,
    database: &str,
    schedule: Option<&Schedule>,
    lacking: &[Need],
) -> pb::GetStatsResponse {
    let archived_per_hour = stats.archived_per_hour(window);
    let beyond = stats.near_misses.beyond();
    let (near_misses, more_near_misses) = near_misses(stats.near_misses.into_vec(), beyond);
    pb::GetStatsResponse {
        lifetime: Some(counts(stats.sums.lifetime)),
        counting_since: stats.sums.since.and_then(timestamp),
        window: Some(counts(stats.sums.window)),
        window_length: Some(duration(window)),
        archived_per_hour,
        archive_size: stats.archive_size,
        quarantine_size: stats.quarantine_size,
        last_batch: stats.last_batch.map(|last| batch(last, stats.read)),
        watcher_lag: stats.watcher_lag.map(duration),
        watcher: stats.watcher.ok().map(|watcher| match watcher {
            Some(watcher) => watcher_now(&watcher, stats.unwatched.as_ref()),
            None => pb::Watcher {
                state: pb::WatcherState::Stopped.into(),
                ..pb::Watcher::default()
            },
        }),
        near_misses,
        more_near_misses,
        database: database.to_owned(),
        read_time: timestamp(stats.read),
        series: stats.series.iter().map(stats_point).collect(),
        unreadable: stats.faults.iter().map(unreadable).collect(),
        next_batch_time: schedule.and_then(|schedule| next_batch(schedule, stats.read)),
        last_verification: stats
            .last_verification
            .map(|last| verification(last, stats.read)),
        missing_privileges: lacking.iter().flat_map(missing_privileges).collect(),
    }
}

fn missing_privileges(need: &Need) -> impl Iterator<Item = pb::MissingPrivilege> {
    need.actions.iter().map(|action| pb::MissingPrivilege {
        action: (*action).to_owned(),
        resource: need.resource.to_string(),
        lost: need.feature.lost().to_owned(),
        essential: need.feature.is_essential(),
    })
}

/// When the schedule is next due after a moment.
pub(crate) fn next_batch(schedule: &Schedule, now: DateTime) -> Option<Timestamp> {
    let now = chrono::DateTime::from_timestamp_millis(now.timestamp_millis())?;
    let next = schedule.next_after(now)?;
    Some(Timestamp {
        seconds: next.timestamp(),
        nanos: 0,
    })
}

/// A step of a series.
pub(crate) fn stats_point(point: &Point) -> pb::StatsPoint {
    pb::StatsPoint {
        start_time: timestamp(point.start),
        counts: Some(counts(point.tally.counts)),
        latency: Some(latency(point.tally.latency)),
    }
}

fn latency(histogram: LatencyHistogram) -> pb::LatencyHistogram {
    pb::LatencyHistogram {
        counts: histogram.counts.to_vec(),
    }
}
