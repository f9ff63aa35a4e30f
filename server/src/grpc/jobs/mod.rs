//! Jobs for callers: what the RPCs of all kinds of jobs have in common.

use bson::DateTime;
use order_archiver_api::v1::ErrorReason;
use prost::Message;
use tonic::Status;

use super::status::{self, Violations};
use crate::store::{Store, jobs::Job};

mod follow;
pub(super) mod ids;
mod list;

pub(super) use self::{
    follow::{Followed, tell},
    list::{ListRequest, list},
};

/// A kind of job that callers are told of.
pub(super) trait Told: Job {
    /// The message of the contract that shows one.
    type Message: Message + Clone + Send + Sync + 'static;
    /// The RPC that lists them.
    const LIST: &'static str;
    /// Why something was asked of one in vain that has ended.
    const ENDED: ErrorReason;

    /// Shows one whole.
    fn message(self, now: DateTime) -> Self::Message;

    /// Shows one as lists do and whoever follows it is told, without what may be large.
    fn in_brief(self, now: DateTime) -> Self::Message;
}

/// The job that the id in a field stands for, which most often is a whole one.
pub(super) async fn find<J: Told>(store: &Store, field: &str, id: &str) -> Result<J, Status> {
    let mut violations = Violations::default();
    ids::check::<J>(&mut violations, field, id);
    violations.into_result()?;
    if let Some(job) = one(store, id).await? {
        return Ok(job);
    }
    let meant = store.job_meant::<J>(id).await;
    let job = match ids::whole(field, id, meant)? {
        Some(id) => one(store, &id).await?,
        None => None,
    };
    job.ok_or_else(|| none::<J>(id))
}

async fn one<J: Job>(store: &Store, id: &str) -> Result<Option<J>, Status> {
    let job = store.job(id).await;
    job.map_err(|error| status::of_error(&error))
}

/// Asks the job that an id stands for to stop.
pub(super) async fn cancel<J: Told>(store: &Store, id: &str) -> Result<J, Status> {
    let job: J = find(store, "id", id).await?;
    let id = &job.head().id;
    let cancelled = store.cancel_job(id).await;
    let cancelled = cancelled.map_err(|error| status::of_error(&error))?;
    cancelled.ok_or_else(|| ended::<J>(id))
}

/// There is no job of this id, or none that begins so.
fn none<J: Told>(id: &str) -> Status {
    status::no_job(J::KIND.name, J::LIST, id)
}

/// A job that has ended can't be changed.
pub(super) fn ended<J: Told>(id: &str) -> Status {
    status::job_ended(J::ENDED, J::KIND.name, id)
}

/// What time it is by the database's clock.
pub(super) async fn now(store: &Store) -> Result<DateTime, Status> {
    let deployment = store.deployment().await;
    deployment
        .map(|deployment| deployment.now)
        .map_err(|error| status::of_error(&error))
}
