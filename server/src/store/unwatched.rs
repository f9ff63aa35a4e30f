//! Unwatched: what to know of the watcher while no instance watches.

use super::{
    Error, Store,
    watch::{
        record::{State, Watcher},
        waiting::Waiting,
    },
};

/// What to know of a watcher while no instance watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwatched {
    /// The orders that wait.
    pub waiting: Waiting,
    /// How many living instances have their watcher on; none without the privilege to see them.
    pub able: Option<usize>,
}

impl Store {
    /// What to know of a watcher that is paused or that no instance runs; none of one that works.
    pub async fn unwatched(&self, watcher: &Watcher) -> Result<Option<Unwatched>, Error> {
        if !matches!(watcher.state_now(), State::Stopped | State::Paused) {
            return Ok(None);
        }
        let able = match self.able_instances().await {
            Err(Error::Denied { .. }) => None,
            able => Some(able?.len()),
        };
        let waiting = self.waiting(watcher).await;
        Ok(Some(Unwatched { waiting, able }))
    }
}
