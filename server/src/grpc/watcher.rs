//! `WatcherService`: what the watcher is doing, and pausing it.

use std::time::Duration;

use bson::DateTime;
use order_archiver_api::v1 as pb;
use tokio::time::sleep;
use tonic::{Request, Response, Status};
use tracing::info;

use super::{
    call::{Calls, caller},
    status,
};
use crate::{
    convert,
    store::{
        Error, Store,
        state::caller::Caller,
        watch::record::{State, Watcher, apart},
    },
};

/// How often the watcher is looked at until it has paused or gone on.
const WATCHER_STATE_POLL: Duration = Duration::from_millis(100);

pub(crate) struct WatcherService {
    pub(crate) calls: Calls,
    pub(crate) store: Store,
    /// Whether the watcher of this very process is on.
    pub(crate) may_watch: bool,
    /// The name of this instance.
    pub(crate) instance: String,
}

#[tonic::async_trait]
impl pb::watcher_service_server::WatcherService for WatcherService {
    async fn get_watcher(
        &self,
        request: Request<pb::GetWatcherRequest>,
    ) -> Result<Response<pb::GetWatcherResponse>, Status> {
        self.calls
            .answer(request, async |_| {
                let watcher = self.find().await?;
                Ok(pb::GetWatcherResponse {
                    watcher: Some(self.message(watcher).await?),
                })
            })
            .await
    }

    async fn pause_watcher(
        &self,
        request: Request<pb::PauseWatcherRequest>,
    ) -> Result<Response<pb::PauseWatcherResponse>, Status> {
        let caller = caller(&self.instance, &request);
        self.calls
            .audited(request, async |_| {
                let watcher = self
                    .steer(true, &caller, |watcher| watcher.state == State::Paused)
                    .await?;
                Ok(pb::PauseWatcherResponse {
                    watcher: Some(watcher),
                })
            })
            .await
    }

    async fn resume_watcher(
        &self,
        request: Request<pb::ResumeWatcherRequest>,
    ) -> Result<Response<pb::ResumeWatcherResponse>, Status> {
        let caller = caller(&self.instance, &request);
        self.calls
            .audited(request, async |_| {
                self.check_that_somebody_could_watch().await?;
                let watcher = self
                    .steer(false, &caller, |watcher| watcher.state != State::Paused)
                    .await?;
                Ok(pb::ResumeWatcherResponse {
                    watcher: Some(watcher),
                })
            })
            .await
    }
}

impl WatcherService {
    /// Tells the watcher to pause or to go on, and waits until it has heard. One that nobody runs
    /// hears when it is next started.
    async fn steer(
        &self,
        paused: bool,
        caller: &Caller,
        heard: impl Fn(&Watcher) -> bool,
    ) -> Result<pb::Watcher, Status> {
        self.find().await?;
        self.store
            .steer_watch(paused, caller)
            .await
            .map_err(|error| status::of_error(&error))?;
        match paused {
            true => info!(peer = caller.peer, "the watcher was told to pause"),
            false => info!(peer = caller.peer, "the watcher was told to go on"),
        }
        loop {
            let watcher = self.find().await?;
            // Somebody may have said the opposite since: there is nothing left to wait for.
            let taken_back = watcher.paused != paused;
            if taken_back || heard(&watcher) || watcher.state_now() == State::Stopped {
                return self.message(watcher).await;
            }
            sleep(WATCHER_STATE_POLL).await;
        }
    }

    /// An error where nobody would go on: no instance runs the watcher, and none that lives has its
    /// watcher on.
    async fn check_that_somebody_could_watch(&self) -> Result<(), Status> {
        let error = |error| status::of_error(&error);
        if self.may_watch || self.find().await?.state_now() != State::Stopped {
            return Ok(());
        }
        if !self.store.able_instances().await.map_err(error)?.is_empty() {
            return Ok(());
        }
        let message = "no instance that runs has its watcher on, so nothing would go on; start archd with ARCHD_WATCH=true, or run `archd watch`, and resume the watcher then";
        Err(status::precondition(
            pb::ErrorReason::WatcherOff,
            "watcher",
            message.to_owned(),
            [],
        ))
    }

    async fn find(&self) -> Result<Watcher, Status> {
        let watcher = self
            .store
            .watcher()
            .await
            .map_err(|error| status::of_error(&error))?;
        watcher.ok_or_else(|| {
            let message = "no instance has ever watched this database; start archd with ARCHD_WATCH=true, or run `archd watch`";
            status::precondition(pb::ErrorReason::WatcherOff, "watcher", message.to_owned(), [])
        })
    }

    async fn message(&self, watcher: Watcher) -> Result<pb::Watcher, Status> {
        let error = |error| status::of_error(&error);
        self.store.freshen_counts().await;
        let counts = self.store.counter_sums_of("watch").await.map(Some);
        let counts = Error::passing_by(counts).map_err(error)?;
        let majority = self.store.deployment().await.map_err(error)?.majority;
        let oldest = self.store.oldest_history().await;
        let headroom = || Some(apart(watcher.position?, oldest?));
        let since = |moment: DateTime| {
            convert::duration(Duration::from_millis(
                u64::try_from(watcher.now.timestamp_millis() - moment.timestamp_millis())
                    .unwrap_or(0),
            ))
        };
        let partitions = match watcher.split.is_split() {
            true => self.store.held_partitions(watcher.split).await,
            false => Ok(Vec::new()),
        };
        let partitions = partitions.map_err(error)?;
        let unwatched = self.store.unwatched(&watcher).await.map_err(error)?;
        let mut message = convert::watcher_now(&watcher, unwatched.as_ref());
        message.counts = counts.map(convert::counts);
        message.lag = watcher.lag(majority).map(convert::duration);
        let partitions = partitions.iter();
        let partitions =
            partitions.map(|held| convert::watch_partition_now(&watcher, held, majority));
        message.partitions = partitions.collect();
        message.history_headroom = headroom().map(convert::duration);
        message.wall_lag = watcher.is_watched().then(|| {
            watcher
                .waiting_since
                .map_or_else(|| convert::duration(Duration::ZERO), since)
        });
        message.since_last_event = watcher.last_event.map(since);
        Ok(message)
    }
}
