//! The classes of differences, as people type them.

use clap::ValueEnum;
use order_archiver_api::v1::DifferenceClass;

/// What a difference is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Class {
    /// Delivered, and neither archived nor in quarantine
    Missing,
    /// What is archived is not the live order
    Altered,
    /// Archived twice
    Doubled,
    /// What the archive notes beside the order does not agree with it
    Damaged,
    /// The live order has changed since it was archived
    Amended,
    /// Archived, and no live order belongs to it
    Orphaned,
    /// Fields are absent, as the script before archd left the order
    NotRebuildable,
    /// In quarantine
    Quarantined,
    /// The status only looks like the delivered one
    NearMiss,
    /// The archive has other names than today's references
    NamesChanged,
}

/// A class that fails the verdict, and that can be repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Failing {
    /// Delivered, and neither archived nor in quarantine: they are archived
    Missing,
    /// What is archived is not the live order: it is replaced
    Altered,
    /// What the archive notes beside the order does not agree with it: it is replaced
    Damaged,
    /// Archived twice: what is too much is taken out
    Doubled,
}

impl From<Class> for DifferenceClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Missing => Self::Missing,
            Class::Altered => Self::Altered,
            Class::Doubled => Self::Doubled,
            Class::Damaged => Self::Damaged,
            Class::Amended => Self::Amended,
            Class::Orphaned => Self::Orphaned,
            Class::NotRebuildable => Self::NotRebuildable,
            Class::Quarantined => Self::Quarantined,
            Class::NearMiss => Self::NearMiss,
            Class::NamesChanged => Self::NamesChanged,
        }
    }
}

impl From<Failing> for DifferenceClass {
    fn from(class: Failing) -> Self {
        match class {
            Failing::Missing => Self::Missing,
            Failing::Altered => Self::Altered,
            Failing::Damaged => Self::Damaged,
            Failing::Doubled => Self::Doubled,
        }
    }
}
