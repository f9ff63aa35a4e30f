//! The watcher, its state, and gaps.

use bson::Timestamp;
use order_archiver_api::v1 as pb;

use super::time::{cluster_time, duration, timestamp};
use crate::store::{
    unwatched::Unwatched,
    watch::{
        asked_by::AskedBy,
        gap::Gap,
        partition::HeldPartition,
        record::{State, Watcher},
        waiting::Waiting,
    },
};

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

/// The watcher as it is at this moment.
pub(crate) fn watcher_now(watcher: &Watcher, unwatched: Option<&Unwatched>) -> pb::Watcher {
    pb::Watcher {
        state_since_time: watcher.since_now().and_then(timestamp),
        waiting: unwatched.map(|unwatched| waiting(&unwatched.waiting)),
        able_instances: unwatched
            .and_then(|unwatched| unwatched.able)
            .map(|able| i32::try_from(able).unwrap_or(i32::MAX)),
        ..watcher_message(watcher, watcher.state_now())
    }
}

fn waiting(waiting: &Waiting) -> pb::WaitingOrders {
    let counted = |orders: &i64, at_least| pb::WaitingOrders {
        orders: *orders,
        at_least,
        ..pb::WaitingOrders::default()
    };
    match waiting {
        Waiting::Exactly(orders) => counted(orders, false),
        Waiting::AtLeast(orders) => counted(orders, true),
        Waiting::Unknown(why) => pb::WaitingOrders {
            unknown: why.clone(),
            ..pb::WaitingOrders::default()
        },
    }
}

/// What the watcher's own document says of it.
pub(crate) fn watcher_message(watcher: &Watcher, state: State) -> pb::Watcher {
    pb::Watcher {
        state_since_time: watcher.state_since.and_then(timestamp),
        last_error_time: watcher.last_error_at.and_then(timestamp),
        paused: watcher.paused,
        state: watcher_state(state).into(),
        instance: watcher.instance.clone(),
        position_time: watcher.position.map(cluster_time),
        last_event_time: watcher.last_event.and_then(timestamp),
        saved_time: watcher.saved.and_then(timestamp),
        last_error: watcher.last_error.clone(),
        open_gaps: watcher.gap.iter().map(gap).collect(),
        asked_by: watcher.asked_by.as_ref().map(asked_by),
        partition_count: watcher.split.partitions.cast_signed(),
        wanted_partition_count: watcher.partitions_wanted().cast_signed(),
        ..pb::Watcher::default()
    }
}

/// A partition of this watcher as it is at this moment.
pub(crate) fn watch_partition_now(
    watcher: &Watcher,
    held: &HeldPartition,
    majority: Option<Timestamp>,
) -> pb::WatchPartition {
    // During a pause a change waits for nobody.
    let change = watcher.change_waits_until().filter(|_| !watcher.paused);
    pb::WatchPartition {
        holds_up_change: change.is_some_and(|until| held.holds_up(until)),
        state_since_time: held.since_now().and_then(timestamp),
        lag: held.lag(majority).map(duration),
        ..watch_partition(held, held.state_now())
    }
}

/// What a partition's own document says of it.
pub(crate) fn watch_partition(held: &HeldPartition, state: State) -> pb::WatchPartition {
    pb::WatchPartition {
        index: held.partition.index.cast_signed(),
        of: held.partition.of.cast_signed(),
        instance: held.instance.clone(),
        epoch: held.epoch,
        state: watcher_state(state).into(),
        state_since_time: held.state_since.and_then(timestamp),
        position_time: held.position.map(cluster_time),
        lag: None,
        saved_time: held.saved.and_then(timestamp),
        last_event_time: held.last_event.and_then(timestamp),
        last_error: held.last_error.clone(),
        last_error_time: held.last_error_at.and_then(timestamp),
        holds_up_change: false,
    }
}

fn asked_by(asked: &AskedBy) -> pb::AskedBy {
    pb::AskedBy {
        pause: asked.pause,
        instance: asked.caller.instance.clone(),
        peer: asked.caller.peer.clone(),
        time: timestamp(asked.at),
    }
}
