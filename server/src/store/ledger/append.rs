//! Appending to the ledger.

use std::time::Duration;

use bson::{DateTime, Document, RawDocumentBuf, doc, rawdoc};
use tokio::time::sleep;
use tracing::warn;

use super::record::VERIFICATION;
use crate::{
    domain::ledger::{Entry, Record, Verified, hash},
    store::{
        Error, Store,
        encoding::document::{joined, raw},
        state::version::{CURRENT, FORMAT},
    },
};

/// How often it is tried to be the next one: whoever comes first each time has appended an entry.
const TRIES: usize = 50;
/// Between two tries: what another one has just appended may not be held by a majority yet.
const PAUSE: Duration = Duration::from_millis(20);
const DUPLICATE_KEY: i32 = 11000;

impl Store {
    /// Appends an entry, and answers with its record once a majority holds it. Safe to repeat: a
    /// verification has one entry, the first.
    pub async fn append_to_ledger(&self, entry: &Entry<'_>) -> Result<Record, Error> {
        for _ in 0..TRIES {
            if let Some(record) = self.ledger_record_of(entry.verification).await? {
                return Ok(record);
            }
            let last = self.ledger_record(doc! { "sort": { "_id": -1 } }).await?;
            let (sequence, previous) = match &last {
                None => (1, String::new()),
                Some(last) => (last.sequence + 1, last.hash.clone()),
            };
            if last.is_some_and(|last| hash(&last.text) != last.hash) {
                warn!(
                    entry = sequence - 1,
                    "the newest entry of the ledger is not what was sealed; `archctl verify ledger` says what is wrong with it"
                );
            }
            let now = self.deployment().await?.now;
            let verified = Verified {
                database: &self.database,
                orders: &self.names.orders,
                archive: &self.names.archive,
            };
            let record = entry.seal(&verified, now, sequence, &previous);
            if self.insert_ledger_record(entry, &record, now).await? {
                return Ok(record);
            }
            sleep(PAUSE).await;
        }
        Err(Error::Unavailable(
            "others keep appending to the ledger at the same moment".to_owned(),
        ))
    }

    /// The record of a verification; none where it has no verdict.
    pub async fn ledger_record_of(&self, verification: &str) -> Result<Option<Record>, Error> {
        let of = doc! { "filter": { VERIFICATION: { "$eq": verification } } };
        self.ledger_record(of).await
    }

    async fn ledger_record(&self, which: Document) -> Result<Option<Record>, Error> {
        let mut find = doc! { "find": &self.names.ledger, "limit": 1 };
        find.extend(which);
        let rows = self
            .rows(&joined(&[&raw(&find), &self.read_options()]))
            .await?;
        let record = rows.first().map(|row| self.ledger_record_in(row));
        Ok(record.transpose()?)
    }

    /// Inserts a record; false when another one came first, or this very call did, whose answer was
    /// lost.
    async fn insert_ledger_record(
        &self,
        entry: &Entry<'_>,
        record: &Record,
        now: DateTime,
    ) -> Result<bool, Error> {
        let document = doc! {
            "_id": record.sequence, FORMAT: CURRENT, VERIFICATION: entry.verification,
            "record": &record.text, "hash": &record.hash, "created": now,
        };
        let insert: RawDocumentBuf = rawdoc! { "insert": self.names.ledger.as_str() };
        let command = self.write_command(&insert, "documents", &[raw(&document)]);
        match self.write_retried(&command).await {
            Ok(_) => Ok(true),
            Err(Error::Refused {
                code: DUPLICATE_KEY,
                ..
            }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
