//! Reading the ledger, the oldest entry first.

use bson::doc;

use crate::{
    domain::ledger::Record,
    store::{
        Error, Store,
        encoding::document::{joined, raw},
        state::fault::Fault,
    },
};

impl Store {
    /// The entries after one with this number, at most `limit`, until about so many bytes have come.
    /// The flag says whether more are left. In the place of one that can't be read stands what is
    /// wrong with it.
    pub async fn ledger_after(
        &self,
        sequence: i64,
        limit: usize,
        bytes: usize,
    ) -> Result<(Vec<Result<Record, Box<Fault>>>, bool), Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let find = doc! {
            "find": &self.names.ledger, "filter": { "_id": { "$gt": sequence } },
            "sort": { "_id": 1 }, "limit": limit,
        };
        let command = joined(&[&raw(&find), &self.read_options()]);
        let (rows, cut) = self.rows_up_to(&command, bytes).await?;
        Ok((rows.iter().map(|row| self.ledger_record_in(row)).collect(), cut))
    }
}
