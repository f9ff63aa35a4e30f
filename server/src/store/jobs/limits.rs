//! How gently a job goes about it, and how the database keeps that.

use std::time::Duration;

use bson::{Document, doc};

use crate::{
    config::Config,
    store::{
        encoding::document::whole,
        state::format::{Field, Is, may},
    },
};

const MOST_ORDERS: &str = "max_orders_per_second";
const MOST_LAG: &str = "max_replication_lag";
const MOST_LATENCY: &str = "max_write_latency";

/// The fields of limits.
pub(in crate::store) const LIMITS: &[Field] = &[
    may(MOST_ORDERS, Is::Whole),
    may(MOST_LAG, Is::Whole),
    may(MOST_LATENCY, Is::Whole),
];

/// How gently a job treats the database. What is absent is left to whoever comes next: see
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

    /// The limits of a verification that is told nothing.
    pub fn of_verifications(config: &Config) -> Limits {
        Limits {
            max_orders_per_second: Some(config.verify_max_rate),
            max_replication_lag: config.max_replication_lag,
            max_write_latency: None,
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
pub(in crate::store) fn insert_length(
    document: &mut Document,
    name: &str,
    length: Option<Duration>,
) {
    if let Some(length) = length {
        let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        document.insert(name, millis);
    }
}

/// A length of time in a document.
pub(in crate::store) fn length_in(document: &Document, name: &str) -> Option<Duration> {
    let millis = whole(Some(document.get(name)?));
    u64::try_from(millis).ok().map(Duration::from_millis)
}
