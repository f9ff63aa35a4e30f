//! How far a batch is and what it came to, as its runner saves both.

use bson::{DateTime, Document, RawDocument, doc};

use super::record::{Batch, StopReason};
use crate::{
    bytes::raw::{self, Value, ValueRef, Writer},
    domain::{
        counts::Counts,
        near_miss::{Beyond, NearMiss},
        near_miss_kind::Kind,
    },
    store::{
        Error, Store,
        counters::record::to_document,
        encoding::document::{field, joined, raw},
        jobs::{
            lease::{JobEnd, Lease, Saved},
            record::State,
        },
    },
};

/// The field of the position, which may hold text that is not UTF-8.
pub(super) const POSITION: &str = "position";

/// How far a batch is: what a later run goes on from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// What became of the orders before the position.
    pub counts: Counts,
    /// The `_id` of the first order that is not counted yet; none before the first order.
    pub position: Option<Value>,
    /// Whether all orders are counted.
    pub exhausted: bool,
    /// Whether this run has got any further than the one before it.
    pub moved: bool,
    /// The `date_archivage`s that orders from the position on may bear if this batch has archived
    /// them, the current one last.
    pub stamps: Vec<DateTime>,
    /// Why the batch runs slower than it could; empty at full speed.
    pub throttle: String,
}

/// How a batch ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How it has ended.
    pub state: State,
    /// Why.
    pub reason: StopReason,
    /// The same for people.
    pub message: String,
    /// What became of the orders it met.
    pub counts: Counts,
    /// Statuses that only look delivered.
    pub near_misses: Vec<NearMiss>,
    /// Those beyond the near misses that are told.
    pub near_misses_beyond: Beyond,
    /// Why these may not be all.
    pub warning: Option<String>,
}

impl Progress {
    /// Reads how far a batch is from its document.
    pub(super) fn of(counts: Counts, document: &RawDocument) -> Progress {
        let field = |name| raw::find(document, name);
        let stamps = field("moments").unwrap_or(ValueRef::NULL).elements();
        Progress {
            counts,
            position: field(POSITION).map(ValueRef::to_owned),
            exhausted: field("exhausted").and_then(ValueRef::as_bool) == Some(true),
            stamps: stamps.filter_map(|moment| moment.value.as_date()).collect(),
            throttle: String::new(),
            moved: false,
        }
    }
}

impl Store {
    /// Notes that a run of a batch has begun, with what may be amiss for it.
    pub async fn begin_batch(
        &self,
        lease: &Lease,
        warnings: &[String],
    ) -> Result<Option<Batch>, Error> {
        let noted = doc! { "warnings": { "$literal": warnings } };
        self.begin_job(lease, noted).await
    }

    /// Saves the counters and the position of a batch together, and tells what has been asked of it
    /// since. None when somebody else runs it now, or it has been ended.
    pub async fn save_batch(
        &self,
        lease: &Lease,
        progress: &Progress,
    ) -> Result<Option<Batch>, Error> {
        let mut set = Writer::default();
        set.document("counts", &raw(&to_document(&progress.counts)));
        if let Some(position) = &progress.position {
            set.document(POSITION, &field("$literal", position.as_ref()));
        }
        let rest = doc! { "exhausted": progress.exhausted, "moments": &progress.stamps };
        let set = joined(&[&set.finish(), &raw(&rest)]);
        let saved = Saved {
            moved: progress.moved,
            throttle: &progress.throttle,
        };
        self.save_job(lease, saved, &set).await
    }

    /// Notes that a batch has ended. False when it was not this instance's to end.
    pub async fn end_batch(&self, lease: &Lease, end: &Ended) -> Result<bool, Error> {
        let miss = |miss: &NearMiss| {
            doc! {
                "status": &miss.status, "orders": miss.orders, "examples": &miss.examples,
                "kind": miss.kind.map(Kind::name), "difference": &miss.difference, "mend": &miss.mend,
            }
        };
        let misses: Vec<Document> = end.near_misses.iter().map(miss).collect();
        let came_to = doc! {
            "stop_reason": end.reason.name(), "counts": to_document(&end.counts),
            "near_misses": { "$literal": misses },
            "near_misses_beyond_statuses": end.near_misses_beyond.statuses, "near_misses_beyond_orders": end.near_misses_beyond.orders,
        };
        let end = JobEnd {
            state: end.state,
            message: &end.message,
            warnings: end.warning.as_slice(),
        };
        self.end_job(lease, end, came_to).await
    }
}
