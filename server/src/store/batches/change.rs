//! Changing a batch in the database, and what readers of the news are told of it.

use bson::{Document, RawDocumentBuf, doc};

use super::record::BATCH;
use crate::{
    bytes::raw::Writer,
    store::{
        Error, Store,
        encoding::document::{document_value, raw},
        state::snapshot::{self, News},
        wire::command::write_concern,
    },
};

impl Store {
    /// Changes the batch that matches and answers with it, all but its position. Repeating such a
    /// change does no harm.
    pub(super) async fn change_batch(
        &self,
        query: &Document,
        stages: &[RawDocumentBuf],
    ) -> Result<Option<Document>, Error> {
        let reply = self.change_batch_reply(query, stages).await?;
        Ok(reply.get_document("value").ok().cloned())
    }

    /// Like [`Store::change_batch`], with all that the database says.
    pub(super) async fn change_batch_reply(
        &self,
        query: &Document,
        stages: &[RawDocumentBuf],
    ) -> Result<Document, Error> {
        let mut command = Writer::default();
        command
            .string("findAndModify", &self.names.batches)
            .document("query", &raw(query));
        let [a, b] = snapshot::NAMES;
        // The position is an order's `_id`, which may be text that is not UTF-8.
        let fields = doc! { "position": 0, a: 0, b: 0 };
        command
            .array("update", stages.iter().map(|stage| document_value(stage)))
            .bool("new", true)
            .document("fields", &raw(&fields))
            .document("writeConcern", &write_concern());
        self.write_retried(&command.finish()).await
    }
}

/// The last stage of a change of a batch that is news.
pub(in crate::store) fn told(news: News) -> RawDocumentBuf {
    snapshot::stage(BATCH, news.name())
}
