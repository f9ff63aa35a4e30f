//! An archive that would lose orders in silence is refused by name before anything is written to
//! it, also when it becomes one later.

use bson::{Bson, DateTime, Document, doc};
use devkit::ReplicaSet;
use mongodb::Database;

use crate::{
    check::check,
    faults::{fresh, watching},
    process::archd,
    support::{TestServer, assert_unusable, eventually, faults, order, orders, within},
};

/// Makes an archive of a kind, and the words that it is refused with.
struct Kind {
    name: &'static str,
    make: Vec<Document>,
    words: &'static [&'static str],
}

fn kinds() -> Vec<Kind> {
    let create = |options: Document| {
        let mut command = doc! { "create": "Historique" };
        command.extend(options);
        command
    };
    let index = |spec: Document| doc! { "createIndexes": "Historique", "indexes": [spec] };
    let expiring = |key: &str| {
        let mut keys = Document::new();
        keys.insert(key, 1);
        doc! { "key": keys, "name": "old", "expireAfterSeconds": 3_600 }
    };
    let mut unique_and_expiring = expiring("numero_commande");
    unique_and_expiring.insert("unique", true);
    let clustered = doc! { "clusteredIndex": { "key": { "_id": 1 }, "unique": true }, "expireAfterSeconds": 3_600 };
    vec![
        Kind {
            name: "capped",
            make: vec![create(doc! { "capped": true, "size": 1 << 20, "max": 50 })],
            words: &[
                "Historique is a capped collection",
                "$out",
                "renameCollection",
            ],
        },
        Kind {
            name: "series",
            make: vec![create(
                doc! { "timeseries": { "timeField": "date_archivage" } },
            )],
            words: &[
                "Historique is a time-series collection",
                "ARCHD_COLLECTION_ARCHIVE",
            ],
        },
        Kind {
            name: "view",
            make: vec![create(doc! { "viewOn": "Historique_base", "pipeline": [] })],
            words: &[
                "Historique is a view of Historique_base",
                "ARCHD_COLLECTION_ARCHIVE",
            ],
        },
        Kind {
            name: "expiring",
            make: vec![index(expiring("date_archivage"))],
            words: &[
                "the index \"old\" of Historique lets documents expire",
                "dropIndex(\"old\")",
            ],
        },
        Kind {
            name: "expiring by its unique index",
            make: vec![index(unique_and_expiring)],
            words: &[
                "the index \"old\" of Historique lets documents expire",
                "dropIndex(\"old\")",
            ],
        },
        Kind {
            name: "clustered",
            make: vec![create(clustered)],
            words: &["Historique lets documents expire", "collMod"],
        },
    ]
}

async fn make(database: &Database, commands: &[Document]) {
    for command in commands {
        database.run_command(command.clone()).await.unwrap();
    }
}

/// That a caller is refused with these words.
async fn is_refused(server: &TestServer, words: &[&str]) {
    let status = eventually(async || {
        let status = server.archive_order("CMD-2025-000001").await.err()?;
        let message = status.message();
        let told = words.iter().all(|word| message.contains(word));
        told.then_some(status)
    })
    .await;
    assert_unusable(&status);
}

#[tokio::test]
async fn an_archive_that_would_lose_orders_is_refused_before_it_is_written_to() {
    let set = ReplicaSet::shared().await.unwrap();
    for kind in kinds() {
        println!("{}", kind.name);
        let database = set.fresh_database().await.unwrap();
        make(&database, &kind.make).await;
        let server = TestServer::on(&set.uri(), database.name()).await;
        server.insert("Commande", orders(200)).await;
        is_refused(&server, kind.words).await;
        assert_eq!(server.all("Historique").await, [], "{}", kind.name);

        let checked = check(&set.uri(), database.name()).await;
        checked.assert_is("archive", 5, "failed");
        let said = format!("{}\n{}", checked.found("archive"), checked.fix("archive"));
        for word in kind.words {
            assert!(said.contains(word), "{word} is not in {said}");
        }
        server.shut_down().await;
    }
}

#[tokio::test]
async fn an_archive_that_becomes_one_later_is_refused_too() {
    let unique = doc! { "createIndexes": "Historique", "indexes": [{ "key": { "numero_commande": 1 }, "name": "numero_commande_1", "unique": true }] };
    for kind in kinds() {
        println!("{}", kind.name);
        let server = TestServer::start().await;
        server.insert("Commande", orders(100)).await;
        server.archive_order("CMD-2025-000001").await.unwrap();
        let added = kind.make[0].contains_key("createIndexes");
        // The server makes what is gone anew as soon as it sees it, and may be quicker than this.
        loop {
            if !added {
                let archive = server.collection("Historique");
                archive.drop().await.unwrap();
            } else if kind.name.ends_with("its unique index") {
                let drop = doc! { "dropIndexes": "Historique", "index": "*" };
                make(&server.database, &[drop]).await;
            }
            let made = server.database.run_command(kind.make[0].clone());
            if made.await.is_ok() {
                break;
            }
        }
        if kind.name == "capped" {
            // Nothing but its kind tells it from the one before.
            make(&server.database, std::slice::from_ref(&unique)).await;
        }
        // What is sent within a tenth of a second after the last look at the one before is still
        // written.
        let mut announced = usize::from(added);
        let mut refused = 0;
        for number in 2..=100 {
            match server.archive_order(&format!("CMD-2025-{number:06}")).await {
                Ok(_) => announced += 1,
                Err(status) => {
                    let reason = faults(&status).0;
                    let reasons = ["DATABASE_UNAVAILABLE", "DATABASE_UNUSABLE"];
                    assert!(reasons.contains(&reason.as_str()), "{status:?}");
                    refused += 1;
                }
            }
        }
        is_refused(&server, &kind.words[..1]).await;
        assert!(refused >= 70, "{}: {refused} of 99 refused", kind.name);
        let left = server.all("Historique").await.len();
        assert_eq!(left, announced, "{}", kind.name);
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_watcher_waits_for_an_archive_that_is_mended_and_goes_on_from_its_place() {
    let set = ReplicaSet::shared().await.unwrap();
    let server = watching(&set.uri(), fresh(set).await, |_| {}).await;
    let batches = server.all("archd_batches").await.len();
    let expiring = doc! { "createIndexes": "Historique", "indexes": [{ "key": { "date_archivage": 1 }, "name": "old", "expireAfterSeconds": 3_600 }] };
    make(&server.database, &[expiring]).await;
    is_refused(&server, &["the index \"old\" of Historique"]).await;
    server.insert("Commande", [order("CMD-1")]).await;
    // What can be read still is, and the watcher tells why it waits.
    eventually(async || {
        let told = server.watcher_now().await.last_error;
        told.contains("\"old\"").then_some(())
    })
    .await;
    assert_eq!(server.all("Historique").await, []);

    let mended = doc! { "dropIndexes": "Historique", "index": "old" };
    make(&server.database, &[mended]).await;
    assert_eq!(server.archived(1).await, ["CMD-1"]);
    let after = server.all("archd_batches").await.len();
    assert_eq!(after, batches, "nothing had to be caught up with");
    server.shut_down().await;
}

#[tokio::test]
async fn an_archive_that_is_converted_under_load_keeps_what_was_announced() {
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::start_on(&set, |_| {}).await;
    server.insert("Commande", orders(400)).await;
    let mut announced = 0;
    for number in 1..=400 {
        let answer = server.archive_order(&format!("CMD-2025-{number:06}")).await;
        announced += usize::from(answer.is_ok());
        if number == 100 {
            let capped = doc! { "convertToCapped": "Historique", "size": 1 << 20 };
            server.database.run_command(capped).await.unwrap();
        }
    }
    is_refused(&server, &["Historique is a capped collection"]).await;
    assert!((100..200).contains(&announced), "{announced}");
    assert_eq!(server.all("Historique").await.len(), announced);
}

#[tokio::test]
async fn a_validator_is_warned_of() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let rule = doc! { "create": "Historique", "validator": { "date_archivage": { "$lt": DateTime::from_millis(0) } } };
    make(&database, &[rule]).await;
    let uri = set.uri();
    let settings = [
        ("MONGODB_URI", uri.as_str()),
        ("MONGODB_DATABASE", database.name()),
    ];
    let orders = database.collection::<Document>("Commande");
    orders.insert_one(order(Bson::from("CMD-1"))).await.unwrap();
    let batch = archd(&["batch"], &settings).output();
    let batch = within(batch).await.unwrap();
    let log = String::from_utf8(batch.stderr).unwrap();
    assert_eq!(
        log.matches("Historique has a validator").count(),
        1,
        "{log}"
    );

    let checked = check(&uri, database.name()).await;
    checked.assert_is("archive", 0, "warning");
    assert!(
        checked.fix("archive").contains("collMod"),
        "{}",
        checked.text
    );
    let silent = doc! { "collMod": "Historique", "validationAction": "warn" };
    make(&database, &[silent]).await;
    let checked = check(&uri, database.name()).await;
    assert_eq!(checked.verdict("archive"), "ok", "{}", checked.text);
}
