//! The change reader: the database's history as replies, each with the place where the next one
//! begins.
//!
//! It reads raw replies and leaves resuming to its caller. The driver's own change stream resumes
//! by itself and can lose its place while it does: when its first attempt to resume fails, the
//! second one starts from now, without an error.

use std::time::Duration;

use bson::{Document, RawDocumentBuf, Timestamp, doc};

use super::{command::OPERATION_TIME, cursor::Cursor, reply::document};
use crate::{
    bytes::{
        checkpoint::time_of,
        raw::{self, ValueRef, kind},
    },
    store::{Error, Store},
};

/// How long the database waits for a change before it answers that there was none.
const PATIENCE: Duration = Duration::from_secs(1);
/// Changes in one reply at most: as many as a chunk holds.
const MOST_CHANGES: u32 = 1_000;
/// How long a reply may take that is read by whoever has no deadline of seconds. The database looks
/// through everything that anybody has written, and answers only once it has found a change that
/// was asked for or the end: tens of seconds for each million of writes.
pub const LONG_LOOK: Duration = Duration::from_secs(10 * 60);
/// How many replies hold but one change each, where more may not fit, before more are tried again.
const CAUTIOUS_REPLIES: u32 = 16;

/// Whose history.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// Every collection's.
    Database,
    /// One collection's.
    Collection(&'a str),
}

/// Where to begin reading.
#[derive(Clone, Debug)]
pub enum Start {
    /// At the next change.
    Now,
    /// After the place that a reply ended at.
    After(RawDocumentBuf),
    /// At a moment of cluster time, its own changes included.
    At(Timestamp),
}

/// What one reply of the database brought.
#[derive(Debug)]
pub struct Reply {
    /// The changes, in their order; none when nothing happened for a while.
    pub changes: Vec<RawDocumentBuf>,
    /// The place after these changes.
    pub position: RawDocumentBuf,
    /// The cluster time of the reply.
    pub time: Option<Timestamp>,
}

/// What replies there are to be.
#[derive(Clone, Copy, Debug)]
pub struct Replies {
    /// How long the database waits at the end of the history before it answers that there was
    /// nothing more.
    pub(in crate::store) patience: Duration,
    /// How many changes one holds at most.
    pub(in crate::store) most: u32,
    /// How long the first may take, with which the history is opened.
    pub(in crate::store) opening: Duration,
    /// How long each of the others may take.
    pub(in crate::store) limit: Duration,
}

/// Reads the history from a place on.
pub struct Changes {
    store: Store,
    cursor: Cursor,
    opening: Opening,
    /// How many replies to come hold but one change.
    cautious: u32,
}

/// How a stream is opened.
#[derive(Clone)]
struct Opening {
    collection: Option<String>,
    stages: Vec<Document>,
    replies: Replies,
}

impl Store {
    /// Opens the history, in replies that may take as long as any call. `stages` filter and thin it; they must keep `_id`, the place of each
    /// change.
    pub async fn changes(
        &self,
        scope: Scope<'_>,
        start: &Start,
        stages: Vec<Document>,
    ) -> Result<Changes, Error> {
        let limit = self.policy.operation_timeout;
        self.changes_by(scope, start, stages, limit).await
    }

    /// The same, where opening may take so long.
    pub async fn changes_by(
        &self,
        scope: Scope<'_>,
        start: &Start,
        stages: Vec<Document>,
        opening: Duration,
    ) -> Result<Changes, Error> {
        let replies = Replies {
            patience: PATIENCE,
            most: MOST_CHANGES,
            opening,
            limit: self.policy.operation_timeout,
        };
        self.changes_in(replies, scope, start, stages).await
    }

    /// The same, in such replies.
    pub(in crate::store) async fn changes_in(
        &self,
        replies: Replies,
        scope: Scope<'_>,
        start: &Start,
        stages: Vec<Document>,
    ) -> Result<Changes, Error> {
        let collection = match scope {
            Scope::Database => None,
            Scope::Collection(name) => Some(name.to_owned()),
        };
        let opening = Opening {
            collection,
            stages,
            replies,
        };
        self.open_changes(opening, start).await
    }

    async fn open_changes(&self, opening: Opening, start: &Start) -> Result<Changes, Error> {
        let mut cautious = 0;
        let mut opened = self
            .changes_cursor(&opening, start, opening.replies.most)
            .await;
        // The database fills a reply with 16 MiB of changes and then adds its place, which is as
        // long as the `_id` of the last one. A reply that has become too large for a message is
        // never sent: it ends the connection, each time anew.
        if let Err(Error::Unavailable(_)) = opened {
            cautious = CAUTIOUS_REPLIES;
            opened = self.changes_cursor(&opening, start, 1).await;
        }
        Ok(Changes {
            store: self.clone(),
            cursor: opened?,
            opening,
            cautious,
        })
    }

    async fn changes_cursor(
        &self,
        opening: &Opening,
        start: &Start,
        most: u32,
    ) -> Result<Cursor, Error> {
        let mut options = Document::new();
        match start {
            Start::Now => {}
            // Unlike `resumeAfter`, this goes on after the collection was dropped too.
            Start::After(position) => {
                let position = Document::try_from(position.as_ref());
                options.insert(
                    "startAfter",
                    position.map_err(|_| {
                        Error::Unusable("the place in the history can't be read".to_owned())
                    })?,
                );
            }
            Start::At(time) => {
                options.insert("startAtOperationTime", *time);
            }
        }
        let mut pipeline = vec![doc! { "$changeStream": options }];
        pipeline.extend(opening.stages.iter().cloned());
        let collection = opening.collection.as_deref();
        self.open_stream(collection, pipeline, opening.replies, most)
            .await
            .map_err(|error| self.named_if_view(error))
    }
}

impl Changes {
    /// The next reply. After an error this reader is of no more use: open another one after the
    /// last position.
    pub async fn next(&mut self) -> Result<Reply, Error> {
        let reply = self.cursor.next(&self.store).await?;
        let reply = reply
            .ok_or_else(|| Error::Unavailable("the database ended the change stream".to_owned()))?;
        let cursor = raw::find(reply.as_raw_document(), "cursor").unwrap_or(ValueRef::NULL);
        let field = |name: &str| {
            cursor
                .elements()
                .find(|element| element.key == name.as_bytes())
                .map(|element| element.value)
        };
        let changes = field("firstBatch")
            .or_else(|| field("nextBatch"))
            .unwrap_or(ValueRef::NULL);
        let position = field("postBatchResumeToken").filter(|value| value.kind == kind::DOCUMENT);
        let position = document(position.ok_or_else(|| {
            Error::Unusable("the database answered without a place in its history".to_owned())
        })?)?;
        let changes = changes
            .elements()
            .map(|element| document(element.value))
            .collect::<Result<Vec<_>, _>>()?;
        // The place after them can lie a moment ahead of the database's own clock; a change can't.
        let last = changes.last().and_then(|change| raw::find(change, "_id"));
        if let Some(time) = last.and_then(|token| time_of(&document(token).ok()?)) {
            self.store.has_read_up_to(time);
        }
        let time = reply.as_raw_document().get_timestamp(OPERATION_TIME).ok();
        let was_cautious = self.cautious > 0;
        self.cautious = match changes.is_empty() {
            true => 0,
            false => self.cautious.saturating_sub(1),
        };
        if was_cautious && self.cautious == 0 {
            let place = Start::After(position.clone());
            let opening = self.opening.clone();
            match self.store.open_changes(opening, &place).await {
                Ok(reopened) => *self = reopened,
                // To be tried again: the stream would stay at one change a reply.
                Err(_) => self.cautious = CAUTIOUS_REPLIES,
            }
        }
        Ok(Reply {
            changes,
            position,
            time,
        })
    }
}

impl Store {
    /// The same error, unless the orders turn out to be a view.
    pub(in crate::store) fn named_if_view(&self, error: Error) -> Error {
        match error {
            error if error.is_of_a_view() => Error::IsView {
                collection: self.names.orders.clone(),
            },
            error => error,
        }
    }
}
