//! `cargo demo`: the whole product in one command, on a throw-away MongoDB with made-up orders.
//!
//! It starts a replica set, seeds it, runs the server, archives the backlog with one batch, prints the statistics, audits the
//! archive, and stays up for `archctl` until Ctrl-C. With `--once` it ends by itself.

#![allow(
    missing_docs,
    reason = "an example has no readers of its documentation"
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "people watch it")]

use std::{env, net::Ipv4Addr, process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use archd::{config::Config, shutdown, telemetry};
use devkit::{ReplicaSet, audit::audit};
use order_archiver_api::{DEFAULT_ADDRESS, statistics, v1 as pb};
use pb::{batch_service_client::BatchServiceClient, seed_service_client::SeedServiceClient};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// Enough that more than 10,000 of them are delivered.
const ORDERS: i64 = 12_000;
const LIVE_ORDERS_PER_MINUTE: i32 = 60;
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> ExitCode {
    match demo().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<()> {
    let once = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [argument] if argument == "--once" => true,
        other => bail!("{other:?} is not understood; the demo takes --once, or nothing"),
    };
    telemetry::init("warn,mongodb=error", archd::config::LogFormat::Text)?;
    let interrupted = shutdown::signal()?;

    say("starting a throw-away MongoDB");
    let set = ReplicaSet::start().await?;
    let database = set.client().await?.database("livraison_demo");
    let config = Config::simulation(&set.uri(), database.name())
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))?;

    let listener = listen().await?;
    let address = listener.local_addr()?;
    say(&format!("starting archd on {address}"));
    let stop = CancellationToken::new();
    let server = tokio::spawn(archd::run(listener, config, stop.clone()));
    let channel = Channel::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    serving(&channel).await?;

    tokio::select! {
        outcome = show(&channel, &database) => outcome?,
        () = interrupted.cancelled() => {}
    }
    if !once && !interrupted.is_cancelled() {
        stay(&channel, address, &interrupted).await?;
    }
    stop.cancel();
    server.await??;
    Ok(())
}

/// Seeds, archives, and checks that the archive is what it must be.
async fn show(channel: &Channel, database: &mongodb::Database) -> Result<()> {
    say(&format!(
        "making up {ORDERS} orders and the people behind them"
    ));
    let request = pb::SeedDataRequest {
        orders: Some(ORDERS),
        ..pb::SeedDataRequest::default()
    };
    let mut progress = SeedServiceClient::new(channel.clone())
        .seed_data(request)
        .await?
        .into_inner();
    while let Some(message) = progress.message().await? {
        for pb::StatusCount { status, orders } in message.orders_by_status {
            println!("  {status:<15} {:>7}", statistics::thousands(orders));
        }
    }

    say("archiving the backlog with one batch");
    let mut batches = BatchServiceClient::new(channel.clone());
    let started = batches
        .start_batch(pb::StartBatchRequest::default())
        .await?
        .into_inner();
    let id = started
        .batch
        .context("a started batch is in the answer")?
        .id;
    let mut states = batches
        .watch_batch(pb::WatchBatchRequest { id })
        .await?
        .into_inner();
    let mut batch = pb::Batch::default();
    while let Some(message) = states.message().await? {
        batch = message.batch.unwrap_or_default();
    }
    println!("{}", statistics::of_batch(&batch));
    ensure!(
        batch.state() == pb::BatchState::Succeeded,
        "the batch did not succeed: {}",
        batch.message
    );

    let audit = audit(database).await?;
    for difference in audit.differences.iter().take(10) {
        eprintln!("  {difference}");
    }
    ensure!(
        audit.is_clean(),
        "{} differences between the archive and a recomputation of it",
        audit.differences.len()
    );
    let (delivered, archived) = (
        statistics::thousands(audit.delivered as i64),
        statistics::thousands(audit.archived as i64),
    );
    say(&format!(
        "audit: {delivered} delivered orders, {archived} archived, each exactly as recomputed"
    ));
    Ok(())
}

/// Keeps new orders coming until Ctrl-C.
async fn stay(
    channel: &Channel,
    address: std::net::SocketAddr,
    interrupted: &CancellationToken,
) -> Result<()> {
    let request = pb::SeedDataRequest {
        orders: Some(0),
        append: true,
        live_orders_per_minute: LIVE_ORDERS_PER_MINUTE,
        ..pb::SeedDataRequest::default()
    };
    let mut live = SeedServiceClient::new(channel.clone())
        .seed_data(request)
        .await?
        .into_inner();
    let endpoint = if address.to_string() == DEFAULT_ADDRESS {
        String::new()
    } else {
        format!("--endpoint http://{address} ")
    };
    say(&format!(
        "one new order a second is on its way; try in another terminal:\n"
    ));
    for command in ["stats", "batch start --wait", "tail", "orders list"] {
        println!("  cargo run --bin archctl -- {endpoint}{command}");
    }
    println!("\nCtrl-C ends the demo and removes everything it made.");
    loop {
        tokio::select! {
            () = interrupted.cancelled() => return Ok(()),
            message = live.message() => if message?.is_none() { bail!("the flow of new orders ended") },
        }
    }
}

/// The default address, so that archctl needs no endpoint, or any that is free.
async fn listen() -> Result<TcpListener> {
    match TcpListener::bind(DEFAULT_ADDRESS).await {
        Ok(listener) => Ok(listener),
        Err(_) => Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?),
    }
}

/// Waits until the server has prepared its database.
async fn serving(channel: &Channel) -> Result<()> {
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    let request = tonic_health::pb::HealthCheckRequest {
        service: String::new(),
    };
    let mut answers = health.watch(request).await?.into_inner();
    let wait = async {
        while let Some(answer) = answers.message().await? {
            if answer.status == tonic_health::ServingStatus::Serving as i32 {
                return Ok(());
            }
        }
        bail!("the server has left")
    };
    timeout(PATIENCE, wait)
        .await
        .context("the server did not get ready")?
}

fn say(text: &str) {
    println!("==> {text}");
}
