//! The right to watch: taking it, keeping it by heartbeats that save the checkpoint, and giving it
//! back.

use bson::{Bson, DateTime, Document, RawDocument, doc, rawdoc};

use super::{
    change::{mine, update_of_watcher},
    record::{ID, State, Watcher},
};
use crate::{
    bytes::raw::{ValueRef, Writer},
    store::{
        Error, Store,
        encoding::document::{joined, raw},
        state::version::{CURRENT, FORMAT, not_newer},
        wire::command::write_concern,
    },
};

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

impl Store {
    /// Takes the watch: if nobody has it, or whoever has it is silent. None when somebody else has
    /// it.
    ///
    /// What comes back is what this very call has made of it, however long this instance is frozen
    /// meanwhile: its epoch is never that of a successor.
    pub async fn take_watch(&self, owner: &str, instance: &str) -> Result<Option<Watcher>, Error> {
        // The expression below is not allowed in an upsert, so the document is made first.
        if self.watcher().await?.is_none() {
            let unborn = doc! {
                FORMAT: CURRENT, "owner": Bson::Null, "epoch": 0_i64, "paused": false, "last_error": "",
                "state": State::Stopped.name(),
            };
            self.update_watcher(doc! { "_id": ID }, doc! { "$setOnInsert": unborn }, true)
                .await?;
        }
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
            &update_of_watcher("update", &raw(&take)),
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

    /// Gives a heartbeat, and saves how far the watcher is. False when somebody else has taken the
    /// watch.
    pub async fn keep_watch(&self, epoch: i64, heartbeat: &Heartbeat<'_>) -> Result<bool, Error> {
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
        let mut as_before = mine(epoch);
        as_before.insert("state", heartbeat.state.name());
        if self
            .update_watcher_raw(&as_before, &update(&clocks), false)
            .await?
        {
            return Ok(true);
        }
        clocks.insert("state_since", true);
        self.update_watcher_raw(&mine(epoch), &update(&clocks), false)
            .await
    }

    /// Gives the watch back, so that another instance need not wait. The position is kept.
    pub async fn leave_watch(&self, epoch: i64, state: State) -> Result<bool, Error> {
        let leave = doc! {
            "$set": { "owner": Bson::Null, "state": state.name(), "waiting_since": Bson::Null },
            "$currentDate": { "state_since": true },
        };
        self.update_watcher(mine(epoch), leave, false).await
    }

    /// Pauses the watcher, or lets it go on, without anybody having asked for it; `why` tells of
    /// the fault that it is paused for, if it is. False when nobody has ever watched.
    pub async fn pause_watch(&self, paused: bool, why: &str) -> Result<bool, Error> {
        let known = doc! { "_id": ID, FORMAT: not_newer() };
        let mut pause = doc! { "$set": { "paused": paused }, "$unset": { "asked_by": "" } };
        if !why.is_empty() {
            // Whoever runs it has stopped reading by now.
            pause = doc! {
                "$set": { "paused": paused, "state": State::Paused.name(), "last_error": why },
                "$currentDate": { "state_since": true, "last_error_at": true },
                "$unset": { "asked_by": "" },
            };
        }
        self.update_watcher(known, pause, false).await
    }
}
