//! Orders are archived, each once, whatever collation the collections were made with.

use bson::{Bson, Document, doc, oid::ObjectId};
use devkit::{ReplicaSet, audit};
use mongodb::{
    Database,
    options::{Collation, CollationStrength},
};
use order_archiver_api::v1 as pb;
use pb::{ArchiveOutcome, BatchState, QuarantineReason, WatcherState};

use crate::{
    check::check,
    faults::fresh,
    support::{TestServer, eventually, faults, order, tally},
};

/// Makes these collections with a collation of this strength, in a database with references.
async fn collated(collections: &[&str], strength: u32) -> Database {
    let database = fresh(ReplicaSet::shared().await.unwrap()).await;
    for name in collections {
        let strength = CollationStrength::try_from(strength).unwrap();
        let collation = Collation::builder().locale("fr").strength(strength).build();
        database
            .create_collection(*name)
            .collation(collation)
            .await
            .unwrap();
    }
    database
}

async fn server(
    database: &Database,
    change: impl FnOnce(&mut archd::config::Config),
) -> TestServer {
    let uri = ReplicaSet::shared().await.unwrap().uri();
    let server = TestServer::on_with(&uri, database.name(), change).await;
    server.ready().await;
    server
}

/// `_id`s that differ for every collation, and that each collation puts into an order of its own.
fn ids(round: usize) -> Vec<Bson> {
    let letters = ["a", "B", "c", "D", "é", "F", "_", "Z", "z!", "œ"];
    let texts = (0..40).map(|at| format!("{}{round}-{at}", letters[at % letters.len()]).into());
    let others = (0..20).map(|at| match at % 2 {
        0 => ObjectId::new().into(),
        _ => Bson::from(1_000 * round as i64 + at),
    });
    texts.chain(others).collect()
}

fn delivered(round: usize) -> Vec<Document> {
    let with_id = |(at, id): (usize, Bson)| {
        let mut order = order(format!("CMD-{round}-{at:03}"));
        order.insert("_id", id);
        order
    };
    ids(round).into_iter().enumerate().map(with_id).collect()
}

async fn clean(server: &TestServer, case: &str) {
    let audit = audit::audit(&server.database).await.unwrap();
    assert!(audit.is_clean(), "{case}: {audit:#?}");
}

#[tokio::test]
async fn every_source_archives_every_order_once_whatever_the_collations() {
    let places: [&[&str]; 3] = [&["Commande"], &["Historique"], &["Commande", "Historique"]];
    for (at, collections) in places.iter().enumerate() {
        for (strength, indexed) in [(1, false), (3, true), (3, false)] {
            let case = format!("{collections:?} at strength {strength}, indexed {indexed}");
            let database = collated(collections, strength).await;
            let change = |config: &mut archd::config::Config| config.chunk_size = 7;
            let server = server(&database, change).await;
            if indexed {
                let create = pb::BatchOptions {
                    create_indexes: true,
                    ..Default::default()
                };
                let batch = server.run_batch_with(create).await;
                assert_eq!(batch.state(), BatchState::Succeeded, "{case}: {batch:?}");
            }
            server.insert("Commande", delivered(0)).await;
            let dry = pb::BatchOptions {
                validate_only: true,
                ..Default::default()
            };
            let batch = server.run_batch_with(dry).await;
            assert_eq!(batch.state(), BatchState::Succeeded, "{case}: {batch:?}");
            assert_eq!(tally(batch.counts), [60, 60, 0, 0], "{case}: {batch:?}");
            let batch = server.run_batch().await;
            assert_eq!(tally(batch.counts), [60, 60, 0, 0], "{case}: {batch:?}");
            clean(&server, &case).await;
            // The second one reads bare ids once most are archived.
            for _ in 0..2 {
                let again = server.run_batch().await;
                assert_eq!(again.state(), BatchState::Succeeded, "{case}: {again:?}");
                assert_eq!(tally(again.counts), [60, 0, 60, 0], "{case}: {again:?}");
            }
            server.insert("Commande", delivered(1)).await;
            for at in [0, 1, 4, 9, 40] {
                let answer = server
                    .archive_order(&format!("CMD-1-{at:03}"))
                    .await
                    .unwrap();
                assert_eq!(
                    answer.outcome(),
                    ArchiveOutcome::Archived,
                    "{case}: {answer:?}"
                );
            }
            let batch = server.run_batch().await;
            assert_eq!(tally(batch.counts), [120, 55, 65, 0], "{case}: {batch:?}");
            clean(&server, &case).await;
            server.shut_down().await;

            if strength == 1 || at == 2 {
                let server = self::server(&database, |config| config.watch = true).await;
                server.watcher_is(WatcherState::Watching).await;
                server.insert("Commande", delivered(2)).await;
                server.archived(180).await;
                clean(&server, &case).await;
                server.shut_down().await;
            }
        }
    }
}

/// Orders whose `_id`s are one to a collation of strength 1, the second of each pair with this
/// number.
fn pairs() -> [[(&'static str, &'static str); 2]; 3] {
    [
        [("a000", "CMD-1"), ("A000", "CMD-2")],
        [("été", "CMD-3"), ("ete", "CMD-4")],
        // Not even one number makes them the same order.
        [("b000", "CMD-5"), ("B000", "CMD-5")],
    ]
}

fn with_id((id, numero): (&str, &str)) -> Document {
    let mut order = order(numero);
    order.insert("_id", id);
    order
}

/// That an entry tells of the collation, and names the order that is archived.
fn tells_of_the_collation(entry: &Document, other: &str) {
    assert_eq!(entry.get_str("reason").unwrap(), "refused", "{entry}");
    let detail = entry.get_str("detail").unwrap();
    let told = detail.contains("collation") && detail.contains(&format!("{other:?}"));
    assert!(told, "{detail}");
}

#[tokio::test]
async fn two_ids_that_the_archive_takes_for_one_are_told_apart_and_the_second_waits_with_that_reason()
 {
    let archive: &[&str] = &["Historique"];
    let database = collated(archive, 1).await;
    let server = server(&database, |config| config.chunk_size = 1).await;
    for [first, _] in pairs() {
        server.insert("Commande", [with_id(first)]).await;
    }
    let batch = server.run_batch().await;
    assert_eq!(tally(batch.counts), [3, 3, 0, 0], "{batch:?}");
    for [_, second] in pairs() {
        server.insert("Commande", [with_id(second)]).await;
    }
    let batch = server.run_batch().await;
    assert_eq!(tally(batch.counts), [6, 0, 3, 3], "{batch:?}");
    let entries = server.all("archd_quarantine").await;
    for [first, second] in pairs() {
        let entry = entries
            .iter()
            .find(|entry| entry.get_str("order_id").is_ok_and(|id| id == second.0));
        tells_of_the_collation(entry.unwrap(), first.0);
    }
    let status = server.archive_order("CMD-2").await.unwrap_err();
    assert_eq!(faults(&status).0, "QUARANTINED", "{status:?}");
    let listed = server
        .quarantine()
        .list_quarantined(pb::ListQuarantinedRequest::default())
        .await;
    for entry in listed.unwrap().into_inner().entries {
        assert_eq!(entry.reason(), QuarantineReason::Refused, "{entry:?}");
    }
    server.shut_down().await;

    // The watcher, with one more pair that it meets at once.
    let server = self::server(&database, |config| config.watch = true).await;
    server.watcher_is(WatcherState::Watching).await;
    server
        .insert(
            "Commande",
            [with_id(("k", "CMD-6")), with_id(("K", "CMD-7"))],
        )
        .await;
    let entry = eventually(async || {
        let entry = server.collection("archd_quarantine");
        entry
            .find_one(doc! { "numero_commande": { "$in": ["CMD-6", "CMD-7"] } })
            .await
            .unwrap()
    });
    let entry = entry.await;
    let other = if entry.get_str("order_id").unwrap() == "k" {
        "K"
    } else {
        "k"
    };
    tells_of_the_collation(&entry, other);
    server.archived(4).await;
    clean_but_quarantined(&server, 4).await;
    server.shut_down().await;
}

async fn clean_but_quarantined(server: &TestServer, quarantined: usize) {
    let audit = audit::audit(&server.database).await.unwrap();
    assert!(audit.is_clean(), "{audit:#?}");
    assert_eq!(audit.quarantined, quarantined);
}

#[tokio::test]
async fn a_check_warns_of_a_collation_under_which_ids_of_orders_are_one() {
    let uri = ReplicaSet::shared().await.unwrap().uri();
    for (collections, strength, warned) in [
        (vec!["Historique"], 1, true),
        (vec!["Commande", "Historique"], 3, true),
        (vec!["Commande"], 1, false),
        (vec![], 1, false),
    ] {
        let database = collated(&collections, strength).await;
        let checked = check(&uri, database.name()).await;
        let told = checked.text.contains("collation of the archive");
        assert_eq!(told, warned, "{collections:?}: {}", checked.text);
        if warned {
            assert_eq!(checked.verdict("collation of the archive"), "warning");
            assert!(
                checked
                    .found("collation of the archive")
                    .contains("Historique")
            );
        }
    }
}
