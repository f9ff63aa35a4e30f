//! Two watchers: what somebody would write first with the plain driver, and the least that any
//! watcher does.

use anyhow::Result;
use bson::{Bson, Document, doc};
use futures::StreamExt;
use mongodb::{Database, options::WriteConcern};

use super::enriched::enriched;

/// A plain watcher: the driver's change stream, one order after the other, each confirmed by a
/// majority. Runs until it is dropped.
pub(crate) async fn plain_watcher(database: Database) -> Result<()> {
    let delivered = doc! { "$match": { "$or": [
        { "operationType": "insert", "fullDocument.status": "livrée" },
        { "operationType": "update", "updateDescription.updatedFields.status": "livrée" },
    ] } };
    let mut changes = database
        .collection::<Document>("Commande")
        .watch()
        .pipeline([delivered])
        .await?;
    while let Some(change) = changes.next().await {
        let id = change?
            .document_key
            .and_then(|key| key.get("_id").cloned())
            .unwrap_or(Bson::Null);
        if let Some(order) = enriched(&database, doc! { "_id": id }).await? {
            insert(&database, &order).await?;
        }
    }
    Ok(())
}

/// The floor: delivery by the change stream and one majority insert, with nothing in between. Runs
/// until it is dropped.
pub(crate) async fn floor(database: Database) -> Result<()> {
    let updated = doc! { "$match": { "operationType": "update" } };
    let mut changes = database
        .collection::<Document>("Commande")
        .watch()
        .pipeline([updated])
        .await?;
    while let Some(change) = changes.next().await {
        let id = change?
            .document_key
            .and_then(|key| key.get("_id").cloned())
            .unwrap_or(Bson::Null);
        insert(
            &database,
            &doc! { "_id": &id, "numero_commande": id.to_string(), "filler": "x".repeat(600) },
        )
        .await?;
    }
    Ok(())
}

async fn insert(database: &Database, document: &Document) -> Result<()> {
    let archive = database.collection::<Document>("Historique");
    archive
        .insert_one(document)
        .write_concern(WriteConcern::majority())
        .await?;
    Ok(())
}
