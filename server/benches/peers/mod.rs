//! The peers that the benches measure archd against: what somebody would write first with the plain driver.

use anyhow::Result;
use bson::{Bson, Document, doc};
use futures::{StreamExt, TryStreamExt};
use mongodb::{Database, options::WriteConcern};

/// The brief's own enrichment of one order: one aggregation with four `$lookup`s.
pub(crate) async fn enriched(database: &Database, filter: Document) -> Result<Option<Document>> {
    let lookup = |from: &str, id: &str, name: &str| doc! { "$lookup": { "from": from, "localField": id, "foreignField": id, "as": name } };
    let first = |name: &str| doc! { "$arrayElemAt": [format!("${name}"), 0] };
    let full_name =
        |name: &str| doc! { "$concat": [format!("${name}.Prénom"), " ", format!("${name}.Nom")] };
    let pipeline = [
        doc! { "$match": filter },
        lookup("Client", "id_client", "client"),
        lookup("Livreur", "id_livreur", "livreur"),
        lookup("Restaurants", "id_restaurant", "restaurant"),
        lookup("Menu", "id_menu", "menu"),
        doc! { "$addFields": { "client": first("client"), "livreur": first("livreur"), "restaurant": first("restaurant"), "menu": first("menu") } },
        doc! { "$addFields": {
            "nom_client": full_name("client"), "email_client": "$client.Email", "nom_livreur": full_name("livreur"),
            "nom_restaurant": "$restaurant.name", "nom_menu": "$menu.name", "prix_menu": "$menu.price",
            "date_archivage": "$$NOW", "archived_by": "script v2.0", "incomplete": false,
        } },
        doc! { "$project": { "client": 0, "livreur": 0, "restaurant": 0, "menu": 0 } },
    ];
    let mut rows = database
        .collection::<Document>("Commande")
        .aggregate(pipeline)
        .await?;
    Ok(rows.try_next().await?)
}

/// A plain watcher: the driver's change stream, one order after the other, each confirmed by a majority. Runs until it is dropped.
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

/// The floor: delivery by the change stream and one majority insert, with nothing in between. Runs until it is dropped.
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
