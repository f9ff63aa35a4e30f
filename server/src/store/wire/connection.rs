//! The client of the driver, which can be replaced by a new one while the server runs.
//!
//! A client is built when it is first wanted, and as often as it takes: a host name may not be
//! known yet. It is replaced when the database refuses its connections what it would grant to new
//! ones: they are logged out for good when their user is dropped, also if the same one is made
//! again, and a client knows only the password that it was built with.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use mongodb::{
    Client,
    error::{Error as DriverError, ErrorKind},
    event::EventHandler,
    options::{
        ClientOptions, ConnectionString, HostInfo, ReadConcern, ReadPreference, SelectionCriteria,
        WriteConcern,
    },
};
use tokio::{
    sync::{OwnedMutexGuard, watch},
    time::{Instant, sleep, timeout},
};
use tracing::{debug, info, warn};

use super::{
    diagnosis::Diagnosis,
    permits::{FULL_POOL, LEAST_POOL, Members, POOL, Permits},
    refusal::{Refusal, access, refusal},
};
use crate::{
    config::{Config, MongodbUri},
    store::Error,
};

/// The longest that any call takes: the build of an index.
const LONGEST_CALL: Duration = Duration::from_secs(24 * 60 * 60);
/// The pause before building a client is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// The pause between two looks whether new connections would be let in.
const LOGGED_OUT_PAUSE: Duration = Duration::from_secs(2);
/// The pause between two looks whether new connections would have more rights. Usually they would
/// not: an optional privilege is missing.
const RIGHTS_PAUSE: Duration = Duration::from_secs(60);

/// A client and its successors. Clones share them.
#[derive(Clone)]
pub(in crate::store) struct Connection(Arc<Inner>);

struct Inner {
    source: Source,
    link: RwLock<Option<Arc<Link>>>,
    /// Held by who builds a client.
    building: Arc<tokio::sync::Mutex<()>>,
    /// Why there is no client yet.
    failure: Mutex<Option<Error>>,
    /// When it was last looked whether new connections would fare better.
    looked: Mutex<Option<Instant>>,
}

/// Where the settings of a client come from.
struct Source {
    uri: MongodbUri,
    /// The file that the URI was read from, which may hold another password by now.
    file: Option<PathBuf>,
    /// The most connections, whatever the URI says; none leaves it to the URI.
    pool: Option<u32>,
    operation_timeout: Duration,
}

/// One client, and what bounds the calls that are made with it.
pub(in crate::store) struct Link {
    pub(in crate::store) client: Client,
    pub(in crate::store) permits: Permits,
    diagnosis: Diagnosis,
    /// Whether the URI names a user.
    has_user: bool,
}

impl Connection {
    /// Prepares a client; `pool` is the most connections that it may have, whatever the URI says.
    pub(in crate::store) fn new(config: &Config, pool: Option<u32>) -> Connection {
        Connection(Arc::new(Inner {
            source: Source {
                uri: config.mongodb_uri.clone(),
                file: config.mongodb_uri_file.clone(),
                pool,
                operation_timeout: config.operation_timeout,
            },
            link: RwLock::default(),
            building: Arc::default(),
            failure: Mutex::default(),
            looked: Mutex::default(),
        }))
    }

    /// Builds the client, unless that takes a name to be resolved, which may have to be tried
    /// again. Nothing is sent yet.
    ///
    /// Fails when the URI can't be used.
    pub(in crate::store) async fn prepare(&self) -> Result<(), Error> {
        let uri = parsed(&self.0.source.uri)?;
        check_pool(uri.max_pool_size)?;
        match uri.host_info {
            HostInfo::DnsRecord(_) => Ok(()),
            _ => self.link().await.map(drop),
        }
    }

    /// How many connections to a server the client may have.
    pub(in crate::store) fn size(&self) -> u32 {
        let asked = || parsed(&self.0.source.uri).ok()?.max_pool_size;
        self.0.source.pool.or_else(asked).unwrap_or(POOL)
    }

    /// See [`Store::explain`](crate::store::Store::explain).
    pub(in crate::store) async fn explain(&self, error: Error) -> Error {
        match self.current() {
            Some(link) => link.diagnosis.explain(error).await,
            None => error,
        }
    }

    /// The client as it is now. Where it could not be built so far, that is tried again, and
    /// meanwhile the latest failure is told.
    pub(in crate::store) async fn link(&self) -> Result<Arc<Link>, Error> {
        if let Some(link) = self.current() {
            return Ok(link);
        }
        let failure = self.failure().clone();
        // Whoever waits may leave, which must not end what others wait for too: it takes a task.
        let building = match self.0.building.clone().try_lock_owned() {
            Ok(turn) => Some(tokio::spawn(self.clone().build(turn))),
            Err(_) => None,
        };
        match (failure, building) {
            (Some(failure), _) => return Err(failure),
            (None, Some(building)) => drop(building.await),
            (None, None) => drop(self.0.building.lock().await),
        }
        self.current().ok_or_else(|| {
            let failure = self.failure().clone();
            failure.unwrap_or_else(|| Error::Unavailable("there is no client yet".to_owned()))
        })
    }

    fn current(&self) -> Option<Arc<Link>> {
        let link = self.0.link.read().unwrap_or_else(PoisonError::into_inner);
        link.clone()
    }

    fn is_current(&self, link: &Arc<Link>) -> bool {
        self.current().is_some_and(|now| Arc::ptr_eq(&now, link))
    }

    fn failure(&self) -> MutexGuard<'_, Option<Error>> {
        let failure = self.0.failure.lock();
        failure.unwrap_or_else(PoisonError::into_inner)
    }

    async fn build(self, turn: OwnedMutexGuard<()>) {
        if self.current().is_some() {
            return;
        }
        match self.0.source.open().await {
            Ok(link) => {
                self.put(Arc::new(link));
            }
            Err(error) => {
                *self.failure() = Some(error);
                // Nobody tries again before that.
                tokio::spawn(async move {
                    sleep(PAUSE).await;
                    drop(turn);
                });
            }
        }
    }

    /// Makes this the client, and returns the one before it.
    fn put(&self, link: Arc<Link>) -> Option<Arc<Link>> {
        let mut current = self.0.link.write().unwrap_or_else(PoisonError::into_inner);
        current.replace(link)
    }

    /// Takes note that a call failed. Where new connections may fare better, that is found out, and
    /// if so they replace the old ones.
    pub(in crate::store) fn note_failure(&self, link: &Arc<Link>, error: &DriverError) {
        let Some(refusal) = refusal(error) else {
            return;
        };
        if !self.is_current(link) || !self.may_look(refusal) {
            return;
        }
        let (this, link) = (self.clone(), link.clone());
        tokio::spawn(async move { this.look(&link, refusal).await });
    }

    /// Whether it is time to look again. If it is, the look counts as begun.
    fn may_look(&self, refusal: Refusal) -> bool {
        let pause = match refusal {
            Refusal::LoggedOut => LOGGED_OUT_PAUSE,
            Refusal::Rights => RIGHTS_PAUSE,
        };
        let mut looked = self.looked();
        let due = looked.is_none_or(|looked| looked.elapsed() >= pause);
        if due {
            *looked = Some(Instant::now());
        }
        due
    }

    fn looked(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens new connections, and puts them in the place of the old ones if they have rights that
    /// those lack.
    async fn look(&self, old: &Arc<Link>, refusal: Refusal) {
        // As for every call: whoever waits no longer than this gives up no call too early.
        let limit = self.0.source.operation_timeout * 2;
        let fresh = match self.0.source.open().await {
            Ok(fresh) => fresh,
            Err(error) => {
                debug!(%error, "no new client can be built");
                return;
            }
        };
        let better = match (access(&fresh, limit).await, refusal) {
            (None, _) => false,
            (Some(new), Refusal::LoggedOut) => new.logged_in,
            (Some(new), Refusal::Rights) => access(old, limit)
                .await
                .is_some_and(|old| old.privileges != new.privileges),
        };
        if !better || !self.is_current(old) {
            fresh.close_at_once().await;
            return;
        }
        info!("the database grants new connections what it refused: they replace the old ones");
        let Some(old) = self.put(Arc::new(fresh)) else {
            return;
        };
        // What began with the old one goes on with it, for as long as any call may take.
        let end = Instant::now() + LONGEST_CALL;
        while Arc::strong_count(&old) > 1 && Instant::now() < end {
            sleep(limit).await;
        }
        old.close_at_once().await;
    }

    /// Closes the connections, once what is under way on them has ended.
    pub(in crate::store) async fn close(&self) {
        if let Some(link) = self.current() {
            link.client.clone().shutdown().await;
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
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

    async fn close_at_once(&self) {
        self.client.clone().shutdown().immediate(true).await;
    }
}

impl Source {
    /// Builds a client. Nothing is sent to the database yet, but the name of its hosts may have to
    /// be resolved.
    async fn open(&self) -> Result<Link, Error> {
        let latest = self.file.as_deref().map(MongodbUri::read);
        let uri = match latest {
            Some(Ok(uri)) => uri,
            Some(Err(error)) => {
                warn!(%error, "MONGODB_URI_FILE can't be used now; what it held at the start is");
                self.uri.clone()
            }
            None => self.uri.clone(),
        };
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
        let size = self.pool.or(options.max_pool_size).unwrap_or(POOL);
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
        })
    }
}

/// The URI as the driver reads it.
fn parsed(uri: &MongodbUri) -> Result<ConnectionString, Error> {
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
fn check_pool(size: Option<u32>) -> Result<(), Error> {
    match size {
        Some(size) if size < LEAST_POOL => Err(Error::Unusable(format!(
            "maxPoolSize in MONGODB_URI is {size}, with which the server would starve itself; make it at least {FULL_POOL}, or leave it out"
        ))),
        Some(size) if size < FULL_POOL => {
            warn!(
                "maxPoolSize in MONGODB_URI is {size}: calls to the database will wait for each other; make it at least {FULL_POOL}, or leave it out"
            );
            Ok(())
        }
        _ => Ok(()),
    }
}
