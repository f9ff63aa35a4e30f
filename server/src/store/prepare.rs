//! Preparing: making sure that the database has what archd keeps its own state by.

use std::sync::atomic::Ordering;

use bson::{Document, doc};

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
        for (collection, indexes) in self.own_indexes() {
            match self.create_indexes(collection, indexes).await {
                // They were there, so everything else goes on. That the privilege is gone is told
                // of by whoever looks at the privileges.
                // Nor has archiving to wait for the audit log's.
                Err(Error::Denied { .. })
                    if self.was_prepared() || *collection == self.names.audit => {}
                made => made?,
            }
        }
        self.prepare_archive().await?;
        self.prepared.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether this process has once seen that the indexes of its own collections are there.
    pub(crate) fn was_prepared(&self) -> bool {
        self.prepared.load(Ordering::Relaxed)
    }

    /// The indexes of the server's own collections.
    fn own_indexes(&self) -> [(&String, Vec<Document>); 9] {
        let names = &self.names;
        let month = 32 * 24 * 60 * 60;
        let by_minute =
            doc! { "key": { "minute": 1 }, "name": "minute", "expireAfterSeconds": month };
        [
            (&names.batches, jobs::record::indexes()),
            (&names.verifications, jobs::record::indexes()),
            (&names.quarantine, quarantine::record::indexes()),
            (&names.ledger, ledger::record::indexes()),
            (&names.acknowledgements, acknowledgements::record::indexes()),
            (&names.replaced, replaced::record::indexes()),
            (&names.audit, audit::record::indexes()),
            (&names.differences, differences::record::indexes()),
            (&names.counters, vec![by_minute]),
        ]
    }
}
