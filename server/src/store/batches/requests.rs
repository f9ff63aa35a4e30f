//! Requests of callers: to make a batch, to stop it, to change its limits.

use bson::{Document, doc, rawdoc};

use super::{
    change::told,
    options::{Limits, Options},
    record::{Batch, State},
};
use crate::{
    domain::counts::Counts,
    store::{
        Error, Store,
        counters::record::to_document,
        encoding::document::raw,
        state::{
            snapshot::News,
            version::{CURRENT, FORMAT, not_newer},
        },
    },
};

impl Store {
    /// Asks for a batch: makes one that nobody runs yet, unless one is active or the request id is
    /// known. The flag says whether the batch was there before.
    pub async fn ask_for_batch(
        &self,
        options: &Options,
        request_id: Option<&str>,
        instance: &str,
    ) -> Result<(Batch, bool), Error> {
        const TRIES: usize = 10;
        for _ in 0..TRIES {
            if let Some(request_id) = request_id
                && let Some(batch) = self.find_batch(by_request(request_id)).await?
            {
                return Ok((batch, true));
            }
            if let Some(batch) = self.find_batch(doc! { "active": true }).await? {
                return Ok((batch, true));
            }
            let id = uuid::Uuid::now_v7().to_string();
            if self
                .insert_batch(&id, options, request_id, instance)
                .await?
                && let Some(batch) = self.batch(&id).await?
            {
                return Ok((batch, false));
            }
        }
        Err(Error::Unavailable(
            "others keep starting and ending batches at the same moment".to_owned(),
        ))
    }

    /// Inserts a new batch; false when another one came first.
    async fn insert_batch(
        &self,
        id: &str,
        options: &Options,
        request_id: Option<&str>,
        instance: &str,
    ) -> Result<bool, Error> {
        let mut stage = doc! {
            FORMAT: CURRENT, "state": State::Pending.name(), "active": true, "instance": { "$literal": instance },
            "options": options.stage(), "counts": to_document(&Counts::default()),
            "created": "$$NOW", "updated": "$$NOW", "alive_until": "$$NOW",
        };
        if let Some(request_id) = request_id {
            stage.insert("request_id", doc! { "$literal": request_id });
        }
        // An upsert by pipeline, because only there the database's own clock can be written. When
        // it is sent again because its answer was lost, the batch may run already, or have ended:
        // then it stays as it is.
        let is_new = doc! { "$eq": [{ "$type": "$created" }, "missing"] };
        let born = doc! { "$mergeObjects": ["$$ROOT", stage] };
        let replace = doc! { "$replaceWith": { "$cond": [is_new, born, "$$ROOT"] } };
        let statement = doc! { "q": { "_id": id }, "u": [replace], "upsert": true };
        let command = self.write_command(
            &rawdoc! { "update": self.names.batches.as_str() },
            "updates",
            &[raw(&statement)],
        );
        match self.write_retried(&command).await {
            Ok(_) => Ok(true),
            Err(Error::Refused { code: 11000, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks a batch to stop, and answers with it. None when it has ended.
    pub async fn cancel_batch(&self, id: &str) -> Result<Option<Batch>, Error> {
        // A batch that has ended keeps its state, whenever this arrives.
        let state =
            doc! { "$cond": [{ "$eq": ["$active", true] }, State::Cancelling.name(), "$state"] };
        self.ask_of_batch(id, doc! { "state": state }).await
    }

    /// Sets the limits that are given, and leaves the others as they are; answers with the batch.
    /// None when it has ended.
    pub async fn tune_batch(&self, id: &str, limits: &Limits) -> Result<Option<Batch>, Error> {
        let mut set = doc! {};
        for (name, limit) in limits.document() {
            set.insert(format!("limits.{name}"), limit);
        }
        self.ask_of_batch(id, set).await
    }

    /// Changes the active batch on behalf of a caller. When this is sent again because its answer
    /// was lost, the batch may have ended since, and has been asked nevertheless.
    async fn ask_of_batch(&self, id: &str, mut set: Document) -> Result<Option<Batch>, Error> {
        let call = uuid::Uuid::new_v4().to_string();
        set.extend(doc! { "asked_by": &call, "updated": "$$NOW" });
        let query = doc! {
            "_id": id, FORMAT: not_newer(), "$or": [{ "active": true }, { "asked_by": call }],
        };
        let stages = [raw(&doc! { "$set": set }), told(News::BatchProgress)];
        let document = self.change_batch(&query, &stages).await?;
        self.batch_in(document.as_ref())
    }
}

/// The type is said aloud: without it the index on request ids, which holds those of texts alone,
/// is not used.
fn by_request(request_id: &str) -> Document {
    doc! { "request_id": { "$eq": request_id, "$type": "string" } }
}
