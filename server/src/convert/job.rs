//! What the messages of all kinds of jobs have in common.

use std::time::Duration;

use bson::DateTime;

use super::{remarks::first, time::length};
use crate::store::jobs::record::Head;

/// The most that a job's warnings may take in a message, in bytes.
const MOST_WARNINGS: usize = 256 * 1024;

/// How long a job has run up to now or to its end, and how many orders it met in a second, of so
/// many in all.
pub(super) fn pace(head: &Head, orders: i64, now: DateTime) -> (Duration, f64) {
    let until = head.ended.unwrap_or(now);
    let millis = head.started.map_or(0, |started| {
        until.timestamp_millis() - started.timestamp_millis()
    });
    let took = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    let orders_per_second = match took.is_zero() {
        true => 0.0,
        false => orders as f64 / took.as_secs_f64(),
    };
    (took, orders_per_second)
}

/// As many warnings as a message has room for.
pub(super) fn warnings(warnings: Vec<String>) -> Vec<String> {
    let (mut warnings, unsaid) = first(warnings, MOST_WARNINGS, String::len);
    if unsaid > 0 {
        warnings.push(format!(
            "this message leaves out {unsaid} more warnings, for which it has no room"
        ));
    }
    warnings
}

/// A limit of a request, once its violations have been checked.
pub(super) fn at_most(orders: i32) -> Option<u32> {
    u32::try_from(orders).ok()
}

/// A length of time as exact as the database keeps it, so that a repeated request is found equal to
/// what was kept of it.
pub(super) fn whole_millis(length_of_time: Option<&prost_types::Duration>) -> Option<Duration> {
    let millis = length(length_of_time?)?.as_millis();
    u64::try_from(millis).ok().map(Duration::from_millis)
}
