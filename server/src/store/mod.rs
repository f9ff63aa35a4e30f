//! The world: the only code that knows MongoDB. It speaks of orders, batches and events outward, and commands inward.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use mongodb::{
    Client, Database,
    options::{ClientOptions, ReadConcern, SelectionCriteria, WriteConcern},
};

use crate::{
    config::{BatchReads, Collections, Config},
    domain::order::Reference,
};

mod bulk;
mod command;
mod diagnosis;
mod error;
pub mod format;
pub mod json;

pub mod set_aside;

pub mod setup;

pub mod indexes;

pub mod gather;

pub mod references;

pub mod write;

pub mod counters;

pub mod quarantine;

pub mod archive;

pub mod orders;

pub mod near_misses;

pub mod options;

pub mod batches;

pub mod running;

pub mod pages;

pub mod reader;

pub mod inspect;

pub mod access;

pub mod holdings;

pub mod burden;

pub mod changes;

pub mod watch;

pub mod seeds;

#[cfg(test)]
mod uri;

pub use error::Error;
pub use inspect::Inspector;

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
    /// The counters behind the statistics.
    pub counters: String,
    /// The state of the server on this database: the watcher, and the database's identity.
    pub state: String,
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
            counters: own("counters"),
            state: own("state"),
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
    client: Client,
    database: Database,
    names: Names,
    delivered: String,
    policy: Policy,
    /// The cluster time that is known to lie behind us: the history and the pages of batches have been read up to it, or a batch
    /// has begun at it. What it tells of must be there to be read, even on a new primary that has not heard yet how much a
    /// majority holds, or on a secondary that lags.
    horizon: Arc<AtomicU64>,
    latency: burden::Latency,
    /// When it was last told that orders can't be counted.
    uncounted: counters::Seldom,
    diagnosis: diagnosis::Diagnosis,
    /// Where a batch reads in bulk; none where that is always the primary.
    secondaries: Option<bulk::Secondaries>,
}

impl Store {
    /// Prepares to talk to the database of the settings. Nothing is sent yet, so the database need not be there.
    ///
    /// Fails when the URI can't be understood; the error never shows it.
    pub async fn new(config: &Config) -> Result<Store, Error> {
        let parsed = ClientOptions::parse(config.mongodb_uri.expose()).await;
        let mut options = parsed.map_err(|_| Error::Unusable("MONGODB_URI can't be understood; it must look like mongodb://user:password@host:27017/?replicaSet=name".to_owned()))?;
        options.app_name.get_or_insert_with(|| "archd".to_owned());
        // The driver waits 30 s for a server and has 10 connections by default: too long for a caller, too few for chunks in flight.
        options
            .server_selection_timeout
            .get_or_insert(Duration::from_secs(3));
        options
            .connect_timeout
            .get_or_insert(Duration::from_secs(3));
        options.max_pool_size.get_or_insert(64);
        options.heartbeat_freq.get_or_insert(Duration::from_secs(2));
        // What the archive promises does not depend on a deployment's defaults.
        options.read_concern = Some(ReadConcern::majority());
        options.write_concern = Some(WriteConcern::majority());
        options.selection_criteria = Some(SelectionCriteria::ReadPreference(
            mongodb::options::ReadPreference::Primary,
        ));
        let diagnosis = diagnosis::Diagnosis::listen(&mut options);
        let client =
            Client::with_options(options).map_err(|error| Error::from_driver("connect", &error))?;
        Ok(Store {
            database: client.database(&config.database),
            client,
            names: Names::new(&config.collections),
            delivered: config.delivered_status.clone(),
            policy: Policy {
                operation_timeout: config.operation_timeout,
                retry_attempts: config.retry_attempts as usize,
                lease: config.lease,
            },
            horizon: Arc::default(),
            latency: burden::Latency::default(),
            uncounted: counters::Seldom::default(),
            diagnosis,
            secondaries: match config.batch_reads {
                BatchReads::Primary => None,
                BatchReads::Secondary => Some(bulk::Secondaries::default()),
            },
        })
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
        self.database.name()
    }

    /// How long this instance may be silent before another one takes its watch or its batch over.
    pub fn lease(&self) -> Duration {
        self.policy.lease
    }

    /// Between two signs of life: two of them may be lost before the lease ends.
    pub fn beat(&self) -> Duration {
        self.policy.lease / 3
    }

    /// The lease in milliseconds, as the database counts.
    fn lease_millis(&self) -> i64 {
        i64::try_from(self.policy.lease.as_millis()).unwrap_or(i64::MAX)
    }

    /// A better account of why the database can't be worked with, where what its servers say of themselves makes for one.
    pub async fn explain(&self, error: Error) -> Error {
        self.diagnosis.explain(error).await
    }

    /// Closes the connections.
    pub async fn close(self) {
        self.client.shutdown().await;
    }
}
