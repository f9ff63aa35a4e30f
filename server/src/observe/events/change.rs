//! What a change of the history tells. All of it is in the change itself, so it is the same
//! whenever it is read.

use bson::RawDocument;

use super::event::{Detail, Event};
use crate::{
    bytes::raw::{self, ValueRef},
    domain::{enrich::DATE_ARCHIVAGE, order::NUMERO, partition::Partition},
    store::{
        Store,
        archive::read::missing_fields,
        gone::gone_in,
        jobs::Job,
        quarantine::record::Entry,
        state::snapshot::{self, News, within},
        watch::{
            gap::gap_in,
            partition::{HeldPartition, partition_index},
            record::{State, Watcher},
        },
    },
};

/// What a change tells; none when it is no news.
pub(super) fn event(store: &Store, change: &RawDocument) -> Option<Event> {
    let names = store.names();
    let collection = within(change, &["ns", "coll"]).and_then(ValueRef::as_str)?;
    if collection == names.archive {
        Some(archived(change))
    } else if collection == names.quarantine {
        of_quarantine(store, change)
    } else if collection == names.batches {
        let batch = [
            Event::BatchStarted,
            Event::BatchProgress,
            Event::BatchFinished,
        ];
        of_job(store, change, batch)
    } else if collection == names.verifications {
        let verification = [
            Event::VerificationStarted,
            Event::VerificationProgress,
            Event::VerificationFinished,
        ];
        of_job(store, change, verification)
    } else if let Some(index) = partition_index(&id(change)) {
        of_partition(store, change, index)
    } else {
        of_watcher(store, change)
    }
}

fn archived(change: &RawDocument) -> Event {
    let inserted = raw::find(change, "fullDocument").and_then(snapshot::document);
    let inserted = inserted.unwrap_or_default();
    let field = |name| raw::find(&inserted, name);
    let numero = field(NUMERO).and_then(ValueRef::as_str);
    Event::Archived {
        numero: numero.unwrap_or_default().to_owned(),
        missing: missing_fields(&inserted),
        date_archivage: field(DATE_ARCHIVAGE).and_then(ValueRef::as_date),
    }
}

fn of_quarantine(store: &Store, change: &RawDocument) -> Option<Event> {
    let entry = |shown: &RawDocument| -> Detail<Entry> {
        // Left out of an entry that is too large.
        let whole = raw::find(shown, "order_id").and_then(|_| store.entry_of(shown).ok());
        Detail::of(whole, || id(change))
    };
    if let Some(left) = snapshot::of(change) {
        let is_released = left.news == Some(News::Released);
        return is_released.then(|| Event::Released(entry(&left.document)));
    }
    let inserted = raw::find(change, "fullDocument").and_then(snapshot::document)?;
    Some(Event::Quarantined(entry(&inserted)))
}

/// What a change of a job tells: that it began, made progress or ended.
fn of_job<J: Job>(
    store: &Store,
    change: &RawDocument,
    [started, progress, finished]: [fn(Detail<J>) -> Event; 3],
) -> Option<Event> {
    let job =
        |shown: &RawDocument| -> Detail<J> { Detail::of(store.job_of(shown).ok(), || id(change)) };
    if let Some(left) = snapshot::of(change) {
        let tell = match left.news? {
            news if news == J::KIND.started => started,
            news if news == J::KIND.progress => progress,
            news if news == J::KIND.finished => finished,
            _ => return None,
        };
        return Some(tell(job(&left.document)));
    }
    if let Some(whole) = snapshot::of_replacement(change) {
        let job = job(&whole.document);
        let tell = match &job {
            Detail::Known(job) if job.head().ended.is_some() => finished,
            Detail::Known(job) if job.head().started == Some(job.head().updated) => started,
            _ => progress,
        };
        return Some(tell(job));
    }
    let changed = |field| updated(change, field).is_some();
    let tell = if changed("ended") {
        finished
    } else if changed("started") {
        started
    // Progress alone changes the counters without the state; the database may name each counter by
    // its path, so the date stands for them.
    } else if changed("updated") && !changed("state") {
        progress
    } else {
        return None;
    };
    Some(tell(Detail::Unknown(id(change))))
}

fn of_watcher(store: &Store, change: &RawDocument) -> Option<Event> {
    let state = || {
        updated(change, "state")
            .and_then(ValueRef::as_str)
            .and_then(State::named)
    };
    let watcher = |shown: &RawDocument| -> Detail<Watcher, Option<State>> {
        Detail::of(store.watcher_of(shown).ok(), state)
    };
    if let Some(left) = snapshot::of(change).or_else(|| snapshot::of_replacement(change)) {
        let tell = match left.news {
            Some(News::WatcherAsked) => Event::WatcherAsked,
            _ => Event::WatcherState,
        };
        return Some(tell(watcher(&left.document)));
    }
    // These are set whole. An older archd sets the state with a gap, from which it follows.
    let gap = |field| updated(change, field).and_then(gap_in);
    let opened = || gap("gap").map(Event::GapOpened);
    let closed = || gap("closed_gap").map(Event::GapClosed);
    let gone = || updated(change, "gone").and_then(gone_in).map(Event::Gone);
    let bare = || state().map(|state| Event::WatcherState(Detail::Unknown(Some(state))));
    opened().or_else(closed).or_else(gone).or_else(bare)
}

fn of_partition(store: &Store, change: &RawDocument, index: u32) -> Option<Event> {
    let left = snapshot::of(change).or_else(|| snapshot::of_replacement(change))?;
    let held = store.held_partition_of(&left.document).ok();
    let held = held.map(|held| HeldPartition {
        partition: Partition {
            index,
            ..held.partition
        },
        ..held
    });
    let detail = Detail::of(held, || index);
    Some(Event::WatcherPartition(detail))
}

/// What an update sets a field to; none where it names only what is new inside the field.
fn updated<'a>(change: &'a RawDocument, field: &str) -> Option<ValueRef<'a>> {
    within(change, &["updateDescription", "updatedFields", field])
}

/// The `_id` of the document that a change is of.
fn id(change: &RawDocument) -> String {
    let id = within(change, &["documentKey", "_id"]).and_then(ValueRef::as_str);
    id.unwrap_or_default().to_owned()
}
