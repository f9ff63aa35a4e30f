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

impl Store {
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
