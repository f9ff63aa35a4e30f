//! The enrichment of the brief: one order, one aggregation with four `$lookup`s.

use anyhow::Result;
use bson::{Document, doc};
use futures::TryStreamExt;
use mongodb::Database;

/// The order that the filter finds, enriched.
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
