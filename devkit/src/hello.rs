//! What a mongod says of its own place in the set: the answer to `hello`.

use std::time::Duration;

use bson::oid::ObjectId;
use bson::{Document, doc};
use mongodb::Client;
use tokio::time::timeout;

/// A frozen or overloaded node is one that does not answer within this.
const PATIENCE: Duration = Duration::from_secs(2);

/// The answer of one node.
#[derive(Debug)]
pub(crate) struct Hello(Document);

impl Hello {
    /// Asks the node at the other end of a direct connection; `None` if it does not answer.
    pub(crate) async fn ask(client: &Client) -> Option<Self> {
        let admin = client.database("admin");
        timeout(PATIENCE, async {
            admin.run_command(doc! { "hello": 1 }).await
        })
        .await
        .ok()?
        .ok()
        .map(Self)
    }

    /// Whether the node takes writes.
    pub(crate) fn is_primary(&self) -> bool {
        self.says("isWritablePrimary")
    }

    /// Whether the node has all it needs to vote, to be read from and to become primary.
    pub(crate) fn is_up(&self) -> bool {
        self.is_primary() || self.says("secondary")
    }

    /// Orders primaries by the election that made them so: of two that claim it, the later one is
    /// right.
    pub(crate) fn election(&self) -> Option<ObjectId> {
        self.0.get_object_id("electionId").ok()
    }

    fn says(&self, field: &str) -> bool {
        self.0.get_bool(field).unwrap_or(false)
    }
}
