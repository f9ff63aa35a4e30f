//! Batches, their options and their counts.

use bson::DateTime;
use order_archiver_api::v1 as pb;

use super::{
    job::{at_most, pace, warnings, whole_millis},
    near_misses::near_misses,
    time::{date, duration, timestamp},
};
use crate::{
    domain::counts::Counts,
    store::{
        batches::{
            options::Options,
            record::{Batch, StopReason},
        },
        jobs::{limits::Limits, record::State},
    },
};

pub(crate) fn counts(counts: Counts) -> pb::OrderCounts {
    let Counts {
        found,
        archived,
        duplicates,
        incomplete,
        errors,
        gone,
    } = counts;
    pb::OrderCounts {
        found,
        archived,
        duplicates,
        incomplete,
        errors,
        gone,
    }
}

/// The options of a request, once its violations have been checked.
pub(crate) fn options(options: &pb::BatchOptions) -> Options {
    Options {
        limit: options.limit,
        before: options.before.as_ref().and_then(date),
        create_indexes: options.create_indexes,
        max_runtime: whole_millis(options.max_runtime.as_ref()).filter(|most| !most.is_zero()),
        validate_only: options.validate_only,
        limits: Limits {
            max_orders_per_second: options.max_orders_per_second.and_then(at_most),
            max_replication_lag: whole_millis(options.max_replication_lag.as_ref()),
            max_write_latency: whole_millis(options.max_write_latency.as_ref()),
        },
    }
}

/// The limits of a request, once its violations have been checked.
pub(crate) fn limits(tuning: &pb::TuneBatchRequest) -> Limits {
    Limits {
        max_orders_per_second: tuning.max_orders_per_second.and_then(at_most),
        max_replication_lag: whole_millis(tuning.max_replication_lag.as_ref()),
        max_write_latency: whole_millis(tuning.max_write_latency.as_ref()),
    }
}

fn batch_options(options: &Options, limits: Limits) -> pb::BatchOptions {
    pb::BatchOptions {
        limit: options.limit,
        before: options.before.and_then(timestamp),
        max_runtime: options.max_runtime.map(duration),
        validate_only: options.validate_only,
        create_indexes: options.create_indexes,
        max_orders_per_second: limits
            .max_orders_per_second
            .map(|most| i32::try_from(most).unwrap_or(i32::MAX)),
        max_replication_lag: limits.max_replication_lag.map(duration),
        max_write_latency: limits.max_write_latency.map(duration),
    }
}

pub(crate) fn batch(batch: Batch, now: DateTime) -> pb::Batch {
    let (took, orders_per_second) = pace(&batch.head, batch.counts.found, now);
    let head = batch.head;
    let (near_misses, more_near_misses) = near_misses(batch.near_misses, batch.near_misses_beyond);
    pb::Batch {
        id: head.id,
        state: batch_state(head.state).into(),
        stop_reason: batch
            .stop_reason
            .map_or(pb::BatchStopReason::Unspecified, stop_reason)
            .into(),
        message: head.message,
        options: Some(batch_options(&batch.options, batch.limits)),
        counts: Some(counts(batch.counts)),
        estimated_total: head.estimated_total,
        create_time: timestamp(head.created),
        start_time: head.started.and_then(timestamp),
        end_time: head.ended.and_then(timestamp),
        update_time: timestamp(head.updated),
        instance: head.instance,
        request_id: head.request_id.unwrap_or_default(),
        warnings: warnings(head.warnings),
        near_misses,
        more_near_misses,
        duration: Some(duration(took)),
        orders_per_second,
        throttle: head.throttle,
        resumes: head.resumes,
    }
}

fn batch_state(state: State) -> pb::BatchState {
    match state {
        State::Pending => pb::BatchState::Pending,
        State::Running => pb::BatchState::Running,
        State::Cancelling => pb::BatchState::Cancelling,
        State::Succeeded => pb::BatchState::Succeeded,
        State::Failed => pb::BatchState::Failed,
        State::Cancelled => pb::BatchState::Cancelled,
    }
}

/// The state of the contract as our own; none for the one that is not used.
pub(crate) fn state(state: pb::BatchState) -> Option<State> {
    let mut states = State::ALL.into_iter();
    states.find(|own| batch_state(*own) == state)
}

fn stop_reason(reason: StopReason) -> pb::BatchStopReason {
    match reason {
        StopReason::Exhausted => pb::BatchStopReason::Exhausted,
        StopReason::Limit => pb::BatchStopReason::Limit,
        StopReason::MaxRuntime => pb::BatchStopReason::MaxRuntime,
        StopReason::Cancelled => pb::BatchStopReason::Cancelled,
        StopReason::Database => pb::BatchStopReason::Database,
        StopReason::Unbalanced => pb::BatchStopReason::Unbalanced,
        StopReason::Interrupted => pb::BatchStopReason::Interrupted,
    }
}
