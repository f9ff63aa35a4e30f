//! Requests of callers: to pause the watcher, or to let it go on.

use bson::doc;

use super::{news, record::ID};
use crate::{
    bytes::raw::Writer,
    store::{
        Error, Store,
        encoding::document::{document_value, raw},
        state::{
            caller::Caller,
            version::{FORMAT, not_newer},
        },
    },
};

impl Store {
    /// Pauses the watcher, or lets it go on, on behalf of a caller.
    pub async fn steer_watch(&self, pause: bool, caller: &Caller) -> Result<(), Error> {
        // When this is sent again because its answer was lost, it is no news any more.
        let call = uuid::Uuid::new_v4().to_string();
        let new = doc! { "_id": ID, FORMAT: not_newer(), "asked_by.call": { "$ne": &call } };
        let literal = |text: &str| doc! { "$literal": text };
        let asked_by = doc! {
            "pause": pause, "instance": literal(&caller.instance), "peer": literal(&caller.peer),
            "at": "$$NOW", "call": call,
        };
        let set = doc! { "$set": { "paused": pause, "asked_by": asked_by } };
        let stages = [raw(&set), news::stage_of_asking()];
        let mut statement = Writer::default();
        statement
            .document("q", &raw(&new))
            .array("u", stages.iter().map(|stage| document_value(stage)));
        let command = self.write_command(
            &raw(&doc! { "update": &self.names.state }),
            "updates",
            &[statement.finish()],
        );
        self.write_retried(&command).await.map(|_| ())
    }
}
