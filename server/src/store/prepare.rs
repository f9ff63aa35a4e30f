//! Preparing: making sure that the database has what archd keeps its own state by.

use bson::doc;

use super::{
    Error, Store, acknowledgements, audit, differences, jobs, ledger, quarantine, replaced,
};

impl Store {
    /// Makes sure that everything the promises rest on is there. Safe to repeat, and from several
    /// instances at once.
    ///
    /// Fails as [`Store::prepare_archive`] does.
    pub async fn prepare_collections(&self) -> Result<(), Error> {
        self.prepare_archive().await?;
        for collection in [&self.names.batches, &self.names.verifications] {
            self.create_indexes(collection, jobs::record::indexes())
                .await?;
        }
        self.create_indexes(&self.names.quarantine, quarantine::record::indexes())
            .await?;
        self.create_indexes(&self.names.ledger, ledger::record::indexes())
            .await?;
        let noted = acknowledgements::record::indexes();
        self.create_indexes(&self.names.acknowledgements, noted)
            .await?;
        self.create_indexes(&self.names.replaced, replaced::record::indexes())
            .await?;
        self.create_indexes(&self.names.audit, audit::record::indexes())
            .await?;
        self.create_indexes(&self.names.differences, differences::record::indexes())
            .await?;
        let month = 32 * 24 * 60 * 60;
        self.create_indexes(
            &self.names.counters,
            vec![doc! { "key": { "minute": 1 }, "name": "minute", "expireAfterSeconds": month }],
        )
        .await?;
        self.prepare_archive().await
    }
}
