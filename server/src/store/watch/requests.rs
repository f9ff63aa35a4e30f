//! Steering: what callers ask of the watcher, and who asked.

use crate::{
    bytes::raw::Writer,
    store::{
        Error, Store,
        encoding::document::{document_value, raw},
        state::{
            format::{FORMAT, Field, Is, may, must, not_newer},
            snapshot,
        },
    },
};
use bson::{DateTime, Document, doc};

use super::record::ID;

/// The fields of a call, in the watcher's document.
pub(in crate::store) const ASKED_BY: &[Field] = &[
    must("pause", Is::Flag),
    must("instance", Is::Text),
    must("peer", Is::Text),
    must("at", Is::Date),
    may("call", Is::Text),
];

/// Where a call came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The instance that was called.
    pub instance: String,
    /// The address and port of the caller; empty when the instance can't tell.
    pub peer: String,
}

/// A call that asked the watcher to pause or to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedBy {
    /// Whether it was to pause.
    pub pause: bool,
    /// Who called.
    pub caller: Caller,
    /// When.
    pub at: DateTime,
}

impl Store {
    /// Pauses the watcher, or lets it go on, on behalf of a caller.
    pub async fn steer_watch(&self, pause: bool, caller: &Caller) -> Result<(), Error> {
        // When this is sent again because its answer was lost, it is no news any more.
        let call = uuid::Uuid::new_v4().to_string();
        let new = doc! { "_id": ID, FORMAT: not_newer(), "asked_by.call": { "$ne": &call } };
        let literal = |text: &str| doc! { "$literal": text };
        let asked_by = doc! {
            "pause": pause, "instance": literal(&caller.instance), "peer": literal(&caller.peer),
            "at": "$$NOW", "call": call,
        };
        let set = doc! { "$set": { "paused": pause, "asked_by": asked_by } };
        let stages = [raw(&set), snapshot::stage_of_asking()];
        let mut statement = Writer::default();
        statement
            .document("q", &raw(&new))
            .array("u", stages.iter().map(|stage| document_value(stage)));
        let command = self.write_command(
            &raw(&doc! { "update": &self.names.state }),
            "updates",
            &[statement.finish()],
        );
        self.write_retried(&command).await.map(|_| ())
    }
}

/// Reads a call from its document.
pub(in crate::store) fn asked_by_in(document: &Document) -> AskedBy {
    let text = |field| document.get_str(field).unwrap_or_default().to_owned();
    let at = document.get_datetime("at").ok().copied();
    AskedBy {
        pause: document.get_bool("pause").unwrap_or_default(),
        caller: Caller {
            instance: text("instance"),
            peer: text("peer"),
        },
        at: at.unwrap_or(DateTime::from_millis(0)),
    }
}
