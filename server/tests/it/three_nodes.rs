//! A replica set of three may lose its primary, its majority or all of itself: archiving goes on,
//! and nothing is lost or doubled.

use std::time::{Duration, Instant};

use bson::{Document, Timestamp, doc};
use devkit::{Node, ReplicaSet};
use futures::{TryStreamExt, future::try_join_all};
use mongodb::options::{ReadConcern, WriteConcern};
use tokio::time::sleep;
use tonic_health::ServingStatus;

use crate::{
    crash_loop::{archived, assert_all_archived, assert_place_was_kept, caught_up, count},
    load::{Load, seed},
    support::{TestServer, assert_unavailable, eventually, order},
};

/// Longest that archiving may stand still once the set has a primary whose writes a majority
/// confirms.
const STANDSTILL: Duration = Duration::from_secs(15);

/// Three nodes, and a server that watches an empty database on them.
async fn three_nodes() -> (ReplicaSet, TestServer) {
    let set = ReplicaSet::start_nodes(3).await.unwrap();
    // The observer must be no slower than the server to notice that a frozen primary has a
    // successor.
    let uri = format!(
        "{}&heartbeatFrequencyMS=2000&connectTimeoutMS=3000",
        set.uri()
    );
    let server = TestServer::on_with(&uri, "livraison", |config| config.watch = true).await;
    caught_up(&server.database).await;
    (set, server)
}

fn secondaries<'s>(set: &'s ReplicaSet, primary: &Node) -> Vec<&'s Node> {
    set.nodes()
        .iter()
        .filter(|node| node.address() != primary.address())
        .collect()
}

/// How far everything is archived and how many orders are, as a majority knew it when it last met.
async fn held_by_a_majority(node: &Node) -> (Timestamp, usize) {
    let database = node.client().await.unwrap().database("livraison");
    let all = async |collection: &str| -> Vec<Document> {
        let collection = database.collection(collection);
        let found = collection
            .find(doc! {})
            .read_concern(ReadConcern::majority());
        found.await.unwrap().try_collect().await.unwrap()
    };
    let state = all("archd_state").await;
    let place = state
        .iter()
        .find_map(|state| state.get_document("checkpoint").ok());
    let place = place.unwrap().get_timestamp("time").unwrap();
    (place, all("Historique").await.len())
}

/// Waits until a majority of the set confirms a write.
async fn confirms_writes(server: &TestServer) {
    let probe = server.collection("probe");
    eventually(async || {
        let write = probe
            .insert_one(doc! {})
            .write_concern(WriteConcern::majority());
        let confirmed = tokio::time::timeout(Duration::from_millis(500), write.into_future());
        confirmed.await.ok()?.ok()
    })
    .await;
}

#[tokio::test]
async fn archiving_goes_on_when_the_primary_steps_down_is_killed_or_freezes() {
    let (set, server) = three_nodes().await;
    let load = Load::start(&server.database, seed()).await;
    archived(&server.database, 1).await;
    for fault in ["steps down", "is killed", "freezes"] {
        let primary = set.primary().await.unwrap();
        let since = Instant::now();
        match fault {
            "steps down" => {
                let down = doc! { "replSetStepDown": 10, "force": true };
                primary.admin(down).await.unwrap();
            }
            "is killed" => primary.kill().await.unwrap(),
            _ => primary.freeze().unwrap(),
        }
        // The set itself may need long to confirm a write again, longest when its primary freezes:
        // that is no fault of archd's.
        confirms_writes(&server).await;
        let set_took = since.elapsed();
        let before = count(&server.database).await;
        archived(&server.database, before + 1).await;
        let took = since.elapsed();
        println!(
            "the primary {fault}: the set confirmed writes after {set_took:.1?}, archiving went on after {took:.1?}"
        );
        assert!(
            took - set_took < STANDSTILL,
            "{fault}: {set_took:?}, {took:?}"
        );
        match fault {
            "steps down" => {}
            "is killed" => primary.restart().await.unwrap(),
            _ => primary.thaw().unwrap(),
        }
    }
    let delivered = load.stop().await;
    assert_all_archived(&server.database, delivered).await;
    assert_place_was_kept(&server.database).await;
    server.shut_down().await;
}

#[tokio::test]
async fn without_a_majority_nothing_counts_as_archived_and_all_of_it_is_once_there_is_one() {
    let (set, server) = three_nodes().await;
    let load = Load::start(&server.database, seed()).await;
    archived(&server.database, 1).await;
    let primary = set.primary().await.unwrap();
    let others = secondaries(&set, primary);
    others.iter().for_each(|node| node.freeze().unwrap());
    // What the others had confirmed is still on its way.
    let mut before = held_by_a_majority(primary).await;
    eventually(async || {
        sleep(Duration::from_millis(200)).await;
        let now = held_by_a_majority(primary).await;
        (std::mem::replace(&mut before, now) == now).then_some(())
    })
    .await;
    server.health(ServingStatus::NotServing).await;
    assert_unavailable(
        &server.archive_order("CMD-0000001").await.unwrap_err(),
        "DATABASE_UNAVAILABLE",
    );
    assert_eq!(held_by_a_majority(primary).await, before);
    others.iter().for_each(|node| node.thaw().unwrap());
    server.ready().await;

    // And now nobody is left at all.
    archived(&server.database, count(&server.database).await + 1).await;
    try_join_all(set.nodes().iter().map(Node::kill))
        .await
        .unwrap();
    server.health(ServingStatus::NotServing).await;
    try_join_all(set.nodes().iter().map(Node::restart))
        .await
        .unwrap();
    server.ready().await;
    let delivered = load.stop().await;
    assert_all_archived(&server.database, delivered).await;
    assert_place_was_kept(&server.database).await;
    server.shut_down().await;
}

#[tokio::test]
async fn an_order_that_the_set_rolls_back_is_never_archived() {
    let (set, server) = three_nodes().await;
    let orders = server.collection("Commande");
    orders.insert_one(order("confirmed")).await.unwrap();
    archived(&server.database, 1).await;
    let primary = set.primary().await.unwrap();
    let others = secondaries(&set, primary);
    try_join_all(others.iter().map(|node| node.kill()))
        .await
        .unwrap();
    let alone = primary.client().await.unwrap().database("livraison");
    let alone = alone.collection::<Document>("Commande");
    let unconfirmed = alone
        .insert_one(order("alone"))
        .write_concern(WriteConcern::nodes(1));
    unconfirmed.await.unwrap();
    // Whoever asks for it by its number does not get it archived either.
    server.archive_order("alone").await.unwrap_err();
    primary.kill().await.unwrap();
    try_join_all(others.iter().map(|node| node.restart()))
        .await
        .unwrap();
    set.primary().await.unwrap();
    primary.restart().await.unwrap();

    // A restarted node is a secondary for a moment before it finds out that it has to roll back.
    eventually(async || {
        let kept = alone.find_one(doc! { "numero_commande": "alone" }).await;
        kept.ok()?.is_none().then_some(())
    })
    .await;
    orders.insert_one(order("after")).await.unwrap();
    archived(&server.database, 2).await;
    assert_eq!(server.archived(2).await, ["after", "confirmed"]);
    assert_place_was_kept(&server.database).await;
    server.shut_down().await;
}
