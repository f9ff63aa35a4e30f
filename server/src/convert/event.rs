//! Events as messages: their kinds, and what they tell.

use order_archiver_api::v1 as pb;
use pb::{EventKind, tail_events_response as response};

use super::{
    Document, batch as batch_message, gap as gap_message, quarantine_entry, timestamp,
    verification as verification_message, watch_partition, watcher_message, watcher_state,
};
use crate::{
    observe::events::{Detail, Event},
    store::{
        batches::record::Batch,
        quarantine::record::Entry,
        verifications::record::Verification,
        watch::{
            partition::HeldPartition,
            record::{State, Watcher},
        },
    },
};

/// The kind of an event.
pub(crate) fn event_kind(event: &Event) -> EventKind {
    match event {
        Event::Archived { missing, .. } if missing.is_empty() => EventKind::Archived,
        Event::Archived { .. } => EventKind::Incomplete,
        Event::Quarantined(_) if event.is_conflict() => EventKind::Conflict,
        Event::Quarantined(_) => EventKind::Quarantined,
        Event::Released(_) => EventKind::Released,
        Event::BatchStarted(_) => EventKind::BatchStarted,
        Event::BatchProgress(_) => EventKind::BatchProgress,
        Event::BatchFinished(_) => EventKind::BatchFinished,
        Event::VerificationStarted(_) => EventKind::VerificationStarted,
        Event::VerificationProgress(_) => EventKind::VerificationProgress,
        Event::VerificationFinished(_) => EventKind::VerificationFinished,
        Event::WatcherState(_) => EventKind::WatcherState,
        Event::WatcherAsked(_) => EventKind::WatcherAsked,
        Event::WatcherPartition(_) => EventKind::WatcherPartition,
        Event::GapOpened(_) => EventKind::GapOpened,
        Event::GapClosed(_) => EventKind::GapClosed,
        Event::Gone(_) => EventKind::Gone,
    }
}

/// The rest of the story.
pub(crate) fn event_body(event: Event) -> response::Event {
    match event {
        Event::Archived {
            numero,
            missing,
            date_archivage,
        } => response::Event::Order(pb::OrderEvent {
            numero_commande: super::numero(&numero),
            missing_fields: missing,
            date_archivage: date_archivage.and_then(timestamp),
        }),
        Event::Quarantined(entry) | Event::Released(entry) => {
            response::Event::Quarantine(quarantine(entry))
        }
        Event::BatchStarted(detail)
        | Event::BatchProgress(detail)
        | Event::BatchFinished(detail) => response::Event::Batch(batch(detail)),
        Event::VerificationStarted(detail)
        | Event::VerificationProgress(detail)
        | Event::VerificationFinished(detail) => {
            response::Event::Verification(verification(detail))
        }
        Event::WatcherState(detail) | Event::WatcherAsked(detail) => {
            response::Event::Watcher(watcher(detail))
        }
        Event::WatcherPartition(detail) => response::Event::WatchPartition(partition(detail)),
        Event::GapOpened(gap) | Event::GapClosed(gap) => response::Event::Gap(gap_message(&gap)),
        Event::Gone(gone) => response::Event::Gone(pb::GoneEvent {
            orders: gone.orders,
            order_ids_json: gone.ids,
        }),
    }
}

fn quarantine(entry: Detail<Entry>) -> pb::QuarantineEntry {
    match entry {
        Detail::Known(entry) => quarantine_entry(*entry, Document::NotAsked),
        Detail::Unknown(id) => pb::QuarantineEntry {
            id,
            ..pb::QuarantineEntry::default()
        },
    }
}

fn batch(batch: Detail<Batch>) -> pb::Batch {
    match batch {
        Detail::Known(batch) => {
            let updated = batch.head.updated;
            batch_message(*batch, updated)
        }
        Detail::Unknown(id) => pb::Batch {
            id,
            ..pb::Batch::default()
        },
    }
}

fn verification(verification: Detail<Verification>) -> pb::Verification {
    match verification {
        Detail::Known(verification) => {
            let updated = verification.head.updated;
            verification_message(*verification, updated)
        }
        Detail::Unknown(id) => pb::Verification {
            id,
            ..pb::Verification::default()
        },
    }
}

fn watcher(watcher: Detail<Watcher, Option<State>>) -> pb::Watcher {
    match watcher {
        Detail::Known(watcher) => watcher_message(&watcher, watcher.state),
        Detail::Unknown(state) => pb::Watcher {
            state: state
                .map_or(pb::WatcherState::Unspecified, watcher_state)
                .into(),
            ..pb::Watcher::default()
        },
    }
}

fn partition(partition: Detail<HeldPartition, u32>) -> pb::WatchPartition {
    match partition {
        Detail::Known(held) => watch_partition(&held, held.state),
        Detail::Unknown(index) => pb::WatchPartition {
            index: index.cast_signed(),
            ..pb::WatchPartition::default()
        },
    }
}
