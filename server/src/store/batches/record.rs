//! The record of a batch: its fields in the database, and a batch as it is read from them.

use bson::{Document, RawDocument, doc};

use super::{
    list::few_near_misses,
    options::{OPTIONS, Options},
    progress::{POSITION, Progress},
};
use crate::{
    domain::{
        counts::Counts,
        near_miss::{Beyond, NearMiss},
        near_miss_kind::Kind,
    },
    store::{
        counters::record::{COUNTS, from_document, to_document},
        encoding::document::{documents, whole},
        jobs::{
            self, Job,
            limits::{LIMITS, Limits},
            record::{COMMON, Head, name_in, strings, text, value_in},
        },
        state::{
            format::{Field, Is, both, may, must},
            snapshot::News,
        },
    },
};

/// The fields of a batch, all but its position, which is whatever an order's `_id` is.
pub(in crate::store) const BATCH: &[Field] = &both::<{ COMMON.len() + OWN.len() }>(COMMON, OWN);

const OWN: &[Field] = &[
    may("options", Is::Fields(OPTIONS)),
    may("limits", Is::Fields(LIMITS)),
    may("counts", Is::Fields(COUNTS)),
    may("exhausted", Is::Flag),
    may("moments", Is::Dates),
    may(
        "stop_reason",
        Is::Word(|name| value_in(&StopReason::NAMES, name).is_some()),
    ),
    may("near_misses", Is::ListOf(NEAR_MISS)),
    may("near_misses_beyond_statuses", Is::Whole),
    may("near_misses_beyond_orders", Is::Whole),
];

const NEAR_MISS: &[Field] = &[
    must("status", Is::Text),
    must("orders", Is::Whole),
    may("examples", Is::Texts),
    // A kind of a later version is none that this one knows, and no fault.
    may("kind", Is::Text),
    may("difference", Is::Text),
    may("mend", Is::Text),
];

/// Why a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the contract documents the reasons")]
pub enum StopReason {
    Exhausted,
    Limit,
    MaxRuntime,
    Cancelled,
    Database,
    Unbalanced,
    Interrupted,
}

impl StopReason {
    const NAMES: [(StopReason, &str); 7] = [
        (StopReason::Exhausted, "exhausted"),
        (StopReason::Limit, "limit"),
        (StopReason::MaxRuntime, "max_runtime"),
        (StopReason::Cancelled, "cancelled"),
        (StopReason::Database, "database"),
        (StopReason::Unbalanced, "unbalanced"),
        (StopReason::Interrupted, "interrupted"),
    ];

    /// The reason's name in the database.
    pub fn name(self) -> &'static str {
        name_in(&StopReason::NAMES, self)
    }
}

/// A batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// What every job has.
    pub head: Head,
    /// Why it ended.
    pub stop_reason: Option<StopReason>,
    /// What it was asked to do. Never changes, so that a repeated request is known by it.
    pub options: Options,
    /// The limits that hold now: those that it was tuned to, else those of its options.
    pub limits: Limits,
    /// What became of the orders it met.
    pub counts: Counts,
    /// Statuses that only look delivered.
    pub near_misses: Vec<NearMiss>,
    /// Those beyond the near misses that are told.
    pub near_misses_beyond: Beyond,
}

impl Job for Batch {
    const KIND: &'static jobs::Kind = &jobs::Kind {
        name: "batch",
        collection: |names| &names.batches,
        fields: BATCH,
        private: &[may(POSITION, Is::Anything)],
        started: News::BatchStarted,
        progress: News::BatchProgress,
        finished: News::BatchFinished,
    };
    type Options = Options;
    type Progress = Progress;

    fn head(&self) -> &Head {
        &self.head
    }

    fn read(head: Head, fields: &Document) -> Batch {
        let options = fields.get_document("options").map(Options::of);
        let options = options.unwrap_or_default();
        let tuned = Limits::of(fields.get_document("limits").ok());
        Batch {
            head,
            stop_reason: value_in(&StopReason::NAMES, &text(fields, "stop_reason")),
            limits: tuned.or(options.limits),
            options,
            counts: fields
                .get_document("counts")
                .map(from_document)
                .unwrap_or_default(),
            near_misses: documents(fields, "near_misses").map(near_miss).collect(),
            near_misses_beyond: Beyond {
                statuses: whole(fields.get("near_misses_beyond_statuses")),
                orders: whole(fields.get("near_misses_beyond_orders")),
            },
        }
    }

    fn progress(&self, document: &RawDocument) -> Progress {
        Progress::of(self.counts, document)
    }

    fn new_document(options: &Options) -> Document {
        doc! { "options": options.stage(), "counts": to_document(&Counts::default()) }
    }

    fn read_in_lists() -> Document {
        few_near_misses()
    }

    fn in_list(self, document: &RawDocument) -> Batch {
        self.with_unread_near_misses(document)
    }
}

fn near_miss(document: &Document) -> NearMiss {
    NearMiss {
        status: text(document, "status"),
        orders: whole(document.get("orders")),
        examples: strings(document, "examples"),
        kind: document.get_str("kind").ok().and_then(Kind::of_name),
        difference: text(document, "difference"),
        mend: text(document, "mend"),
    }
}
