//! The record of a batch: its fields in the database, and a batch as it is read from them.

use bson::{DateTime, Document, RawDocument, doc};

use super::options::{LIMITS, Limits, OPTIONS, Options};
use crate::{
    domain::{
        counts::Counts,
        near_miss::{Beyond, NearMiss},
        near_miss_kind::Kind,
    },
    store::{
        Error, Store,
        counters::record::{COUNTS, from_document},
        encoding::document::{raw, whole},
        state::format::{self, Field, Is, may, must},
    },
};

/// The fields of a batch, all but its position, which is whatever an order's `_id` is.
pub(in crate::store) const BATCH: &[Field] = &[
    must("_id", Is::Text),
    must(
        "state",
        Is::Word(|name| value_in(&State::NAMES, name).is_some()),
    ),
    must("created", Is::Date),
    must("updated", Is::Date),
    may("active", Is::Flag),
    may("instance", Is::Text),
    may("request_id", Is::Text),
    may("options", Is::Fields(OPTIONS)),
    may("limits", Is::Fields(LIMITS)),
    may("counts", Is::Fields(COUNTS)),
    may("estimated_total", Is::Whole),
    may("started", Is::Date),
    may("ended", Is::Date),
    may("alive_until", Is::Date),
    may("lease", Is::Millis),
    may("taken_by", Is::Text),
    may("asked_by", Is::Text),
    may("epoch", Is::Whole),
    may("begun", Is::Whole),
    may("lives", Is::Whole),
    may("barren_lives", Is::Whole),
    may("exhausted", Is::Flag),
    may("moments", Is::Dates),
    may(
        "stop_reason",
        Is::Word(|name| value_in(&StopReason::NAMES, name).is_some()),
    ),
    may("message", Is::Text),
    may("throttle", Is::Text),
    may("warnings", Is::Texts),
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

/// The name of the index on when batches were asked for.
pub(super) const BY_TIME: &str = "by_time";

/// How far a batch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the contract documents the states")]
pub enum State {
    Pending,
    Running,
    Cancelling,
    Succeeded,
    Failed,
    Cancelled,
}

impl State {
    const NAMES: [(State, &str); 6] = [
        (State::Pending, "pending"),
        (State::Running, "running"),
        (State::Cancelling, "cancelling"),
        (State::Succeeded, "succeeded"),
        (State::Failed, "failed"),
        (State::Cancelled, "cancelled"),
    ];

    /// The state's name in the database.
    pub fn name(self) -> &'static str {
        name_in(&State::NAMES, self)
    }

    /// Whether the batch has ended.
    pub fn is_final(self) -> bool {
        matches!(self, State::Succeeded | State::Failed | State::Cancelled)
    }
}

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

fn name_in<T: PartialEq>(names: &[(T, &'static str)], wanted: T) -> &'static str {
    names
        .iter()
        .find(|(value, _)| *value == wanted)
        .map_or("", |(_, name)| name)
}

fn value_in<T: Copy>(names: &[(T, &str)], wanted: &str) -> Option<T> {
    names
        .iter()
        .find(|(_, name)| *name == wanted)
        .map(|(value, _)| *value)
}

/// A batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Names it.
    pub id: String,
    /// How far it has come.
    pub state: State,
    /// Why it ended.
    pub stop_reason: Option<StopReason>,
    /// The same for people.
    pub message: String,
    /// What it was asked to do. Never changes, so that a repeated request is known by it.
    pub options: Options,
    /// The limits that hold now: those that it was tuned to, else those of its options.
    pub limits: Limits,
    /// What became of the orders it met.
    pub counts: Counts,
    /// How many delivered orders there were when it began; 0 while unknown.
    pub estimated_total: i64,
    /// When it was asked for.
    pub created: DateTime,
    /// When it began.
    pub started: Option<DateTime>,
    /// When it ended.
    pub ended: Option<DateTime>,
    /// When it was last saved.
    pub updated: DateTime,
    /// Who runs it.
    pub instance: String,
    /// The caller's key for repeating the request.
    pub request_id: Option<String>,
    /// What was amiss, for people.
    pub warnings: Vec<String>,
    /// Statuses that only look delivered.
    pub near_misses: Vec<NearMiss>,
    /// Those beyond the near misses that are told.
    pub near_misses_beyond: Beyond,
    /// Why it runs slower than it could, for people; empty at full speed.
    pub throttle: String,
    /// How often another run of a server went on with it.
    pub resumes: i32,
}

/// What keeps one batch active at a time and request ids unique, and what lists walk along.
pub(in crate::store) fn indexes() -> Vec<Document> {
    vec![
        doc! { "key": { "active": 1 }, "name": "one_active", "unique": true, "partialFilterExpression": { "active": true } },
        doc! { "key": { "request_id": 1 }, "name": "request_id", "unique": true, "partialFilterExpression": { "request_id": { "$type": "string" } } },
        doc! { "key": { "created": 1, "_id": 1 }, "name": BY_TIME },
    ]
}

impl Store {
    /// Reads a batch from its document.
    pub fn batch_of(&self, row: &RawDocument) -> Result<Batch, Error> {
        let row = format::read(&self.names.batches, BATCH, row)?;
        let unusable =
            || Error::Unusable("a batch was read without having been checked".to_owned());
        let text = |field| row.get_str(field).unwrap_or_default().to_owned();
        let date = |field| row.get_datetime(field).ok().copied();
        let options = row
            .get_document("options")
            .map(Options::of)
            .unwrap_or_default();
        let tuned = Limits::of(row.get_document("limits").ok());
        let miss = |document: &Document| NearMiss {
            status: document.get_str("status").unwrap_or_default().to_owned(),
            orders: whole(document.get("orders")),
            examples: strings(document, "examples"),
            kind: document.get_str("kind").ok().and_then(Kind::of_name),
            difference: document
                .get_str("difference")
                .unwrap_or_default()
                .to_owned(),
            mend: document.get_str("mend").unwrap_or_default().to_owned(),
        };
        Ok(Batch {
            id: text("_id"),
            state: value_in(&State::NAMES, &text("state")).ok_or_else(unusable)?,
            stop_reason: value_in(&StopReason::NAMES, &text("stop_reason")),
            message: text("message"),
            limits: tuned.or(options.limits),
            options,
            counts: row
                .get_document("counts")
                .map(from_document)
                .unwrap_or_default(),
            estimated_total: whole(row.get("estimated_total")),
            created: date("created").ok_or_else(unusable)?,
            started: date("started"),
            ended: date("ended"),
            updated: date("updated").ok_or_else(unusable)?,
            instance: text("instance"),
            request_id: row.get_str("request_id").ok().map(str::to_owned),
            warnings: strings(&row, "warnings"),
            near_misses: row
                .get_array("near_misses")
                .map(|misses| {
                    misses
                        .iter()
                        .filter_map(|member| member.as_document())
                        .map(miss)
                        .collect()
                })
                .unwrap_or_default(),
            near_misses_beyond: Beyond {
                statuses: whole(row.get("near_misses_beyond_statuses")),
                orders: whole(row.get("near_misses_beyond_orders")),
            },
            throttle: text("throttle"),
            resumes: i32::try_from((whole(row.get("lives")) - 1).max(0)).unwrap_or(i32::MAX),
        })
    }

    /// Reads a batch from an answer to its change.
    pub(super) fn batch_in(&self, document: Option<&Document>) -> Result<Option<Batch>, Error> {
        document
            .map(|document| self.batch_of(&raw(document)))
            .transpose()
    }
}

fn strings(document: &Document, field: &str) -> Vec<String> {
    document
        .get_array(field)
        .map(|members| {
            members
                .iter()
                .filter_map(|member| member.as_str())
                .map(str::to_owned)
                .collect()
        })
        .unwrap_or_default()
}
