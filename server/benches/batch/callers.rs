//! Callers: services that archive one order at a time over gRPC, each on a connection of its own, each awaiting its answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use futures::{TryStreamExt, future::try_join_all};
use order_archiver_api::v1::{
    ArchiveOrderRequest, ArchiveOutcome, archive_service_client::ArchiveServiceClient,
};
use tonic::transport::Channel;

use crate::{
    options::Size,
    platform::Platform,
    process,
    verdict::{at_least, median, spread},
};

const CROWDS: [usize; 3] = [1, 32, 256];

/// Lets callers call a server; `brief` is the rate of the brief's flow.
pub(crate) async fn serve(platform: &Platform, size: &Size, brief: f64) -> Result<()> {
    let numbers = Arc::new(numbers(platform).await?);
    let server = process::serve(platform).await?;
    let mut rates: [Vec<f64>; CROWDS.len()] = Default::default();
    for _ in 0..size.rounds {
        for (callers, rates) in CROWDS.into_iter().zip(&mut rates) {
            platform.empty_archive().await?;
            rates.push(rate(&server.address, callers, &numbers, size.span).await?);
        }
    }

    println!(
        "\n### `ArchiveOrder`, {} rounds of {} s\n",
        size.rounds,
        size.span.as_secs_f64()
    );
    println!("| callers at once | orders/s | lowest–highest | ms for an answer |");
    println!("|---:|---:|---:|---:|");
    for (callers, rates) in CROWDS.into_iter().zip(&rates) {
        let rate = median(rates);
        println!(
            "| {callers} | {rate:.0} | {} | {:.1} |",
            spread(rates),
            callers as f64 * 1_000.0 / rate
        );
    }
    let [one, some, many] = rates.each_ref().map(|rates| median(rates));
    println!();
    at_least("times one caller's rate with 32 callers", some / one, 20.0);
    at_least("times the brief's flow with 256 callers", many / brief, 5.0);
    Ok(())
}

/// The numbers of the delivered orders.
async fn numbers(platform: &Platform) -> Result<Vec<String>> {
    let orders = platform.database.collection::<Document>("Commande");
    let orders = orders
        .find(doc! { "status": "livrée" })
        .projection(doc! { "numero_commande": 1 });
    let numbers = orders
        .await?
        .map_ok(|order| order.get_str("numero_commande").map(str::to_owned));
    let numbers: Result<Vec<String>, _> =
        numbers.try_collect::<Vec<_>>().await?.into_iter().collect();
    Ok(numbers?)
}

/// Orders archived a second while so many callers call.
async fn rate(
    address: &str,
    callers: usize,
    numbers: &Arc<Vec<String>>,
    span: Duration,
) -> Result<f64> {
    let connect = || ArchiveServiceClient::connect(address.to_owned());
    let clients = try_join_all((0..callers).map(|_| connect())).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let calling = clients.into_iter().map(|client| {
        let (numbers, next) = (numbers.clone(), next.clone());
        tokio::spawn(async move { call(client, &numbers, &next, start + span).await })
    });
    let mut archived = 0;
    for caller in try_join_all(calling).await? {
        archived += caller?;
    }
    Ok(archived as f64 / start.elapsed().as_secs_f64())
}

/// Asks for one order after the other until the time is up or none is left; how many it got archived.
async fn call(
    mut client: ArchiveServiceClient<Channel>,
    numbers: &[String],
    next: &AtomicUsize,
    end: Instant,
) -> Result<usize> {
    let mut archived = 0;
    while Instant::now() < end {
        let Some(number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) else {
            break;
        };
        let request = ArchiveOrderRequest {
            numero_commande: number.clone(),
        };
        let answer = client.archive_order(request).await?.into_inner();
        let result = answer.result.context("an answer without a result")?;
        ensure!(result.outcome() == ArchiveOutcome::Archived, "{result:?}");
        archived += 1;
    }
    Ok(archived)
}
