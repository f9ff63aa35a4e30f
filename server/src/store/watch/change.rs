//! Changing the watcher's document.

use bson::{Document, RawDocument, RawDocumentBuf, doc, rawdoc};

use super::{news, record::ID};
use crate::{
    bytes::raw::Writer,
    store::{
        Error, Store,
        encoding::document::{document_value, joined, raw, whole},
        state::version::{FORMAT, not_newer},
    },
};

impl Store {
    /// Updates the watcher if the query finds it. Repeating such an update does no harm.
    pub(in crate::store) async fn update_watcher(
        &self,
        query: Document,
        update: Document,
        upsert: bool,
    ) -> Result<bool, Error> {
        self.update_watcher_raw(&query, &raw(&update), upsert).await
    }

    /// Like [`Store::update_watcher`], with an update in bytes.
    pub(super) async fn update_watcher_raw(
        &self,
        query: &Document,
        update: &RawDocument,
        upsert: bool,
    ) -> Result<bool, Error> {
        let mut statement = Writer::default();
        statement.document("q", &raw(query));
        let statement = joined(&[
            &statement.finish(),
            &update_of_watcher("u", update),
            &rawdoc! { "upsert": upsert },
        ]);
        let command = self.write_command(
            &rawdoc! { "update": self.names.state.as_str() },
            "updates",
            &[statement],
        );
        let reply = self.write_retried(&command).await?;
        Ok(whole(reply.get("n")) > 0)
    }
}

/// The field of a command that holds an update of the watcher's document: one of the state leaves a
/// snapshot for those who read the news.
pub(super) fn update_of_watcher(name: &str, update: &RawDocument) -> RawDocumentBuf {
    let mut field = Writer::default();
    match news::stages_of_watcher(update) {
        Some(stages) => field.array(name, stages.iter().map(|stage| document_value(stage))),
        None => field.document(name, update),
    };
    field.finish()
}

/// The watch under an epoch, as long as it lasts. A newer server that takes it over may not be
/// known by its epoch.
pub(in crate::store) fn mine(epoch: i64) -> Document {
    doc! { "_id": ID, "epoch": epoch, FORMAT: not_newer() }
}
