//! The change stream of the collections that hold news, read as events.

use bson::{DateTime, RawDocumentBuf};

use super::{change, event::Event};
use crate::{
    bytes::{
        checkpoint::time_of,
        raw::{self, ValueRef},
    },
    store::{
        Error, Store, events,
        wire::changes::{Changes, Scope, Start},
    },
};

/// What one change told, or that nothing more happened for now.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// The place after it.
    pub place: RawDocumentBuf,
    /// When it happened, by the database's clock.
    pub time: Option<DateTime>,
    /// What happened; none when nothing did for a while.
    pub event: Option<Event>,
    /// About how much of memory this takes, in bytes.
    pub bytes: usize,
}

impl Told {
    /// Whether nothing happened.
    pub(crate) fn is_silence(&self) -> bool {
        self.event.is_none()
    }
}

/// What one reply of the database told.
#[derive(Debug)]
pub(super) struct Reply {
    /// At least one, the last of which carries the place that the reader has come to.
    pub told: Vec<Told>,
    /// Whether that place is no more than a moment behind the database.
    pub is_recent: bool,
}

/// How far behind the database a place may be to count as recent, in seconds of cluster time.
const RECENT: u32 = 2;

/// Reads the news.
pub(super) struct News {
    store: Store,
    changes: Changes,
}

impl News {
    /// Opens the news from a place on.
    pub(super) async fn open(store: &Store, start: &Start) -> Result<News, Error> {
        let stages = events::stages(store.names());
        Ok(News {
            store: store.clone(),
            changes: store.changes(Scope::Database, start, stages).await?,
        })
    }

    /// What happened next.
    pub(super) async fn next(&mut self) -> Result<Reply, Error> {
        let reply = self.changes.next().await?;
        let told = |change: &RawDocumentBuf| {
            let token = raw::find(change, "_id")?.bytes.to_vec();
            Some(Told {
                place: RawDocumentBuf::from_bytes(token).ok()?,
                time: raw::find(change, "wallTime").and_then(ValueRef::as_date),
                event: Some(change::event(&self.store, change)?),
                bytes: change.as_bytes().len(),
            })
        };
        let mut all: Vec<Told> = reply.changes.iter().filter_map(told).collect();
        let place_time = time_of(&reply.position);
        all.push(Told {
            bytes: reply.position.as_bytes().len(),
            place: reply.position,
            time: None,
            event: None,
        });
        let behind = |now: bson::Timestamp| {
            place_time.map_or(0, |place| now.time.saturating_sub(place.time))
        };
        Ok(Reply {
            told: all,
            is_recent: reply.time.is_none_or(|now| behind(now) <= RECENT),
        })
    }
}
