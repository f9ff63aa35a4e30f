//! A document of archd's own that can't be read is told by name and set aside on demand; it fails
//! no order, and all else goes on.

mod format;
mod index_build;
mod lists;
mod newer;
mod records;
mod unreadable;
mod versions;

use bson::{Bson, DateTime, Document, doc};
use order_archiver_api::v1 as pb;
use tonic::{Code, Status};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};

use crate::{
    process::{run, settings_on},
    support::{TestServer, eventually, faults, order},
};

/// A server that watches, has archived an order in each way, and has one in quarantine.
async fn server() -> TestServer {
    let server = TestServer::start_with(|config| {
        config.watch = true;
        config.lease = std::time::Duration::from_secs(2);
    })
    .await;
    server.watcher_is(pb::WatcherState::Watching).await;
    server.insert("Commande", [order(7)]).await;
    server.insert("Commande", [order("watched")]).await;
    server.archived(1).await;
    server.run_batch().await;
    assert_works(&server, "asked").await;
    server
}

/// That callers are served whatever else is wrong, and everything balances.
async fn assert_works(server: &TestServer, numero: &str) {
    let mut asked = order(numero);
    asked.insert("status", "en_cours");
    server.insert("Commande", [asked]).await;
    let delivered = doc! { "$set": { "status": "livrée" } };
    let orders = server.collection("Commande");
    orders
        .update_one(doc! { "numero_commande": numero }, delivered)
        .await
        .unwrap();
    server.archive_order(numero).await.unwrap();
    let asked = pb::GetStatsRequest::default();
    server.stats().get_stats(asked).await.unwrap();
    server.archived(1).await;
}

async fn spoil(server: &TestServer, collection: &str, id: impl Into<Bson>, set: Document) {
    let collection = server.collection(collection);
    let spoilt = collection.update_one(doc! { "_id": id.into() }, doc! { "$set": set });
    assert_eq!(spoilt.await.unwrap().matched_count, 1);
}

/// Spoils the counter of every source for all time, also that of one which has counted nothing yet.
async fn spoil_counters(server: &TestServer, set: Document) {
    for source in ["rpc", "watch", "batch"] {
        let id = doc! { "_id": { "door": source, "minute": "all" } };
        let counters = server.collection("archd_counters");
        let spoilt = counters.update_one(id, doc! { "$set": &set }).upsert(true);
        spoilt.await.unwrap();
    }
}

async fn health(server: &TestServer, service: &str, wanted: ServingStatus) {
    eventually(async || {
        let service = match service {
            "" => String::new(),
            service => format!("orderarchiver.v1.{service}Service"),
        };
        let mut health = HealthClient::new(server.channel.clone());
        let answer = health.check(HealthCheckRequest { service }).await.unwrap();
        (answer.into_inner().status == wanted as i32).then_some(())
    })
    .await;
}

/// Runs `archd` on the server's database: its code and what it prints.
async fn program(server: &TestServer, arguments: &[&str]) -> (Option<i32>, String) {
    let settings = settings_on(server.database.name(), &[("ARCHD_WATCH", "false")]).await;
    let (code, stdout, _) = run(arguments, &settings).await;
    (code, stdout)
}

/// That the status names the document and the field, or the version, and is no matter for a retry.
fn assert_named(status: &Status, reason: &str, document: &str, what: &str) {
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert_eq!(faults(status).0, reason, "{status:?}");
    assert!(status.message().contains(document), "{status:?}");
    assert!(status.message().contains(what), "{status:?}");
}

/// Sets a document aside by the program, and finds it whole where it was moved to.
async fn set_aside(server: &TestServer, document: &str) {
    let before = server.all("archd_set_aside").await.len();
    let (code, listed) = program(server, &["state"]).await;
    assert_eq!(code, Some(5), "{listed}");
    assert!(listed.contains(document), "{listed}");
    let (code, said) = program(server, &["check"]).await;
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains(document), "{said}");
    let (code, said) = program(server, &["state", "--set-aside", document]).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = program(server, &["state"]).await;
    assert_eq!(code, Some(0), "{said}");
    let aside = server.all("archd_set_aside").await;
    assert_eq!(aside.len(), before + 1, "{aside:?}");
    let copy = aside
        .iter()
        .find(|copy| copy.get_str("problem").unwrap().contains(document));
    assert!(!copy.unwrap().get_document("document").unwrap().is_empty());
}

fn batch(id: &str, minutes_ago: i64) -> Document {
    let then = DateTime::from_millis(DateTime::now().timestamp_millis() - minutes_ago * 60_000);
    doc! {
        "_id": id, "state": "succeeded", "stop_reason": "exhausted", "instance": "gone", "created": then, "started": then,
        "updated": then, "ended": then, "options": { "limit": 0_i64 }, "counts": { "found": 0_i64 },
    }
}

/// An active batch whose instance is gone.
fn left(id: &str) -> Document {
    let mut batch = batch(id, 1);
    batch.extend(doc! { "state": "running", "active": true, "alive_until": DateTime::from_millis(0), "epoch": 1_i64, "lives": 1_i64 });
    for field in ["ended", "stop_reason"] {
        batch.remove(field);
    }
    batch
}
