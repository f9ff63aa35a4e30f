//! Changing a job in the database, and what readers of the news are told of it.

use bson::{Bson, Document, RawDocumentBuf};

use super::Kind;
use crate::{
    bytes::raw::Writer,
    store::{
        Error, Store,
        encoding::document::{document_value, raw},
        state::{format::Field, snapshot},
        wire::command::write_concern,
    },
};

impl Kind {
    /// The last stage of a change that is news. `news` may be an expression.
    pub(super) fn told(&self, news: impl Into<Bson>) -> RawDocumentBuf {
        snapshot::stage(self.fields, news)
    }

    /// Leaves out of an answer what is not for whoever asked: what only the runner reads, and
    /// snapshots, which are for readers of the history.
    pub(super) fn without_private(&self) -> Document {
        let hidden = self.private.iter().map(Field::name).chain(snapshot::NAMES);
        hidden.map(|name| (name.to_owned(), 0.into())).collect()
    }
}

impl Store {
    /// Changes the job that matches and answers with it, all but what only its runner reads.
    /// Repeating such a change does no harm.
    pub(super) async fn change_job(
        &self,
        kind: &Kind,
        query: &Document,
        stages: &[RawDocumentBuf],
    ) -> Result<Option<Document>, Error> {
        let reply = self.change_job_reply(kind, query, stages).await?;
        Ok(reply.get_document("value").ok().cloned())
    }

    /// Like [`Store::change_job`], with all that the database says.
    pub(super) async fn change_job_reply(
        &self,
        kind: &Kind,
        query: &Document,
        stages: &[RawDocumentBuf],
    ) -> Result<Document, Error> {
        let mut command = Writer::default();
        command
            .string("findAndModify", (kind.collection)(&self.names))
            .document("query", &raw(query))
            .array("update", stages.iter().map(|stage| document_value(stage)))
            .bool("new", true)
            .document("fields", &raw(&kind.without_private()))
            .document("writeConcern", &write_concern());
        self.write_retried(&command.finish()).await
    }
}
