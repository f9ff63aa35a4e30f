//! Calls: the one way to the driver. Each waits for a permit first, then runs in a task of its own that nobody's leaving ends.
//!
//! The driver serves one waiting request for a connection after each of its events, and a request whose caller has left uses up
//! that turn: a queue of dead requests starves the living. So no more calls go to the driver than it has connections for, the
//! others wait here, where leaving costs nothing, and a call that has begun is never abandoned before twice its time is over.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bson::{Document, RawDocumentBuf, rawdoc};
use futures::StreamExt;
use mongodb::{
    Client, ServerInfo, ServerType,
    error::Error as DriverError,
    event::sdam::SdamEvent,
    options::{ReadPreference, SelectionCriteria, ServerAddress},
    raw_batch_cursor::{RawBatch, RawBatchCursor},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, timeout, timeout_at},
};
use tracing::{debug, warn};

use super::{
    Error, Store,
    command::name_of,
    connection::{Connection, Link},
};
use crate::domain::raw;

/// One of so many connections is for callers who read; the rest is left to the watcher, to batches, to signs of life and to the
/// orders that callers archive. All of these are few at a time by themselves, and must not wait for any number of callers.
const CALLERS_SHARE: usize = 2;

/// Calls that took more than twice their time since the process began.
static ABANDONED: AtomicU64 = AtomicU64::new(0);

/// On whose behalf a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behalf {
    /// The server's own work, which is bounded by itself.
    Work,
    /// Callers, of whom there may be any number.
    Callers,
}

/// The permits of a client: as many for each server as it has connections to it. So calls that hang on a frozen primary hold up
/// none to its successor.
pub(super) struct Permits {
    size: usize,
    members: watch::Receiver<Members>,
    servers: Mutex<HashMap<Server, Share>>,
}

/// The members of the set, as the driver sees them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Members {
    /// None also where several take writes, as the routers of a sharded cluster do.
    primary: Option<ServerAddress>,
    secondaries: HashSet<ServerAddress>,
}

/// Who is to answer a call, as far as that is known beforehand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Server {
    /// This primary.
    Primary(ServerAddress),
    /// Whoever becomes the primary, or any router of a sharded cluster.
    Unknown,
    /// A secondary.
    Secondary,
}

/// The permits of one server.
#[derive(Clone)]
struct Share {
    all: Arc<Semaphore>,
    callers: Arc<Semaphore>,
}

/// The right to make a call, for as long as it is held.
pub(super) struct Permit {
    _call: OwnedSemaphorePermit,
    _caller: Option<OwnedSemaphorePermit>,
}

impl Permits {
    pub(super) fn new(size: usize, members: watch::Receiver<Members>) -> Permits {
        Permits {
            size,
            members,
            servers: Mutex::default(),
        }
    }

    /// Waits for the right to call such a member of the set. Whoever leaves meanwhile leaves nothing behind.
    pub(super) async fn permit(&self, member: &ReadPreference, behalf: Behalf) -> Permit {
        let mut members = self.members.clone();
        loop {
            let server = match member {
                ReadPreference::Secondary { .. } | ReadPreference::SecondaryPreferred { .. } => {
                    Server::Secondary
                }
                _ => match &members.borrow_and_update().primary {
                    Some(address) => Server::Primary(address.clone()),
                    None => Server::Unknown,
                },
            };
            let share = self.share(server);
            tokio::select! {
                biased;
                permit = share.take(behalf) => return permit,
                // The calls before this one may hang on a primary that has been succeeded.
                Ok(()) = members.changed() => {}
            }
        }
    }

    fn share(&self, server: Server) -> Share {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let share = servers.entry(server).or_insert_with(|| Share {
            all: Arc::new(Semaphore::new(self.size)),
            callers: Arc::new(Semaphore::new((self.size / CALLERS_SHARE).max(1))),
        });
        share.clone()
    }
}

impl Share {
    async fn take(&self, behalf: Behalf) -> Permit {
        // Nobody closes them.
        const OPEN: &str = "the semaphore is never closed";
        let caller = match behalf {
            Behalf::Work => None,
            Behalf::Callers => Some(self.callers.clone().acquire_owned().await.expect(OPEN)),
        };
        Permit {
            _call: self.all.clone().acquire_owned().await.expect(OPEN),
            _caller: caller,
        }
    }
}

impl Members {
    /// The members that an event of the driver tells of, if it does.
    pub(super) fn of(event: &SdamEvent) -> Option<Members> {
        let SdamEvent::TopologyDescriptionChanged(change) = event else {
            return None;
        };
        let servers = change.new_description.servers();
        let of_kind = |kinds: &[ServerType]| -> HashSet<ServerAddress> {
            let servers = servers.iter();
            let wanted = servers.filter(|(_, server)| kinds.contains(&server.server_type()));
            wanted.map(|(address, _)| (*address).clone()).collect()
        };
        let mut primaries = of_kind(&[
            ServerType::RsPrimary,
            ServerType::Standalone,
            ServerType::Mongos,
        ])
        .into_iter();
        Some(Members {
            primary: primaries.next().filter(|_| primaries.next().is_none()),
            secondaries: of_kind(&[ServerType::RsSecondary]),
        })
    }
}

/// A cursor of the database: one reply after the other.
pub(super) struct Cursor {
    link: Arc<Link>,
    member: ReadPreference,
    /// The reply that came when it was opened.
    first: Option<RawBatch>,
    /// None while a call has it, and for good when that call was not waited for.
    cursor: Option<RawBatchCursor>,
    open: Option<OpenCursor>,
}

/// What names a cursor in the database.
struct OpenCursor {
    id: i64,
    collection: String,
}

impl Store {
    /// Runs a command on a database, answered by such a member of the set with one document.
    pub(super) async fn run_on(
        &self,
        database: &str,
        command: RawDocumentBuf,
        member: ReadPreference,
    ) -> Result<Document, Error> {
        let name = name_of(&command);
        let database = database.to_owned();
        let criteria = SelectionCriteria::ReadPreference(member.clone());
        self.call(&name, &member, async move |client: Client| {
            let database = client.database(&database);
            let call = database.run_raw_command(command);
            call.selection_criteria(criteria).await
        })
        .await
    }

    /// Opens a cursor with a command, on such a member of the set.
    pub(super) async fn open_cursor(
        &self,
        command: RawDocumentBuf,
        member: ReadPreference,
    ) -> Result<Cursor, Error> {
        let name = name_of(&command);
        let database = self.database_name().to_owned();
        let criteria = SelectionCriteria::ReadPreference(member.clone());
        self.open(&name, member, async move |client: Client| {
            let database = client.database(&database);
            let call = database.run_raw_cursor_command(command);
            call.selection_criteria(criteria).batch().await
        })
        .await
    }

    /// Opens a change stream on the primary, whose replies the database may take `patience` for.
    pub(super) async fn open_stream(
        &self,
        collection: Option<&str>,
        pipeline: Vec<Document>,
        patience: Duration,
        batch_size: u32,
    ) -> Result<Cursor, Error> {
        let database = self.database_name().to_owned();
        let collection = collection.map(str::to_owned);
        self.open(
            "aggregate",
            ReadPreference::Primary,
            async move |client: Client| {
                let database = client.database(&database);
                match collection {
                    None => {
                        let call = database.aggregate(pipeline).max_await_time(patience);
                        call.batch_size(batch_size).batch().await
                    }
                    Some(name) => {
                        let collection = database.collection::<Document>(&name);
                        let call = collection.aggregate(pipeline).max_await_time(patience);
                        call.batch_size(batch_size).batch().await
                    }
                }
            },
        )
        .await
    }

    async fn open<F>(
        &self,
        name: &str,
        member: ReadPreference,
        call: impl FnOnce(Client) -> F,
    ) -> Result<Cursor, Error>
    where
        F: Future<Output = Result<RawBatchCursor, DriverError>> + Send + 'static,
    {
        let limit = self.policy.operation_timeout;
        let opened = timeout(limit, async {
            let link = self.connection.link().await?;
            let permit = link.permits.permit(&member, self.behalf).await;
            let opening = call(link.client.clone());
            // The first reply has come with the cursor, so asking for it sends nothing.
            let opening = async move {
                let mut cursor = opening.await?;
                let first = cursor.next().await.transpose()?;
                Ok((cursor, first))
            };
            let (cursor, first) = self.spawn(name, link.clone(), permit, opening).await?;
            Ok((link, cursor, first))
        });
        let (link, cursor, first) = opened.await.map_err(|_| Error::Timeout(limit))??;
        Ok(Cursor {
            link,
            member,
            open: first.as_ref().and_then(OpenCursor::of),
            first,
            cursor: Some(cursor),
        })
    }

    /// Makes a call to the driver. It goes on when its caller leaves or has waited long enough, and ends within twice the time.
    async fn call<T, F>(
        &self,
        name: &str,
        member: &ReadPreference,
        call: impl FnOnce(Client) -> F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, DriverError>> + Send + 'static,
    {
        let limit = self.policy.operation_timeout;
        let answered = timeout(limit, async {
            let link = self.connection.link().await?;
            let permit = link.permits.permit(member, self.behalf).await;
            let call = call(link.client.clone());
            self.spawn(name, link, permit, call).await
        });
        answered.await.unwrap_or(Err(Error::Timeout(limit)))
    }

    /// Runs a call of the driver in a task that owns its permit.
    async fn spawn<T: Send + 'static>(
        &self,
        name: &str,
        link: Arc<Link>,
        permit: Permit,
        call: impl Future<Output = Result<T, DriverError>> + Send + 'static,
    ) -> Result<T, Error> {
        let end = Instant::now() + self.policy.operation_timeout * 2;
        let (name, connection) = (name.to_owned(), self.connection.clone());
        let task = tokio::spawn(async move {
            let outcome = timeout_at(end, call).await;
            drop(permit);
            outcome_of(&name, &connection, &link, outcome.ok())
        });
        task.await.unwrap_or_else(|_| {
            Err(Error::Unusable(
                "a call to the database broke off".to_owned(),
            ))
        })
    }
}

/// What a call brought; none when it took more than twice its time, and was dropped together with its connection.
fn outcome_of<T>(
    name: &str,
    connection: &Connection,
    link: &Arc<Link>,
    outcome: Option<Result<T, DriverError>>,
) -> Result<T, Error> {
    match outcome {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(error)) => {
            connection.note_failure(link, &error);
            Err(Error::from_driver(name, &error))
        }
        None => {
            let abandoned = ABANDONED.fetch_add(1, Ordering::Relaxed) + 1;
            warn!(
                command = name,
                abandoned,
                "a call to the database took more than twice its time: its connection is closed"
            );
            Err(Error::Unavailable("a call took too long".to_owned()))
        }
    }
}

impl Cursor {
    /// The next reply; none after the last one. After an error, or when this was not waited for, the cursor is of no more use.
    pub(super) async fn next(&mut self, store: &Store) -> Result<Option<RawBatch>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        if self.open.is_none() {
            return Ok(None);
        }
        let limit = store.policy.operation_timeout;
        let answered = timeout(limit, async {
            let permit = self.link.permits.permit(&self.member, store.behalf).await;
            let Some(mut cursor) = self.cursor.take() else {
                return Err(Error::Unavailable("the cursor is gone".to_owned()));
            };
            let call = async move {
                let reply = cursor.next().await.transpose()?;
                Ok((cursor, reply))
            };
            let link = self.link.clone();
            store.spawn("getMore", link, permit, call).await
        });
        let (cursor, reply) = answered.await.unwrap_or(Err(Error::Timeout(limit)))?;
        self.cursor = Some(cursor);
        self.open = reply.as_ref().and_then(OpenCursor::of);
        Ok(reply)
    }

    /// Ends a cursor before its last reply. When a cursor is dropped the driver ends it too, but asks the primary to, wherever the
    /// cursor is.
    pub(super) fn end(self, store: &Store) {
        let (ReadPreference::SecondaryPreferred { .. }, Some(open)) = (&self.member, &self.open)
        else {
            return;
        };
        // Nobody says which one has it; to the others its number means nothing.
        let secondaries = self.link.permits.members.borrow().secondaries.clone();
        for secondary in secondaries {
            let (store, member) = (store.clone(), self.member.clone());
            let kill = rawdoc! { "killCursors": open.collection.as_str(), "cursors": [open.id] };
            tokio::spawn(async move {
                let database = store.database_name().to_owned();
                let killed = store.call("killCursors", &member, async move |client: Client| {
                    let one = move |server: &ServerInfo| *server.address() == secondary;
                    let criteria = SelectionCriteria::Predicate(Arc::new(one));
                    let database = client.database(&database);
                    let call = database.run_raw_command(kill);
                    call.selection_criteria(criteria).await
                });
                if let Err(error) = killed.await {
                    debug!(%error, "a cursor is left to its timeout");
                }
            });
        }
    }
}

impl OpenCursor {
    /// The cursor that a reply leaves open, if it does.
    fn of(reply: &RawBatch) -> Option<OpenCursor> {
        let cursor = raw::find(reply.as_raw_document(), "cursor")?;
        let field = |name: &str| {
            let mut fields = cursor.elements();
            fields
                .find(|field| field.key == name.as_bytes())
                .map(|field| field.value)
        };
        let id = i64::from_le_bytes(field("id")?.bytes.try_into().ok()?);
        let (_, collection) = field("ns")?.as_str()?.split_once('.')?;
        (id != 0).then(|| OpenCursor {
            id,
            collection: collection.to_owned(),
        })
    }
}
