//! Something that happened on the database, as far as its history tells.

use bson::DateTime;

use crate::{
    domain::judge::Reason,
    store::{
        batches::record::Batch,
        gone::Gone,
        quarantine::record::Entry,
        verifications::record::Verification,
        watch::{
            gap::Gap,
            partition::HeldPartition,
            record::{State, Watcher},
        },
    },
};

/// What a change tells of a document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Detail<T, K = String> {
    /// The document as the change made it.
    Known(Box<T>),
    /// Which one it is, or the little else that the change tells by itself: its maker left no
    /// snapshot, or it can't be read.
    Unknown(K),
}

impl<T, K> Detail<T, K> {
    pub(super) fn of(known: Option<T>, otherwise: impl FnOnce() -> K) -> Detail<T, K> {
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
pub(crate) enum Event {
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
    /// A verification began.
    VerificationStarted(Detail<Verification>),
    /// A verification saved its progress, or was asked for something.
    VerificationProgress(Detail<Verification>),
    /// A verification ended.
    VerificationFinished(Detail<Verification>),
    /// The watcher changed its state.
    WatcherState(Detail<Watcher, Option<State>>),
    /// Somebody asked the watcher to pause or to go on.
    WatcherAsked(Detail<Watcher, Option<State>>),
    /// A partition was taken, left, or is read in another state.
    WatcherPartition(Detail<HeldPartition, u32>),
    /// The watcher found a gap in the history.
    GapOpened(Gap),
    /// A catch-up batch closed a gap.
    GapClosed(Gap),
    /// Orders were gone before the watcher could read them.
    Gone(Gone),
}

impl Event {
    /// Whether it is known that this happened, and hardly more.
    pub(crate) fn is_bare(&self) -> bool {
        match self {
            Event::Quarantined(detail) | Event::Released(detail) => detail.is_unknown(),
            Event::BatchStarted(detail)
            | Event::BatchProgress(detail)
            | Event::BatchFinished(detail) => detail.is_unknown(),
            Event::VerificationStarted(detail)
            | Event::VerificationProgress(detail)
            | Event::VerificationFinished(detail) => detail.is_unknown(),
            Event::WatcherState(detail) | Event::WatcherAsked(detail) => detail.is_unknown(),
            Event::WatcherPartition(detail) => detail.is_unknown(),
            Event::Archived { .. } | Event::GapOpened(_) | Event::GapClosed(_) | Event::Gone(_) => {
                false
            }
        }
    }

    /// Whether this is about an order with the number of another one.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(
            self,
            Event::Quarantined(Detail::Known(entry))
                if entry.refusal.reason == Reason::NumberConflict
        )
    }
}
