//! Callers: services that archive one order at a time over gRPC, each on a connection of its own,
//! each awaiting its answer.

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
    contest::Rates,
    options::Size,
    peers::bare_call,
    support::{
        machine,
        platform::{Cost, Platform},
        server,
        verdict::{at_least, at_most, each, median, spread},
    },
};

const CROWDS: [usize; 3] = [1, 32, 256];

/// What a crowd of callers came to.
#[derive(Clone, Copy)]
struct Served {
    orders: usize,
    cost: Cost,
    /// The CPU time of `archd`.
    archd: Duration,
}

impl Served {
    fn rate(self) -> f64 {
        self.orders as f64 / self.cost.took.as_secs_f64()
    }
}

/// Lets callers call a server; `rates` are those of the contest, if it was held.
pub(crate) async fn serve(platform: &Platform, size: &Size, rates: Option<&Rates>) -> Result<()> {
    let numbers = Arc::new(numbers(platform).await?);
    let server = server::serve(&platform.config, &server::CALLS_ALONE).await?;
    let mut turns: [Vec<Served>; CROWDS.len()] = Default::default();
    let mut bare = Vec::new();
    for _ in 0..size.rounds {
        platform.clear_archive().await?;
        let calling = bare_call::call(&platform.database, &numbers, size.span);
        let (orders, cost) = platform.costing(calling).await?;
        bare.push(Served {
            orders,
            cost,
            archd: Duration::ZERO,
        });
        for (callers, turns) in CROWDS.into_iter().zip(&mut turns) {
            platform.clear_archive().await?;
            let before = machine::cpu(server.pid)?;
            let calling = call_all(&server.address, callers, &numbers, size.span);
            let (orders, cost) = platform.costing(calling).await?;
            let archd = machine::cpu(server.pid)? - before;
            turns.push(Served {
                orders,
                cost,
                archd,
            });
        }
    }

    println!(
        "\n### `ArchiveOrder`, {} rounds of {} s\n",
        size.rounds,
        size.span.as_secs_f64()
    );
    println!(
        "| callers at once | orders/s | lowest–highest | ms for an answer | mongod µs/order | `archd` µs/order | callers µs/order |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    row("one find, one majority insert, no `archd`", 1, &bare);
    for (callers, turns) in CROWDS.into_iter().zip(&turns) {
        row(&callers.to_string(), callers, turns);
    }
    let [one, some, many] = turns.each_ref().map(|turns| of(turns, Served::rate));
    println!();
    let alone = of(&bare, Served::rate);
    at_most(
        "times the time of one find and one majority insert for one caller",
        alone / one,
        1.25,
    );
    at_least("times one caller's rate with 32 callers", some / one, 20.0);
    if let Some(rates) = rates {
        at_least(
            "times the brief's flow with 256 callers",
            many / rates.brief,
            5.0,
        );
        at_least(
            "of the batch's rate with 256 callers",
            many / rates.archd,
            0.35,
        );
    }
    Ok(())
}

/// Prints what so many callers came to.
fn row(who: &str, callers: usize, turns: &[Served]) {
    let rate = of(turns, Served::rate);
    let rates: Vec<f64> = turns.iter().copied().map(Served::rate).collect();
    println!(
        "| {who} | {rate:.0} | {} | {:.1} | {:.0} | {:.0} | {:.0} |",
        spread(&rates),
        callers as f64 * 1_000.0 / rate,
        of(turns, |turn| each(turn.cost.mongod, turn.orders)),
        of(turns, |turn| each(turn.archd, turn.orders)),
        of(turns, |turn| each(turn.cost.client, turn.orders)),
    );
}

/// The median of a figure of several turns.
fn of(turns: &[Served], figure: impl Fn(Served) -> f64) -> f64 {
    median(&turns.iter().copied().map(figure).collect::<Vec<_>>())
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

/// How many orders are archived while so many callers call.
async fn call_all(
    address: &str,
    callers: usize,
    numbers: &Arc<Vec<String>>,
    span: Duration,
) -> Result<usize> {
    let connect = || ArchiveServiceClient::connect(address.to_owned());
    let clients = try_join_all((0..callers).map(|_| connect())).await?;
    let next = Arc::new(AtomicUsize::new(0));
    let end = Instant::now() + span;
    let calling = clients.into_iter().map(|client| {
        let (numbers, next) = (numbers.clone(), next.clone());
        tokio::spawn(async move { call(client, &numbers, &next, end).await })
    });
    let mut archived = 0;
    for caller in try_join_all(calling).await? {
        archived += caller?;
    }
    Ok(archived)
}

/// Asks for one order after the other until the time is up or none is left; how many it got
/// archived.
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
