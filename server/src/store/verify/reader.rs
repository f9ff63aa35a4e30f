//! ComparisonReader: the database as a verification sees it, which may look at orders, archive,
//! quarantine, references and history, and has nothing to write with.

use bson::{DateTime, Timestamp};

use crate::{
    domain::{
        near_miss::NearMisses,
        order::{NUMERO, Order},
    },
    store::{
        Error, Store,
        deployment::index_spec::IndexSpec,
        orders::references::{Column, ReferenceCache},
    },
};

/// What a verification can read of the database, and nothing that writes.
#[derive(Clone, Debug)]
pub struct ComparisonReader(Store);

/// What the indexes of orders and archive let a verification do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Whether the `_id`s of both have one order, so that both can be walked side by side.
    pub side_by_side: bool,
    /// The index on status and `_id`, if there is one.
    pub paging_index: Option<String>,
    /// Whether orders are found by their number.
    pub orders_by_number: bool,
    /// Whether archived documents are found by their number.
    pub archive_by_number: bool,
    /// Whether the archive holds no number twice, because it can't.
    pub numbers_are_unique: bool,
}

impl Store {
    /// This database, for a verification to read.
    pub fn comparison_reader(&self) -> ComparisonReader {
        ComparisonReader(self.clone())
    }
}

impl ComparisonReader {
    pub(super) fn store(&self) -> &Store {
        &self.0
    }

    /// The exact status of a delivered order.
    pub fn delivered(&self) -> &str {
        self.0.delivered()
    }

    /// The name of the orders' collection.
    pub fn orders_name(&self) -> &str {
        &self.0.names.orders
    }

    /// What the indexes allow.
    pub async fn access(&self) -> Result<Access, Error> {
        let store = &self.0;
        let by_number = |index: &IndexSpec| index.finds_by(NUMERO, None);
        let archive = self.indexes(&store.names.archive).await?;
        let orders = self.indexes(&store.names.orders).await?;
        let finds = |indexes: &Option<Vec<IndexSpec>>| match indexes {
            // A collection that is not there has none, and is looked up in quickly.
            Some(indexes) => indexes.is_empty() || indexes.iter().any(by_number),
            None => true,
        };
        let unique = |index: &IndexSpec| index.makes_unique(NUMERO) && !index.is_being_built();
        Ok(Access {
            side_by_side: store.ids_are_bytes().await?,
            paging_index: store.paging_index().await?,
            orders_by_number: finds(&orders),
            archive_by_number: finds(&archive),
            numbers_are_unique: archive.is_some_and(|indexes| indexes.iter().any(unique)),
        })
    }

    /// The indexes of a collection; none where they may not be seen.
    async fn indexes(&self, collection: &str) -> Result<Option<Vec<IndexSpec>>, Error> {
        match self.0.indexes(collection).await {
            Err(Error::Denied { .. } | Error::Refused { .. }) => Ok(None),
            indexes => indexes.map(Some),
        }
    }

    /// The documents that orders refer to: a column for each kind of reference.
    pub async fn references(
        &self,
        orders: &[Order],
        cache: &ReferenceCache,
    ) -> Result<Vec<Column>, Error> {
        self.0.references(orders, cache).await
    }

    /// Statuses that only look delivered. The flag says whether those that an index takes for the
    /// delivered one are among them: lists and symbols, which a pass meets among the delivered
    /// orders.
    pub async fn near_misses(&self) -> Result<(NearMisses, bool), Error> {
        if let Some(index) = self.0.paging_index().await? {
            match self.0.near_misses_along(&index).await {
                Ok(Some(misses)) => return Ok((misses, false)),
                Ok(None) | Err(Error::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((self.0.near_misses().await?, true))
    }

    /// Whether a status only looks delivered.
    pub fn is_near_miss(&self, status: crate::bytes::raw::ValueRef<'_>) -> bool {
        self.0.delivered_status().near_miss(status).is_some()
    }

    /// The database's clock, and its cluster time; none of that from a standalone mongod.
    pub async fn now(&self) -> Result<(DateTime, Option<Timestamp>), Error> {
        let deployment = self.0.deployment().await?;
        Ok((deployment.now, deployment.majority))
    }

    /// Has every later read see no less than what was so at this cluster time.
    pub fn begin_at(&self, time: Timestamp) {
        self.0.has_read_up_to(time);
    }
}
