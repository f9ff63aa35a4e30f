//! The brief's own batch: one aggregation an order, one insert a hundred.

use anyhow::Result;
use bson::{Document, doc};
use futures::TryStreamExt;
use mongodb::{Database, options::WriteConcern};

use super::enriched::enriched;

/// Documents in one insert.
const HUNDRED: usize = 100;

/// Archives the first `limit` delivered orders.
pub(crate) async fn archive(database: &Database, limit: usize) -> Result<()> {
    let archive = database.collection::<Document>("Historique");
    let mut orders = database
        .collection::<Document>("Commande")
        .find(doc! { "status": "livrée" })
        .limit(i64::try_from(limit)?)
        .await?;
    let mut documents = Vec::with_capacity(HUNDRED);
    loop {
        let order = orders.try_next().await?;
        let last = order.is_none();
        if let Some(order) = order {
            let number = doc! { "numero_commande": order.get("numero_commande") };
            documents.extend(enriched(database, number).await?);
        }
        if documents.len() == HUNDRED || (last && !documents.is_empty()) {
            archive
                .insert_many(&documents)
                .ordered(false)
                .write_concern(WriteConcern::majority())
                .await?;
            documents.clear();
        }
        if last {
            return Ok(());
        }
    }
}
