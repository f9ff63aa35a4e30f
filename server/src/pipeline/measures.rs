//! What is measured of the pipeline: what became of orders, how long they had waited, and how long
//! each step took.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Outcome, Passed, Source};
use crate::metrics::{Counter, Histogram, Metrics, names};

/// What is measured, by source. Clones are the same.
#[derive(Clone)]
pub(super) struct Measures(Arc<[OfSource; 3]>);

impl Measures {
    pub(super) fn new(metrics: &Metrics) -> Measures {
        let sources = [Source::Rpc, Source::Batch, Source::Watch];
        Measures(Arc::new(
            sources.map(|source| OfSource::new(metrics, source)),
        ))
    }

    pub(super) fn of(&self, source: Source) -> &OfSource {
        &self.0[source as usize]
    }
}

impl std::fmt::Debug for Measures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Measures")
    }
}

/// A step of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Gather,
    Prepare,
    Write,
    Quarantine,
}

/// What is measured of a source.
pub(super) struct OfSource {
    archived: Counter,
    duplicate: Counter,
    quarantined: Counter,
    still_quarantined: Counter,
    gone: Counter,
    not_delivered: Counter,
    incomplete: Counter,
    latency: Histogram,
    steps: [Histogram; 4],
    done: Counter,
    failed: Counter,
}

impl OfSource {
    fn new(metrics: &Metrics, source: Source) -> OfSource {
        let source_name = source.name();
        let orders = |fate| metrics.counter(&names::ORDERS, &[source_name, fate]);
        let chunks = |outcome| metrics.counter(&names::CHUNKS, &[source_name, outcome]);
        let steps = ["gather", "prepare", "write", "quarantine"];
        OfSource {
            archived: orders("archived"),
            duplicate: orders("duplicate"),
            quarantined: orders("quarantined"),
            still_quarantined: orders("still_quarantined"),
            gone: orders("gone"),
            not_delivered: orders("not_delivered"),
            incomplete: metrics.counter(&names::INCOMPLETE, &[source_name]),
            latency: match source {
                Source::Rpc | Source::Watch => {
                    metrics.histogram(&names::ARCHIVE_LATENCY, &[source_name])
                }
                // Nobody knows when the orders of a batch were delivered.
                Source::Batch => Histogram::noop(),
            },
            steps: steps.map(|step| metrics.histogram(&names::CHUNK_STEPS, &[source_name, step])),
            done: chunks("done"),
            failed: chunks("failed"),
        }
    }

    /// Counts what became of orders.
    pub(super) fn count(&self, passed: &[Passed]) {
        for order in passed {
            let fate = match &order.outcome {
                Outcome::Archived(missing) => {
                    self.incomplete.increment(u64::from(!missing.is_empty()));
                    &self.archived
                }
                Outcome::Duplicate(_) => &self.duplicate,
                Outcome::Quarantined { is_new: true, .. } => &self.quarantined,
                Outcome::Quarantined { is_new: false, .. } => &self.still_quarantined,
                Outcome::NotDelivered { .. } => &self.not_delivered,
            };
            fate.increment(1);
        }
    }

    /// Counts orders that were deleted before they could be read.
    pub(super) fn count_gone(&self, orders: usize) {
        self.gone.increment(orders as u64);
    }

    /// Notes how long an order had waited that is archived now.
    pub(super) fn waited(&self, latency: Duration) {
        self.latency.record(latency);
    }

    /// Notes how a chunk ended.
    pub(super) fn ended<T, E>(&self, outcome: &Result<T, E>) {
        let ended = match outcome {
            Ok(_) => &self.done,
            Err(_) => &self.failed,
        };
        ended.increment(1);
    }

    /// Notes that a step ends now, and returns when the next one begins.
    pub(super) fn step(&self, step: Step, began: Instant) -> Instant {
        let now = Instant::now();
        self.steps[step as usize].record(now - began);
        now
    }
}
