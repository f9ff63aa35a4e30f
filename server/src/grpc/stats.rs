//! `StatsService`: the figures.

use std::{ops::RangeInclusive, time::Duration};

use chrono::DateTime;
use order_archiver_api::v1 as pb;
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

use super::{
    call::Calls,
    status::{self, Violations},
    watcher,
};
use crate::{
    convert::{self, near_misses::near_misses},
    domain::schedule::Schedule,
    observe::stats::{self, Wanted},
    store::Store,
};

const DEFAULT_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
const WINDOWS: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(31 * 24 * 60 * 60);

/// Steps in the window of a series at most: a day's minutes fit.
const MOST_STEPS: u64 = 1_500;

pub(crate) struct StatsService {
    pub(crate) calls: Calls,
    pub(crate) store: Store,
    pub(crate) schedule: Option<Schedule>,
}

#[tonic::async_trait]
impl pb::stats_service_server::StatsService for StatsService {
    async fn get_stats(
        &self,
        request: Request<pb::GetStatsRequest>,
    ) -> Result<Response<pb::GetStatsResponse>, Status> {
        self.calls
            .answer(request, async |request| self.read(request).await)
            .await
    }
}

/// Whether a window can be told of in steps of this length.
fn is_step(step: Duration, window: Duration) -> bool {
    let minutes = step.as_secs() / 60;
    step == Duration::from_secs(minutes * 60)
        && minutes > 0
        && window.as_secs().div_ceil(step.as_secs()) <= MOST_STEPS
}

impl StatsService {
    async fn read(&self, request: pb::GetStatsRequest) -> Result<pb::GetStatsResponse, Status> {
        let window = match request.window {
            Some(window) if window != prost_types::Duration::default() => convert::length(&window),
            _ => Some(DEFAULT_WINDOW),
        };
        let window = window.filter(|window| WINDOWS.contains(window));
        let mut violations = Violations::default();
        violations.check(
            window.is_some(),
            "window",
            "must be from 1 min to 31 days; absent means 24 h",
        );
        let step = request
            .series_step
            .filter(|step| *step != prost_types::Duration::default());
        let step_length = step.as_ref().and_then(convert::length);
        violations.check(
            step.is_none()
                || step_length.is_some_and(|step| is_step(step, window.unwrap_or(DEFAULT_WINDOW))),
            "series_step",
            "must be whole minutes from 1 min on, at most 1,500 of them in the window; absent means no series",
        );
        violations.into_result()?;
        let window = window.unwrap_or(DEFAULT_WINDOW);
        let wanted = Wanted {
            window,
            step: step_length,
            near_misses: request.include_near_misses,
        };
        let stats = stats::read(&self.store, wanted)
            .await
            .map_err(|error| status::of_error(&error))?;
        let next_batch = self.schedule.as_ref().and_then(|schedule| {
            schedule.next_after(DateTime::from_timestamp_millis(
                stats.read.timestamp_millis(),
            )?)
        });
        let archived_per_hour = stats.archived_per_hour(window);
        let beyond = stats.near_misses.beyond();
        let (near_misses, more_near_misses) = near_misses(stats.near_misses.into_vec(), beyond);
        Ok(pb::GetStatsResponse {
            lifetime: Some(convert::counts(stats.sums.lifetime)),
            counting_since: stats.sums.since.and_then(convert::timestamp),
            window: Some(convert::counts(stats.sums.window)),
            window_length: Some(convert::duration(window)),
            archived_per_hour,
            archive_size: stats.archive_size,
            quarantine_size: stats.quarantine_size,
            last_batch: stats
                .last_batch
                .map(|batch| convert::batch(batch, stats.read)),
            watcher_lag: stats.watcher_lag.map(convert::duration),
            watcher: stats.watcher.ok().map(|watcher| match watcher {
                Some(watcher) => watcher::as_it_is(&watcher, stats.unwatched.as_ref()),
                None => pb::Watcher {
                    state: pb::WatcherState::Stopped.into(),
                    ..pb::Watcher::default()
                },
            }),
            near_misses,
            more_near_misses,
            database: self.store.database_name().to_owned(),
            read_time: convert::timestamp(stats.read),
            series: stats.series.iter().map(convert::stats_point).collect(),
            unreadable: stats.faults.iter().map(convert::unreadable).collect(),
            next_batch_time: next_batch.map(|time| Timestamp {
                seconds: time.timestamp(),
                nanos: 0,
            }),
            last_verification: stats
                .last_verification
                .map(|verification| convert::verification(verification, stats.read)),
        })
    }
}
