//! Calls: the one way to the driver. Each waits for a permit first, then runs in a task of its own
//! that nobody's leaving ends.
//!
//! The driver serves one waiting request for a connection after each of its events, and a request
//! whose caller has left uses up that turn: a queue of abandoned requests starves the others. So no
//! more calls go to the driver than it has connections for, the others wait before it, where
//! leaving costs nothing, and a call that has begun is never abandoned before twice its time is
//! over.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bson::{Document, RawDocumentBuf};
use mongodb::{
    Client,
    error::Error as DriverError,
    options::{ReadPreference, SelectionCriteria},
};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::warn;

use super::{
    Error, Store,
    command::name_of,
    connection::{Connection, Link},
    permits::Permit,
};

/// Calls that took more than twice their time since the process began.
static ABANDONED: AtomicU64 = AtomicU64::new(0);

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

    /// Makes a call to the driver. It goes on when its caller leaves or has waited long enough, and
    /// ends within twice the time.
    pub(super) async fn call<T, F>(
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
        self.call_within(limit, name, member, call).await
    }

    /// Like [`Store::call`], under a limit of its own.
    pub(super) async fn call_within<T, F>(
        &self,
        limit: Duration,
        name: &str,
        member: &ReadPreference,
        call: impl FnOnce(Client) -> F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, DriverError>> + Send + 'static,
    {
        let answered = timeout(limit, async {
            let link = self.connection.link().await?;
            let permit = link.permits.permit(member, self.behalf).await;
            let call = call(link.client.clone());
            self.spawn(limit, name, link, permit, call).await
        });
        answered.await.unwrap_or(Err(Error::Timeout(limit)))
    }

    /// Runs a call of the driver in a task that owns its permit, and ends within twice the limit.
    pub(super) async fn spawn<T: Send + 'static>(
        &self,
        limit: Duration,
        name: &str,
        link: Arc<Link>,
        permit: Permit,
        call: impl Future<Output = Result<T, DriverError>> + Send + 'static,
    ) -> Result<T, Error> {
        let end = Instant::now() + limit * 2;
        let (name, connection) = (name.to_owned(), self.connection.clone());
        let kept = (permit, self.kept.clone());
        let task = tokio::spawn(async move {
            let outcome = timeout_at(end, call).await;
            drop(kept);
            outcome_of(&name, &connection, &link, outcome.ok())
        });
        task.await.unwrap_or_else(|_| {
            Err(Error::Unavailable(
                "a call to the database broke off".to_owned(),
            ))
        })
    }
}

/// What a call brought; none when it took more than twice its time, and was dropped together with
/// its connection.
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
            Err(link.error(name, &error))
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
