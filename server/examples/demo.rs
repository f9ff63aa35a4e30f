//! `cargo demo`: the whole product in one command, on a throw-away MongoDB with made-up orders.
//!
//! It starts a replica set, makes up orders, runs the server with its watcher, which archives the
//! backlog with one batch, prints the statistics, verifies the archive, audits it independently of
//! that, and stays up for `archctl`, with new orders coming, until Ctrl-C. With `--once` it ends by
//! itself.

#![allow(
    missing_docs,
    reason = "an example has no readers of its documentation"
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "people watch it")]

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use archd::{
    config::{Config, LogFormat},
    seed::{
        Plan,
        writer::{self, Job, SeedProgress},
    },
    shutdown,
    store::Store,
    telemetry,
};
use devkit::{ReplicaSet, audit::audit};
use order_archiver_api::{DEFAULT_ADDRESS, statistics, v1 as pb};
use pb::{
    batch_service_client::BatchServiceClient, event_service_client::EventServiceClient,
    seed_service_client::SeedServiceClient, tail_events_response::Event,
    verification_service_client::VerificationServiceClient,
};
use tokio::{
    net::TcpListener,
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// Enough that more than 10,000 of them are delivered.
const ORDERS: u32 = 12_000;
const LIVE_ORDERS_PER_MINUTE: i32 = 60;
/// Where the page is, unless somebody else is there.
const PAGE: &str = "127.0.0.1:9464";
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
    let interrupted = shutdown::signal()?;

    say("starting a throw-away MongoDB");
    let set = ReplicaSet::start().await?;
    let database = set.client().await?.database("livraison_demo");
    let mut config = Config::simulation(&set.uri(), database.name())
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))?;

    config.log_filter = "error".to_owned();
    config.log_format = LogFormat::Text;
    telemetry::init(&config)?;
    config.watch = true;
    make_up_orders(&config).await?;

    let listener = listen(DEFAULT_ADDRESS).await?;
    let http = listen(PAGE).await?;
    let page = http.local_addr()?;
    let address = listener.local_addr()?;
    say(&format!("starting archd on {address}, with its watcher"));
    let stop = CancellationToken::new();
    let server = tokio::spawn(archd::run(listener, Some(http), config, stop.clone()));
    say(&format!("the page is at http://{page}/"));
    let channel = Channel::from_shared(format!("http://{address}"))?
        .connect()
        .await?;

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

/// Fills the database before the server is there: what a platform has when it starts to archive.
async fn make_up_orders(config: &Config) -> Result<()> {
    say(&format!(
        "making up {ORDERS} orders and the people behind them"
    ));
    let store = Store::new(config).await?;
    let job = Job {
        plan: Plan::for_orders(ORDERS),
        append: false,
        live_per_minute: 0,
        live_lifetime: Duration::from_secs(60),
    };
    let (listener, mut progress) = mpsc::channel(16);
    let telling = async {
        while let Some(progress) = progress.recv().await {
            if let SeedProgress::Written { by_status, .. } = progress {
                for (status, orders) in by_status {
                    println!("  {status:<15} {:>7}", statistics::thousands(orders));
                }
            }
        }
    };
    let seeding = async {
        let outcome = writer::write(&store, job, &listener).await;
        drop(listener);
        outcome
    };
    let (outcome, ()) = tokio::join!(seeding, telling);
    outcome?;
    store.close().await;
    Ok(())
}

/// Watches the server catch up, and checks that the archive is what it must be.
async fn show(channel: &Channel, database: &mongodb::Database) -> Result<()> {
    say("the watcher has taken its starting point; one batch archives the backlog before it");
    let batch = backlog(channel).await?;
    println!("{}", statistics::of_batch(&batch, None));
    ensure!(
        batch.state() == pb::BatchState::Succeeded,
        "the batch did not succeed: {}",
        batch.message
    );

    let verification = verify(channel).await?;
    say(&format!("archd verify: {}", verification.verdict_text));
    ensure!(
        verification.verdict() == pb::Verdict::Verified,
        "the archive is not verified: {}",
        verification.message
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
    say(&format!(
        "an audit that shares no code with it: {} delivered orders, {} archived, each exactly as recomputed",
        statistics::thousands(audit.delivered as i64),
        statistics::thousands(audit.archived as i64)
    ));
    Ok(())
}

/// Waits for the batch that the watcher starts on its own, and for its end.
async fn backlog(channel: &Channel) -> Result<pb::Batch> {
    let started = async {
        loop {
            let asked = BatchServiceClient::new(channel.clone())
                .list_batches(pb::ListBatchesRequest::default())
                .await;
            // Until the database is prepared the answer is UNAVAILABLE.
            if let Some(batch) = asked
                .ok()
                .and_then(|answer| answer.into_inner().batches.pop())
            {
                return batch.id;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let id = timeout(PATIENCE, started)
        .await
        .context("no batch was started")?;
    let mut states = BatchServiceClient::new(channel.clone())
        .watch_batch(pb::WatchBatchRequest { id })
        .await?
        .into_inner();
    let mut batch = pb::Batch::default();
    while let Some(message) = states.message().await? {
        batch = message.batch.unwrap_or_default();
    }
    Ok(batch)
}

/// Verifies every order, byte by byte, and reads again at once what it finds.
async fn verify(channel: &Channel) -> Result<pb::Verification> {
    let mut client = VerificationServiceClient::new(channel.clone());
    let options = pb::VerificationOptions {
        settle: Some(prost_types::Duration::default()),
        max_orders_per_second: Some(0),
        ..pb::VerificationOptions::default()
    };
    let request = pb::StartVerificationRequest {
        options: Some(options),
        ..pb::StartVerificationRequest::default()
    };
    let started = client.start_verification(request).await?.into_inner();
    let id = started.verification.unwrap_or_default().id;
    let request = pb::WatchVerificationRequest { id };
    let mut states = client.watch_verification(request).await?.into_inner();
    let mut verification = pb::Verification::default();
    while let Some(message) = states.message().await? {
        verification = message.verification.unwrap_or_default();
    }
    Ok(verification)
}

/// Keeps new orders coming, and shows each as it is archived, until Ctrl-C.
async fn stay(
    channel: &Channel,
    address: SocketAddr,
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
    let mut news = EventServiceClient::new(channel.clone())
        .tail_events(pb::TailEventsRequest::default())
        .await?
        .into_inner();
    let endpoint = if address.to_string() == DEFAULT_ADDRESS {
        String::new()
    } else {
        format!("--endpoint http://{address} ")
    };
    say(
        "a new order every second passes through its five statuses in a minute; try in another terminal:\n",
    );
    for command in ["verify", "stats", "watch status", "tail", "orders list"] {
        println!("  cargo run --bin archctl -- {endpoint}{command}");
    }
    println!("\nCtrl-C ends the demo and removes everything it made.\n");
    loop {
        tokio::select! {
            () = interrupted.cancelled() => return Ok(()),
            message = live.message() => ensure!(message?.is_some(), "the flow of new orders ended"),
            message = news.message() => {
                if let Some(Event::Order(order)) = message?.and_then(|message| message.event) {
                    println!("  {} delivered and archived", order.numero_commande);
                }
            }
        }
    }
}

/// This address, where people look by default, or any that is free.
async fn listen(address: &str) -> Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(_) => Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?),
    }
}

fn say(text: &str) {
    println!("==> {text}");
}
