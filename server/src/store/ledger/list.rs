//! Reading the ledger, the oldest entry first.

use bson::{RawDocumentBuf, doc};

use crate::{
    bytes::raw,
    domain::ledger::Record,
    store::{
        Error, Store,
        encoding::document::{joined, raw as raw_document},
        state::{fault::Fault, format::number},
    },
};

/// An entry under its number.
pub type Numbered = (i64, Result<Record, Box<Fault>>);

/// Among so many of the newest entries one of all orders is looked for: one is made each week.
const NEWEST: i64 = 60;
/// The most that is read of them, in bytes.
const MOST: usize = 8 << 20;

impl Store {
    /// The newest entries that can be read, the newest first.
    pub async fn latest_ledger_records(&self) -> Result<Vec<Record>, Error> {
        let find = doc! { "find": &self.names.ledger, "sort": { "_id": -1 }, "limit": NEWEST };
        let command = joined(&[&raw_document(&find), &self.read_options()]);
        let (rows, _) = self.rows_up_to(&command, MOST).await?;
        let records = rows.iter().map(|row| self.ledger_record_in(row));
        Ok(records.filter_map(Result::ok).collect())
    }

    /// The entries after one with this number, at most `limit`, until about so many bytes have come.
    /// Each comes with its number, and in the place of one that can't be read stands what is wrong
    /// with it. The flag says whether more are left.
    pub async fn ledger_after(
        &self,
        sequence: i64,
        limit: usize,
        bytes: usize,
    ) -> Result<(Vec<Numbered>, bool), Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let find = doc! {
            "find": &self.names.ledger, "filter": { "_id": { "$gt": sequence } },
            "sort": { "_id": 1 }, "limit": limit,
        };
        let command = joined(&[&raw_document(&find), &self.read_options()]);
        let (rows, cut) = self.rows_up_to(&command, bytes).await?;
        let numbered = |row: &RawDocumentBuf| {
            let number = raw::find(row, "_id").and_then(number);
            (number.unwrap_or(sequence), self.ledger_record_in(row))
        };
        Ok((rows.iter().map(numbered).collect(), cut))
    }
}
