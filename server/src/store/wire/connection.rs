//! The client of the driver, which can be replaced by a new one while the server runs.
//!
//! A client is built when it is first wanted, and as often as it takes: a host name may not be
//! known yet. It is replaced when the database refuses its connections what it would grant to new
//! ones: they are logged out for good when their user is dropped, also if the same one is made
//! again, and a client knows only the password and the certificates that it was built with.

use std::{fmt, sync::Arc, time::Duration};

use mongodb::{error::Error as DriverError, options::HostInfo};
use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, sleep},
};
use tracing::{debug, info};

use super::{
    access::access,
    link::{Link, Source, check_pool, parsed},
    refusal::{Refusal, refusal},
};
use crate::{config::Config, store::Error};

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

impl Connection {
    /// Prepares a client; `pool` is the most connections that it may have, whatever the URI says.
    pub(in crate::store) fn new(config: &Config, pool: Option<u32>) -> Connection {
        Connection(Arc::new(Inner {
            source: Source {
                uri: config.mongodb_uri.clone(),
                file: config.mongodb_uri_file.clone(),
                pool,
                more_streams: config.watch_partitions.saturating_sub(1),
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
        check_pool(uri.max_pool_size, self.0.source.more_streams)?;
        match uri.host_info {
            HostInfo::DnsRecord(_) => Ok(()),
            _ => self.link().await.map(drop),
        }
    }

    /// How many connections to a server the client may have.
    pub(in crate::store) fn size(&self) -> u32 {
        let asked = || parsed(&self.0.source.uri).ok()?.max_pool_size;
        let source = &self.0.source;
        source.pool.or_else(asked).unwrap_or(source.default_pool())
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
    pub(super) async fn link(&self) -> Result<Arc<Link>, Error> {
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

    pub(super) fn current(&self) -> Option<Arc<Link>> {
        self.0.link.read().clone()
    }

    fn is_current(&self, link: &Arc<Link>) -> bool {
        self.current().is_some_and(|now| Arc::ptr_eq(&now, link))
    }

    fn failure(&self) -> MutexGuard<'_, Option<Error>> {
        self.0.failure.lock()
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
        self.0.link.write().replace(link)
    }

    /// Takes note that a call failed. Where new connections may fare better, that is found out, and
    /// if so they replace the old ones.
    pub(super) fn note_failure(&self, link: &Arc<Link>, error: &DriverError) {
        let Some(refusal) = refusal(error) else {
            return;
        };
        if !self.is_current(link) || !self.may_look(refusal) {
            return;
        }
        let (this, link) = (self.clone(), link.clone());
        tokio::spawn(async move {
            // That a database is away is nothing that a new client would mend.
            if refusal != Refusal::Unreachable || this.0.source.differs_from(&link) {
                this.look(&link, refusal).await;
            }
        });
    }

    /// Whether it is time to look again. If it is, the look counts as begun.
    fn may_look(&self, refusal: Refusal) -> bool {
        let pause = match refusal {
            Refusal::LoggedOut | Refusal::Unreachable => LOGGED_OUT_PAUSE,
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
        self.0.looked.lock()
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
            (Some(_), Refusal::Unreachable) => true,
            (Some(new), Refusal::LoggedOut) => new.logged_in,
            (Some(new), Refusal::Rights) => access(old, limit)
                .await
                .is_some_and(|old| old.privileges != new.privileges),
        };
        if !better || !self.is_current(old) {
            fresh.close_at_once().await;
            return;
        }
        info!(
            "the database grants new connections what the old ones do not get: they replace those"
        );
        let Some(old) = self.put(Arc::new(fresh)) else {
            return;
        };
        // What began with the old one goes on with it, for as long as any call may take.
        let end = Instant::now() + LONGEST_CALL;
        // Whoever spawned this holds it too.
        while Arc::strong_count(&old) > 2 && Instant::now() < end {
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
