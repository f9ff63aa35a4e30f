//! The news: what happens on the database, read out of its own history.
//!
//! Nothing publishes events. Every instance writes orders, quarantine entries and batches to the database anyway; whoever wants
//! to hear of them reads the change stream of these collections. So a reader hears every instance, holds nobody up, and can
//! go on from where it was. Those who listen to one instance share one stream ([`Live`]).

use bson::{DateTime, Document, RawDocumentBuf, doc};

mod live;

pub use self::live::{Live, Reader};
use crate::{
    domain::{
        checkpoint::time_of,
        enrich::{DATE_ARCHIVAGE, MISSING_FIELDS},
        judge::Reason,
        order::NUMERO,
        raw::{self, ValueRef},
    },
    store::{
        Error, Names, Store,
        archive::missing_in,
        batches::Batch,
        changes::{Changes, Scope, Start},
        gone::{Gone, gone_in},
        quarantine::Entry,
        watch::{Gap, Watcher, gap_in},
    },
};

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
    Quarantined(Entry),
    /// A batch began.
    BatchStarted(Batch),
    /// A batch saved its progress.
    BatchProgress(Batch),
    /// A batch ended.
    BatchFinished(Batch),
    /// The watcher changed its state.
    WatcherState(Watcher),
    /// The watcher found a gap in the history.
    GapOpened(Gap),
    /// A catch-up batch closed a gap.
    GapClosed(Gap),
    /// Orders were gone before the watcher could read them.
    Gone(Gone),
}

impl Event {
    /// Whether this is about an order with the number of another one.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Event::Quarantined(entry) if entry.refusal.reason == Reason::NumberConflict)
    }
}

/// An event with its place in the history.
#[derive(Clone, Debug)]
pub struct Happening {
    /// The place right after it.
    pub position: RawDocumentBuf,
    /// When it happened, by the database's clock.
    pub time: Option<DateTime>,
    /// What happened; none when nothing did for a while.
    pub event: Option<Event>,
}

/// What one change told, or that nothing more happened for now.
#[derive(Clone, Debug)]
pub struct Told {
    /// The place after it.
    pub place: RawDocumentBuf,
    /// What happened, if anything did.
    pub happenings: Vec<Happening>,
}

impl Told {
    /// Whether nothing happened.
    pub fn is_silence(&self) -> bool {
        self.happenings
            .iter()
            .all(|happening| happening.event.is_none())
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
    /// The place that has been told.
    position: Option<RawDocumentBuf>,
}

impl News {
    /// Opens the news from a place on.
    pub async fn open(store: &Store, start: &Start) -> Result<News, Error> {
        Ok(News {
            store: store.clone(),
            changes: store
                .changes(Scope::Database, start, stages(store.names()))
                .await?,
            position: None,
        })
    }

    /// What happened next.
    pub async fn next(&mut self) -> Result<Reply, Error> {
        let reply = self.changes.next().await?;
        let mut all = Vec::new();
        for change in &reply.changes {
            let Some(place) = raw::find(change, "_id")
                .and_then(|token| RawDocumentBuf::from_bytes(token.bytes.to_vec()).ok())
            else {
                continue;
            };
            let time = raw::find(change, "wallTime").and_then(ValueRef::as_date);
            let mut happenings = Vec::new();
            let mut events = events(&self.store, change).await?.into_iter().peekable();
            while let Some(event) = events.next() {
                // Only the last event of a change is followed by the place after it: a reader that comes back in between hears the others again.
                let position = if events.peek().is_none() {
                    &place
                } else {
                    self.position.as_ref().unwrap_or(&place)
                };
                happenings.push(Happening {
                    position: position.clone(),
                    time,
                    event: Some(event),
                });
            }
            if !happenings.is_empty() {
                all.push(Told {
                    place: place.clone(),
                    happenings,
                });
            }
            self.position = Some(place);
        }
        self.position = Some(reply.position.clone());
        let silence = Happening {
            position: reply.position.clone(),
            time: None,
            event: None,
        };
        let place_time = time_of(&reply.position);
        all.push(Told {
            place: reply.position,
            happenings: vec![silence],
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

/// What a change tells.
async fn events(store: &Store, change: &RawDocumentBuf) -> Result<Vec<Event>, Error> {
    let names = store.names();
    let collection = within(change, &["ns", "coll"])
        .and_then(ValueRef::as_str)
        .unwrap_or_default();
    let key = within(change, &["documentKey", "_id"]).and_then(ValueRef::as_str);
    let updated = |field| within(change, &["updateDescription", "updatedFields", field]);
    let changed = |field| updated(field).is_some();
    Ok(if collection == names.archive {
        raw::find(change, "fullDocument")
            .map(archived)
            .into_iter()
            .collect()
    } else if collection == names.quarantine {
        let entry = Error::passing_by(store.quarantine_entry(key.unwrap_or_default()).await)?;
        entry.map(Event::Quarantined).into_iter().collect()
    } else if collection == names.state {
        let state = if changed("state") {
            Error::passing_by(store.watcher().await)?.map(Event::WatcherState)
        } else {
            None
        };
        let opened = updated("gap").and_then(gap_in).map(Event::GapOpened);
        let closed = updated("closed_gap").and_then(gap_in).map(Event::GapClosed);
        let gone = updated("gone").and_then(gone_in).map(Event::Gone);
        let gaps = opened.into_iter().chain(closed);
        state.into_iter().chain(gaps).chain(gone).collect()
    } else {
        let tell = if changed("ended") {
            Event::BatchFinished
        } else if changed("started") {
            Event::BatchStarted
        // Progress alone changes the counters without the state; the database may name each counter by its path, so the date stands for them.
        } else if changed("updated") && !changed("state") {
            Event::BatchProgress
        } else {
            return Ok(Vec::new());
        };
        let batch = Error::passing_by(store.batch(key.unwrap_or_default()).await)?;
        batch.map(tell).into_iter().collect()
    })
}

/// Only the changes that are news, and of them only what the news need: an order of 16 MiB comes as a line.
fn stages(names: &Names) -> Vec<Document> {
    let inserted = |collection: &str| doc! { "ns.coll": collection, "operationType": "insert" };
    let mut project = doc! {
        "operationType": 1, "ns": 1, "documentKey": 1, "wallTime": 1,
        (format!("fullDocument.{NUMERO}")): 1, (format!("fullDocument.{MISSING_FIELDS}")): 1, (format!("fullDocument.{DATE_ARCHIVAGE}")): 1,
    };
    for field in [
        "state",
        "started",
        "updated",
        "ended",
        "gap",
        "closed_gap",
        "gone",
    ] {
        project.insert(format!("updateDescription.updatedFields.{field}"), 1);
    }
    let there = |field: &str| doc! { (format!("updateDescription.updatedFields.{field}")): { "$exists": true } };
    let watcher = doc! { "ns.coll": &names.state, "operationType": "update", "$or": [there("state"), there("gap"), there("closed_gap"), there("gone")] };
    let batches =
        doc! { "ns.coll": &names.batches, "operationType": { "$in": ["update", "replace"] } };
    vec![
        doc! { "$match": { "$or": [inserted(&names.archive), inserted(&names.quarantine), batches, watcher] } },
        doc! { "$project": project },
    ]
}

fn archived(document: ValueRef<'_>) -> Event {
    let field = |name: &str| {
        document
            .elements()
            .find(|element| element.key == name.as_bytes())
            .map(|element| element.value)
    };
    Event::Archived {
        numero: field(NUMERO)
            .and_then(ValueRef::as_str)
            .unwrap_or_default()
            .to_owned(),
        missing: missing_in(field(MISSING_FIELDS).unwrap_or(ValueRef::NULL)),
        date_archivage: field(DATE_ARCHIVAGE).and_then(ValueRef::as_date),
    }
}

/// A field inside documents inside a document.
fn within<'a>(document: &'a RawDocumentBuf, path: &[&str]) -> Option<ValueRef<'a>> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(raw::find(document, first)?, |value, name| {
            value
                .elements()
                .find(|element| element.key == name.as_bytes())
                .map(|element| element.value)
        })
}
