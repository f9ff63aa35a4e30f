//! The whole batch on the server: one aggregation over all delivered orders that ends in `$merge`.

use anyhow::Result;
use bson::{Document, doc};
use futures::TryStreamExt;
use mongodb::{Database, options::WriteConcern};

/// Archives every delivered order.
///
/// The joins have no pipelines of their own, and the merge is on `_id`: of several forms this one
/// is the cheapest for the database.
pub(crate) async fn archive(database: &Database) -> Result<()> {
    let lookup = |from: &str, id: &str, name: &str| doc! { "$lookup": { "from": from, "localField": id, "foreignField": id, "as": name } };
    let first = |path: &str| doc! { "$first": format!("${path}") };
    let full_name = |name: &str| doc! { "$concat": [first(&format!("{name}.Prénom")), " ", first(&format!("{name}.Nom"))] };
    let pipeline = [
        doc! { "$match": { "status": "livrée" } },
        lookup("Client", "id_client", "client"),
        lookup("Livreur", "id_livreur", "livreur"),
        lookup("Restaurants", "id_restaurant", "restaurant"),
        lookup("Menu", "id_menu", "menu"),
        doc! { "$addFields": {
            "nom_client": full_name("client"), "email_client": first("client.Email"), "nom_livreur": full_name("livreur"),
            "nom_restaurant": first("restaurant.name"), "nom_menu": first("menu.name"), "prix_menu": first("menu.price"),
            "date_archivage": "$$NOW", "archived_by": "script v2.0", "incomplete": false,
        } },
        doc! { "$project": { "client": 0, "livreur": 0, "restaurant": 0, "menu": 0 } },
        doc! { "$merge": { "into": "Historique", "on": "_id", "whenMatched": "keepExisting", "whenNotMatched": "insert" } },
    ];
    let rows = database
        .collection::<Document>("Commande")
        .aggregate(pipeline)
        .write_concern(WriteConcern::majority())
        .await?;
    rows.try_for_each(|_| async { Ok(()) }).await?;
    Ok(())
}
