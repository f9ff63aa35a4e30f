//! `WatcherService`: not available yet, and it says so.

use order_archiver_api::v1 as pb;
use tonic::{Request, Response, Status};

use super::status;

pub(crate) struct WatcherService;

#[tonic::async_trait]
impl pb::watcher_service_server::WatcherService for WatcherService {
    async fn get_watcher(
        &self,
        _: Request<pb::GetWatcherRequest>,
    ) -> Result<Response<pb::GetWatcherResponse>, Status> {
        Err(status::not_yet("the watcher"))
    }

    async fn pause_watcher(
        &self,
        _: Request<pb::PauseWatcherRequest>,
    ) -> Result<Response<pb::PauseWatcherResponse>, Status> {
        Err(status::not_yet("the watcher"))
    }

    async fn resume_watcher(
        &self,
        _: Request<pb::ResumeWatcherRequest>,
    ) -> Result<Response<pb::ResumeWatcherResponse>, Status> {
        Err(status::not_yet("the watcher"))
    }
}
