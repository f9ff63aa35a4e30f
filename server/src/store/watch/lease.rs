//! The right to watch, or to read a partition: taking it, keeping it by heartbeats that save the
//! checkpoint, and giving it back.

use bson::{Bson, DateTime, Document, RawDocument, Timestamp, doc, rawdoc};

use super::{
    change::{Subject, mine, update_of},
    partition::{HeldPartition, partition_id},
    record::{ID, State, Watcher},
    split::Split,
};
use crate::{
    bytes::raw::{ValueRef, Writer},
    domain::partition::Partition,
    store::{
        Error, Store,
        encoding::document::{document_value, joined, raw},
        state::version::{CURRENT, FORMAT, not_newer},
        wire::command::write_concern,
    },
};

/// What an instance has taken: the watch, or a partition of one that is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What is read under it: the whole, or a partition.
    pub partition: Partition,
    /// The split that the partition is of.
    pub generation: i64,
    /// Counts the takeovers: what an earlier holder writes is refused.
    pub epoch: i64,
}

impl Lease {
    /// The watch itself, under an epoch.
    pub fn of_watch(epoch: i64) -> Lease {
        Lease {
            partition: Partition::WHOLE,
            generation: 0,
            epoch,
        }
    }

    /// The `_id` of the document that says who has it.
    pub(super) fn id(&self) -> String {
        match self.subject() {
            Subject::Watcher => ID.to_owned(),
            Subject::Partition => partition_id(self.partition),
        }
    }

    pub(super) fn subject(&self) -> Subject {
        match self.partition.is_whole() {
            true => Subject::Watcher,
            false => Subject::Partition,
        }
    }
}

/// What the instance that watches tells about itself.
#[derive(Clone, Debug)]
pub struct Heartbeat<'s> {
    /// What it is doing.
    pub state: State,
    /// A fault that was met since the last heartbeat; empty when there was none.
    pub last_error: &'s str,
    /// The checkpoint to save, sealed; none when it has not moved.
    pub checkpoint: Option<&'s RawDocument>,
    /// When the last delivered order came by.
    pub last_event: Option<DateTime>,
    /// When the oldest change happened that was read and is not archived yet.
    pub waiting_since: Option<DateTime>,
}

impl<'s> Heartbeat<'s> {
    /// One that says no more than this.
    pub fn bare(state: State, last_error: &'s str) -> Heartbeat<'s> {
        Heartbeat {
            state,
            last_error,
            checkpoint: None,
            last_event: None,
            waiting_since: None,
        }
    }
}

impl Store {
    /// Takes the watch: if nobody has it, or whoever has it is silent. None when somebody else has
    /// it.
    pub async fn take_watch(&self, owner: &str, instance: &str) -> Result<Option<Watcher>, Error> {
        // The expression of the claim is not allowed in an upsert, so the document is made first.
        if self.watcher().await?.is_none() {
            self.make_watcher().await?;
        }
        self.claim_watch(owner, instance).await
    }

    /// Makes the watcher's document where there is none.
    pub async fn make_watcher(&self) -> Result<(), Error> {
        let unborn = doc! {
            FORMAT: CURRENT, "owner": Bson::Null, "paused": false, "last_error": "",
            "state": State::Stopped.name(),
        };
        self.make_state(ID, unborn).await
    }

    /// Takes the watch, whose document is there: if nobody has it, or whoever has it is silent. None
    /// when somebody else has it.
    ///
    /// What comes back is what this very call has made of it, however long this instance is frozen
    /// meanwhile: its epoch is never that of a successor.
    pub async fn claim_watch(&self, owner: &str, instance: &str) -> Result<Option<Watcher>, Error> {
        // When this is sent again because its answer was lost, the watch may be taken already, by
        // this very call.
        let call = uuid::Uuid::new_v4().to_string();
        let free = doc! {
            "_id": ID, FORMAT: not_newer(), "taken_by": { "$ne": &call },
            "$or": [{ "owner": owner }, { "owner": Bson::Null }, { "$expr": self.silent() }],
        };
        let take = doc! {
            "$set": {
                FORMAT: CURRENT, "owner": owner, "instance": instance, "taken_by": &call,
                "state": State::Starting.name(), "lease": self.lease_millis(),
            },
            "$inc": { "epoch": 1_i64 }, "$currentDate": { "alive_at": true, "state_since": true },
        };
        let command = doc! { "findAndModify": &self.names.state, "query": free, "new": true };
        let command = joined(&[
            &raw(&command),
            &update_of(Subject::Watcher, "update", &raw(&take)),
            &rawdoc! { "writeConcern": write_concern() },
        ]);
        let reply = self.write_retried(&command).await?;
        match reply.get_document("value") {
            Ok(taken) => {
                let now = taken.get_datetime("alive_at").ok().copied();
                let mut watcher = self.watcher_of(&raw(taken))?;
                watcher.now = now.unwrap_or(watcher.now);
                Ok(Some(watcher))
            }
            Err(_) => {
                self.watcher_with(doc! { "_id": ID, "taken_by": call })
                    .await
            }
        }
    }

    /// Takes a partition of a split: if nobody has it, or whoever has it is silent, or if what is
    /// known of it is of a split before. None when somebody else has it.
    ///
    /// As with the watch, the epoch that comes back is never that of a successor.
    pub async fn take_partition(
        &self,
        partition: Partition,
        split: Split,
        owner: &str,
        instance: &str,
    ) -> Result<Option<Lease>, Error> {
        let id = partition_id(partition);
        let unborn = doc! {
            FORMAT: CURRENT, "owner": Bson::Null, "generation": 0_i64, "last_error": "",
            "state": State::Stopped.name(),
        };
        if !self.is_known(&id).await? {
            self.make_state(&id, unborn).await?;
        }
        let call = uuid::Uuid::new_v4().to_string();
        let generation = split.generation;
        let is_free = doc! { "$or": [
            { "generation": { "$lt": generation } },
            { "generation": generation, "$or": [
                { "owner": owner }, { "owner": Bson::Null }, { "$expr": self.silent() },
            ] },
        ] };
        let query = doc! {
            "_id": &id, FORMAT: not_newer(), "taken_by": { "$ne": &call }, "$and": [is_free],
        };
        let literal = |text: &str| doc! { "$literal": text };
        let mut set = doc! {
            FORMAT: CURRENT, "owner": literal(owner), "instance": literal(instance),
            "taken_by": literal(&call), "state": State::Starting.name(), "lease": self.lease_millis(),
            "epoch": { "$add": ["$epoch", 1_i64] }, "alive_at": "$$NOW", "state_since": "$$NOW",
            "generation": generation, "of": i64::from(partition.of),
        };
        // A new split begins where the watcher's document says.
        for field in HeldPartition::OF_A_GENERATION {
            let is_of_this = doc! { "$eq": ["$generation", generation] };
            let kept = doc! { "$cond": [is_of_this, format!("${field}"), "$$REMOVE"] };
            set.insert(field, kept);
        }
        let stages = Subject::Partition.stages(&raw(&doc! { "$set": set }));
        let mut update = Writer::default();
        update.array("update", stages.iter().map(|stage| document_value(stage)));
        let command = doc! { "findAndModify": &self.names.state, "query": query, "new": true };
        let command = joined(&[
            &raw(&command),
            &update.finish(),
            &rawdoc! { "writeConcern": write_concern() },
        ]);
        let reply = self.write_retried(&command).await?;
        let taken = match reply.get_document("value") {
            Ok(taken) => Some(self.held_partition_of(&raw(taken))?),
            Err(_) => {
                self.held_partition_with(doc! { "_id": id, "taken_by": call })
                    .await?
            }
        };
        Ok(taken.map(|taken| Lease {
            partition,
            generation,
            epoch: taken.epoch,
        }))
    }

    /// Gives a heartbeat, and saves how far whoever holds a lease is. False when somebody else has
    /// taken it.
    pub async fn keep_watch(
        &self,
        lease: &Lease,
        heartbeat: &Heartbeat<'_>,
    ) -> Result<bool, Error> {
        let mut set = Writer::default();
        set.string("state", heartbeat.state.name());
        match heartbeat.waiting_since {
            Some(since) => set.date("waiting_since", since),
            None => set.value("waiting_since", ValueRef::NULL),
        };
        if let Some(last_event) = heartbeat.last_event {
            set.date("last_event", last_event);
        }
        let mut clocks = doc! { "alive_at": true };
        if let Some(checkpoint) = heartbeat.checkpoint {
            set.document("checkpoint", checkpoint);
            clocks.insert("saved_at", true);
        }
        // What a fault said stays after it has passed.
        if !heartbeat.last_error.is_empty() {
            set.string("last_error", heartbeat.last_error);
            clocks.insert("last_error_at", true);
        }
        let set = set.finish();
        let update = |clocks: &Document| {
            let mut update = Writer::default();
            update
                .document("$set", &set)
                .document("$currentDate", &raw(clocks));
            update.finish()
        };
        let mut as_before = mine(lease);
        as_before.insert("state", heartbeat.state.name());
        let subject = lease.subject();
        if self
            .update_subject(subject, &as_before, &update(&clocks), false)
            .await?
        {
            return Ok(true);
        }
        clocks.insert("state_since", true);
        self.update_subject(subject, &mine(lease), &update(&clocks), false)
            .await
    }

    /// Gives a lease back, so that another instance need not wait. The position is kept.
    pub async fn leave_watch(&self, lease: &Lease, state: State) -> Result<bool, Error> {
        let leave = doc! {
            "$set": { "owner": Bson::Null, "state": state.name(), "waiting_since": Bson::Null },
            "$currentDate": { "state_since": true },
        };
        self.update_subject(lease.subject(), &mine(lease), &raw(&leave), false)
            .await
    }

    /// Pauses the watcher because the orders were renamed at this moment, which `why` says. Each
    /// renaming pauses it once, whoever meets it again: false when it has.
    pub async fn pause_for_renaming(&self, at: Timestamp, why: &str) -> Result<bool, Error> {
        let not_told = doc! {
            "_id": ID, FORMAT: not_newer(), "renamed_at": { "$not": { "$gte": at } },
        };
        // Whoever runs it has stopped reading by now.
        let pause = doc! {
            "$set": {
                "paused": true, "state": State::Paused.name(), "last_error": why, "renamed_at": at,
            },
            "$currentDate": { "state_since": true, "last_error_at": true },
            "$unset": { "asked_by": "" },
        };
        self.update_watcher(not_told, pause, false).await
    }
}
