//! What is asked of one instance is done by all, once.

use std::collections::BTreeSet;

use bson::doc;
use futures::future::join_all;
use order_archiver_api::v1 as pb;
use pb::{
    archive_service_client::ArchiveServiceClient, batch_service_client::BatchServiceClient,
    verification_service_client::VerificationServiceClient,
    watcher_service_client::WatcherServiceClient,
};

use super::{INSTANCES, World};
use crate::support::{eventually, order, orders};

/// A batch that nobody has to hurry to meet.
fn slow() -> pb::BatchOptions {
    pb::BatchOptions {
        max_orders_per_second: Some(5),
        ..pb::BatchOptions::default()
    }
}

#[tokio::test]
async fn a_batch_that_is_started_anywhere_is_the_one_batch_and_is_steered_from_anywhere() {
    let world = World::start().await;
    let any = world.any();
    any.pause_watcher().await;
    any.insert("Commande", orders(200)).await;
    let start = async || {
        let channel = world.balancer.connect().await;
        let request = pb::StartBatchRequest {
            options: Some(slow()),
            ..Default::default()
        };
        let answer = BatchServiceClient::new(channel).start_batch(request).await;
        let answer = answer.unwrap().into_inner();
        (answer.batch.unwrap().id, answer.already_running)
    };
    let started = join_all((0..3 * INSTANCES).map(|_| start())).await;
    let ids: BTreeSet<&String> = started.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 1, "{started:?}");
    let first = started.iter().filter(|(_, already)| !already);
    assert_eq!(first.count(), 1, "{started:?}");
    let id = started[0].0.clone();
    any.batch_under_way(&id).await;
    let (again, already) = start().await;
    assert_eq!((&again, already), (&id, true));

    // Whoever is told, the one that runs it goes by it, and all say so.
    let tune = pb::TuneBatchRequest {
        id: id.clone(),
        max_orders_per_second: Some(7),
        ..Default::default()
    };
    let mut client = BatchServiceClient::new(world.balancer.connect().await);
    client.tune_batch(tune).await.unwrap();
    let cancel = pb::CancelBatchRequest { id: id.clone() };
    let mut client = BatchServiceClient::new(world.balancer.connect().await);
    client.cancel_batch(cancel).await.unwrap();
    let mut told = Vec::new();
    for server in &world.servers {
        told.push(server.batch_end(&id).await);
    }
    assert_eq!(told[0].state(), pb::BatchState::Cancelled);
    assert!(told.iter().all(|batch| *batch == told[0]), "{told:#?}");
    let limits = told[0].options.as_ref().unwrap();
    assert_eq!(limits.max_orders_per_second, Some(7), "as tuned");
    // The same key is the same batch at another instance.
    let key = "night-of-the-27th";
    let keyed = async |number: usize| {
        let answer = world.servers[number].start_batch(slow(), key).await;
        answer.unwrap().0.id
    };
    let again = keyed(1).await;
    assert_ne!(again, id);
    assert_eq!(keyed(2).await, again);
    any.set_rate(&again, 0).await;
    any.batch_end(&again).await;
    assert_eq!(keyed(0).await, again, "also when it has ended");
    let listed = any.list_batches(Default::default()).await.batches;
    let of_key = listed.iter().filter(|batch| batch.request_id == key);
    assert_eq!(of_key.count(), 1, "{listed:#?}");
    world.shut_down().await;
}

#[tokio::test]
async fn a_watcher_that_is_paused_anywhere_is_paused_everywhere() {
    let world = World::start().await;
    let any = world.any();
    let states = async |wanted: pb::WatcherState| {
        for server in &world.servers {
            server.watcher_is(wanted).await;
        }
    };
    // Once through each of them, of which one watches.
    for round in 0..INSTANCES {
        let mut client = WatcherServiceClient::new(world.balancer.connect().await);
        client
            .pause_watcher(pb::PauseWatcherRequest {})
            .await
            .unwrap();
        states(pb::WatcherState::Paused).await;
        let numero = format!("CMD-PAUSED-{round}");
        any.insert("Commande", [order(numero.as_str())]).await;
        for server in &world.servers {
            eventually(async || {
                let waiting = server.watcher_now().await.waiting?;
                (waiting.orders == 1).then_some(())
            })
            .await;
        }
        let archived = any.collection("Historique");
        let of = doc! { "numero_commande": &numero };
        assert_eq!(archived.count_documents(of).await.unwrap(), 0);
        let mut client = WatcherServiceClient::new(world.balancer.connect().await);
        client
            .resume_watcher(pb::ResumeWatcherRequest {})
            .await
            .unwrap();
        any.archived(round + 1).await;
        states(pb::WatcherState::Watching).await;
    }
    assert_eq!(any.archived(INSTANCES).await.len(), INSTANCES, "each once");
    world.shut_down().await;
}

#[tokio::test]
async fn a_verification_that_is_started_anywhere_is_the_one_and_is_cancelled_from_anywhere() {
    let world = World::start().await;
    let any = world.any();
    any.insert("Commande", orders(200)).await;
    any.archived(200).await;
    let start = async || {
        let channel = world.balancer.connect().await;
        let request = pb::StartVerificationRequest {
            options: Some(pb::VerificationOptions {
                max_orders_per_second: Some(5),
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut client = VerificationServiceClient::new(channel);
        let answer = client
            .start_verification(request)
            .await
            .unwrap()
            .into_inner();
        (answer.verification.unwrap().id, answer.already_running)
    };
    let started = join_all((0..2 * INSTANCES).map(|_| start())).await;
    let ids: BTreeSet<&String> = started.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 1, "{started:?}");
    let first = started.iter().filter(|(_, already)| !already);
    assert_eq!(first.count(), 1, "{started:?}");
    let id = started[0].0.clone();
    let cancel = pb::CancelVerificationRequest { id: id.clone() };
    let mut client = VerificationServiceClient::new(world.balancer.connect().await);
    client.cancel_verification(cancel).await.unwrap();
    let mut told = Vec::new();
    for server in &world.servers {
        told.push(server.verification_end(&id).await);
    }
    assert_eq!(told[0].state(), pb::VerificationState::Cancelled);
    assert!(told.iter().all(|it| *it == told[0]), "{told:#?}");
    world.shut_down().await;
}

#[tokio::test]
async fn an_order_that_is_asked_for_at_all_of_them_at_once_is_archived_once() {
    let world = World::start().await;
    let any = world.any();
    any.pause_watcher().await;
    any.insert("Commande", orders(20)).await;
    let ask = async |number: usize| {
        let channel = world.balancer.connect().await;
        let request = pb::ArchiveOrderRequest {
            numero_commande: format!("CMD-2025-{:06}", number % 20 + 1),
        };
        let answer = ArchiveServiceClient::new(channel)
            .archive_order(request)
            .await;
        answer.unwrap().into_inner().result.unwrap().outcome()
    };
    let outcomes = join_all((0..20 * INSTANCES).map(ask)).await;
    let archived = outcomes
        .iter()
        .filter(|it| **it == pb::ArchiveOutcome::Archived);
    assert_eq!(archived.count(), 20, "{outcomes:?}");
    let duplicates = outcomes
        .iter()
        .filter(|it| **it == pb::ArchiveOutcome::Duplicate);
    assert_eq!(duplicates.count(), 20 * (INSTANCES - 1), "{outcomes:?}");
    assert_eq!(any.archived(20).await.len(), 20);
    world.shut_down().await;
}
