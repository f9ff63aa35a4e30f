//! Hello: what the database says of itself, its clock and its history.

use bson::{Document, rawdoc};
use mongodb::options::ReadPreference;
use tokio::time::Instant;

use super::inspector::Kind;
use crate::store::{Error, Store, wire::reply::first_row};

/// What the database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// How it is deployed.
    pub kind: Kind,
    /// The database's clock.
    pub now: bson::DateTime,
    /// The latest write that a majority holds; none on a standalone mongod.
    pub majority: Option<bson::Timestamp>,
    /// The latest write that the primary holds; none on a standalone mongod.
    pub latest: Option<bson::Timestamp>,
}

impl Store {
    /// Asks the primary whether it is there.
    pub async fn hello(&self) -> Result<Deployment, Error> {
        let began = Instant::now();
        let reply = self.run(rawdoc! { "hello": 1 }).await?;
        let kind = Kind::of(&reply);
        self.looks.note_sharded(kind == Kind::Sharded);
        if !reply.get_bool("isWritablePrimary").unwrap_or(false) {
            return Err(Error::Unavailable(
                "it has no primary at the moment".to_owned(),
            ));
        }
        let now = *reply
            .get_datetime("localTime")
            .map_err(|_| Error::Unusable("the database does not tell the time".to_owned()))?;
        self.clock.note(now, began);
        Ok(Deployment {
            kind,
            now,
            majority: last_write(&reply, "majorityOpTime"),
            latest: last_write(&reply, "opTime"),
        })
    }

    /// What the database says of itself, asked again while it is away for a moment.
    pub async fn deployment(&self) -> Result<Deployment, Error> {
        self.retry(|| self.hello()).await
    }

    /// The oldest moment that the database's history still reaches; none without the privilege to
    /// see it.
    pub async fn oldest_history(&self) -> Option<bson::Timestamp> {
        let command = rawdoc! { "find": "oplog.rs", "sort": { "$natural": 1 }, "limit": 1, "projection": { "ts": 1 } };
        let reply = self.run_on("local", command, ReadPreference::Primary);
        let reply = reply.await.ok()?;
        first_row(&reply)?.get_timestamp("ts").ok()
    }
}

fn last_write(hello: &Document, of: &str) -> Option<bson::Timestamp> {
    let last = hello.get_document("lastWrite").ok()?;
    last.get_document(of).ok()?.get_timestamp("ts").ok()
}
