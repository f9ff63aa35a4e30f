//! The database's history as verifications read it: which documents have changed, and which side of
//! a difference has.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use bson::{Bson, Document, RawDocument, RawDocumentBuf, Timestamp, doc};
use tokio::time::{Instant, timeout_at};

use super::reader::ComparisonReader;
use crate::{
    bytes::{
        checkpoint::time_of,
        raw::{self, Value, ValueRef},
    },
    domain::order::STATUS,
    store::{
        Error,
        encoding::document::{field, plain},
        wire::{
            changes::{Changes, LONG_LOOK, Replies, Scope, Start},
            reply::document,
        },
    },
};

/// How long the database waits at the end of its history before it says that there is no more.
const PATIENCE: Duration = Duration::from_millis(100);
/// Changes in one reply at most.
const MOST_CHANGES: u32 = 5_000;
/// How long before its `date_archivage` an archived document may have been read and inserted, in
/// seconds, and how long before its insert its order may have been read.
const MARGIN: u32 = 10 * 60;
/// At most so many bytes of `_id`s are asked for in one look.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Why nothing is shown where the history has gone.
const LOST: &str = "the database's history no longer reaches back so far";
/// The same where it is too long.
const NO_TIME: &str = "there was no time to look through the database's history";
/// What ends the history of a collection as one collection.
const UPHEAVALS: [&str; 3] = ["drop", "rename", "dropDatabase"];

/// What changed since a moment, in the order of the history.
pub struct ChangedIds {
    changes: Changes,
    until: Timestamp,
}

/// A part of what has changed.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The `_id`s of orders and archived documents, some of them perhaps several times.
    pub ids: Vec<Value>,
    /// The place after them.
    pub position: RawDocumentBuf,
    /// Whether there is no more up to the moment that was asked for.
    pub all: bool,
    /// Why the history can't tell what has changed, where it can't.
    pub upheaval: Option<String>,
}

/// An archived document that differs from its live order.
#[derive(Clone, Debug)]
pub struct Suspect {
    /// The order's `_id`.
    pub order_id: Value,
    /// The archived document's.
    pub archive_id: Value,
    /// When it was archived, by its own account.
    pub archived: bson::DateTime,
}

/// What the history tells of one difference.
#[derive(Clone, Debug, Default)]
struct Told {
    inserted: Option<Timestamp>,
    inserts: usize,
    other_changes: usize,
    /// The latest change of the live order, since it was delivered where that was before the insert.
    order_changed: Option<Timestamp>,
    /// Whether the live order has changed at all.
    order_touched: bool,
}

/// What a look through the history has shown.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Which suspects are amended.
    pub amended: HashSet<usize>,
    /// What kept it from looking at the others to the end.
    pub hindrance: Option<&'static str>,
}

impl Shown {
    fn nothing(hindrance: &'static str) -> Shown {
        Shown {
            amended: HashSet::new(),
            hindrance: Some(hindrance),
        }
    }
}

impl ComparisonReader {
    /// Opens the history of orders and archive from a moment or a place on, up to another moment.
    pub async fn changed_ids(
        &self,
        since: Timestamp,
        after: Option<&RawDocumentBuf>,
        until: Timestamp,
    ) -> Result<ChangedIds, Error> {
        let start = match after {
            Some(position) => Start::After(position.clone()),
            None => Start::At(since),
        };
        let operations = ["insert", "update", "replace", "delete"].into_iter();
        let operations: Vec<&str> = operations.chain(UPHEAVALS).collect();
        let matched = doc! { "operationType": { "$in": operations } };
        let changes = self.open_history(&start, matched, LONG_LOOK).await?;
        Ok(ChangedIds { changes, until })
    }

    /// Which of these have an archived document that nobody has changed since it was inserted, and
    /// an order that has changed since: by the history, as far back as it reaches, looked through
    /// for no longer than this. At `sound_since` every archived document agreed with its order: of
    /// one that is older it is enough that nobody has changed it since then.
    pub async fn amended(
        &self,
        suspects: &[Suspect],
        sound_since: Option<Timestamp>,
        limit: Duration,
    ) -> Result<Shown, Error> {
        let deadline = Instant::now() + limit;
        let (mut ids, mut bytes) = (Vec::new(), 0);
        let mut told: Vec<Told> = vec![Told::default(); suspects.len()];
        let mut orders: HashMap<ValueRef<'_>, Vec<usize>> = HashMap::new();
        let mut archived: HashMap<ValueRef<'_>, Vec<usize>> = HashMap::new();
        let none = Timestamp {
            time: 0,
            increment: 0,
        };
        let oldest = self.store().oldest_history().await.unwrap_or(none);
        let sound_since = sound_since.filter(|since| *since >= oldest);
        let mut earliest: Option<u32> = None;
        for (at, suspect) in suspects.iter().enumerate() {
            let (order, document) = (suspect.order_id.as_ref(), suspect.archive_id.as_ref());
            bytes += order.bytes.len() + document.bytes.len();
            if bytes > MOST_BYTES {
                break;
            }
            ids.extend([order, document].into_iter().filter_map(bson_of));
            orders.entry(order).or_default().push(at);
            archived.entry(document).or_default().push(at);
            let archived = suspect.archived.timestamp_millis() / 1_000;
            let archived = u32::try_from(archived).unwrap_or(0);
            // Of one that was inserted before the history begins nothing is shown by looking there.
            if archived.saturating_add(MARGIN) >= oldest.time {
                let from = archived.saturating_sub(MARGIN);
                earliest = Some(earliest.map_or(from, |earliest| earliest.min(from)));
            }
        }
        let deployment = self.store().deployment().await?;
        let (Some(until), false) = (deployment.majority, ids.is_empty()) else {
            return Ok(Shown::default());
        };
        let start = match (sound_since, earliest) {
            (Some(since), _) => since,
            (None, None) => return Ok(Shown::default()),
            (None, Some(time)) => {
                let earliest = Timestamp { time, increment: 1 };
                earliest.max(oldest).min(until)
            }
        };
        let matched = doc! { "documentKey._id": { "$in": ids } };
        let start = Start::At(start);
        let opening = self.open_history(&start, matched, limit);
        let mut changes = match timeout_at(deadline, opening).await {
            Err(_) | Ok(Err(Error::Timeout(_))) => return Ok(Shown::nothing(NO_TIME)),
            Ok(Err(Error::HistoryLost)) => return Ok(Shown::nothing(LOST)),
            Ok(changes) => changes?,
        };
        let archive = self.store().names.archive.clone();
        loop {
            let reply = match timeout_at(deadline, changes.next()).await {
                Err(_) | Ok(Err(Error::Timeout(_))) => return Ok(Shown::nothing(NO_TIME)),
                Ok(Err(Error::HistoryLost)) => return Ok(Shown::nothing(LOST)),
                Ok(reply) => reply?,
            };
            for change in &reply.changes {
                let Some((collection, id)) = subject(change) else {
                    continue;
                };
                let operation = raw::find(change, "operationType").and_then(ValueRef::as_str);
                let time = raw::find(change, "clusterTime").and_then(ValueRef::as_timestamp);
                let side = if collection == archive {
                    &archived
                } else {
                    &orders
                };
                let status = raw::find(change, STATUS).and_then(ValueRef::as_str);
                let delivers = status == Some(self.delivered());
                for at in side.get(&id).into_iter().flatten() {
                    let operation = operation.unwrap_or_default();
                    told[*at].note(collection == archive, operation, delivers, time);
                }
            }
            if reply.changes.is_empty() && time_of(&reply.position) >= Some(until) {
                break;
            }
        }
        let amended = told.iter().enumerate();
        let amended = amended.filter(|(_, told)| told.is_amended(sound_since.is_some()));
        Ok(Shown {
            amended: amended.map(|(at, _)| at).collect(),
            hindrance: None,
        })
    }

    /// Opens the history of both collections, of what matches, in replies that may take so long.
    async fn open_history(
        &self,
        start: &Start,
        matched: Document,
        limit: Duration,
    ) -> Result<Changes, Error> {
        let names = &self.store().names;
        let both = doc! { "ns.coll": { "$in": [&names.orders, &names.archive] } };
        // A rename has the other collection's name there.
        let onto = doc! { "to.coll": { "$in": [&names.orders, &names.archive] } };
        let either = doc! { "operationType": "dropDatabase" };
        let stages = vec![
            doc! { "$match": { "$or": [both, onto, either] } },
            doc! { "$match": matched },
            doc! { "$project": {
                "operationType": 1, "clusterTime": 1, "ns": 1, "documentKey._id": 1,
                STATUS: { "$ifNull": [format!("$updateDescription.updatedFields.{STATUS}"), format!("$fullDocument.{STATUS}")] },
            } },
        ];
        let replies = Replies {
            patience: PATIENCE,
            most: MOST_CHANGES,
            opening: limit,
            limit,
        };
        self.store()
            .changes_in(replies, Scope::Database, start, stages)
            .await
    }
}

impl ChangedIds {
    /// What comes next.
    pub async fn next(&mut self) -> Result<Changed, Error> {
        let reply = self.changes.next().await?;
        let mut changed = Changed {
            ids: Vec::with_capacity(reply.changes.len()),
            all: reply.changes.is_empty() && time_of(&reply.position) >= Some(self.until),
            position: reply.position,
            upheaval: None,
        };
        for change in &reply.changes {
            let operation = raw::find(change, "operationType").and_then(ValueRef::as_str);
            if let Some(operation) = operation.filter(|it| UPHEAVALS.contains(it)) {
                changed.upheaval = Some(match subject_collection(change) {
                    Some(collection) => format!("{collection} was dropped or renamed"),
                    None => format!("there was a {operation}"),
                });
            }
            // What comes later is none of this pass's.
            let time = raw::find(change, "clusterTime").and_then(ValueRef::as_timestamp);
            if time > Some(self.until) {
                changed.all = true;
                break;
            }
            changed
                .ids
                .extend(subject(change).map(|(_, id)| id.to_owned()));
        }
        Ok(changed)
    }
}

impl Told {
    fn note(&mut self, of_archive: bool, operation: &str, delivers: bool, time: Option<Timestamp>) {
        self.order_touched |= !of_archive && matches!(operation, "update" | "replace");
        match (of_archive, operation) {
            (true, "insert") => {
                self.inserts += 1;
                self.inserted = time;
            }
            (true, _) => self.other_changes += 1,
            // The change that made it a delivered one came before it was archived.
            (false, "update" | "replace") if delivers && self.inserts == 0 => {
                self.order_changed = None;
            }
            (false, "update" | "replace") => self.order_changed = time,
            (false, _) => {}
        }
    }

    fn is_amended(&self, was_sound: bool) -> bool {
        if was_sound && self.inserts == 0 && self.other_changes == 0 {
            return self.order_touched;
        }
        let (Some(inserted), Some(changed)) = (self.inserted, self.order_changed) else {
            return false;
        };
        self.inserts == 1
            && self.other_changes == 0
            && changed.time >= inserted.time.saturating_sub(MARGIN)
    }
}

fn subject_collection(change: &RawDocument) -> Option<&str> {
    let mut namespace = raw::find(change, "ns")?.elements();
    namespace.find(|field| field.key == b"coll")?.value.as_str()
}

/// The collection and the `_id` of what has changed.
fn subject(change: &RawDocument) -> Option<(&str, ValueRef<'_>)> {
    let mut key = raw::find(change, "documentKey")?.elements();
    let id = key.find(|field| field.key == b"_id")?.value;
    Some((subject_collection(change)?, id))
}

/// A value as the driver's pipelines take it; none where it holds what they can't carry.
fn bson_of(value: ValueRef<'_>) -> Option<Bson> {
    plain(
        &document(ValueRef {
            kind: raw::kind::DOCUMENT,
            bytes: field("v", value).as_bytes(),
        })
        .ok()?,
    )?
    .remove("v")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_amended_only_where_its_archive_was_left_alone() {
        let at = |time| Some(Timestamp { time, increment: 1 });
        let looked = |was_sound: bool, changes: &[(bool, &str, u32)]| {
            let mut told = Told::default();
            for (of_archive, operation, time) in changes {
                // An update by which the order becomes a delivered one.
                let delivers = *operation == "delivery";
                let operation = if delivers { "update" } else { operation };
                told.note(*of_archive, operation, delivers, at(*time));
            }
            told.is_amended(was_sound)
        };
        let told = |changes: &[(bool, &str, u32)]| looked(false, changes);
        let inserted = (true, "insert", 10_000);
        assert!(told(&[inserted, (false, "update", 20_000)]));
        assert!(told(&[inserted, (false, "replace", 20_000)]));
        // Read before, and inserted after the order changed.
        assert!(told(&[(false, "update", 9_900), inserted]));
        assert!(!told(&[(false, "update", 9_000), inserted]));
        assert!(!told(&[inserted]));
        assert!(!told(&[(false, "update", 20_000)]));
        assert!(!told(&[inserted, (false, "delete", 20_000)]));
        for other in ["update", "replace", "delete", "insert"] {
            let history = [inserted, (true, other, 11_000), (false, "update", 20_000)];
            assert!(!told(&history), "{other}");
        }
        // Whoever inserts something else in place of what was delivered does not get away with it.
        let delivered = (false, "delivery", 9_999);
        assert!(!told(&[delivered, inserted]));
        assert!(!told(&[(false, "update", 9_900), delivered, inserted]));
        assert!(told(&[delivered, (false, "update", 9_999), inserted]));
        assert!(told(&[delivered, inserted, (false, "update", 20_000)]));
        // What was sound, and nobody has touched since, can only have an order that has changed.
        let refund = (false, "update", 20_000);
        assert!(looked(true, &[refund]) && !looked(false, &[refund]));
        assert!(!looked(true, &[refund, (true, "update", 20_001)]));
        assert!(!looked(true, &[]));
        assert!(!looked(true, &[delivered, inserted]));
    }
}
