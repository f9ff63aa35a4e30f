//! A verification as a process: its code says what it came to, and one that is killed goes on from
//! where it was.

use std::process::Stdio;

use bson::{Document, doc};
use devkit::ReplicaSet;
use mongodb::Database;

use crate::{
    process::{archd, run, signal},
    support::{eventually, order, orders, within},
};

/// A database that no server is on, with so many orders, all archived.
async fn archived(count: usize) -> Database {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let commande = database.collection("Commande");
    commande.insert_many(orders(count)).await.unwrap();
    let (code, _, log) = archd_on(&database, "batch").await;
    assert_eq!(code, Some(0), "{log}");
    database
}

async fn settings(database: &Database) -> [(&'static str, String); 3] {
    [
        ("MONGODB_URI", ReplicaSet::shared().await.unwrap().uri()),
        ("MONGODB_DATABASE", database.name().to_owned()),
        ("ARCHD_LEASE", "1s".to_owned()),
    ]
}

/// Runs `archd` on a database: its code, what it prints and its log.
async fn archd_on(database: &Database, arguments: &str) -> (Option<i32>, String, String) {
    let settings = settings(database).await;
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let arguments: Vec<_> = arguments.split(' ').collect();
    run(&arguments, &settings).await
}

/// A process that runs until somebody ends it.
async fn spawn(database: &Database, arguments: &str) -> tokio::process::Child {
    let settings = settings(database).await;
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let arguments: Vec<_> = arguments.split(' ').collect();
    let mut command = archd(&arguments, &settings);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// The latest verification, once it is like this.
async fn once(database: &Database, filter: Document) -> Document {
    let verifications = database.collection::<Document>("archd_verifications");
    eventually(async || verifications.find_one(filter.clone()).await.unwrap()).await
}

fn figures(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn its_code_says_the_verdict() {
    let database = archived(4).await;
    let (code, text, log) = archd_on(&database, "verify --settle 0s").await;
    assert_eq!(code, Some(0), "{log}");
    assert!(
        text.starts_with("VERIFIED 4 of 4 delivered orders, as of 20"),
        "{text}"
    );
    assert!(log.contains("verification started"), "{log}");
    assert!(log.contains("VERIFIED 4 of 4"), "{log}");

    let commande = database.collection("Commande");
    commande.insert_one(order("LATE")).await.unwrap();
    for how in ["", " --presence", " --references", " --changes"] {
        let asked = format!("verify --settle 0s --output json{how}");
        let (code, text, log) = archd_on(&database, &asked).await;
        assert_eq!(code, Some(9), "{log}");
        let figures = figures(&text);
        assert_eq!(figures["verdict"], "VERDICT_NOT_VERIFIED", "{text}");
        assert_eq!(figures["missing"], 1, "{text}");
        // Somebody has to see to it, so it is an error, with the mend.
        let told = log
            .lines()
            .find(|line| line.contains("NOT VERIFIED: 1 missing"));
        let told = told.unwrap_or_else(|| panic!("{log}"));
        assert!(
            told.contains("ERROR") && told.contains("archctl verify"),
            "{told}"
        );
    }
    let (code, _, _) = archd_on(&database, "verify --presence --references").await;
    assert_eq!(code, Some(2));
    let (code, _, said) = archd_on(&database, "verify --settle 2h").await;
    assert_eq!(code, Some(2));
    assert!(said.contains("at most 1h"), "{said}");
}

#[tokio::test]
async fn one_that_is_killed_again_and_again_looks_at_every_order_once() {
    const KILLS: i64 = 3;
    let database = archived(600).await;
    let mut seen = 0;
    for _ in 0..KILLS {
        let mut verify = spawn(&database, "verify --settle 0s --verify-max-rate=100").await;
        let further = doc! { "counts.delivered": { "$gt": seen } };
        let state = once(&database, further).await;
        seen = state
            .get_document("counts")
            .unwrap()
            .get_i64("delivered")
            .unwrap();
        verify.kill().await.unwrap();
    }
    assert!(seen < 600);
    let asked = "verify --settle 0s --output json --verify-max-rate=0";
    let (code, text, log) = archd_on(&database, asked).await;
    assert_eq!(code, Some(0), "{log}");
    let figures = figures(&text);
    assert_eq!(figures["delivered"], 600, "{text}");
    assert_eq!(figures["verified"], 600, "{text}");
    assert_eq!(figures["resumes"], KILLS, "{text}");
    assert!(
        log.contains("verification taken up where it was left"),
        "{log}"
    );
    let one = once(&database, doc! {}).await;
    assert!(
        !one.contains_key("progress"),
        "nobody goes on from there: {one}"
    );
}

#[tokio::test]
async fn one_that_is_stopped_is_cancelled_and_says_so() {
    let database = archived(500).await;
    let mut verify = spawn(&database, "verify --verify-max-rate=10").await;
    once(&database, doc! { "counts.delivered": { "$gt": 0 } }).await;
    signal(&verify, "TERM");
    let code = within(verify.wait()).await.unwrap().code();
    assert_eq!(code, Some(130));
    let ended = once(&database, doc! { "ended": { "$exists": true } }).await;
    assert_eq!(ended.get_str("state").unwrap(), "cancelled");
    assert!(!ended.contains_key("verdict"), "{ended}");
}

#[tokio::test]
async fn a_verification_that_kills_whoever_runs_it_is_given_up() {
    let database = archived(1).await;
    let now = bson::DateTime::now();
    let deadly = doc! {
        "_id": "v-1", "state": "running", "active": true, "alive_until": bson::DateTime::from_millis(0),
        "created": now, "updated": now, "started": now, "epoch": 5_i64, "lives": 5_i64, "barren_lives": 5_i64,
    };
    let verifications = database.collection("archd_verifications");
    verifications.insert_one(deadly).await.unwrap();
    let (code, text, log) = archd_on(&database, "verify --output json").await;
    assert_eq!(code, Some(3), "{log}");
    let figures = figures(&text);
    assert_eq!(figures["id"], "v-1");
    assert_eq!(figures["state"], "VERIFICATION_STATE_FAILED");
    let message = figures["message"].as_str().unwrap();
    assert!(
        message.starts_with("5 instances in a row died with it"),
        "{message}"
    );
}

#[tokio::test]
async fn an_archive_that_takes_no_orders_is_verified_all_the_same() {
    let database = archived(20).await;
    let archive = database.collection::<Document>("Historique");
    archive.drop_indexes().await.unwrap();
    let mut twin = archive.find_one(doc! {}).await.unwrap().unwrap();
    twin.insert("_id", "twin");
    archive.insert_one(twin).await.unwrap();
    let (code, said, log) = archd_on(&database, "verify --settle=0s").await;
    assert_eq!(code, Some(9), "{said} {log}");
    assert!(said.starts_with("NOT VERIFIED: 1 doubled"), "{said} {log}");
}
