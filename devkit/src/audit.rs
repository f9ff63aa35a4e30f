//! The audit: recomputes from the live collections what the archive must hold, and compares.
//!
//! It shares no code with the archiver on purpose: it decodes every document, keeps the references in plain maps and follows
//! the data contract word by word. It reads everything into memory, which is fine for a test and a demonstration.

use std::collections::HashMap;

use anyhow::{Context, Result};
use bson::{Bson, Document, doc};
use futures::TryStreamExt;
use mongodb::{Database, options::ReadConcern};

/// The fields that the archive adds, in the order in which it adds them.
const ADDED: [&str; 10] = [
    "nom_client",
    "email_client",
    "nom_livreur",
    "nom_restaurant",
    "nom_menu",
    "prix_menu",
    "incomplete",
    "missing_fields",
    "date_archivage",
    "archived_by",
];

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audit {
    /// Delivered orders that must be in the archive.
    pub delivered: usize,
    /// Documents in the archive.
    pub archived: usize,
    /// Everything that is not as it must be, a line each; empty when all is well.
    pub differences: Vec<String>,
}

impl Audit {
    /// Whether the archive holds exactly what it must.
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Audits the archive of a database with the default collection names, all of whose orders are well-formed.
///
/// # Errors
///
/// When the database can't be read.
pub async fn audit(database: &Database) -> Result<Audit> {
    let clients = references(database, "Client", "id_client").await?;
    let livreurs = references(database, "Livreur", "id_livreur").await?;
    let restaurants = references(database, "Restaurants", "id_restaurant").await?;
    let menus = references(database, "Menu", "id_menu").await?;
    let mut archive: HashMap<String, Document> = HashMap::new();
    let mut audit = Audit::default();
    for document in all(database, "Historique", doc! {}).await? {
        audit.archived += 1;
        let numero = document
            .get_str("numero_commande")
            .unwrap_or_default()
            .to_owned();
        if archive.insert(numero.clone(), document).is_some() {
            audit.differences.push(format!("{numero}: archived twice"));
        }
    }
    for order in all(database, "Commande", doc! { "status": "livrée" }).await? {
        audit.delivered += 1;
        let numero = order
            .get_str("numero_commande")
            .unwrap_or_default()
            .to_owned();
        let Some(archived) = archive.remove(&numero) else {
            audit.differences.push(format!("{numero}: not archived"));
            continue;
        };
        let found = |references: &HashMap<String, Document>, id: &str| {
            key(order.get(id)).and_then(|key| references.get(&key).cloned())
        };
        let expected = expected(
            &order,
            found(&clients, "id_client"),
            found(&livreurs, "id_livreur"),
            found(&restaurants, "id_restaurant"),
            found(&menus, "id_menu"),
            &archived,
        );
        if let Some(difference) = difference(&expected, &archived) {
            audit.differences.push(format!("{numero}: {difference}"));
        }
    }
    for numero in archive.keys() {
        audit
            .differences
            .push(format!("{numero}: archived, but no delivered order"));
    }
    audit.differences.sort();
    Ok(audit)
}

fn expected(
    order: &Document,
    client: Option<Document>,
    livreur: Option<Document>,
    restaurant: Option<Document>,
    menu: Option<Document>,
    archived: &Document,
) -> Document {
    let mut expected = order.clone();
    for name in ADDED {
        expected.remove(name);
    }
    let own = |name: &str| order.get(name).cloned().unwrap_or(Bson::Null);
    let of = |document: &Option<Document>, name: &str| {
        document
            .as_ref()
            .and_then(|document| document.get(name))
            .cloned()
            .unwrap_or(Bson::Null)
    };
    expected.insert(
        "nom_client",
        full_name(&client).unwrap_or_else(|| own("nom_client")),
    );
    expected.insert("email_client", of(&client, "Email"));
    expected.insert(
        "nom_livreur",
        full_name(&livreur).unwrap_or_else(|| own("nom_livreur")),
    );
    expected.insert("nom_restaurant", of(&restaurant, "name"));
    expected.insert("nom_menu", of(&menu, "name"));
    expected.insert("prix_menu", of(&menu, "price"));
    let judged = ADDED[..6].iter().chain(&["coût_commande", "date_commande"]);
    let missing: Vec<&str> = judged
        .copied()
        .filter(|name| matches!(expected.get(*name), None | Some(Bson::Null)))
        .collect();
    expected.insert("incomplete", !missing.is_empty());
    expected.insert("missing_fields", missing);
    // When and by whom can't be recomputed; that they are there, and of the right type, can be.
    for name in ["date_archivage", "archived_by"] {
        expected.insert(name, archived.get(name).cloned().unwrap_or(Bson::Null));
    }
    expected
}

fn difference(expected: &Document, archived: &Document) -> Option<String> {
    if !matches!(archived.get("date_archivage"), Some(Bson::DateTime(_)))
        || !matches!(archived.get("archived_by"), Some(Bson::String(_)))
    {
        return Some("not stamped".to_owned());
    }
    if expected == archived {
        return None;
    }
    let differs = |name: &&String| expected.get(*name) != archived.get(*name);
    let name = expected.keys().chain(archived.keys()).find(differs);
    Some(match name {
        Some(name) => format!(
            "{name} is {:?} and should be {:?}",
            archived.get(name),
            expected.get(name)
        ),
        None => "its fields stand in another order".to_owned(),
    })
}

fn full_name(person: &Option<Document>) -> Option<Bson> {
    let person = person.as_ref()?;
    let parts: Vec<&str> = ["Prénom", "Nom"]
        .iter()
        .filter_map(|part| person.get_str(part).ok())
        .filter(|part| !part.trim().is_empty())
        .collect();
    (!parts.is_empty()).then(|| parts.join(" ").into())
}

/// Whole numbers and texts, which is all that well-formed data has for ids.
fn key(id: Option<&Bson>) -> Option<String> {
    match id? {
        Bson::Int32(id) => Some(format!("n{id}")),
        Bson::Int64(id) => Some(format!("n{id}")),
        Bson::Double(id) => Some(format!("n{id}")),
        Bson::String(id) => Some(format!("s{id}")),
        _ => None,
    }
}

async fn references(
    database: &Database,
    collection: &str,
    id: &str,
) -> Result<HashMap<String, Document>> {
    let documents = all(database, collection, doc! {}).await?;
    Ok(documents
        .into_iter()
        .filter_map(|document| Some((key(document.get(id))?, document)))
        .collect())
}

async fn all(database: &Database, collection: &str, filter: Document) -> Result<Vec<Document>> {
    let reading = async {
        let cursor = database
            .collection::<Document>(collection)
            .find(filter)
            .read_concern(ReadConcern::majority())
            .await?;
        cursor.try_collect().await
    };
    reading.await.with_context(|| format!("read {collection}"))
}
