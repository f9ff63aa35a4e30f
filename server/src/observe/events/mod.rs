//! The news: what happens on the database, read out of its own history.
//!
//! Nothing publishes events. Every instance writes orders, quarantine entries and batches to the database anyway; whoever wants
//! to hear of them reads the change stream of these collections. So a reader hears every instance, holds nobody up, and can
//! go on from where it was. Those who listen to one instance share one stream ([`Live`]).

use bson::{DateTime, RawDocumentBuf};

mod change;
mod live;

pub use self::live::{Live, Reader};
use crate::{
    bytes::{
        checkpoint::time_of,
        raw::{self, ValueRef},
    },
    domain::judge::Reason,
    store::{
        Error, Store,
        batches::record::Batch,
        events,
        gone::Gone,
        quarantine::record::Entry,
        watch::{
            gap::Gap,
            record::{State, Watcher},
        },
        wire::changes::{Changes, Scope, Start},
    },
};

/// What a change tells of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Detail<T, K = String> {
    /// The document as the change made it.
    Known(Box<T>),
    /// Which one it is, or the little else that the change tells by itself: its maker left no
    /// snapshot, or it can't be read.
    Unknown(K),
}

impl<T, K> Detail<T, K> {
    fn of(known: Option<T>, otherwise: impl FnOnce() -> K) -> Detail<T, K> {
        match known {
            Some(known) => Detail::Known(Box::new(known)),
            None => Detail::Unknown(otherwise()),
        }
    }

    fn is_unknown(&self) -> bool {
        matches!(self, Detail::Unknown(_))
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An order was archived.
    Archived {
        /// Its number.
        numero: String,
        /// Its missing fields.
        missing: Vec<String>,
        /// When.
        date_archivage: Option<DateTime>,
    },
    /// An order went to quarantine.
    Quarantined(Detail<Entry>),
    /// An order leaves the quarantine.
    Released(Detail<Entry>),
    /// A batch began.
    BatchStarted(Detail<Batch>),
    /// A batch saved its progress, or was asked for something.
    BatchProgress(Detail<Batch>),
    /// A batch ended.
    BatchFinished(Detail<Batch>),
    /// The watcher changed its state.
    WatcherState(Detail<Watcher, Option<State>>),
    /// Somebody asked the watcher to pause or to go on.
    WatcherAsked(Detail<Watcher, Option<State>>),
    /// The watcher found a gap in the history.
    GapOpened(Gap),
    /// A catch-up batch closed a gap.
    GapClosed(Gap),
    /// Orders were gone before the watcher could read them.
    Gone(Gone),
}

impl Event {
    /// Whether it is known that this happened, and hardly more.
    pub fn is_bare(&self) -> bool {
        match self {
            Event::Quarantined(detail) | Event::Released(detail) => detail.is_unknown(),
            Event::BatchStarted(detail)
            | Event::BatchProgress(detail)
            | Event::BatchFinished(detail) => detail.is_unknown(),
            Event::WatcherState(detail) | Event::WatcherAsked(detail) => detail.is_unknown(),
            Event::Archived { .. } | Event::GapOpened(_) | Event::GapClosed(_) | Event::Gone(_) => {
                false
            }
        }
    }

    /// Whether this is about an order with the number of another one.
    pub fn is_conflict(&self) -> bool {
        matches!(
            self,
            Event::Quarantined(Detail::Known(entry))
                if entry.refusal.reason == Reason::NumberConflict
        )
    }
}

/// What one change told, or that nothing more happened for now.
#[derive(Clone, Debug)]
pub struct Told {
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
    pub fn is_silence(&self) -> bool {
        self.event.is_none()
    }
}

/// What one reply of the database told.
#[derive(Debug)]
pub struct Reply {
    /// At least one, the last of which carries the place that the reader has come to.
    pub told: Vec<Told>,
    /// Whether that place is no more than a moment behind the database.
    pub is_recent: bool,
}

/// How far behind the database a place may be to count as recent, in seconds of cluster time.
const RECENT: u32 = 2;

/// Reads the news.
pub struct News {
    store: Store,
    changes: Changes,
}

impl News {
    /// Opens the news from a place on.
    pub async fn open(store: &Store, start: &Start) -> Result<News, Error> {
        let stages = events::stages(store.names());
        Ok(News {
            store: store.clone(),
            changes: store.changes(Scope::Database, start, stages).await?,
        })
    }

    /// What happened next.
    pub async fn next(&mut self) -> Result<Reply, Error> {
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
