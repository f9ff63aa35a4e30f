//! Changing the limits of a batch that is active.

use bson::doc;

use super::record::Batch;
use crate::store::{Error, Store, jobs::limits::Limits};

impl Store {
    /// Sets the limits that are given, and leaves the others as they are; answers with the batch.
    /// None when it has ended.
    pub async fn tune_batch(&self, id: &str, limits: &Limits) -> Result<Option<Batch>, Error> {
        let mut set = doc! {};
        for (name, limit) in limits.document() {
            set.insert(format!("limits.{name}"), limit);
        }
        self.ask_of_job(id, set).await
    }
}
