//! Calls: the one way to the driver. Each waits for a permit first, and once it has begun nobody's
//! leaving ends it.
//!
//! The driver serves one waiting request for a connection after each of its events, and a request
//! whose caller has left uses up that turn: a queue of abandoned requests starves the others. So no
//! more calls go to the driver than it has connections for, the others wait before it, where
//! leaving costs nothing, and a call that has begun is never abandoned before twice its time is
//! over.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bson::{Document, RawDocumentBuf};
use futures::{FutureExt, future::BoxFuture};
use mongodb::{
    Client,
    error::Error as DriverError,
    options::{ReadPreference, SelectionCriteria},
};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout, timeout_at},
};
use tracing::{Instrument, warn};

use super::{command::name_of, connection::Connection, link::Link, permits::Permit};
use crate::store::{Error, Store};

/// Calls that took more than twice their time since the process began.
static ABANDONED: AtomicU64 = AtomicU64::new(0);

impl Store {
    /// Runs a command on a database, answered by such a member of the set with one document.
    pub(in crate::store) async fn run_on(
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
    pub(in crate::store) async fn call<T, F>(
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
            self.begin(limit, name, link, permit, call).await
        });
        answered.await.unwrap_or(Err(Error::Timeout(limit)))
    }

    /// Runs a call of the driver, which keeps its permit and ends within twice the limit, whoever
    /// waits for it.
    pub(super) async fn begin<T: Send + 'static>(
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
        let begun = Begun::new(async move {
            let outcome = timeout_at(end, call).await;
            drop(kept);
            outcome_of(&name, &connection, &link, outcome.ok())
        });
        begun.await
    }
}

/// A future that goes on in a task of its own when whoever awaits it leaves. While somebody does,
/// it needs none: handing it to another thread and its outcome back would take a good part of a
/// call's time.
struct Begun<T: Send + 'static>(Option<BoxFuture<'static, T>>);

impl<T: Send + 'static> Begun<T> {
    fn new(work: impl Future<Output = T> + Send + 'static) -> Begun<T> {
        Begun(Some(work.boxed()))
    }
}

impl<T: Send + 'static> Future for Begun<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken out, so that work that panics is not gone on with.
        let mut work = self.0.take().expect("not awaited after its end");
        let outcome = work.poll_unpin(context);
        if outcome.is_pending() {
            self.0 = Some(work);
        }
        outcome
    }
}

impl<T: Send + 'static> Drop for Begun<T> {
    fn drop(&mut self) {
        // Without a runtime the process is about to end.
        if let (Some(work), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(work.in_current_span());
        }
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

#[cfg(test)]
mod tests {
    use tokio::{sync::oneshot, time::sleep};

    use super::*;

    /// Work that takes a moment, and whether it has come to its end.
    fn work() -> (impl Future<Output = u8> + Send, oneshot::Receiver<()>) {
        let (done, is_done) = oneshot::channel();
        let work = async move {
            sleep(Duration::from_millis(50)).await;
            let _ = done.send(());
            7
        };
        (work, is_done)
    }

    #[tokio::test]
    async fn what_has_begun_comes_to_its_end_whether_it_is_awaited_or_left() {
        let (awaited, is_done) = work();
        assert_eq!(Begun::new(awaited).await, 7);
        is_done.await.unwrap();

        let (left, is_done) = work();
        let waited = timeout(Duration::from_millis(1), Begun::new(left)).await;
        assert!(waited.is_err());
        is_done.await.unwrap();
    }

    #[tokio::test]
    async fn work_that_panics_is_not_gone_on_with() {
        let panicking = tokio::spawn(Begun::new(async { panic!("on purpose") }));
        let ended: Result<(), _> = panicking.await;
        assert!(ended.unwrap_err().is_panic());
    }
}
