//! Answers about the one watcher that there is.

use order_archiver_api::v1::{
    Gap, GetWatcherRequest, GetWatcherResponse, PauseWatcherRequest, PauseWatcherResponse,
    ResumeWatcherRequest, ResumeWatcherResponse, WaitingOrders, Watcher, WatcherState,
    watcher_service_server::WatcherService,
};
use prost_types::Duration;
use tonic::{Request, Response, Status, async_trait};

use super::{Answers, counts, news::NOW};

pub(crate) fn watcher(state: WatcherState) -> Watcher {
    let idle = [WatcherState::Paused, WatcherState::Stopped].contains(&state);
    Watcher {
        state: state.into(),
        instance: "archd-1".to_owned(),
        position_time: Some(NOW),
        lag: (state != WatcherState::Stopped).then_some(Duration {
            seconds: 3,
            nanos: 0,
        }),
        state_since_time: idle.then_some(NOW),
        paused: state == WatcherState::Paused,
        waiting: idle.then(|| WaitingOrders {
            orders: 60_000,
            ..WaitingOrders::default()
        }),
        able_instances: idle.then_some(1),
        counts: Some(counts()),
        open_gaps: vec![gap()],
        ..Watcher::default()
    }
}

pub(crate) fn gap() -> Gap {
    Gap {
        from_time: Some(NOW),
        to_time: Some(NOW),
        batch_id: "b-7".to_owned(),
        cause: "the history was lost".to_owned(),
    }
}

impl Answers {
    /// A watcher in this state, unless the test wants the call refused.
    fn watcher(&self, state: WatcherState) -> Result<Option<Watcher>, Status> {
        match self.0.refusal.lock().unwrap().take() {
            Some(status) => Err(status),
            None => Ok(Some(watcher(state))),
        }
    }
}

#[async_trait]
impl WatcherService for Answers {
    async fn get_watcher(
        &self,
        _: Request<GetWatcherRequest>,
    ) -> Result<Response<GetWatcherResponse>, Status> {
        let watcher = self.watcher(WatcherState::Stopped)?;
        Ok(Response::new(GetWatcherResponse { watcher }))
    }

    async fn pause_watcher(
        &self,
        _: Request<PauseWatcherRequest>,
    ) -> Result<Response<PauseWatcherResponse>, Status> {
        let watcher = self.watcher(WatcherState::Paused)?;
        Ok(Response::new(PauseWatcherResponse { watcher }))
    }

    async fn resume_watcher(
        &self,
        _: Request<ResumeWatcherRequest>,
    ) -> Result<Response<ResumeWatcherResponse>, Status> {
        let watcher = self.watcher(WatcherState::Starting)?;
        Ok(Response::new(ResumeWatcherResponse { watcher }))
    }
}
