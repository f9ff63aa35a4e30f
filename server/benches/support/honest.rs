//! Honest callers: orders asked for at a steady rate, whatever happens to the ones before, and how
//! long each answer took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bson::{Document, doc};
use mongodb::Database;
use order_archiver_api::v1::{ArchiveOrderRequest, archive_service_client::ArchiveServiceClient};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tonic::transport::Endpoint;

/// Orders a second.
pub(crate) const RATE: u32 = 200;
/// Connections that they are spread over.
const CONNECTIONS: usize = 8;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the honest callers fared.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fared {
    /// What each order took, in milliseconds, sorted; one that was not archived took as long as
    /// anybody may wait.
    latencies: Vec<f64>,
    /// How many got no order archived.
    pub(crate) refused: usize,
}

impl Fared {
    /// The latency that this share of the answers was not slower than, in milliseconds.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let place = (self.latencies.len() as f64 - 1.0) * share;
        let latency = self.latencies.get(place as usize);
        latency.copied().unwrap_or(f64::NAN)
    }
}

/// Puts so many delivered orders there, numbered from `first`, and names them.
pub(crate) async fn orders(database: &Database, first: usize, count: usize) -> Result<Vec<String>> {
    let numbers: Vec<String> = (first..first + count)
        .map(|number| format!("CMD-2026-{number:07}"))
        .collect();
    let order = |(at, numero): (usize, &String)| {
        let person = |most: usize| i32::try_from(at * 7_919 % most).unwrap_or(0) + 1;
        doc! {
            "numero_commande": numero, "status": "livrée", "id_client": person(200), "id_livreur": person(10),
            "id_restaurant": person(5), "id_menu": person(20), "coût_commande": 24.9, "date_commande": bson::DateTime::now(),
        }
    };
    let orders: Vec<Document> = numbers.iter().enumerate().map(order).collect();
    let live = database.collection::<Document>("Commande");
    live.insert_many(orders).await?;
    Ok(numbers)
}

/// Asks for the orders at [`RATE`].
pub(crate) async fn call(address: &str, numbers: Vec<String>) -> Result<Fared> {
    let endpoint = Endpoint::from_shared(address.to_owned())?.timeout(PATIENCE);
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(ArchiveServiceClient::new(endpoint.connect().await?));
    }
    let mut tick = interval(Duration::from_secs(1) / RATE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut calls = JoinSet::new();
    for (at, numero_commande) in numbers.into_iter().enumerate() {
        tick.tick().await;
        let mut client = clients[at % CONNECTIONS].clone();
        calls.spawn(async move {
            let sent = Instant::now();
            let answer = client.archive_order(ArchiveOrderRequest { numero_commande });
            let archived = answer.await.is_ok();
            let took = if archived { sent.elapsed() } else { PATIENCE };
            (took.as_secs_f64() * 1_000.0, archived)
        });
    }
    let mut fared = Fared::default();
    while let Some(call) = calls.join_next().await {
        let (took, archived) = call.context("a caller broke down")?;
        fared.latencies.push(took);
        fared.refused += usize::from(!archived);
    }
    fared.latencies.sort_by(f64::total_cmp);
    Ok(fared)
}
