//! The state of the watcher, and gaps.

use order_archiver_api::v1 as pb;

use super::time::cluster_time;
use crate::store::watch::{gap::Gap, record::State};

pub(crate) fn gap(gap: &Gap) -> pb::Gap {
    pb::Gap {
        from_time: gap.from.map(cluster_time),
        to_time: Some(cluster_time(gap.to)),
        batch_id: gap.batch_id.clone(),
        cause: gap.cause.clone(),
    }
}

pub(crate) fn watcher_state(state: State) -> pb::WatcherState {
    match state {
        State::Starting => pb::WatcherState::Starting,
        State::CatchingUp => pb::WatcherState::CatchingUp,
        State::Watching => pb::WatcherState::Watching,
        State::Paused => pb::WatcherState::Paused,
        State::Retrying => pb::WatcherState::Retrying,
        State::Unsupported => pb::WatcherState::Unsupported,
        State::Stopped => pb::WatcherState::Stopped,
    }
}
