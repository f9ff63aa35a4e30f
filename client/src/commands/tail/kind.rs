//! The kinds of events, as people type them.

use clap::ValueEnum;
use order_archiver_api::v1::EventKind;

/// Which events to show.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Kind {
    /// An order was archived with all its fields
    Archived,
    /// An order was archived with fields missing
    Incomplete,
    /// An order has the number of another archived order
    Conflict,
    /// An order went to quarantine for another reason
    Quarantined,
    /// A batch began
    BatchStarted,
    /// A batch saved its progress, or was asked for something
    BatchProgress,
    /// A batch ended
    BatchFinished,
    /// The watcher changed its state
    WatcherState,
    /// The watcher found a gap in the history
    GapOpened,
    /// A catch-up batch closed a gap
    GapClosed,
    /// Orders were deleted before the watcher could read them
    Gone,
    /// Somebody asked the watcher to pause or to go on
    WatcherAsked,
    /// A partition of a split watch was taken, left, or is read in another state
    WatcherPartition,
    /// An order left the quarantine
    Released,
    /// A verification began
    VerificationStarted,
    /// A verification saved its progress, or was asked for something
    VerificationProgress,
    /// A verification ended
    VerificationFinished,
}

impl From<Kind> for EventKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Archived => Self::Archived,
            Kind::Incomplete => Self::Incomplete,
            Kind::Conflict => Self::Conflict,
            Kind::Quarantined => Self::Quarantined,
            Kind::BatchStarted => Self::BatchStarted,
            Kind::BatchProgress => Self::BatchProgress,
            Kind::BatchFinished => Self::BatchFinished,
            Kind::WatcherState => Self::WatcherState,
            Kind::GapOpened => Self::GapOpened,
            Kind::GapClosed => Self::GapClosed,
            Kind::Gone => Self::Gone,
            Kind::WatcherAsked => Self::WatcherAsked,
            Kind::WatcherPartition => Self::WatcherPartition,
            Kind::Released => Self::Released,
            Kind::VerificationStarted => Self::VerificationStarted,
            Kind::VerificationProgress => Self::VerificationProgress,
            Kind::VerificationFinished => Self::VerificationFinished,
        }
    }
}
