//! `StatsService`: the figures.

use std::{ops::RangeInclusive, time::Duration};

use order_archiver_api::v1 as pb;
use tonic::{Request, Response, Status};

use super::{
    call::Calls,
    status::{self, Violations},
};
use crate::{
    convert,
    domain::schedule::Schedule,
    observe::{
        privileges::Privileges,
        stats::{self, Wanted},
    },
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
    pub(crate) privileges: Privileges,
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
        let lacking = self.privileges.lacking();
        Ok(convert::stats(
            stats,
            window,
            self.store.database_name(),
            self.schedule.as_ref(),
            &lacking,
        ))
    }
}
