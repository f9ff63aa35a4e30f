//! Cursors: rows and changes that come in several replies.

use std::{future::Future, sync::Arc, time::Duration};

use bson::{Document, RawDocumentBuf, rawdoc};
use futures::StreamExt;
use mongodb::{
    Client, ServerInfo,
    error::Error as DriverError,
    options::{ReadPreference, SelectionCriteria},
    raw_batch_cursor::{RawBatch, RawBatchCursor},
};
use tokio::time::timeout;
use tracing::debug;

use super::{changes::Replies, command::name_of, link::Link};
use crate::{
    bytes::raw,
    store::{Error, Store},
};

/// A cursor of the database: one reply after the other.
pub(in crate::store) struct Cursor {
    link: Arc<Link>,
    member: ReadPreference,
    /// The reply that came when it was opened.
    first: Option<RawBatch>,
    /// None while a call has it, and for good when that call was not waited for.
    cursor: Option<RawBatchCursor>,
    open: Option<OpenCursor>,
    /// How long each reply may take.
    limit: Duration,
}

/// What names a cursor in the database.
struct OpenCursor {
    id: i64,
    collection: String,
}

impl Store {
    /// Opens a cursor with a command, on such a member of the set.
    pub(super) async fn open_cursor(
        &self,
        command: RawDocumentBuf,
        member: ReadPreference,
    ) -> Result<Cursor, Error> {
        let name = name_of(&command);
        let database = self.database_name().to_owned();
        let criteria = SelectionCriteria::ReadPreference(member.clone());
        let limit = self.policy.operation_timeout;
        self.open(&name, member, limit, async move |client: Client| {
            let database = client.database(&database);
            let call = database.run_raw_cursor_command(command);
            call.selection_criteria(criteria).batch().await
        })
        .await
    }

    /// Opens a change stream on the primary, in such replies, but of so many changes at most.
    pub(super) async fn open_stream(
        &self,
        collection: Option<&str>,
        pipeline: Vec<Document>,
        replies: Replies,
        batch_size: u32,
    ) -> Result<Cursor, Error> {
        let Replies {
            patience,
            opening,
            limit,
            ..
        } = replies;
        let database = self.database_name().to_owned();
        let collection = collection.map(str::to_owned);
        self.open(
            "aggregate",
            ReadPreference::Primary,
            opening,
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
        .map(|cursor| Cursor { limit, ..cursor })
    }

    async fn open<F>(
        &self,
        name: &str,
        member: ReadPreference,
        limit: Duration,
        call: impl FnOnce(Client) -> F,
    ) -> Result<Cursor, Error>
    where
        F: Future<Output = Result<RawBatchCursor, DriverError>> + Send + 'static,
    {
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
            let (cursor, first) = self
                .begin(limit, name, link.clone(), permit, opening)
                .await?;
            Ok::<_, Error>((link, cursor, first))
        });
        let (link, cursor, first) = opened.await.map_err(|_| Error::Timeout(limit))??;
        Ok(Cursor {
            link,
            member,
            open: first.as_ref().and_then(OpenCursor::of),
            first,
            cursor: Some(cursor),
            limit,
        })
    }
}

impl Cursor {
    /// The next reply; none after the last one. After an error, or when this was not waited for,
    /// the cursor is of no more use.
    pub(in crate::store) async fn next(
        &mut self,
        store: &Store,
    ) -> Result<Option<RawBatch>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        if self.open.is_none() {
            return Ok(None);
        }
        let limit = self.limit;
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
            store.begin(limit, "getMore", link, permit, call).await
        });
        let (cursor, reply) = answered.await.unwrap_or(Err(Error::Timeout(limit)))?;
        self.cursor = Some(cursor);
        self.open = reply.as_ref().and_then(OpenCursor::of);
        Ok(reply)
    }

    /// Ends a cursor before its last reply. When a cursor is dropped the driver ends it too, but
    /// asks the primary to, wherever the cursor is.
    pub(in crate::store) fn end(self, store: &Store) {
        let (ReadPreference::SecondaryPreferred { .. }, Some(open)) = (&self.member, &self.open)
        else {
            return;
        };
        // Nobody says which one has it; to the others its number means nothing.
        let secondaries = self.link.permits.secondaries();
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
