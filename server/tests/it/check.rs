//! `archd check` tells in one go whether archd can do its work on a database, names what mends it,
//! and writes nothing there.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bson::{Document, doc, oid::ObjectId};
use devkit::{ReplicaSet, Standalone, relay::Relay};
use mongodb::{Client, Database, IndexModel};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::{
    process::{archd, run},
    support::{TestServer, order, orders, within},
};

/// What `archd check --output json` found: each finding by its name.
pub(crate) struct Checked {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
    findings: BTreeMap<String, Value>,
}

impl Checked {
    /// What mends everything that was found, in the order in which it was found.
    pub(crate) fn fixes(&self) -> String {
        let report: Value = serde_json::from_str(&self.text).unwrap();
        let checks = report["checks"].as_array().unwrap().iter();
        let fixes: Vec<&str> = checks.filter_map(|check| check["fix"].as_str()).collect();
        fixes.join("\n")
    }

    pub(crate) fn verdict(&self, name: &str) -> &str {
        self.field(name, "verdict")
    }

    /// That the program left with this code, and that this was its verdict.
    pub(crate) fn assert_is(&self, name: &str, code: i32, verdict: &str) {
        assert_eq!(
            (self.code, self.verdict(name)),
            (Some(code), verdict),
            "{}",
            self.text
        );
    }

    pub(crate) fn found(&self, name: &str) -> &str {
        self.field(name, "found")
    }

    pub(crate) fn fix(&self, name: &str) -> &str {
        self.field(name, "fix")
    }

    fn field(&self, name: &str, field: &str) -> &str {
        let finding = self.findings.get(name);
        let value = finding.and_then(|finding| finding[field].as_str());
        value.unwrap_or_else(|| panic!("no {field} of {name} in {}", self.text))
    }

    /// The names of the findings that are not ok.
    pub(crate) fn complaints(&self) -> Vec<&str> {
        let bad = |(_, finding): &(&String, &Value)| finding["verdict"] != "ok";
        self.findings
            .iter()
            .filter(bad)
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

pub(crate) async fn check(uri: &str, database: &str) -> Checked {
    check_with(uri, database, &[], &[]).await
}

pub(crate) async fn check_with(
    uri: &str,
    database: &str,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> Checked {
    let own = [("MONGODB_URI", uri), ("MONGODB_DATABASE", database)];
    let arguments = [&["check", "--output=json"], arguments].concat();
    let (code, stdout, stderr) = run(&arguments, &[&own, settings].concat()).await;
    let report: Value =
        serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
    let checks = report["checks"].as_array().unwrap().clone();
    let named = |check: Value| (check["name"].as_str().unwrap().to_owned(), check);
    let findings: BTreeMap<String, Value> = checks.into_iter().map(named).collect();
    Checked {
        code,
        text: stdout,
        findings,
    }
}

/// The indexes that joins need.
pub(crate) async fn index(database: &Database) {
    for (collection, key) in [
        ("Client", doc! { "id_client": 1 }),
        ("Livreur", doc! { "id_livreur": 1 }),
        ("Restaurants", doc! { "id_restaurant": 1 }),
        ("Menu", doc! { "id_menu": 1 }),
        ("Commande", doc! { "numero_commande": 1 }),
        ("Commande", doc! { "status": 1, "_id": 1 }),
    ] {
        let model = IndexModel::builder().keys(key).build();
        let collection = database.collection::<Document>(collection);
        collection.create_index(model).await.unwrap();
    }
}

/// Orders, references and indexes; and an archive of these orders, as a server leaves it.
pub(crate) async fn furnish(set: &ReplicaSet) -> TestServer {
    let server = TestServer::start_on(set, |_| {})
        .await
        .with_references()
        .await;
    server.insert("Commande", orders(3)).await;
    index(&server.database).await;
    server.run_batch().await;
    server
}

/// Everything that a write would change: the data, and the last entry of the history that tells of
/// one.
async fn imprint(client: &Client, database: &str) -> (Document, Vec<String>, Document) {
    let hash = client
        .database(database)
        .run_command(doc! { "dbHash": 1 })
        .await
        .unwrap();
    let names = client.list_database_names().await.unwrap();
    let writes = doc! { "op": { "$ne": "n" }, "ns": { "$not": { "$regex": "^config\\." } } };
    let oplog = client.database("local").collection::<Document>("oplog.rs");
    let last = oplog
        .find_one(writes)
        .sort(doc! { "$natural": -1 })
        .await
        .unwrap();
    (
        hash.get_document("collections").unwrap().clone(),
        names,
        last.unwrap(),
    )
}

#[tokio::test]
async fn a_database_in_order_is_ok_throughout_and_is_left_as_it_was() {
    // Of its own, because only a young history is whole.
    let set = ReplicaSet::start().await.unwrap();
    let server = furnish(&set).await;
    let name = server.database.name().to_owned();
    server.shut_down().await;
    let client = set.client().await.unwrap();
    let before = imprint(&client, &name).await;

    let checked = check(&set.uri(), &name).await;
    assert_eq!(
        (checked.code, checked.complaints()),
        (Some(0), vec![]),
        "{}",
        checked.text
    );
    assert!(
        checked.text.starts_with(r#"{"verdict":"ok","#),
        "{}",
        checked.text
    );
    assert_eq!(checked.findings.len(), 15, "{}", checked.text);
    for (name, word) in [
        ("connection", "MongoDB"),
        ("privileges", "no access control"),
        ("collections", "Commande 3, Client 1"),
        ("collections", "Historique 3"),
        ("archived orders", "3 of a sample"),
        ("state", "can be read"),
    ] {
        assert!(checked.found(name).contains(word), "{}", checked.text);
    }

    let settings = [
        ("MONGODB_URI", set.uri()),
        ("MONGODB_DATABASE", name.clone()),
    ];
    let settings = settings
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let (code, stdout, stderr) = run(&["check"], &settings).await;
    assert_eq!(code, Some(0), "{stdout}{stderr}");
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines.len(), 16, "{stdout}");
    assert!(
        lines[..15].iter().all(|line| line.starts_with("ok ")),
        "{stdout}"
    );
    assert_eq!(lines[15], "15 ok, 0 warning, 0 failed");
    assert!(
        !stdout.contains('\u{1b}'),
        "colour outside a terminal: {stdout}"
    );
    assert_eq!(imprint(&client, &name).await, before);
}

#[tokio::test]
async fn an_empty_database_stays_empty_and_is_warned_about() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let other = database.collection::<Document>("Commandes");
    other.insert_one(doc! {}).await.unwrap();
    let checked = check(&set.uri(), database.name()).await;
    assert_eq!(checked.code, Some(0), "{}", checked.text);
    assert_eq!(checked.verdict("collections"), "warning");
    for word in [
        "MONGODB_DATABASE",
        "ARCHD_COLLECTION_ORDERS",
        "the database also has Commandes",
    ] {
        assert!(
            checked.fix("collections").contains(word),
            "{}",
            checked.text
        );
    }
    assert_eq!(checked.verdict("unique index"), "warning");
    assert!(
        checked
            .fix("unique index")
            .contains(r#""unique": true, "collation": { "locale": "simple" } }"#),
        "{}",
        checked.text
    );
    assert_eq!(
        database.list_collection_names().await.unwrap(),
        ["Commandes"]
    );
}

#[tokio::test]
async fn a_standalone_mongod_is_enough_only_for_batches() {
    let mongod = Standalone::start().await.unwrap();
    let checked = check(&mongod.uri(), "alone").await;
    checked.assert_is("replica set", 5, "failed");
    assert!(
        checked.fix("replica set").contains("--replSet"),
        "{}",
        checked.text
    );
    let checked = check_with(&mongod.uri(), "alone", &[], &[("ARCHD_WATCH", "false")]).await;
    checked.assert_is("replica set", 0, "warning");
}

#[tokio::test]
async fn a_set_without_its_primary_is_told_from_one_that_is_away() {
    let set = ReplicaSet::start_nodes(2).await.unwrap();
    let primary = set.primary().await.unwrap().port();
    let secondary = set
        .nodes()
        .iter()
        .find(|node| node.port() != primary)
        .unwrap();
    let checked = check_with(&secondary.uri(), "any", &["--wait=1s"], &[]).await;
    assert_eq!(checked.code, Some(5), "{}", checked.text);
    assert_eq!(
        checked.complaints(),
        ["everything else", "replica set"],
        "{}",
        checked.text
    );
    assert!(
        checked.fix("replica set").contains("directConnection"),
        "{}",
        checked.text
    );

    let checked = check_with(&set.uri(), "any", &[], &[]).await;
    assert_eq!(checked.verdict("replica set"), "ok", "{}", checked.text);
    assert_eq!(
        checked.found("majority writes"),
        "2 must confirm a write, 2 are up"
    );
}

#[tokio::test]
async fn whoever_checks_a_database_that_is_away_hears_at_once_what_is_waited_for() {
    let settings = [("MONGODB_URI", "mongodb://127.0.0.1:1/")];
    let mut checking = archd(&["check", "--wait=10s"], &settings).spawn().unwrap();
    let mut said = BufReader::new(checking.stderr.take().unwrap()).lines();
    let asked = Instant::now();
    let told = loop {
        let line = within(said.next_line()).await.unwrap().unwrap();
        if line.contains("waiting for a database that takes writes") {
            break asked.elapsed();
        }
    };
    assert!(told < Duration::from_secs(5), "{told:?}");
}

#[tokio::test]
async fn a_database_that_is_away_is_told_in_time() {
    let asked = Instant::now();
    let checked = check_with("mongodb://127.0.0.1:1/", "any", &["--wait=500ms"], &[]).await;
    assert_eq!(checked.code, Some(4), "{}", checked.text);
    assert_eq!(
        checked.complaints(),
        ["connection", "everything else"],
        "{}",
        checked.text
    );
    assert!(
        asked.elapsed() < Duration::from_secs(15),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn a_missing_index_is_named_with_the_command_that_makes_it() {
    let set = ReplicaSet::shared().await.unwrap();
    let server = furnish(set).await;
    for (collection, index) in [("Menu", "id_menu_1"), ("Commande", "numero_commande_1")] {
        server
            .collection(collection)
            .drop_index(index)
            .await
            .unwrap();
    }
    let name = server.database.name();
    let checked = check(&set.uri(), name).await;
    checked.assert_is("indexes", 0, "warning");
    let found = "Menu has no index on id_menu, so every join reads it whole; Commande has no index on numero_commande, so looking up a number reads it whole";
    assert_eq!(checked.found("indexes"), found);
    let fix = format!(
        "db.getSiblingDB(\"{name}\").getCollection(\"Menu\").createIndex({{ \"id_menu\": 1 }})\n\
         db.getSiblingDB(\"{name}\").getCollection(\"Commande\").createIndex({{ \"numero_commande\": 1 }})\n\
         or start the batch with --create-indexes"
    );
    assert_eq!(checked.fix("indexes"), fix);
    assert_eq!(checked.verdict("archived orders"), "not_checked");
}

#[tokio::test]
async fn an_archive_that_cannot_be_kept_unique_fails() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let archive = database.collection::<Document>("Historique");
    let twice = ["one", "two"].map(|id| doc! { "_id": id, "numero_commande": "CMD-2024-000001" });
    archive.insert_many(twice).await.unwrap();
    let checked = check(&set.uri(), database.name()).await;
    checked.assert_is("unique index", 5, "failed");
    assert!(
        checked.found("unique index").contains("CMD-2024-000001"),
        "{}",
        checked.text
    );

    assert!(!checked.text.contains("deleteOne"), "{}", checked.text);
}

#[tokio::test]
async fn an_archive_with_ids_of_its_own_is_warned_about_before_its_orders_are_quarantined() {
    let set = ReplicaSet::shared().await.unwrap();
    let server = furnish(set).await;
    let foreign = doc! { "_id": ObjectId::new(), "numero_commande": "CMD-2024-000009" };
    server.insert("Historique", [foreign]).await;
    server.insert("Commande", [order("CMD-2024-000009")]).await;
    let checked = check(&set.uri(), server.database.name()).await;
    checked.assert_is("archived orders", 0, "warning");
    let found = checked.found("archived orders");
    assert!(
        found.starts_with("of 4 that are still in Commande, 1 have another `_id`"),
        "{found}"
    );
    assert!(found.contains("CMD-2024-000009"), "{found}");
    // And so it is.
    server.run_batch().await;
    let entries = server.all("archd_quarantine").await;
    assert_eq!(
        entries[0].get_str("numero_commande").unwrap(),
        "CMD-2024-000009",
        "{entries:?}"
    );
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused_with_the_range_that_is_supported() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
    let uri = relay.uri();
    let build = database.run_command(doc! { "buildInfo": 1 }).await.unwrap();
    let version = build.get_str("version").unwrap();
    let checked = check(&uri, database.name()).await;
    // A busy machine may answer late, which is a warning.
    assert_ne!(checked.verdict("connection"), "failed", "{}", checked.text);
    let range = "archd is made for 6.0 to 8.x";

    // The same server, which says of itself that it is an older one.
    let (_, rest) = version.split_once('.').unwrap();
    let field = |version: &str| {
        let length = u32::try_from(version.len() + 1).unwrap().to_le_bytes();
        [b"version\0", &length[..], version.as_bytes(), b"\0"].concat()
    };
    relay.rewrite(&field(version), &field(&format!("5.{rest}")));
    let checked = check(&uri, database.name()).await;
    checked.assert_is("connection", 5, "failed");
    let found = checked.found("connection");
    assert!(
        found.contains(&format!("MongoDB 5.{rest}")) && found.contains(range),
        "{found}"
    );
    assert!(
        checked.fix("connection").contains("6.0 or newer"),
        "{}",
        checked.text
    );
}
