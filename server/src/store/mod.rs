//! The world: the only code that knows MongoDB. It speaks of orders, batches and events outward,
//! and commands inward.
//!
//! What lies here has rooms of its own, and each uses only those that stand before it:
//!
//! 1. `encoding`: documents as bytes and as text;
//! 2. `state`: what the server's own documents have in common;
//! 3. `wire`: how MongoDB is spoken to;
//! 4. `deployment`: what the database is and has;
//! 5. `counters`, `ledger`, `acknowledgements`, `replaced`, `audit`, `archive` and `jobs`;
//! 6. `orders`, `batches`, `quarantine` and `differences`;
//! 7. `watch` and `verify`;
//! 8. `verifications`;
//! 9. the files beside this one, which put several of them together.
//!
//! [`Store`], [`Error`] and [`Names`] are everybody's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use futures::FutureExt;
use tokio::time::timeout;

use self::wire::{connection::Connection, permits::Behalf};
use crate::{
    config::{BatchReads, Collections, Config},
    domain::order::Reference,
    metrics::Metrics,
};

pub mod acknowledgeable;
pub mod acknowledgements;
pub mod archive;
pub mod audit;
pub mod batches;
pub mod collections;
pub mod counters;
pub mod deployment;
pub mod differences;
pub mod encoding;
pub mod events;
pub mod explanation;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod gone;
pub mod instances;
pub mod jobs;
pub mod ledger;
pub mod orders;
mod prepare;
pub mod quarantine;
pub mod replaced;
pub mod seed;
pub mod set_aside;
pub mod state;
pub mod unwatched;
pub mod verifications;
pub mod verify;
pub mod watch;
pub mod wire;

pub use deployment::inspector::Inspector;
pub use wire::error::Error;

/// How many readers of the news may have the database read for them at once while they catch up;
/// the others wait their turn, reply by reply.
const CATCHING_UP: u32 = 8;

/// Names of the collections.
#[derive(Clone, Debug)]
pub struct Names {
    /// The live orders.
    pub orders: String,
    /// The archive.
    pub archive: String,
    references: [String; 4],
    /// Orders that can't be archived.
    pub quarantine: String,
    /// The bytes of these orders.
    pub quarantine_bytes: String,
    /// The batches.
    pub batches: String,
    /// The verifications.
    pub verifications: String,
    /// The differences that verifications found.
    pub differences: String,
    /// What somebody said of differences.
    pub acknowledgements: String,
    /// The record of each verification, each sealed with the hash of the one before.
    pub ledger: String,
    /// Archived documents that a repair has replaced or taken out.
    pub replaced: String,
    /// Calls that changed more than one order, and who made them.
    pub audit: String,
    /// The counters behind the statistics.
    pub counters: String,
    /// The state of the server on this database: the watcher, the database's identity, and who
    /// builds the unique index.
    pub state: String,
    /// The heartbeats of the instances.
    pub instances: String,
    /// Documents of the collections above that could not be read, each with the reason.
    pub set_aside: String,
}

impl Names {
    /// The names that the settings give.
    pub fn new(collections: &Collections) -> Names {
        let own = |name: &str| format!("{}{name}", collections.prefix);
        Names {
            orders: collections.orders.clone(),
            archive: collections.archive.clone(),
            references: [
                &collections.clients,
                &collections.couriers,
                &collections.restaurants,
                &collections.menus,
            ]
            .map(String::clone),
            quarantine: own("quarantine"),
            quarantine_bytes: own("quarantine_bytes"),
            batches: own("batches"),
            verifications: own("verifications"),
            differences: own("differences"),
            acknowledgements: own("acknowledgements"),
            ledger: own("ledger"),
            replaced: own("replaced"),
            audit: own("audit"),
            counters: own("counters"),
            state: own("state"),
            instances: own("instances"),
            set_aside: own("set_aside"),
        }
    }

    /// The collections of all references.
    pub fn references(&self) -> &[String; 4] {
        &self.references
    }

    /// The collection of a kind of reference.
    pub fn of(&self, reference: Reference) -> &str {
        &self.references[reference as usize]
    }
}

/// How patient calls to the database are.
#[derive(Clone, Debug)]
struct Policy {
    operation_timeout: Duration,
    retry_attempts: usize,
    lease: Duration,
}

/// The database. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Store {
    connection: Connection,
    /// For readers of the news who catch up: however many they are, they take no connection from
    /// anybody else.
    catching_up: Connection,
    behalf: Behalf,
    database: String,
    names: Names,
    delivered: String,
    policy: Policy,
    /// The cluster time that is known to lie behind us: the history and the pages of batches have
    /// been read up to it, or a batch has begun at it. What it tells of must be there to be read,
    /// even on a new primary that has not heard yet how much a majority holds, or on a secondary
    /// that lags.
    horizon: Arc<AtomicU64>,
    latency: wire::latency::Latency,
    /// What the archive has refused lately for reasons that nobody knows.
    refusals: archive::refusals::Refusals,
    /// The collations of the orders and of the archive, as they were a moment ago.
    collations: deployment::collation::Known,
    looks: archive::looks::Looks,
    /// Whether this process has once seen that the indexes of its own collections are there.
    prepared: Arc<AtomicBool>,
    clock: deployment::clock::Clock,
    counting: counters::collector::Counting,
    /// What this process holds.
    held: state::holds::Held,
    /// How many orders waited when that was last counted.
    counted: watch::waiting::Counted,
    /// Where a batch reads in bulk; none where that is always the primary.
    secondaries: Option<wire::secondary::Secondaries>,
    metrics: Metrics,
    /// What each call keeps until the database has answered.
    kept: Option<Arc<dyn std::any::Any + Send + Sync>>,
}

impl Store {
    /// Prepares to talk to the database of the settings. Nothing is sent yet, so the database need
    /// not be there.
    ///
    /// Fails when the URI can't be used; the error never shows it.
    pub async fn new(config: &Config) -> Result<Store, Error> {
        let connection = Connection::new(config, None);
        connection.prepare().await?;
        Ok(Store {
            connection,
            catching_up: Connection::new(config, Some(CATCHING_UP)),
            behalf: Behalf::Work,
            database: config.database.clone(),
            names: Names::new(&config.collections),
            delivered: config.delivered_status.clone(),
            policy: Policy {
                operation_timeout: config.operation_timeout,
                retry_attempts: config.retry_attempts as usize,
                lease: config.lease,
            },
            horizon: Arc::default(),
            latency: wire::latency::Latency::default(),
            refusals: archive::refusals::Refusals::default(),
            collations: deployment::collation::Known::default(),
            looks: archive::looks::Looks::default(),
            prepared: Arc::default(),
            clock: deployment::clock::Clock::default(),
            counting: counters::collector::Counting::default(),
            held: state::holds::Held::default(),
            counted: watch::waiting::Counted::default(),
            secondaries: match config.batch_reads {
                BatchReads::Primary => None,
                BatchReads::Secondary => Some(wire::secondary::Secondaries::default()),
            },
            metrics: Metrics::off(),
            kept: None,
        })
    }

    /// The same, whose work is measured.
    pub(crate) fn measured(self, metrics: Metrics) -> Store {
        Store { metrics, ..self }
    }

    /// The same, for what callers must not hold up.
    fn for_own_work(&self) -> Store {
        Store {
            behalf: Behalf::Work,
            ..self.clone()
        }
    }

    /// The same, on behalf of callers: together they get no more than their share of the
    /// connections.
    pub fn for_callers(&self) -> Store {
        Store {
            behalf: Behalf::Callers,
            ..self.clone()
        }
    }

    /// The same, for readers of the news who catch up: by few connections of their own.
    pub fn for_catching_up(&self) -> Store {
        Store {
            connection: self.catching_up.clone(),
            behalf: Behalf::Work,
            ..self.clone()
        }
    }

    /// The same, whose calls keep something until the database has answered, whoever waits for
    /// that.
    pub fn keeping(&self, kept: impl Send + Sync + 'static) -> Store {
        Store {
            kept: Some(Arc::new(kept)),
            ..self.clone()
        }
    }

    /// Where its work is measured.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Names of the collections.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The exact status of a delivered order.
    pub fn delivered(&self) -> &str {
        &self.delivered
    }

    /// Name of the database.
    pub fn database_name(&self) -> &str {
        &self.database
    }

    /// How long this instance may be silent before another one takes its watch or its batch over.
    pub fn lease(&self) -> Duration {
        self.policy.lease
    }

    /// How long a call to the database usually may take.
    pub fn operation_timeout(&self) -> Duration {
        self.policy.operation_timeout
    }

    /// Between two heartbeats: two of them may be lost before the lease ends.
    pub fn beat(&self) -> Duration {
        self.policy.lease / 3
    }

    /// The lease in milliseconds, as the database counts.
    fn lease_millis(&self) -> i64 {
        i64::try_from(self.policy.lease.as_millis()).unwrap_or(i64::MAX)
    }

    /// The most connections to the database that may be open at once, as far as can be known: while
    /// one primary follows another both have a full pool, and each member of the set is watched
    /// over two more.
    pub fn most_connections(&self) -> usize {
        2 * (self.connection.size() + self.catching_up.size()) as usize + 16
    }

    /// A better account of why the database can't be worked with, where what its servers say of
    /// themselves makes for one.
    pub async fn explain(&self, error: Error) -> Error {
        self.connection.explain(error).await
    }

    /// Closes the connections, once nothing that was written is in doubt and what was counted is
    /// written.
    pub async fn close(self) {
        let limit = self.policy.operation_timeout;
        let (settled, counted) = tokio::join!(
            timeout(limit, self.settle_archive()),
            // Boxed: what would be deep inside the type of a server's future is too deep for those
            // who spawn one.
            timeout(limit, self.finish_counts().boxed())
        );
        if settled.is_err() {
            tracing::warn!("the archive could not be looked at after the last order");
        }
        if !matches!(counted, Ok(Ok(()))) {
            tracing::warn!(
                "the last orders are archived and missing in the statistics, which could not be written"
            );
        }
        tokio::join!(self.connection.close(), self.catching_up.close());
    }
}
