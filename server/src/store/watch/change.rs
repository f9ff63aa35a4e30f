//! Changing the documents of the watcher and of its partitions.

use bson::{Document, RawDocument, RawDocumentBuf, doc, rawdoc};

use super::{lease::Lease, news};
use crate::{
    bytes::raw::Writer,
    store::{
        Error, Store,
        encoding::document::{document_value, joined, raw, whole},
        state::version::{FORMAT, not_newer},
    },
};

/// Whose document a change is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The watcher.
    Watcher,
    /// One of the partitions.
    Partition,
}

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
        self.update_subject(Subject::Watcher, query, update, upsert)
            .await
    }

    /// The same, of either kind of document.
    pub(super) async fn update_subject(
        &self,
        subject: Subject,
        query: &Document,
        update: &RawDocument,
        upsert: bool,
    ) -> Result<bool, Error> {
        let mut statement = Writer::default();
        statement.document("q", &raw(query));
        let statement = joined(&[
            &statement.finish(),
            &update_of(subject, "u", update),
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

    /// Makes a document of the state where there is none of this `_id`. Its epoch begins at the
    /// database's clock, in milliseconds: beyond every one that a document of this `_id` has had
    /// that was set aside, so that nobody who held that one holds this one too.
    pub(super) async fn make_state(&self, id: &str, unborn: Document) -> Result<(), Error> {
        let mut born = doc! { "epoch": { "$toLong": "$$NOW" } };
        born.extend(unborn);
        let is_there = doc! { "$ne": [{ "$type": "$epoch" }, "missing"] };
        let made = doc! { "$mergeObjects": ["$$ROOT", born] };
        let stage = doc! { "$replaceWith": { "$cond": [is_there, "$$ROOT", made] } };
        let statement = doc! { "q": { "_id": id }, "u": [stage], "upsert": true };
        let command = self.write_command(
            &rawdoc! { "update": self.names.state.as_str() },
            "updates",
            &[raw(&statement)],
        );
        self.write_retried(&command).await.map(|_| ())
    }
}

/// The field of a command that holds an update of such a document: one of the state leaves a
/// snapshot for those who read the news.
pub(super) fn update_of(subject: Subject, name: &str, update: &RawDocument) -> RawDocumentBuf {
    let mut field = Writer::default();
    match news::stages_of(subject, update) {
        Some(stages) => field.array(name, stages.iter().map(|stage| document_value(stage))),
        None => field.document(name, update),
    };
    field.finish()
}

/// What is held under a lease, as long as it lasts. A newer server that takes it over may not be
/// known by its epoch, and a partition that was set aside and made anew not as one of another split.
pub(in crate::store) fn mine(lease: &Lease) -> Document {
    let mut query = doc! { "_id": lease.id(), "epoch": lease.epoch, FORMAT: not_newer() };
    if lease.subject() == Subject::Partition {
        query.insert("generation", lease.generation);
    }
    query
}
