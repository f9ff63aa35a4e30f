//! Collation: whether the orders and the archive compare texts byte by byte, as archd itself does,
//! or as a language does.
//!
//! An index on `_id` has the collation of its collection. Where that is none of bytes, the order of
//! `_id`s in one collection says nothing of the other's, and a join by `_id` between the two finds
//! no index.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bson::Document;
use parking_lot::Mutex;

use super::indexes::collation_of;
use crate::store::{Error, Inspector, Store};

/// For how long it is taken to be as it was: a collection has its collation for life, but can be
/// made anew.
const FRESH: Duration = Duration::from_secs(60);

/// When it was looked at, and whether both compared bytes.
pub(in crate::store) type Known = Arc<Mutex<Option<(Instant, bool)>>>;

impl Store {
    /// Whether both the orders and the archive compare `_id`s byte by byte. True where that may not
    /// be seen.
    pub(in crate::store) async fn ids_are_bytes(&self) -> Result<bool, Error> {
        let known = || self.collations.lock();
        if let Some((since, bytes)) = *known()
            && since.elapsed() < FRESH
        {
            return Ok(bytes);
        }
        let mut bytes = true;
        for collection in [&self.names.orders, &self.names.archive] {
            bytes &= self.collation_of(collection).await?.is_none();
        }
        *known() = Some((Instant::now(), bytes));
        Ok(bytes)
    }

    /// The collation of a collection, unless that compares bytes or can't be seen.
    async fn collation_of(&self, collection: &str) -> Result<Option<Document>, Error> {
        let indexes = match self.indexes(collection).await {
            Err(Error::Denied { .. } | Error::Refused { .. }) => return Ok(None),
            indexes => indexes?,
        };
        Ok(collation_of(&indexes).cloned())
    }
}

impl Inspector {
    /// The collation of the archive, unless it compares bytes.
    pub async fn archive_collation(&self) -> Result<Option<Document>, Error> {
        let store = &self.store;
        store.collation_of(&store.names.archive).await
    }
}
