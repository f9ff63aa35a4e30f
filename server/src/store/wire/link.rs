//! Links: one client of the driver, how it is built from the settings, and what bounds its calls.

use std::{fs, path::PathBuf, time::Duration};

use mongodb::{
    Client,
    error::{Error as DriverError, ErrorKind},
    event::EventHandler,
    options::{
        ClientOptions, ConnectionString, ReadConcern, ReadPreference, SelectionCriteria, Tls,
        WriteConcern,
    },
};
use sha2::{Digest, Sha256};
use tokio::{sync::watch, time::timeout};
use tracing::warn;

use super::{
    diagnosis::Diagnosis,
    permits::{FULL_POOL, LEAST_POOL, Members, POOL, Permits},
    refusal::{Refusal, refusal},
};
use crate::{
    config::{MongodbUri, uri_file::BadUriFile},
    store::Error,
};

/// Where the settings of a client come from.
pub(super) struct Source {
    pub(super) uri: MongodbUri,
    /// The file that the URI was read from, which may hold another password by now.
    pub(super) file: Option<PathBuf>,
    /// The most connections, whatever the URI says; none leaves it to the URI.
    pub(super) pool: Option<u32>,
    /// How many streams may be read beside those that every instance reads: of partitions of the
    /// watch.
    pub(super) more_streams: u32,
    pub(super) operation_timeout: Duration,
}

/// One client, and what bounds the calls that are made with it.
pub(in crate::store) struct Link {
    pub(in crate::store) client: Client,
    pub(in crate::store) permits: Permits,
    pub(super) diagnosis: Diagnosis,
    /// Whether the URI names a user.
    pub(super) has_user: bool,
    made_of: Ingredients,
}

/// The digest of what a client is made of: the URI, and what is in the files that it names.
#[derive(PartialEq, Eq)]
struct Ingredients([u8; 32]);

impl Ingredients {
    fn of(uri: &MongodbUri) -> Ingredients {
        let mut digest = Sha256::new_with_prefix(uri.expose());
        let tls = parsed(uri).ok().and_then(|uri| uri.tls);
        if let Some(Tls::Enabled(tls)) = tls {
            for file in [tls.ca_file_path, tls.cert_key_file_path] {
                let content = file.and_then(|file| fs::read(file).ok());
                digest.update(Sha256::digest(content.unwrap_or_default()));
            }
        }
        Ingredients(digest.finalize().into())
    }
}

impl Link {
    /// What a failed call of this client comes to.
    pub(in crate::store) fn error(&self, command: &str, error: &DriverError) -> Error {
        match refusal(error) {
            // mongod would have it that a privilege is missing.
            Some(Refusal::LoggedOut) if self.has_user => Error::Unauthenticated,
            _ => Error::from_driver(command, error),
        }
    }

    pub(super) async fn close_at_once(&self) {
        self.client.clone().shutdown().immediate(true).await;
    }
}

impl Source {
    /// Builds a client. Nothing is sent to the database yet, but the name of its hosts may have to
    /// be resolved.
    pub(super) async fn open(&self) -> Result<Link, Error> {
        let uri = self.latest().unwrap_or_else(|error| {
            warn!(%error, "MONGODB_URI_FILE can't be used now; what it held at the start is");
            self.uri.clone()
        });
        let made_of = Ingredients::of(&uri);
        let resolved = ClientOptions::parse(parsed(&uri)?).into_future();
        let mut options = match timeout(self.operation_timeout, resolved).await {
            Ok(resolved) => resolved.map_err(|error| unusable(&error))?,
            Err(_) => {
                let text = "its host name is not resolved in time";
                return Err(Error::Unavailable(text.to_owned()));
            }
        };
        options.app_name.get_or_insert_with(|| "archd".to_owned());
        // The driver waits 30 s for a server and has 10 connections by default: too long for a
        // caller, too few for chunks in flight.
        options
            .server_selection_timeout
            .get_or_insert(Duration::from_secs(3));
        options
            .connect_timeout
            .get_or_insert(Duration::from_secs(3));
        let size = self.pool.or(options.max_pool_size);
        let size = size.unwrap_or(self.default_pool());
        options.max_pool_size = Some(size);
        options.min_pool_size = options.min_pool_size.map(|least| least.min(size));
        options.heartbeat_freq.get_or_insert(Duration::from_secs(2));
        // What the archive promises does not depend on a deployment's defaults.
        options.read_concern = Some(ReadConcern::majority());
        options.write_concern = Some(WriteConcern::majority());
        options.selection_criteria =
            Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        let has_user = options.credential.is_some();
        let (tell, members) = watch::channel(Members::default());
        let diagnosis = Diagnosis::new(&options);
        let hearing = diagnosis.clone();
        options.sdam_event_handler = Some(EventHandler::callback(move |event| {
            hearing.hear(&event);
            if let Some(members) = Members::of(&event) {
                tell.send_replace(members);
            }
        }));
        let client =
            Client::with_options(options).map_err(|error| Error::from_driver("connect", &error))?;
        Ok(Link {
            client,
            permits: Permits::new(size as usize, members),
            diagnosis,
            has_user,
            made_of,
        })
    }

    /// How many connections there may be where nothing says so.
    pub(super) fn default_pool(&self) -> u32 {
        POOL + self.more_streams
    }

    /// Whether a client that is built now is made of something else than this one.
    pub(super) fn differs_from(&self, link: &Link) -> bool {
        self.latest()
            .is_ok_and(|uri| Ingredients::of(&uri) != link.made_of)
    }

    /// The URI as it is now.
    fn latest(&self) -> Result<MongodbUri, BadUriFile> {
        match &self.file {
            Some(file) => MongodbUri::read(file),
            None => Ok(self.uri.clone()),
        }
    }
}

/// The URI as the driver reads it.
pub(super) fn parsed(uri: &MongodbUri) -> Result<ConnectionString, Error> {
    ConnectionString::parse(uri.expose()).map_err(|error| unusable(&error))
}

fn unusable(error: &DriverError) -> Error {
    match error.kind.as_ref() {
        ErrorKind::DnsResolve { .. } | ErrorKind::Io(_) => Error::from_driver("connect", error),
        _ => Error::Unusable("MONGODB_URI can't be understood; it must look like mongodb://user:password@host:27017/?replicaSet=name".to_owned()),
    }
}

/// Refuses a pool that is too small to work with, and warns of one that is smaller than it should
/// be.
pub(super) fn check_pool(size: Option<u32>, more_streams: u32) -> Result<(), Error> {
    let (least, full) = (LEAST_POOL + more_streams, FULL_POOL + more_streams);
    match size {
        Some(size) if size < least => Err(Error::Unusable(format!(
            "maxPoolSize in MONGODB_URI is {size}, with which the server would starve itself; make it at least {full}, or leave it out"
        ))),
        Some(size) if size < full => {
            warn!(
                "maxPoolSize in MONGODB_URI is {size}: calls to the database will wait for each other; make it at least {full}, or leave it out"
            );
            Ok(())
        }
        _ => Ok(()),
    }
}
