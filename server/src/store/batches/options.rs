//! What a batch is asked to do and how gently, and how the database keeps both.

use std::time::Duration;

use bson::{DateTime, Document, doc};

use crate::{
    config::Config,
    store::{
        encoding::document::whole,
        state::format::{Field, Is, may},
    },
};

const MOST_RUNTIME: &str = "max_runtime";
const MOST_ORDERS: &str = "max_orders_per_second";
const MOST_LAG: &str = "max_replication_lag";
const MOST_LATENCY: &str = "max_write_latency";

/// The fields of options.
pub(super) const OPTIONS: &[Field] = &[
    may("limit", Is::Whole),
    may("before", Is::Date),
    may("create_indexes", Is::Flag),
    may("validate_only", Is::Flag),
    may(MOST_RUNTIME, Is::Whole),
    may("limits", Is::Fields(LIMITS)),
];

/// The fields of limits.
pub(super) const LIMITS: &[Field] = &[
    may(MOST_ORDERS, Is::Whole),
    may(MOST_LAG, Is::Whole),
    may(MOST_LATENCY, Is::Whole),
];

/// What a batch is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Stop after this many orders; 0 means no limit.
    pub limit: i64,
    /// Only orders with an earlier `date_commande`.
    pub before: Option<DateTime>,
    /// Make the indexes that archiving is slow without when they are missing.
    pub create_indexes: bool,
    /// Stop after this long; none means no limit. Kept to the millisecond.
    pub max_runtime: Option<Duration>,
    /// Predict the counts and write nothing.
    pub validate_only: bool,
    /// How gently to go about it, as asked at the start.
    pub limits: Limits,
}

impl Options {
    /// Whether a batch with these options does what is asked with the other ones, at whatever pace.
    pub fn do_what_is_asked(&self, asked: &Options) -> bool {
        let bounds = |options: &Options| (options.limit, options.before, options.max_runtime);
        self.validate_only == asked.validate_only
            && bounds(self) == bounds(asked)
            && (self.create_indexes || !asked.create_indexes)
    }

    /// The options as a stage of an update writes them.
    pub(in crate::store) fn stage(&self) -> Document {
        // A stage refuses an empty document that is not a literal.
        let limits = doc! { "$literal": self.limits.document() };
        let mut document = doc! {
            "limit": self.limit, "create_indexes": self.create_indexes, "validate_only": self.validate_only,
            "limits": limits,
        };
        if let Some(before) = self.before {
            document.insert("before", before);
        }
        insert_length(&mut document, MOST_RUNTIME, self.max_runtime);
        document
    }

    /// Reads the options from a document.
    pub(in crate::store) fn of(document: &Document) -> Options {
        Options {
            limit: whole(document.get("limit")),
            before: document.get_datetime("before").ok().copied(),
            create_indexes: document.get_bool("create_indexes").unwrap_or_default(),
            max_runtime: length_in(document, MOST_RUNTIME),
            validate_only: document.get_bool("validate_only").unwrap_or_default(),
            limits: Limits::of(document.get_document("limits").ok()),
        }
    }
}

/// How gently a batch treats the database. What is absent is left to whoever comes next: see
/// [`Limits::or`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most orders to meet in a second; 0 means no limit.
    pub max_orders_per_second: Option<u32>,
    /// Wait while a secondary is further behind. Kept to the millisecond.
    pub max_replication_lag: Option<Duration>,
    /// Slow down while a chunk's insert takes longer. Kept to the millisecond.
    pub max_write_latency: Option<Duration>,
}

impl Limits {
    /// These limits, and where there is none, the other ones.
    pub fn or(self, others: Limits) -> Limits {
        Limits {
            max_orders_per_second: self.max_orders_per_second.or(others.max_orders_per_second),
            max_replication_lag: self.max_replication_lag.or(others.max_replication_lag),
            max_write_latency: self.max_write_latency.or(others.max_write_latency),
        }
    }

    /// The limits of a batch that is told nothing, all but the lag always given: an absent one
    /// means that no batch waits for it.
    pub fn of_settings(config: &Config) -> Limits {
        Limits {
            max_orders_per_second: Some(config.max_orders_per_second),
            max_replication_lag: config.max_replication_lag,
            max_write_latency: Some(config.max_write_latency),
        }
    }

    /// The limits that are given, as a document.
    pub(in crate::store) fn document(&self) -> Document {
        let mut document = doc! {};
        if let Some(most) = self.max_orders_per_second {
            document.insert(MOST_ORDERS, i64::from(most));
        }
        for (name, length) in [
            (MOST_LAG, self.max_replication_lag),
            (MOST_LATENCY, self.max_write_latency),
        ] {
            insert_length(&mut document, name, length);
        }
        document
    }

    /// Reads limits from a document, none without one.
    pub(in crate::store) fn of(document: Option<&Document>) -> Limits {
        let Some(document) = document else {
            return Limits::default();
        };
        let most = document.get(MOST_ORDERS);
        Limits {
            max_orders_per_second: most.and_then(|most| u32::try_from(whole(Some(most))).ok()),
            max_replication_lag: length_in(document, MOST_LAG),
            max_write_latency: length_in(document, MOST_LATENCY),
        }
    }
}

/// Lengths of time are kept in milliseconds.
fn insert_length(document: &mut Document, name: &str, length: Option<Duration>) {
    if let Some(length) = length {
        let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        document.insert(name, millis);
    }
}

fn length_in(document: &Document, name: &str) -> Option<Duration> {
    let millis = whole(Some(document.get(name)?));
    u64::try_from(millis).ok().map(Duration::from_millis)
}
