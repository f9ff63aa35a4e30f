//! What the database must have before the first order is archived: a version, a unique index, and indexes that keep joins fast.

use bson::{Bson, Document, doc, rawdoc};

use super::{
    Error, Store,
    command::{SIMPLE, joined},
    indexes::{compares_bytes, is_on},
};
use crate::domain::order::NUMERO;

/// What the database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Name of the replica set; none on a standalone mongod.
    pub replica_set: Option<String>,
    /// The database's clock.
    pub now: bson::DateTime,
    /// The latest write that a majority holds; none on a standalone mongod.
    pub majority: Option<bson::Timestamp>,
    /// The latest write that the primary holds; none on a standalone mongod.
    pub latest: Option<bson::Timestamp>,
}

/// What keeps the archive's numbers unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The right index is there.
    Kept,
    /// There is no index on the number yet.
    Missing,
    /// An index of this name is on the number, does not keep it unique, and stands in the way of one that would.
    Hindered(String),
}

impl Store {
    /// Asks the primary for a sign of life.
    pub async fn hello(&self) -> Result<Deployment, Error> {
        let reply = self.run(rawdoc! { "hello": 1 }).await?;
        if !reply.get_bool("isWritablePrimary").unwrap_or(false) {
            return Err(Error::Unavailable(
                "it has no primary at the moment".to_owned(),
            ));
        }
        Ok(Deployment {
            replica_set: reply.get_str("setName").ok().map(str::to_owned),
            now: *reply
                .get_datetime("localTime")
                .map_err(|_| Error::Unusable("the database does not tell the time".to_owned()))?,
            majority: last_write(&reply, "majorityOpTime"),
            latest: last_write(&reply, "opTime"),
        })
    }

    /// What the database says of itself, asked again while it is away for a moment.
    pub async fn deployment(&self) -> Result<Deployment, Error> {
        self.retry(|| self.hello()).await
    }

    /// Makes sure that everything the promises rest on is there. Safe to repeat, and from several instances at once.
    ///
    /// Fails when the archive holds one number twice, or has an index on the number that does not keep it unique.
    pub async fn prepare(&self) -> Result<(), Error> {
        self.prepare_archive().await?;
        self.create_indexes(&self.names.batches, super::batches::indexes())
            .await?;
        self.create_indexes(&self.names.quarantine, super::quarantine::indexes())
            .await?;
        let month = 32 * 24 * 60 * 60;
        self.create_indexes(
            &self.names.counters,
            vec![doc! { "key": { "minute": 1 }, "name": "minute", "expireAfterSeconds": month }],
        )
        .await
    }

    /// Makes sure that the archive keeps numbers unique: one that was dropped would come back without its index.
    pub async fn prepare_archive(&self) -> Result<(), Error> {
        match self.guard().await? {
            Guard::Kept => return Ok(()),
            Guard::Hindered(index) => {
                return Err(Error::Unusable(format!(
                    "the index {index:?} of {} does not keep {NUMERO} unique for every document; drop it with db.getCollection({:?}).dropIndex({index:?}), and the server makes the right one",
                    self.names.archive, self.names.archive,
                )));
            }
            Guard::Missing => {}
        }
        // Said aloud: an index has the collation of its collection otherwise, to which two numbers may be one.
        let index = doc! { "key": { NUMERO: 1 }, "name": format!("{NUMERO}_1"), "unique": true, "collation": { "locale": SIMPLE } };
        match self.create_indexes(&self.names.archive, vec![index]).await {
            Err(Error::Refused { code: 11000, .. }) => Err(Error::Unusable(format!(
                "{} holds one {NUMERO} more than once, for example {}; keep one document of each, then the server makes the unique index",
                self.names.archive,
                self.repeated_numbers().await?.join(", "),
            ))),
            outcome => outcome,
        }
    }

    /// What keeps the archive's numbers unique.
    pub(super) async fn guard(&self) -> Result<Guard, Error> {
        let indexes = self.indexes(&self.names.archive).await?;
        let on_numero = |index: &&Document| is_on(index, &[NUMERO]);
        let keeps_unique = |index: &Document| {
            let whole =
                !index.contains_key("partialFilterExpression") && !index.contains_key("sparse");
            let plain = whole && compares_bytes(index);
            index.get_bool("unique").unwrap_or(false) && plain
        };
        if indexes.iter().filter(on_numero).any(keeps_unique) {
            return Ok(Guard::Kept);
        }
        Ok(match indexes.iter().find(on_numero) {
            Some(index) => Guard::Hindered(index.get_str("name").unwrap_or_default().to_owned()),
            None => Guard::Missing,
        })
    }

    /// The oldest moment that the database's history still reaches; none without the privilege to see it.
    pub async fn oldest_history(&self) -> Option<bson::Timestamp> {
        let command = rawdoc! { "find": "oplog.rs", "sort": { "$natural": 1 }, "limit": 1, "projection": { "ts": 1 } };
        let oplog = self.client.database("local");
        let reply = self
            .within(oplog.run_raw_command(command))
            .await
            .ok()?
            .ok()?;
        let first = reply
            .get_document("cursor")
            .ok()?
            .get_array("firstBatch")
            .ok()?
            .first()?
            .as_document()?
            .clone();
        first.get_timestamp("ts").ok()
    }

    /// A few of the numbers that the archive holds more than once. Reads all of it.
    pub(super) async fn repeated_numbers(&self) -> Result<Vec<String>, Error> {
        let command = rawdoc! {
            "aggregate": self.names.archive.as_str(),
            "pipeline": [
                { "$group": { "_id": "$numero_commande", "n": { "$sum": 1 } } }, { "$match": { "n": { "$gt": 1 } } },
                { "$sort": { "_id": 1 } }, { "$limit": 3 },
            ],
            "cursor": {}, "allowDiskUse": true,
        };
        let rows = self
            .rows(&joined(&[&command, &self.read_options()]))
            .await?;
        let shown = |row: &bson::RawDocumentBuf| {
            crate::domain::raw::find(row, "_id").map(|numero| super::json::shown(numero, 64))
        };
        Ok(rows.iter().filter_map(shown).collect())
    }
}

fn last_write(hello: &Document, of: &str) -> Option<bson::Timestamp> {
    let last = hello.get_document("lastWrite").ok()?;
    last.get_document(of).ok()?.get_timestamp("ts").ok()
}

/// A count that the database may answer as any kind of number.
pub(super) fn whole(number: Option<&Bson>) -> i64 {
    match number {
        Some(Bson::Int32(number)) => i64::from(*number),
        Some(Bson::Int64(number)) => *number,
        Some(Bson::Double(number)) => *number as i64,
        _ => 0,
    }
}
