//! Inspection: what somebody who only looks can find out about a database that archd is to work on.

use std::time::Duration;

use bson::{DateTime, Document, RawDocumentBuf, Timestamp, rawdoc};
use mongodb::options::ReadPreference;
use tokio::time::Instant;

use crate::store::{
    Error, Names, Store,
    encoding::document::{documents, whole},
    wire::{
        changes::{Scope, Start},
        reply::first_row,
    },
};

/// What can be asked of the database without writing: it has no method that writes.
#[derive(Clone, Debug)]
pub struct Inspector {
    pub(in crate::store) store: Store,
}

/// How the database is deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A mongod alone.
    Standalone,
    /// A replica set of that name.
    ReplicaSet(String),
    /// A sharded cluster.
    Sharded,
}

impl Kind {
    /// As the answer to `hello` tells it.
    pub(super) fn of(hello: &Document) -> Kind {
        match (hello.get_str("setName"), hello.get_str("msg")) {
            (Ok(name), _) => Kind::ReplicaSet(name.to_owned()),
            (_, Ok("isdbgrid")) => Kind::Sharded,
            _ => Kind::Standalone,
        }
    }
}

/// The server that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The version of MongoDB.
    pub version: String,
    /// How it is deployed.
    pub kind: Kind,
    /// Whether it takes writes.
    pub writable: bool,
    /// How long a question and its answer take at best.
    pub round_trip: Duration,
    /// How many milliseconds this machine's clock is ahead of the database's, to within the round
    /// trip.
    pub ahead: i64,
}

/// How many members of a set confirm a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Majority {
    /// Members that hold data, vote, and are up.
    pub up: usize,
    /// How many of them make a majority.
    pub needed: usize,
}

/// How far back the database's history reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// The oldest entry.
    pub oldest: Timestamp,
    /// The latest entry.
    pub latest: Timestamp,
    /// Whether nothing was ever dropped from it.
    pub whole: bool,
}

impl Store {
    /// This database, to look at.
    pub fn inspector(&self) -> Inspector {
        Inspector {
            store: self.clone(),
        }
    }
}

impl Inspector {
    /// Names of the collections.
    pub fn names(&self) -> &Names {
        self.store.names()
    }

    /// See [`Store::explain`].
    pub async fn explain(&self, error: Error) -> Error {
        self.store.explain(error).await
    }

    /// Asks whoever answers, the primary if there is one.
    pub async fn server(&self) -> Result<Server, Error> {
        let build = self.ask("admin", rawdoc! { "buildInfo": 1 }).await?;
        let mut hello = Document::new();
        let (mut round_trip, mut ahead) = (Duration::MAX, 0);
        // The quickest of a few tells the distance; the others were held up by something else.
        for _ in 0..3 {
            let sent = Instant::now();
            hello = self.ask("admin", rawdoc! { "hello": 1 }).await?;
            let took = sent.elapsed();
            if took < round_trip {
                round_trip = took;
                let theirs = hello.get_datetime("localTime");
                ahead = theirs.map_or(0, |theirs| {
                    DateTime::now().timestamp_millis() - theirs.timestamp_millis()
                });
            }
        }
        Ok(Server {
            version: build.get_str("version").unwrap_or("?").to_owned(),
            kind: Kind::of(&hello),
            writable: hello.get_bool("isWritablePrimary").unwrap_or(false),
            round_trip,
            ahead,
        })
    }

    /// How many members can confirm a write, as the primary sees them. Takes the privilege
    /// `replSetGetStatus`.
    pub async fn majority(&self) -> Result<Majority, Error> {
        let status = self.ask("admin", rawdoc! { "replSetGetStatus": 1 }).await?;
        // The configuration tells who votes. Without the privilege to see it everybody is taken to,
        // as is usual.
        let config = self.ask("admin", rawdoc! { "replSetGetConfig": 1 }).await;
        Ok(majority_of(&status, config.ok().as_ref()))
    }

    /// Opens the stream of the orders' changes, and lets it go at once.
    pub async fn open_changes(&self) -> Result<(), Error> {
        let scope = Scope::Collection(&self.store.names.orders);
        self.store
            .changes(scope, &Start::Now, Vec::new())
            .await
            .map(drop)
    }

    /// How far back the database's history reaches. Takes the privilege `find` on `local.oplog.rs`.
    pub async fn history(&self) -> Result<History, Error> {
        let (first, last) = futures::try_join!(self.history_entry(1), self.history_entry(-1))?;
        let time = |entry: &Document| {
            entry
                .get_timestamp("ts")
                .map_err(|_| Error::Unusable("the database's history is empty".to_owned()))
        };
        // A new set writes this before everything else.
        let message = first
            .get_document("o")
            .and_then(|entry| entry.get_str("msg"));
        Ok(History {
            oldest: time(&first)?,
            latest: time(&last)?,
            whole: message.is_ok_and(|message| message == "initiating set"),
        })
    }

    /// The entry at one end of the history.
    async fn history_entry(&self, direction: i32) -> Result<Document, Error> {
        let find = rawdoc! {
            "find": "oplog.rs", "sort": { "$natural": direction }, "limit": 1, "projection": { "ts": 1, "o.msg": 1 },
            "maxTimeMS": self.store.max_time(),
        };
        let reply = self.ask("local", find).await?;
        Ok(first_row(&reply).cloned().unwrap_or_default())
    }

    /// Runs a command that anyone of a set can answer.
    async fn ask(&self, database: &str, command: RawDocumentBuf) -> Result<Document, Error> {
        let anyone = ReadPreference::PrimaryPreferred {
            options: Default::default(),
        };
        self.store.run_on(database, command, anyone).await
    }
}

fn majority_of(status: &Document, config: Option<&Document>) -> Majority {
    const PRIMARY: i64 = 1;
    const SECONDARY: i64 = 2;
    let settings = config.and_then(|config| config.get_document("config").ok());
    let silent: Vec<i64> = settings
        .into_iter()
        .flat_map(|settings| documents(settings, "members"))
        .filter(|member| whole(member.get("votes")) == 0)
        .map(|member| whole(member.get("_id")))
        .collect();
    let up = |member: &Document| {
        [PRIMARY, SECONDARY].contains(&whole(member.get("state")))
            && !silent.contains(&whole(member.get("_id")))
    };
    let count = |number: i64| usize::try_from(number).unwrap_or(0);
    Majority {
        up: documents(status, "members")
            .filter(|member| up(member))
            .count(),
        needed: count(whole(status.get("writeMajorityCount"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn a_majority_is_counted_among_those_who_hold_data_and_vote() {
        let member =
            |id: i32, state: i32, health: f64| doc! { "_id": id, "state": state, "health": health };
        let votes = doc! { "config": { "members": [{ "_id": 0, "votes": 1 }, { "_id": 1, "votes": 1 }, { "_id": 2, "votes": 0 }] } };
        let (primary, second, third) = (member(0, 1, 1.0), member(1, 2, 1.0), member(2, 2, 1.0));
        let (arbiter, starting, down) = (member(1, 7, 1.0), member(2, 5, 1.0), member(1, 8, 0.0));
        let table = [
            (vec![&primary, &second, &third], None, 3),
            (vec![&primary, &second, &third], Some(&votes), 2),
            (vec![&primary, &down, &third], Some(&votes), 1),
            (vec![&primary, &arbiter, &starting], None, 1),
        ];
        for (members, config, up) in table {
            let members: Vec<Document> = members.into_iter().cloned().collect();
            let status = doc! { "members": &members, "writeMajorityCount": 2 };
            assert_eq!(
                majority_of(&status, config),
                Majority { up, needed: 2 },
                "{members:?}"
            );
        }
    }
}
