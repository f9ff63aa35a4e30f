//! Requests of callers: to make a job, to stop it, to change what holds for it.

use bson::{Document, doc, rawdoc};

use super::{
    Job,
    record::{Head, State},
};
use crate::store::{
    Error, Store,
    encoding::document::raw,
    state::version::{CURRENT, FORMAT, not_newer},
};

impl Store {
    /// Asks for a job: makes one that nobody runs yet, unless one is active or the request id is
    /// known. The flag says whether the job was there before.
    pub async fn ask_for_job<J: Job>(
        &self,
        options: &J::Options,
        request_id: Option<&str>,
        instance: &str,
    ) -> Result<(J, bool), Error> {
        const TRIES: usize = 10;
        for _ in 0..TRIES {
            if let Some(request_id) = request_id
                && let Some(job) = self.find_job(by_request(request_id)).await?
            {
                return Ok((job, true));
            }
            if let Some(job) = self.active_job().await? {
                return Ok((job, true));
            }
            let id = uuid::Uuid::now_v7().to_string();
            if self
                .insert_job::<J>(&id, options, request_id, instance)
                .await?
                && let Some(job) = self.job(&id).await?
            {
                return Ok((job, false));
            }
        }
        Err(Error::Unavailable(format!(
            "others keep starting and ending a {} at the same moment",
            J::KIND.name
        )))
    }

    /// Inserts a new job; false when another one came first.
    async fn insert_job<J: Job>(
        &self,
        id: &str,
        options: &J::Options,
        request_id: Option<&str>,
        instance: &str,
    ) -> Result<bool, Error> {
        let mut stage = doc! {
            FORMAT: CURRENT, "state": State::Pending.name(), "active": true, "instance": { "$literal": instance },
            "created": "$$NOW", "updated": "$$NOW", "alive_until": "$$NOW",
        };
        stage.extend(J::new_document(options));
        if let Some(request_id) = request_id {
            stage.insert("request_id", doc! { "$literal": request_id });
        }
        // An upsert by pipeline, because only there the database's own clock can be written. When
        // it is sent again because its answer was lost, the job may run already, or have ended:
        // then it stays as it is.
        let is_new = doc! { "$eq": [{ "$type": "$created" }, "missing"] };
        let born = doc! { "$mergeObjects": ["$$ROOT", stage] };
        let replace = doc! { "$replaceWith": { "$cond": [is_new, born, "$$ROOT"] } };
        let statement = doc! { "q": { "_id": id }, "u": [replace], "upsert": true };
        let command = self.write_command(
            &rawdoc! { "update": (J::KIND.collection)(&self.names) },
            "updates",
            &[raw(&statement)],
        );
        match self.write_retried(&command).await {
            Ok(_) => Ok(true),
            Err(Error::Refused { code: 11000, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks a job to stop, and answers with it. None when it has ended.
    pub async fn cancel_job<J: Job>(&self, id: &str) -> Result<Option<J>, Error> {
        // A job that has ended keeps its state, whenever this arrives.
        let state =
            doc! { "$cond": [{ "$eq": ["$active", true] }, State::Cancelling.name(), "$state"] };
        self.ask_of_job(id, doc! { "state": state }).await
    }

    /// Changes the active job on behalf of a caller. When this is sent again because its answer was
    /// lost, the job may have ended since, and has been asked nevertheless.
    pub(in crate::store) async fn ask_of_job<J: Job>(
        &self,
        id: &str,
        mut set: Document,
    ) -> Result<Option<J>, Error> {
        let call = uuid::Uuid::new_v4().to_string();
        set.extend(doc! { "asked_by": &call, "updated": "$$NOW" });
        let query = doc! {
            "_id": id, FORMAT: not_newer(), "$or": [{ "active": true }, { "asked_by": call }],
        };
        let news = J::KIND.told(J::KIND.progress.name());
        let stages = [raw(&doc! { "$set": set }), news];
        let document = self.change_job(J::KIND, &query, &stages).await?;
        self.job_in(document.as_ref())
    }
}

/// The type is said aloud: without it the index on request ids, which holds those of texts alone,
/// is not used.
fn by_request(request_id: &str) -> Document {
    doc! { "request_id": { "$eq": request_id, "$type": "string" } }
}

impl Head {
    /// Whether this is the job of a request id.
    pub fn is_of_request(&self, request_id: Option<&str>) -> bool {
        request_id.is_some() && self.request_id.as_deref() == request_id
    }
}
