//! What the database's history tells of some documents: what happened to them, when, and to which
//! status an order was set.
//!
//! The history can only be read forward. So it is read in stretches, the latest first and each
//! twice as long as the one before: however little time there is, what happened last is told.

use std::{collections::VecDeque, time::Duration};

use bson::{Bson, DateTime, Document, RawDocument, Timestamp, doc};
use tokio::time::{Instant, timeout_at};

use super::{LONGEST, live::Status};
use crate::{
    bytes::{
        checkpoint::time_of,
        raw::{self, Value, ValueRef},
    },
    domain::order::STATUS,
    store::{
        Error, Store,
        orders::{delivered_status::bson_of, deliveries::order_of},
        quarantine::record::entry_id,
        state::snapshot::within,
        wire::changes::{Replies, Scope, Start},
    },
};

/// How many changes are told.
const TOLD: usize = 100;
/// How long the first stretch is, in seconds; each other one is twice as long as the one before.
const FIRST_STRETCH: u32 = 10 * 60;
/// How long the database waits at the end of the history before it answers that there is no more.
const PATIENCE: Duration = Duration::from_millis(50);
/// Changes in one reply at most.
const MOST_CHANGES: u32 = 1_000;
/// The longest `_id` that is looked for, in bytes.
const LONGEST_ID: usize = 64 * 1024;

/// What a change was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the contract documents the kinds")]
pub enum ChangeKind {
    OrderCreated,
    StatusSet,
    OrderChanged,
    OrderReplaced,
    OrderDeleted,
    Archived,
    ArchiveChanged,
    ArchiveDeleted,
    Quarantined,
    QuarantineChanged,
    QuarantineLeft,
    CollectionGone,
    Other,
}

/// A change of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What it was.
    pub kind: ChangeKind,
    /// When, by the database's clock.
    pub at: Option<DateTime>,
    /// The collection that was changed.
    pub collection: String,
    /// The `_id` of the changed document; none of a collection.
    pub id: Option<Value>,
    /// The status that an order was set to.
    pub status: Option<Status>,
}

/// What the history tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// What happened, the latest first, some of it.
    pub changes: Vec<Change>,
    /// How many older changes were met beyond these.
    pub more: usize,
    /// All changes since this moment are told.
    pub since: Option<Timestamp>,
    /// Whether the history reaches back no further.
    pub ends_there: bool,
    /// Why no further back was looked.
    pub stopped: String,
}

impl Store {
    /// What happened to the documents with these `_id`s among the orders, in the archive and in
    /// quarantine, as far back as can be looked within a time.
    pub async fn history_of(&self, ids: &[Value], limit: Duration) -> Result<History, Error> {
        let end = Instant::now() + limit;
        let Some(latest) = self.deployment().await?.majority else {
            return Err(Error::ReplicaSetRequired);
        };
        let stages = self.stages_of(ids);
        let oldest = self.oldest_history().await;
        let mut history = History::default();
        let mut changes = VecDeque::new();
        let (mut until, mut stretch) = (None, FIRST_STRETCH);
        loop {
            let reach = latest.time.saturating_sub(stretch);
            let from = Timestamp {
                time: reach,
                increment: 0,
            };
            let from = oldest.map_or(from, |oldest| oldest.max(from));
            let read = self.stretch(stages.clone(), from, until, latest, limit);
            match timeout_at(end, read).await {
                Ok(Ok(mut read)) => {
                    read.extend(changes);
                    changes = read;
                }
                Ok(Err(Error::HistoryLost)) => {
                    history.stopped =
                        format!("the history no longer reaches back {}", length(stretch));
                    break;
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    history.stopped = format!("the time was over: {limit:?}");
                    break;
                }
            }
            history.since = Some(from);
            history.ends_there = Some(from) == oldest || reach == 0;
            if history.ends_there {
                break;
            }
            (until, stretch) = (Some(from), stretch.saturating_mul(2));
        }
        history.more = changes.len().saturating_sub(TOLD);
        history.changes = changes.into_iter().rev().take(TOLD).collect();
        Ok(history)
    }

    /// The changes from one moment to another, which is not part of it, or to the latest write, in
    /// replies that may take so long.
    async fn stretch(
        &self,
        stages: Vec<Document>,
        from: Timestamp,
        until: Option<Timestamp>,
        latest: Timestamp,
        limit: Duration,
    ) -> Result<VecDeque<Change>, Error> {
        let start = Start::At(from);
        let replies = Replies {
            patience: PATIENCE,
            most: MOST_CHANGES,
            opening: limit,
            limit,
        };
        let mut changes = self
            .changes_in(replies, Scope::Database, &start, stages)
            .await?;
        let mut found = VecDeque::new();
        loop {
            let reply = changes.next().await?;
            for change in &reply.changes {
                let time = raw::find(change, "clusterTime").and_then(ValueRef::as_timestamp);
                if time.zip(until).is_some_and(|(time, until)| time >= until) {
                    return Ok(found);
                }
                found.push_back(self.change_in(change));
            }
            let end = until.unwrap_or(latest);
            if time_of(&reply.position).is_none_or(|time| time >= end) {
                return Ok(found);
            }
        }
    }

    /// The stages that leave of the history what is told of these documents.
    fn stages_of(&self, ids: &[Value]) -> Vec<Document> {
        let names = &self.names;
        let (orders, archive) = (names.orders.as_str(), names.archive.as_str());
        let quarantine = names.quarantine.as_str();
        let entries: Vec<String> = ids.iter().map(|id| entry_id(id.as_ref())).collect();
        let ids: Vec<Bson> = ids.iter().filter_map(|id| asked(id.as_ref())).collect();
        let told = [
            doc! { "ns.coll": { "$in": [orders, archive] }, "documentKey._id": { "$in": ids } },
            doc! { "ns.coll": quarantine, "documentKey._id": { "$in": entries } },
            doc! {
                "ns.coll": { "$in": [orders, archive, quarantine] },
                "operationType": { "$in": ["drop", "rename"] },
            },
        ];
        let updated = format!("$updateDescription.updatedFields.{STATUS}");
        let whole = format!("$fullDocument.{STATUS}");
        let is_whole = doc! { "$in": ["$operationType", ["insert", "replace"]] };
        let status = doc! { "$cond": [is_whole, whole, updated] };
        let removed = doc! { "$ifNull": ["$updateDescription.removedFields", []] };
        let is_short = doc! { "$lte": [{ "$bsonSize": { "v": "$status" } }, LONGEST] };
        let is_of_order = doc! { "$eq": ["$ns.coll", { "$literal": orders }] };
        vec![
            doc! { "$match": { "$or": told.to_vec() } },
            doc! { "$project": {
                "operationType": 1, "ns": 1, "documentKey": 1, "wallTime": 1, "clusterTime": 1,
                "status": { "$cond": [is_of_order, status, "$$REMOVE"] },
                "status_removed": { "$in": [STATUS, removed] },
            } },
            doc! { "$project": {
                "operationType": 1, "ns": 1, "documentKey": 1, "wallTime": 1, "clusterTime": 1,
                "status": { "$cond": [is_short, "$status", "$$REMOVE"] },
                "status_type": { "$type": "$status" }, "status_removed": 1,
            } },
        ]
    }

    fn change_in(&self, change: &RawDocument) -> Change {
        let text = |path: &[&str]| within(change, path).and_then(ValueRef::as_str);
        let operation = text(&["operationType"]).unwrap_or_default();
        let collection = text(&["ns", "coll"]).unwrap_or_default();
        let type_name = text(&["status_type"]).unwrap_or("missing");
        let removed = raw::find(change, "status_removed").and_then(ValueRef::as_bool);
        let is_set = type_name != "missing" || removed == Some(true);
        let names = &self.names;
        let kind = match operation {
            "drop" | "rename" => ChangeKind::CollectionGone,
            _ if collection == names.orders => match operation {
                "insert" => ChangeKind::OrderCreated,
                "update" if is_set => ChangeKind::StatusSet,
                "update" => ChangeKind::OrderChanged,
                "replace" => ChangeKind::OrderReplaced,
                "delete" => ChangeKind::OrderDeleted,
                _ => ChangeKind::Other,
            },
            _ if collection == names.archive => match operation {
                "insert" => ChangeKind::Archived,
                "update" | "replace" => ChangeKind::ArchiveChanged,
                "delete" => ChangeKind::ArchiveDeleted,
                _ => ChangeKind::Other,
            },
            "insert" => ChangeKind::Quarantined,
            "update" | "replace" => ChangeKind::QuarantineChanged,
            "delete" => ChangeKind::QuarantineLeft,
            _ => ChangeKind::Other,
        };
        let sets_status = matches!(
            kind,
            ChangeKind::OrderCreated | ChangeKind::StatusSet | ChangeKind::OrderReplaced
        );
        let status = || {
            Status::of(
                raw::find(change, STATUS),
                type_name,
                self.delivered_status(),
            )
        };
        Change {
            kind,
            at: raw::find(change, "wallTime").and_then(ValueRef::as_date),
            collection: collection.to_owned(),
            id: order_of(change).map(ValueRef::to_owned),
            status: sets_status.then(status),
        }
    }
}

/// An `_id` as it can be asked for: none where it holds text that is not UTF-8, or is too long.
fn asked(id: ValueRef<'_>) -> Option<Bson> {
    if id.bytes.len() > LONGEST_ID {
        return None;
    }
    Some(bson_of(id)).filter(|decoded| *decoded != Bson::Null || id.is_null())
}

/// A length of time of so many seconds, to the minute.
fn length(seconds: u32) -> String {
    humantime::format_duration(Duration::from_secs((seconds / 60 * 60).into())).to_string()
}
