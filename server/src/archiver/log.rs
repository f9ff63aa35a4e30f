//! What the log tells of a batch: how far it is, how it ended, and what was left where it is.

use tracing::{error, info, warn};

use super::End;
use crate::{
    domain::counts::Counts,
    store::{
        batches::{progress::Ended, record::Batch},
        jobs::record::State,
    },
};

/// How far a batch is.
pub(super) fn progress(batch: &Batch) {
    let Counts {
        found,
        archived,
        duplicates,
        incomplete,
        errors,
        gone,
    } = batch.counts;
    let (total, throttle) = (batch.head.estimated_total, &batch.head.throttle);
    info!(
        found,
        total, archived, duplicates, incomplete, errors, gone, throttle, "batch under way"
    );
}

/// A batch that failed is told as what it is: something that somebody has to see to.
pub(super) fn end(end: &End, counts: Counts) {
    let (state, reason) = (end.state.name(), end.reason.name());
    let Counts {
        found,
        archived,
        duplicates,
        incomplete,
        errors,
        gone,
    } = counts;
    match end.state {
        State::Failed => error!(
            reason,
            found, archived, duplicates, incomplete, errors, gone, "batch failed: {}", end.message
        ),
        _ => info!(
            state,
            reason, found, archived, duplicates, incomplete, errors, gone, "batch ended"
        ),
    }
}

/// Tells how many orders have a status that only looks delivered, and names a few. A status or
/// number that is no text may hold anything, also names, and stays out of the log.
pub(super) fn near_misses(ended: &Ended) {
    const FEW: usize = 5;
    let (misses, beyond) = (&ended.near_misses, ended.near_misses_beyond);
    if misses.is_empty() {
        return;
    }
    let orders = misses.iter().map(|miss| miss.orders).sum::<i64>() + beyond.orders;
    let statuses = misses.len() as i64 + beyond.statuses;
    let texts = misses.iter().filter(|miss| miss.status.starts_with('"'));
    let some = texts.map(|miss| format!("{} ({})", miss.status, miss.orders));
    let is_text = |number: &&String| !number.starts_with(['{', '[']);
    let examples = misses.iter().filter_map(|miss| miss.examples.first());
    let examples = examples.filter(is_text);
    let listed = |texts: Vec<String>| texts.join(", ");
    warn!(
        orders,
        statuses,
        some = listed(some.take(FEW).collect()),
        examples = listed(examples.take(FEW).cloned().collect()),
        "orders with a status that only looks delivered were left where they are; `archctl batch show` tells of each status"
    );
}
