//! An order that was delivered and deleted before it could be read leaves a trace: a count, an
//! event and a line in the log.

use std::time::Duration;

use bson::{Bson, Document, doc, oid::ObjectId};
use devkit::{
    ReplicaSet,
    relay::{Deed, Plan, Relay},
};
use order_archiver_api::v1 as pb;
use pb::{ArchiveOutcome, EventKind, WatcherState, tail_events_response::Event};

use crate::{
    faults::{clean, fresh, state, watching},
    support::{TestServer, eventually, order, tally, within},
};

fn with_id(numero: &str, id: impl Into<Bson>) -> Document {
    let mut order = order(numero);
    order.insert("_id", id);
    order
}

/// What the statistics count as gone, in all and in the window.
async fn gone(server: &TestServer) -> [i64; 2] {
    let request = pb::GetStatsRequest::default();
    let stats = server.get_stats(request).await;
    let (lifetime, window) = (stats.lifetime.unwrap(), stats.window.unwrap());
    tally(stats.lifetime);
    [lifetime.gone, window.gone]
}

#[tokio::test]
async fn orders_that_are_gone_before_the_watcher_reads_them_are_counted_and_told_of() {
    let set = ReplicaSet::shared().await.unwrap();
    let server = watching(&set.uri(), fresh(set).await, |_| {}).await;
    let mut news = server.news().await;
    server.pause_watcher().await;
    let mut ids: Vec<Bson> = vec![
        "text".into(),
        7.into(),
        ObjectId::new().into(),
        doc! { "a": 1 }.into(),
    ];
    ids.extend((100..110).map(Bson::from));
    for (at, id) in ids.iter().enumerate() {
        server
            .insert("Commande", [with_id(&format!("GONE-{at}"), id.clone())])
            .await;
    }
    let orders = server.collection("Commande");
    orders.delete_many(doc! {}).await.unwrap();
    server.insert("Commande", [order("STAYS")]).await;
    server.resume_watcher().await;
    server.archived(1).await;
    let all = ids.len() as i64;
    eventually(async || (gone(&server).await == [all, all]).then_some(())).await;
    let counts = server.watcher_now().await.counts;
    assert_eq!((tally(counts), counts.unwrap().gone), ([1, 1, 0, 0], all));

    let (mut told, mut named) = (0, Vec::new());
    while told < all {
        let message = within(news.message()).await.unwrap().unwrap();
        if let Some(Event::Gone(gone)) = &message.event {
            assert_eq!(message.kind(), EventKind::Gone);
            assert!(gone.order_ids_json.len() <= 10, "{gone:?}");
            told += gone.orders;
            named.extend(gone.order_ids_json.clone());
        }
    }
    assert_eq!(told, all);
    assert_eq!(named[..2], ["\"text\"", "7"], "{named:?}");
    clean(&server.database).await;
    server.shut_down().await;
}

#[tokio::test]
async fn an_order_that_is_archived_or_in_quarantine_is_not_gone_when_it_is_deleted() {
    let set = ReplicaSet::shared().await.unwrap();
    let server = watching(&set.uri(), fresh(set).await, |_| {}).await;
    server.pause_watcher().await;
    for (numero, id) in [("ARCHIVED-1", Bson::from(1)), ("ARCHIVED-2", "two".into())] {
        server.insert("Commande", [with_id(numero, id)]).await;
        let answer = server.archive_order(numero).await.unwrap();
        assert_eq!(answer.outcome(), ArchiveOutcome::Archived);
    }
    server.insert("Commande", [with_id("ARCHIVED-1", 3)]).await;
    server.archive_order("ARCHIVED-1").await.unwrap_err();
    server.insert("Commande", [with_id("LOST", 4)]).await;
    let orders = server.collection("Commande");
    orders.delete_many(doc! {}).await.unwrap();
    server.insert("Commande", [order("STAYS")]).await;
    server.resume_watcher().await;
    server.archived(3).await;
    server.watcher_is(WatcherState::Watching).await;
    eventually(async || (gone(&server).await == [1, 1]).then_some(())).await;
    server.shut_down().await;
}

#[tokio::test]
async fn an_order_that_was_numbered_and_never_delivered_is_not_gone_when_it_is_deleted() {
    let set = ReplicaSet::shared().await.unwrap();
    let server = watching(&set.uri(), fresh(set).await, |_| {}).await;
    server.pause_watcher().await;
    let orders = server.collection("Commande");
    let number = |id: i32| {
        let named = doc! { "$set": { "numero_commande": format!("NUMBER-{id}") } };
        orders.update_one(doc! { "_id": id }, named)
    };
    for (id, status) in [(1, "en_cours"), (2, "annulée"), (3, "livrée")] {
        let mut order = with_id("", id);
        order.insert("status", status);
        order.remove("numero_commande");
        server.insert("Commande", [order]).await;
        number(id).await.unwrap();
    }
    orders.delete_many(doc! {}).await.unwrap();
    server.insert("Commande", [order("STAYS")]).await;
    server.resume_watcher().await;
    server.archived(1).await;
    // The third one had been delivered before it got its number.
    eventually(async || (gone(&server).await == [1, 1]).then_some(())).await;
    let told = state(&server.database).await;
    let told = told.get_document("gone").unwrap();
    assert_eq!(told.get_array("ids").unwrap(), &[Bson::from("3")], "{told}");
    server.shut_down().await;
}

#[tokio::test]
async fn a_batch_of_bare_ids_counts_what_is_gone_by_the_time_it_reads() {
    const ARCHIVED: usize = 400;
    let set = ReplicaSet::shared().await.unwrap();
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
    let database = fresh(set).await;
    let change = |config: &mut archd::config::Config| config.chunk_size = 10;
    let server = TestServer::on_with(&relay.uri(), database.name(), change).await;
    server.ready().await;
    let server = TestServer { database, ..server };
    let numbered = |at: usize| with_id(&format!("CMD-{at}"), format!("a-{at:04}"));
    server.insert("Commande", (0..ARCHIVED).map(numbered)).await;
    let all = ARCHIVED as i64;
    assert_eq!(tally(server.run_batch().await.counts), [all, all, 0, 0]);

    let lost = (0..3).map(|at| with_id(&format!("LOST-{at}"), format!("zz-{at}")));
    server.insert("Commande", lost).await;
    relay.on("zz-1", Plan::Always, Deed::Delay(Duration::from_secs(1)));
    let (batch, _) = server
        .start_batch(pb::BatchOptions::default(), "")
        .await
        .unwrap();
    eventually(async || (relay.hits() > 0).then_some(())).await;
    let orders = server.collection("Commande");
    let lost = doc! { "_id": { "$in": ["zz-0", "zz-1", "zz-2"] } };
    assert_eq!(orders.delete_many(lost).await.unwrap().deleted_count, 3);
    let batch = server.batch_end(&batch.id).await;
    assert_eq!(batch.state(), pb::BatchState::Succeeded, "{batch:?}");
    assert_eq!(tally(batch.counts), [all, 0, all, 0], "{batch:?}");
    assert_eq!(batch.counts.unwrap().gone, 3, "{batch:?}");
    assert_eq!(gone(&server).await, [3, 3]);
    clean(&server.database).await;
}
