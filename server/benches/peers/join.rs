//! A join in the client: a thousand orders at a time, four finds for what they refer to, one
//! insert, one thing after the other.

use std::collections::HashMap;

use anyhow::Result;
use bson::{Bson, Document, doc};
use futures::TryStreamExt;
use mongodb::{Database, options::WriteConcern};

/// Orders taken at a time.
const THOUSAND: usize = 1_000;
/// Each kind of reference with its id.
const KINDS: [(&str, &str); 4] = [
    ("Client", "id_client"),
    ("Livreur", "id_livreur"),
    ("Restaurants", "id_restaurant"),
    ("Menu", "id_menu"),
];

/// Archives every delivered order.
pub(crate) async fn archive(database: &Database) -> Result<()> {
    let archive = database.collection::<Document>("Historique");
    let mut chunks = database
        .collection::<Document>("Commande")
        .find(doc! { "status": "livrée" })
        .batch_size(u32::try_from(THOUSAND)?)
        .await?
        .try_chunks(THOUSAND);
    while let Some(mut orders) = chunks.try_next().await? {
        enrich(database, &mut orders).await?;
        archive
            .insert_many(&orders)
            .ordered(false)
            .write_concern(WriteConcern::majority())
            .await?;
    }
    Ok(())
}

async fn enrich(database: &Database, orders: &mut [Document]) -> Result<()> {
    let mut references = Vec::with_capacity(KINDS.len());
    for (collection, id) in KINDS {
        references.push(found(database, collection, id, orders).await?);
    }
    for order in orders {
        let [client, livreur, restaurant, menu] = [0, 1, 2, 3].map(|kind: usize| {
            let id = order.get_i32(KINDS[kind].1).ok()?;
            references[kind].get(&id)
        });
        let archived = doc! {
            "nom_client": full_name(client), "email_client": value(client, "Email"), "nom_livreur": full_name(livreur),
            "nom_restaurant": value(restaurant, "name"), "nom_menu": value(menu, "name"), "prix_menu": value(menu, "price"),
            "date_archivage": bson::DateTime::now(), "archived_by": "script v2.0", "incomplete": false,
        };
        order.extend(archived);
    }
    Ok(())
}

/// The documents of a kind that these orders refer to, by their id.
async fn found(
    database: &Database,
    collection: &str,
    id: &str,
    orders: &[Document],
) -> Result<HashMap<i32, Document>> {
    let mut ids: Vec<i32> = orders
        .iter()
        .filter_map(|order| order.get_i32(id).ok())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let rows = database
        .collection::<Document>(collection)
        .find(doc! { id: { "$in": ids } })
        .projection(
            doc! { "_id": 0, id: 1, "Prénom": 1, "Nom": 1, "Email": 1, "name": 1, "price": 1 },
        )
        .batch_size(u32::try_from(THOUSAND)?)
        .await?;
    let by_id = rows.try_filter_map(|row| async move { Ok(row.get_i32(id).ok().zip(Some(row))) });
    Ok(by_id.try_collect().await?)
}

fn full_name(person: Option<&Document>) -> Bson {
    let part = |name| person.and_then(|person| person.get_str(name).ok());
    match (part("Prénom"), part("Nom")) {
        (Some(first), Some(last)) => format!("{first} {last}").into(),
        _ => Bson::Null,
    }
}

fn value(document: Option<&Document>, name: &str) -> Bson {
    let value = document.and_then(|document| document.get(name));
    value.cloned().unwrap_or(Bson::Null)
}
