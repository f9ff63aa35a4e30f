//! The audit: recomputes from the live collections what the archive must hold, and compares.
//!
//! Every delivered order must be once in the archive or once in quarantine, and nothing else may be
//! there. [`history`] then reads what the database wrote down as it happened, and holds the
//! watcher's checkpoints to the orders that they stand for.
//!
//! It shares no code with the archiver on purpose: it decodes every document, keeps the references
//! in plain maps and follows the data contract word by word. It reads everything into memory, which
//! is fine for a test and a demonstration.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result};
use bson::{Bson, Document, Timestamp, doc};
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
    /// Entries in quarantine.
    pub quarantined: usize,
    /// Everything that is not as it must be, a line each; empty when all is well.
    pub differences: Vec<String>,
}

impl Audit {
    /// Whether the archive holds exactly what it must.
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Audits the archive and the quarantine of a database with the default collection names.
///
/// # Errors
///
/// When the database can't be read.
pub async fn audit(database: &Database) -> Result<Audit> {
    let clients = references(database, "Client", "id_client").await?;
    let livreurs = references(database, "Livreur", "id_livreur").await?;
    let restaurants = references(database, "Restaurants", "id_restaurant").await?;
    let menus = references(database, "Menu", "id_menu").await?;
    let mut audit = Audit::default();
    let (mut archive, mut numeros) = (HashMap::new(), HashSet::new());
    for document in all(database, "Historique", doc! {}).await? {
        audit.archived += 1;
        if !numeros.insert(name(&document)) {
            audit
                .differences
                .push(format!("{}: archived twice", name(&document)));
        }
        archive.insert(identity(document.get("_id")), document);
    }
    let mut quarantine = HashMap::new();
    for entry in all(database, "archd_quarantine", doc! {}).await? {
        audit.quarantined += 1;
        if let Some(twice) = quarantine.insert(identity(entry.get("order_id")), entry) {
            audit
                .differences
                .push(format!("{}: quarantined twice", name(&twice)));
        }
    }
    for order in all(database, "Commande", doc! { "status": "livrée" }).await? {
        audit.delivered += 1;
        let (id, numero) = (identity(order.get("_id")), name(&order));
        let entry = quarantine.remove(&id);
        let archived = match (archive.remove(&id), entry) {
            (Some(archived), None) => archived,
            (None, Some(_)) => continue,
            (Some(_), Some(_)) => {
                audit
                    .differences
                    .push(format!("{numero}: archived and quarantined"));
                continue;
            }
            (None, None) => {
                audit.differences.push(format!("{numero}: not archived"));
                continue;
            }
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
    for (place, documents) in [("archived", archive), ("quarantined", quarantine)] {
        audit.differences.extend(
            documents
                .values()
                .map(|document| format!("{}: {place}, but no delivered order", name(document))),
        );
    }
    audit.differences.sort();
    Ok(audit)
}

/// What the watcher's checkpoints got ahead of, a line each; empty when all is well.
///
/// An order that becomes delivered must be in the archive or in quarantine before a checkpoint at
/// or after that moment is written, unless it is delivered no more, or the checkpoint declares a
/// gap: then it must be there before the gap is closed. Within an epoch checkpoints never go back,
/// and epochs never do. Whoever tampers with checkpoints is found out too. The checkpoint of a
/// partition is held to the orders that are its own by the hash of their `_id`, as the database makes
/// it; of orders that are there no more that is not known.
///
/// # Errors
///
/// When the database's history can't be read.
pub async fn history(database: &Database) -> Result<Vec<String>> {
    let mut watch = Watch {
        hashes: hashes(database).await?,
        ..Watch::default()
    };
    let oplog = database.client().database("local");
    let of = [
        "Commande",
        "Historique",
        "archd_quarantine",
        "archd_state",
        "$cmd",
    ]
    .map(|collection| format!("{}.{collection}", database.name()));
    let transactions = "admin.$cmd".to_owned();
    let namespaces: Vec<String> = of.into_iter().chain([transactions]).collect();
    for entry in all(&oplog, "oplog.rs", doc! { "ns": { "$in": namespaces } }).await? {
        let time = entry.get_timestamp("ts").context("an entry has no time")?;
        match entry
            .get_document("o")
            .ok()
            .and_then(|o| o.get_array("applyOps").ok())
        {
            Some(parts) => {
                let parts = parts.iter().filter_map(Bson::as_document);
                parts.for_each(|part| watch.entry(database.name(), part, time));
            }
            None => watch.entry(database.name(), &entry, time),
        }
    }
    Ok(watch.differences)
}

/// What the history has told so far.
#[derive(Default)]
struct Watch {
    /// Delivered orders that are archived nowhere yet, and when they were delivered.
    due: HashMap<String, Timestamp>,
    /// Those that an open gap makes up for.
    owed: HashMap<String, Timestamp>,
    /// Orders that are in the archive or in quarantine.
    kept: HashSet<String>,
    checkpoint: Option<Timestamp>,
    epoch: Option<i64>,
    partitions: HashMap<i64, Partition>,
    /// What the database makes of the `_id` of each order.
    hashes: HashMap<String, i64>,
    differences: Vec<String>,
}

/// A partition of the watch, as far as the history has told of it.
#[derive(Default)]
struct Partition {
    epoch: i64,
    generation: i64,
    of: i64,
    checkpoint: Option<Timestamp>,
}

impl Watch {
    fn entry(&mut self, database: &str, entry: &Document, time: Timestamp) {
        let kind = entry.get_str("op").unwrap_or_default();
        let namespace = entry.get_str("ns").unwrap_or_default();
        let collection = namespace
            .strip_prefix(database)
            .and_then(|rest| rest.strip_prefix('.'));
        let (Some(collection), Ok(change)) = (collection, entry.get_document("o")) else {
            return;
        };
        let key = |from: &str| {
            let document = entry.get_document(from).ok();
            identity(document.and_then(|document| document.get("_id")))
        };
        match (collection, kind) {
            ("Historique", "i") => self.keep(key("o")),
            ("archd_quarantine", "i") => self.keep(identity(change.get("order_id"))),
            ("Commande", "i") => self.status(key("o"), change.get("status"), time),
            ("Commande", "u") => {
                let unset = removed(change).is_some_and(|gone| gone.contains_key("status"));
                let status = set(change, &["status"]);
                // An update tells only what it changes, a replacement all that there is.
                if status.is_some() || unset || !change.contains_key("$v") {
                    self.status(key("o2"), status, time);
                }
            }
            ("Commande", "d") => self.status(key("o"), None, time),
            ("$cmd", "c") if change.contains_key("dropDatabase") => {
                *self = Watch {
                    differences: std::mem::take(&mut self.differences),
                    hashes: std::mem::take(&mut self.hashes),
                    ..Watch::default()
                }
            }
            ("$cmd", "c") if gone(change, database) => {
                self.due.clear();
                self.owed.clear();
            }
            ("archd_state", "u") if key("o2") == identity(Some(&"watcher".into())) => {
                self.watcher(change)
            }
            ("archd_state", "u") => {
                let id = entry.get_document("o2").ok();
                let id = id.and_then(|id| id.get_str("_id").ok());
                let index = id.and_then(|id| id.strip_prefix("watcher-")?.parse().ok());
                if let Some(index) = index {
                    self.partition(index, change);
                }
            }
            _ => {}
        }
    }

    fn keep(&mut self, order: String) {
        self.due.remove(&order);
        self.owed.remove(&order);
        self.kept.insert(order);
    }

    fn status(&mut self, order: String, status: Option<&Bson>, time: Timestamp) {
        if status.and_then(Bson::as_str) == Some("livrée") && !self.kept.contains(&order) {
            self.due.entry(order).or_insert(time);
        } else {
            self.due.remove(&order);
            self.owed.remove(&order);
        }
    }

    fn watcher(&mut self, change: &Document) {
        if let Some(epoch) = set(change, &["epoch"]).and_then(Bson::as_i64) {
            if self.epoch.is_some_and(|known| epoch < known) {
                self.differences.push(format!("epoch {epoch} came late"));
            }
            (self.epoch, self.checkpoint) = (Some(epoch), None);
        }
        let gap = set(change, &["gap", "to"]).is_some();
        if let Some(time) = set(change, &["checkpoint", "time"]).and_then(Bson::as_timestamp) {
            if self.checkpoint.is_some_and(|known| time < known) {
                self.differences
                    .push(format!("the checkpoint went back to {time}"));
            }
            self.checkpoint = Some(time);
            let behind: Vec<_> = self
                .due
                .extract_if(|_, delivered| *delivered <= time)
                .collect();
            if gap {
                self.owed.extend(behind);
            } else {
                self.complain(behind, "the checkpoint got ahead of it");
            }
        }
        if removed(change).is_some_and(|gone| gone.contains_key("gap")) {
            let owed: Vec<_> = self.owed.drain().collect();
            self.complain(owed, "its gap was closed without it");
        }
    }

    fn partition(&mut self, index: i64, change: &Document) {
        let whole = |field: &str| set(change, &[field]).and_then(Bson::as_i64);
        let partition = self.partitions.entry(index).or_default();
        if let Some(epoch) = whole("epoch") {
            if epoch < partition.epoch {
                let late = format!("epoch {epoch} of partition {index} came late");
                self.differences.push(late);
            }
            if epoch != partition.epoch {
                (partition.epoch, partition.checkpoint) = (epoch, None);
            }
        }
        if let Some(generation) = whole("generation") {
            if generation < partition.generation {
                let late = format!("generation {generation} of partition {index} came late");
                self.differences.push(late);
            }
            partition.generation = generation;
        }
        partition.of = whole("of").unwrap_or(partition.of);
        let time = set(change, &["checkpoint", "time"]).and_then(Bson::as_timestamp);
        let (Some(time), of) = (time, partition.of) else {
            return;
        };
        if partition.checkpoint.is_some_and(|known| time < known) {
            let back = format!("the checkpoint of partition {index} went back to {time}");
            self.differences.push(back);
        }
        partition.checkpoint = Some(time);
        let hashes = &self.hashes;
        let is_own = |order: &String| {
            let hash = hashes.get(order);
            hash.is_some_and(|hash| of > 0 && hash.rem_euclid(of) == index)
        };
        let behind: Vec<_> = self
            .due
            .extract_if(|order, delivered| *delivered <= time && is_own(order))
            .collect();
        self.complain(behind, "the checkpoint of its partition got ahead of it");
    }

    fn complain(&mut self, orders: Vec<(String, Timestamp)>, what: &str) {
        let lines = orders
            .into_iter()
            .map(|(order, delivered)| format!("{order}, delivered at {delivered}: {what}"));
        self.differences.extend(lines);
    }
}

/// Whether a command takes the orders away.
fn gone(command: &Document, database: &str) -> bool {
    let renamed = command.get_str("renameCollection").ok();
    let dropped = command.get_str("drop").ok();
    dropped == Some("Commande")
        || renamed.and_then(|from| from.strip_prefix(database)) == Some(".Commande")
}

/// What an update in the oplog sets a field to: a whole document, or the difference in the form
/// that mongod writes since 5.0, where `u` and `i` hold what is set and `s` before a name holds the
/// difference of that document.
fn set<'d>(change: &'d Document, path: &[&str]) -> Option<&'d Bson> {
    fn inside<'d>(value: &'d Bson, path: &[&str]) -> Option<&'d Bson> {
        path.iter()
            .try_fold(value, |value, name| value.as_document()?.get(*name))
    }
    fn within<'d>(diff: &'d Document, path: &[&str]) -> Option<&'d Bson> {
        let (first, rest) = path.split_first()?;
        let whole = ["u", "i"]
            .iter()
            .find_map(|kind| diff.get_document(kind).ok()?.get(*first));
        match whole {
            Some(value) => inside(value, rest),
            None => within(diff.get_document(format!("s{first}")).ok()?, rest),
        }
    }
    match change.get_document("diff") {
        Ok(diff) if change.contains_key("$v") => within(diff, path),
        _ => inside(change.get(path[0])?, &path[1..]),
    }
}

/// The fields that an update in the oplog removes.
fn removed(change: &Document) -> Option<&Document> {
    change.get_document("diff").ok()?.get_document("d").ok()
}

/// A value as a text that no other value has.
fn identity(value: Option<&Bson>) -> String {
    format!("{value:?}")
}

/// What people call an order.
fn name(order: &Document) -> String {
    match order.get("numero_commande") {
        Some(Bson::String(numero)) => numero.clone(),
        _ => format!("the order {}", identity(order.get("_id"))),
    }
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

/// What the database makes of the `_id` of each order when it divides them.
async fn hashes(database: &Database) -> Result<HashMap<String, i64>> {
    let hash = doc! { "$project": { "hash": { "$toHashedIndexKey": "$_id" } } };
    let reading = async {
        let orders = database.collection::<Document>("Commande");
        orders
            .aggregate([hash])
            .await?
            .try_collect::<Vec<_>>()
            .await
    };
    let orders = reading.await.context("hash the orders")?;
    let of = |order: &Document| Some((identity(order.get("_id")), order.get_i64("hash").ok()?));
    Ok(orders.iter().filter_map(of).collect())
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
