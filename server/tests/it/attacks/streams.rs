//! Many calls at once: streams that stay open, and calls that are withdrawn.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use order_archiver_api::v1 as pb;
use pb::archive_service_client::ArchiveServiceClient;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};
use tonic_types::StatusExt;

use super::{Bystander, ORDERS, database, started};
use crate::connections::serves;

/// The most memory that `archd` may hold, in MiB.
const MOST: u64 = 448;

/// Streams on one connection, as many as it may have.
const OF_A_CONNECTION: usize = 1_000;
/// Callers who may follow the health of services, in all; see `docs/limits.md`.
const FOLLOW: usize = 1_024;

type Listened = Result<Streaming<HealthCheckResponse>, Status>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_streams_keep_nobody_out() {
    let mut server = started(&database().await, 1_024).await;
    let bystander = Bystander::start(&server).await;
    let mut streams: Vec<Listened> = Vec::new();
    for _ in 0..20 {
        let health = HealthClient::new(server.connect().await);
        let asked = (0..OF_A_CONNECTION).map(async |_| {
            let mut health = health.clone();
            let told = health
                .watch(HealthCheckRequest::default())
                .await?
                .into_inner();
            Ok(told)
        });
        let asked = timeout(Duration::from_secs(60), join_all(asked)).await;
        streams.extend(asked.expect("streams are neither opened nor refused"));
    }
    let refused: Vec<&Status> = streams
        .iter()
        .filter_map(|told| told.as_ref().err())
        .collect();
    println!("{} of {} were refused", refused.len(), streams.len());
    // The first calls of a connection are let in in any case.
    let beyond = streams.len() - FOLLOW;
    assert!((beyond - 20 * 8..=beyond + 1).contains(&refused.len()));
    for status in &refused {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert!(status.get_details_retry_info().is_some(), "{status:?}");
    }
    serves(&server, Duration::from_secs(5)).await;
    bystander.stop("20,000 streams").await;
    let peak = server.peak_memory();
    println!("{peak} MiB at most");
    assert!(peak < MOST, "{peak} MiB");
    drop(streams);
    serves(&server, Duration::from_secs(5)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_calls_that_are_withdrawn_lose_no_order_and_no_place() {
    const WITHDRAWN: usize = 20_000;
    let database = database().await;
    let mut server = started(&database, 1_024).await;
    let bystander = Bystander::start(&server).await;
    let clients =
        join_all((0..20).map(async |_| ArchiveServiceClient::new(server.connect().await)));
    let clients = clients.await;
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for round in 0..WITHDRAWN / 1_000 {
        let calls = (0..1_000).map(async |call| {
            let mut client = clients[call % clients.len()].clone();
            let numero_commande = format!("CMD-2025-{:06}", (round * 1_000 + call) % ORDERS + 1);
            let request = pb::ArchiveOrderRequest { numero_commande };
            // From before it is sent to while it is answered.
            let patience = Duration::from_micros((call % 50) as u64 * 200);
            match timeout(patience, client.archive_order(request)).await {
                Err(_) => "withdrawn".to_owned(),
                Ok(Ok(_)) => "answered".to_owned(),
                Ok(Err(status)) => format!("{:?}", status.code()),
            }
        });
        for outcome in join_all(calls).await {
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    println!("{outcomes:?}");
    assert!(outcomes["withdrawn"] > WITHDRAWN / 2, "{outcomes:?}");
    bystander.stop("20,000 calls withdrawn").await;
    let peak = server.peak_memory();
    println!("{peak} MiB at most");
    assert!(peak < MOST, "{peak} MiB");
    // All are served who come now, as many as may have a call each.
    let all = (1..=ORDERS).map(async |number| {
        let mut client = clients[number % clients.len()].clone();
        let numero_commande = format!("CMD-2025-{number:06}");
        client
            .archive_order(pb::ArchiveOrderRequest { numero_commande })
            .await
    });
    for answer in join_all(all).await {
        let result = answer.unwrap().into_inner().result.unwrap();
        let archived = [pb::ArchiveOutcome::Archived, pb::ArchiveOutcome::Duplicate];
        assert!(archived.contains(&result.outcome()), "{result:?}");
    }
    let archive = database.collection::<bson::Document>("Historique");
    let archived = archive.count_documents(bson::doc! {}).await.unwrap();
    assert_eq!(archived, ORDERS as u64, "each once");
    server.stop().await;
}
