//! The news: what happens on the database, read out of its own history.
//!
//! Nothing publishes events. Every instance writes orders, quarantine entries and batches to the database anyway; whoever wants
//! to hear of them reads the change stream of these collections. So a reader hears every instance, holds nobody up, and can
//! go on from where it was.

use bson::{DateTime, Document, RawDocumentBuf, doc};

use crate::{
    domain::{
        enrich::{DATE_ARCHIVAGE, MISSING_FIELDS},
        judge::Reason,
        order::NUMERO,
        raw::{self, ValueRef},
    },
    store::{
        Error, Names, Store,
        batches::Batch,
        changes::{Changes, Start},
        quarantine::Entry,
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

/// Reads the news.
pub struct News {
    store: Store,
    changes: Changes,
}

impl News {
    /// Opens the news from a place on.
    pub async fn open(store: &Store, start: &Start) -> Result<News, Error> {
        Ok(News {
            store: store.clone(),
            changes: store.changes(start, stages(store.names())).await?,
        })
    }

    /// What happened next: at least one happening, the last of which carries the place that the reader has come to.
    pub async fn next(&mut self) -> Result<Vec<Happening>, Error> {
        let reply = self.changes.next().await?;
        let mut happenings = Vec::new();
        for change in &reply.changes {
            if let Some(happening) = happening(&self.store, change).await? {
                happenings.push(happening);
            }
        }
        happenings.push(Happening {
            position: reply.position,
            time: None,
            event: None,
        });
        Ok(happenings)
    }
}

async fn happening(store: &Store, change: &RawDocumentBuf) -> Result<Option<Happening>, Error> {
    let Some(position) = raw::find(change, "_id")
        .and_then(|token| RawDocumentBuf::from_bytes(token.bytes.to_vec()).ok())
    else {
        return Ok(None);
    };
    let time = raw::find(change, "wallTime").and_then(ValueRef::as_date);
    Ok(event(store, change).await?.map(|event| Happening {
        position,
        time,
        event: Some(event),
    }))
}

async fn event(store: &Store, change: &RawDocumentBuf) -> Result<Option<Event>, Error> {
    let names = store.names();
    let collection = within(change, &["ns", "coll"])
        .and_then(ValueRef::as_str)
        .unwrap_or_default();
    let inserted = raw::find(change, "fullDocument");
    let key = within(change, &["documentKey", "_id"]);
    if collection == names.archive {
        return Ok(inserted.map(archived));
    }
    let Some(key) = key.and_then(ValueRef::as_str) else {
        return Ok(None);
    };
    if collection == names.quarantine {
        return Ok(store.quarantine_entry(key).await?.map(Event::Quarantined));
    }
    let Some(batch) = store.batch(key).await? else {
        return Ok(None);
    };
    let changed = |field| within(change, &["updateDescription", "updatedFields", field]).is_some();
    Ok(if changed("ended") {
        Some(Event::BatchFinished(batch))
    } else if changed("started") {
        Some(Event::BatchStarted(batch))
    // Progress alone changes the counters without the state; the database may name each counter by its path, so the date stands for them.
    } else if changed("updated") && !changed("state") {
        Some(Event::BatchProgress(batch))
    } else {
        None
    })
}

/// Only the changes that are news, and of them only what the news need: an order of 16 MiB comes as a line.
fn stages(names: &Names) -> Vec<Document> {
    let inserted = |collection: &str| doc! { "ns.coll": collection, "operationType": "insert" };
    let mut project = doc! {
        "operationType": 1, "ns": 1, "documentKey": 1, "wallTime": 1,
        (format!("fullDocument.{NUMERO}")): 1, (format!("fullDocument.{MISSING_FIELDS}")): 1, (format!("fullDocument.{DATE_ARCHIVAGE}")): 1,
    };
    for field in ["state", "started", "updated", "ended"] {
        project.insert(format!("updateDescription.updatedFields.{field}"), 1);
    }
    let batches =
        doc! { "ns.coll": &names.batches, "operationType": { "$in": ["update", "replace"] } };
    vec![
        doc! { "$match": { "$or": [inserted(&names.archive), inserted(&names.quarantine), batches] } },
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
    let missing = field(MISSING_FIELDS).unwrap_or(ValueRef::NULL);
    Event::Archived {
        numero: field(NUMERO)
            .and_then(ValueRef::as_str)
            .unwrap_or_default()
            .to_owned(),
        missing: missing
            .elements()
            .filter_map(|element| element.value.as_str())
            .map(str::to_owned)
            .collect(),
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
