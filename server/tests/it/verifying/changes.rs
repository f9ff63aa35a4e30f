//! A verification of what has changed looks at that and at nothing else; where the history can't
//! tell, it looks at everything and says why.

use archd::domain::verify::{class::Class, verdict::Verdict};
use bson::{Document, Timestamp, doc, oid::ObjectId};
use devkit::{Options, ReplicaSet, Standalone};

use super::{Asked, Ground, archived, with};
use crate::support::{eventually, order, orders};

fn since(time: Timestamp) -> Asked {
    Asked {
        since: Some(time),
        chunk: 10,
        ..Asked::default()
    }
}

fn told(list: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let list = list
        .iter()
        .map(|(class, name)| (*class, (*name).to_owned()));
    list.collect()
}

/// Archived orders, some of them otherwise than they are, from before the verification.
async fn earlier(ground: &Ground) {
    let known: Vec<Document> = orders(60).collect();
    ground.orders().insert_many(&known).await.unwrap();
    let kept = known.iter().skip(2).map(archived);
    ground.archive().insert_many(kept).await.unwrap();
    let script = order("SCRIPT");
    ground.orders().insert_one(&script).await.unwrap();
    let mut kept = with(archived(&script), doc! { "_id": ObjectId::new() });
    kept.remove("missing_fields");
    ground.archive().insert_one(kept).await.unwrap();
}

fn number(number: &str) -> Document {
    doc! { "numero_commande": number }
}

#[tokio::test]
async fn what_has_changed_is_looked_at_and_nothing_else() {
    let ground = Ground::new().await;
    earlier(&ground).await;
    let time = ground.time().await;
    let (orders, archive) = (ground.orders(), ground.archive());
    let nothing = ground.verify(&since(time)).await;
    // The change at that very moment is looked at again.
    assert_eq!(nothing.told(), [""; 0]);
    assert!(nothing.conclusion.counts.delivered <= 1);
    assert_eq!(nothing.conclusion.verdict, Verdict::Verified);

    archive.delete_one(number("CMD-2025-000010")).await.unwrap();
    let tamper = doc! { "$set": { "status": "annulée" } };
    archive
        .update_one(number("CMD-2025-000011"), tamper.clone())
        .await
        .unwrap();
    orders
        .update_one(number("CMD-2025-000012"), tamper)
        .await
        .unwrap();
    orders.delete_one(number("CMD-2025-000013")).await.unwrap();
    for name in ["NEW", "FINE"] {
        orders.insert_one(order(name)).await.unwrap();
    }
    let fine = orders.find_one(number("FINE")).await.unwrap().unwrap();
    // More often than is looked at together.
    let note = doc! { "q": number("FINE"), "u": { "$inc": { "note": 1 } } };
    let update = doc! { "update": "Commande", "updates": vec![note; 1_200] };
    ground.database.run_command(update).await.unwrap();
    let fine = with(fine, doc! { "note": 1_200 });
    archive.insert_one(archived(&fine)).await.unwrap();
    // Its archived document has another `_id`, and was not touched.
    let amend = doc! { "$set": { "remboursé": true } };
    orders.update_one(number("SCRIPT"), amend).await.unwrap();

    let report = ground.verify(&since(time)).await;
    let expected = [
        ("altered", "CMD-2025-000011"),
        ("amended", "CMD-2025-000012"),
        ("missing", "CMD-2025-000010"),
        ("missing", "NEW"),
        ("not_rebuildable", "SCRIPT"),
        ("orphaned", "CMD-2025-000013"),
    ];
    assert_eq!(report.numbers(), told(&expected));
    // CMD-10 and 11, NEW, FINE and SCRIPT: each once, however often it changed.
    let counts = report.conclusion.counts;
    assert_eq!((counts.delivered, counts.verified), (5, 2));
    assert_eq!(report.conclusion.full_because, None);
    assert!(report.conclusion.days.is_empty());

    let full = ground.verify(&Asked::default()).await;
    let told = full.numbers();
    for name in ["CMD-2025-000001", "CMD-2025-000002"] {
        assert!(told.contains(&("missing", name.to_owned())), "{told:?}");
    }
}

#[tokio::test]
async fn a_collection_that_was_dropped_has_everything_looked_at() {
    let ground = Ground::new().await;
    earlier(&ground).await;
    let time = ground.time().await;
    ground.archive().drop().await.unwrap();
    let report = ground.verify(&since(time)).await;
    let reason = "Historique was dropped or renamed";
    assert_eq!(report.conclusion.full_because.as_deref(), Some(reason));
    assert_eq!(report.numbers().len(), 61);
}

#[tokio::test]
async fn another_collection_that_was_put_in_the_place_of_the_archive_has_everything_looked_at() {
    let ground = Ground::new().await;
    earlier(&ground).await;
    let made_up = ground.database.collection::<Document>("autre");
    made_up.insert_one(doc! { "_id": 1 }).await.unwrap();
    let time = ground.time().await;
    let name = |collection: &str| format!("{}.{collection}", ground.database.name());
    let rename = doc! {
        "renameCollection": name("autre"), "to": name("Historique"), "dropTarget": true,
    };
    let admin = ground.database.client().database("admin");
    admin.run_command(rename).await.unwrap();
    let report = ground.verify(&since(time)).await;
    let reason = report.conclusion.full_because.unwrap();
    assert!(reason.contains("renamed"), "{reason}");
    assert_eq!(report.conclusion.counts.of(Class::Missing), 61);
}

#[tokio::test]
async fn a_history_that_no_longer_reaches_back_has_everything_looked_at() {
    // What a crash would need of its small history is cut every second.
    let options = Options::new().oplog_mb(2).arg("--syncdelay").arg("1");
    let set: ReplicaSet = options.start().await.unwrap();
    let ground = Ground::on(&set).await;
    earlier(&ground).await;
    let time = ground.time().await;
    let client = set.client().await.unwrap();
    let elsewhere = client.database("autre").collection::<Document>("bulk");
    let bulk = vec![doc! { "text": "x".repeat(100_000) }; 10];
    let oplog = client.database("local").collection::<Document>("oplog.rs");
    eventually(async || {
        elsewhere.insert_many(&bulk).await.unwrap();
        let oldest = oplog.find_one(doc! {}).sort(doc! { "$natural": 1 });
        let oldest = oldest.await.unwrap().unwrap();
        (oldest.get_timestamp("ts").unwrap() > time).then_some(())
    })
    .await;
    let report = ground.verify(&since(time)).await;
    let reason = "the database's history no longer reaches back to the last verification";
    assert_eq!(report.conclusion.full_because.as_deref(), Some(reason));
    let expected = [
        ("missing", "CMD-2025-000001"),
        ("missing", "CMD-2025-000002"),
    ];
    assert_eq!(report.numbers(), told(&expected));
    assert_eq!(report.conclusion.counts.delivered, 61);
}

#[tokio::test]
async fn a_standalone_mongod_has_no_history_and_is_verified_all_the_same() {
    let mongod = Standalone::start().await.unwrap();
    let config = archd::config::Config::simulation(&mongod.uri(), "livraison").unwrap();
    let store = archd::store::Store::new(&config).await.unwrap();
    store.prepare_collections().await.unwrap();
    let client = mongodb::Client::with_uri_str(&mongod.uri()).await.unwrap();
    let database = client.database("livraison");
    let ground = Ground { database, store };
    let lone = order("CMD-1");
    let orders = ground.database.collection::<Document>("Commande");
    orders.insert_one(&lone).await.unwrap();
    let zero = Timestamp {
        time: 0,
        increment: 0,
    };
    let id = ObjectId::new().to_hex();
    let mut pass = ground.pass(&id, &since(zero), zero, Default::default());
    while !pass.is_done() {
        pass.advance().await.unwrap();
    }
    let conclusion = pass.conclude(&Default::default()).await.unwrap();
    let reason = "the database is a standalone mongod, which has no history of changes";
    assert_eq!(conclusion.full_because.as_deref(), Some(reason));
    assert_eq!(conclusion.counts.failing(), 1);
}
