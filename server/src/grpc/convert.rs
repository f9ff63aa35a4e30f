//! Between the server's own values and the messages of the contract.

use std::{
    ops::{Range, RangeInclusive},
    time::Duration,
};

use bson::{DateTime, RawDocument};
use order_archiver_api::v1 as pb;
use prost_types::Timestamp;

use super::near_misses::near_misses;
use crate::{
    domain::{counts::Counts, judge::Reason, text::cut},
    store::{
        batches::{
            options::{Limits, Options},
            record::{Batch, State, StopReason},
        },
        encoding::ext_json::{self, Form},
        quarantine::{
            record::Entry,
            release::{Cause, Release},
        },
        state::fault::Fault,
        watch::{gap::Gap, record},
    },
};

/// The most Extended JSON that a message carries, in bytes: callers take 4 MiB in all unless they say otherwise.
pub(crate) const MOST_JSON: usize = 3 * 1024 * 1024;

/// The most of a number that a message carries, in bytes.
const LONGEST_NUMERO: usize = 1024;
/// The most that a batch's warnings may take in a message, in bytes.
const MOST_WARNINGS: usize = 256 * 1024;

/// A moment of BSON as one of protobuf; none beyond the years 1 to 9999, which a date of BSON can be and one of protobuf can't.
pub(crate) fn timestamp(date: DateTime) -> Option<Timestamp> {
    let millis = date.timestamp_millis();
    let seconds = millis.div_euclid(1000);
    MOMENTS.contains(&seconds).then(|| Timestamp {
        seconds,
        nanos: i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap_or(0),
    })
}

/// What protobuf allows for the seconds of a moment: the years 1 to 9999.
const MOMENTS: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// What protobuf allows for the seconds of a length of time.
const LENGTHS: RangeInclusive<i64> = 0..=315_576_000_000;
const NANOS: Range<i32> = 0..1_000_000_000;

/// A moment of protobuf as one of BSON, if it is one.
pub(crate) fn date(timestamp: &Timestamp) -> Option<DateTime> {
    let valid = MOMENTS.contains(&timestamp.seconds) && NANOS.contains(&timestamp.nanos);
    let millis = || timestamp.seconds * 1_000 + i64::from(timestamp.nanos) / 1_000_000;
    valid.then(|| DateTime::from_millis(millis()))
}

/// A length of time of protobuf as our own, if it is one and not negative.
pub(crate) fn length(duration: &prost_types::Duration) -> Option<Duration> {
    let valid = LENGTHS.contains(&duration.seconds) && NANOS.contains(&duration.nanos);
    let length = Duration::new(
        u64::try_from(duration.seconds).ok()?,
        u32::try_from(duration.nanos).ok()?,
    );
    valid.then_some(length)
}

/// A document of the server's own that can't be worked with.
pub(crate) fn unreadable(fault: &Fault) -> pb::UnreadableDocument {
    pb::UnreadableDocument {
        name: fault.name(),
        problem: fault.to_string(),
        newer: fault.is_newer(),
    }
}

/// A length of time in protobuf's form.
pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

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

/// The first of these remarks, as many as so many bytes hold, and how many more there are.
pub(super) fn first<T>(
    mut remarks: Vec<T>,
    most: usize,
    bytes: impl Fn(&T) -> usize,
) -> (Vec<T>, usize) {
    let all = remarks.len();
    let mut left = most;
    let fits = |remark: &T| {
        // Each also has a tag and its length.
        let size = bytes(remark) + 8;
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    };
    let fitting = remarks.iter().map(fits).take_while(|fits| *fits).count();
    remarks.truncate(fitting);
    (remarks, all - fitting)
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

fn at_most(orders: i32) -> Option<u32> {
    u32::try_from(orders).ok()
}

/// A length of time as exact as the database keeps it, so that a repeated request is found equal to what was kept of it.
fn whole_millis(length_of_time: Option<&prost_types::Duration>) -> Option<Duration> {
    let millis = length(length_of_time?)?.as_millis();
    u64::try_from(millis).ok().map(Duration::from_millis)
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
    let until = batch.ended.unwrap_or(now);
    let millis = batch.started.map_or(0, |started| {
        until.timestamp_millis() - started.timestamp_millis()
    });
    let took = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    let orders_per_second = if took.is_zero() {
        0.0
    } else {
        batch.counts.found as f64 / took.as_secs_f64()
    };
    let (near_misses, more_near_misses) = near_misses(batch.near_misses, batch.near_misses_beyond);
    let (mut warnings, unsaid) = first(batch.warnings, MOST_WARNINGS, String::len);
    if unsaid > 0 {
        warnings.push(format!(
            "this message leaves out {unsaid} more warnings, for which it has no room"
        ));
    }
    pb::Batch {
        id: batch.id,
        state: batch_state(batch.state).into(),
        stop_reason: batch
            .stop_reason
            .map_or(pb::BatchStopReason::Unspecified, stop_reason)
            .into(),
        message: batch.message,
        options: Some(batch_options(&batch.options, batch.limits)),
        counts: Some(counts(batch.counts)),
        estimated_total: batch.estimated_total,
        create_time: timestamp(batch.created),
        start_time: batch.started.and_then(timestamp),
        end_time: batch.ended.and_then(timestamp),
        update_time: timestamp(batch.updated),
        instance: batch.instance,
        request_id: batch.request_id.unwrap_or_default(),
        warnings,
        near_misses,
        more_near_misses,
        duration: Some(duration(took)),
        orders_per_second,
        throttle: batch.throttle,
        resumes: batch.resumes,
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
    [
        State::Pending,
        State::Running,
        State::Cancelling,
        State::Succeeded,
        State::Failed,
        State::Cancelled,
    ]
    .into_iter()
    .find(|own| batch_state(*own) == state)
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

fn quarantine_reason(reason: Reason) -> pb::QuarantineReason {
    match reason {
        Reason::NoUsableNumber => pb::QuarantineReason::NoUsableNumber,
        Reason::NumberConflict => pb::QuarantineReason::NumberConflict,
        Reason::TooLarge => pb::QuarantineReason::TooLarge,
        Reason::Refused => pb::QuarantineReason::Refused,
    }
}

/// The reason of the contract as our own; none for the one that is not used.
pub(crate) fn reason(reason: pb::QuarantineReason) -> Option<Reason> {
    Reason::ALL
        .into_iter()
        .find(|own| quarantine_reason(*own) == reason)
}

/// An entry, with its document where one is given, or else the reason that there is none to be left out.
pub(crate) fn quarantine_entry(entry: Entry, document: Document<'_>) -> pb::QuarantineEntry {
    let mut omitted_fields = Vec::new();
    let mut time = |name: &str, date| {
        let time = timestamp(date);
        if time.is_none() {
            omitted_fields.push(name.to_owned());
        }
        time
    };
    let first_seen_time = time("first_seen_time", entry.first_seen);
    let last_seen_time = time("last_seen_time", entry.last_seen);
    let document_json = document.json(&mut omitted_fields);
    pb::QuarantineEntry {
        id: entry.id,
        order_id_json: ext_json::shown(entry.order_id.as_ref(), 1024),
        numero_commande: entry.numero,
        reason: quarantine_reason(entry.refusal.reason).into(),
        detail: entry.refusal.detail,
        attempts: i32::try_from(entry.attempts).unwrap_or(i32::MAX),
        first_seen_time,
        last_seen_time,
        document_bytes: entry.bytes,
        document_json,
        omitted_fields,
        release: entry.release.map(release),
    }
}

fn release(release: Release) -> pb::Release {
    let cause = match release.cause {
        Cause::Dropped => pb::ReleaseCause::Dropped,
        Cause::Archived => pb::ReleaseCause::Archived,
    };
    let (instance, peer) = release
        .caller
        .map(|caller| (caller.instance, caller.peer))
        .unwrap_or_default();
    pb::Release {
        cause: cause.into(),
        instance,
        peer,
    }
}

/// The number of an order, or as much of it as a message carries.
pub(crate) fn numero(numero: &str) -> String {
    cut(numero, LONGEST_NUMERO)
}

/// A moment of cluster time, to the second.
pub(crate) fn cluster_time(time: bson::Timestamp) -> Timestamp {
    Timestamp {
        seconds: time.time.into(),
        nanos: 0,
    }
}

pub(crate) fn gap(gap: &Gap) -> pb::Gap {
    pb::Gap {
        from_time: gap.from.map(cluster_time),
        to_time: Some(cluster_time(gap.to)),
        batch_id: gap.batch_id.clone(),
        cause: gap.cause.clone(),
    }
}

pub(crate) fn watcher_state(state: record::State) -> pb::WatcherState {
    match state {
        record::State::Starting => pb::WatcherState::Starting,
        record::State::CatchingUp => pb::WatcherState::CatchingUp,
        record::State::Watching => pb::WatcherState::Watching,
        record::State::Paused => pb::WatcherState::Paused,
        record::State::Retrying => pb::WatcherState::Retrying,
        record::State::Unsupported => pb::WatcherState::Unsupported,
        record::State::Stopped => pb::WatcherState::Stopped,
    }
}

/// A document that a message may carry.
#[derive(Clone, Copy)]
pub(crate) enum Document<'a> {
    /// It was not asked for.
    NotAsked,
    /// It is known to be too large.
    TooLarge,
    /// It may yet be too large as text.
    Given(&'a RawDocument, Form),
}

impl Document<'_> {
    /// Its Extended JSON. Empty, and noted as left out, where that is more than a message carries.
    pub(super) fn json(self, omitted: &mut Vec<String>) -> String {
        let text = match self {
            Document::NotAsked => return String::new(),
            // Extended JSON can be several times larger than the BSON it shows, so small documents alone are worth a try.
            Document::Given(document, form) if document.as_bytes().len() <= MOST_JSON => {
                Some(ext_json::text(document, form))
            }
            Document::Given(..) | Document::TooLarge => None,
        };
        let text = text.filter(|text| text.len() <= MOST_JSON);
        text.unwrap_or_else(|| {
            omitted.push("document_json".to_owned());
            String::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_before_1970_convert_both_ways() {
        for millis in [
            -1,
            0,
            1,
            -1_000,
            1_767_225_600_123,
            -62_135_596_800_000,
            253_402_300_799_999,
        ] {
            let moment = DateTime::from_millis(millis);
            assert_eq!(date(&timestamp(moment).unwrap()), Some(moment));
        }
    }

    #[test]
    fn moments_beyond_protobuf_are_none() {
        for millis in [-62_135_596_800_001, 253_402_300_800_000, i64::MIN, i64::MAX] {
            assert_eq!(timestamp(DateTime::from_millis(millis)), None, "{millis}");
        }
    }

    #[test]
    fn what_protobuf_calls_invalid_is_neither_moment_nor_length() {
        let table = [
            (i64::MAX, 0),
            (i64::MIN, 0),
            (253_402_300_800, -1),
            (0, -1),
            (0, 1_000_000_000),
            (i64::MAX, i32::MAX),
        ];
        for (seconds, nanos) in table {
            assert_eq!(date(&Timestamp { seconds, nanos }), None);
            assert_eq!(length(&prost_types::Duration { seconds, nanos }), None);
        }
        let negative = prost_types::Duration {
            seconds: -1,
            nanos: 0,
        };
        assert_eq!(length(&negative), None);
    }
}
