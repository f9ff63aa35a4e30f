//! Cost: the CPU time of `archd` for an order, with metrics that are scraped and spans that are
//! sent, and with neither.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use archd::seed::Plan;
use bson::Document;
use devkit::ReplicaSet;
use order_archiver_api::v1 as pb;
use pb::{batch_service_client::BatchServiceClient, watcher_service_client::WatcherServiceClient};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Size,
    sink::{self, scrape},
    support::{
        ground::{self, Ground},
        honest, machine,
        server::{self, Server},
        verdict::{at_most, each, median},
    },
};

/// Orders in one insert.
const HANDFUL: usize = 1_000;
/// How often metrics are scraped: three times as often as by default.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(5);
/// How long one measurement may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// How a server is watched.
#[derive(Clone, Copy, PartialEq)]
enum Watched {
    /// Not at all.
    Not,
    /// Its metrics are scraped.
    Scraped,
    /// It sends its spans.
    Traced,
}

/// Archives the same orders, watched and not, by turns.
pub(crate) async fn compare(set: &ReplicaSet, size: &Size) -> Result<()> {
    println!(
        "\n### Metrics and spans, {} rounds of {} orders\n",
        size.rounds, size.orders
    );
    for (what, by_watcher) in [("batch", false), ("watcher", true)] {
        let mut costs: [Vec<f64>; 3] = Default::default();
        for round in 0..size.rounds {
            // Who comes first alternates too.
            let mut turns = [Watched::Not, Watched::Scraped, Watched::Traced];
            turns.rotate_left(round % 3);
            for watched in turns {
                let cost = measure(set, size.orders, by_watcher, watched).await?;
                costs[watched as usize].push(cost);
            }
        }
        let [not, others @ ..] = &costs;
        println!("- {what}: {:.2} µs of `archd` an order", median(not));
        for (how, costs) in ["with metrics scraped", "with spans sent"]
            .iter()
            .zip(others)
        {
            let mut more: Vec<f64> = costs
                .iter()
                .zip(not)
                .map(|(it, not)| it / not - 1.0)
                .collect();
            more.sort_by(f64::total_cmp);
            println!(
                "- {what}, {how}: {:.2} µs; of the pairs the least {:+.1} %, the most {:+.1} %",
                median(costs),
                more.first().unwrap_or(&f64::NAN) * 100.0,
                more.last().unwrap_or(&f64::NAN) * 100.0,
            );
            at_most("more, by the median of the pairs", median(&more), 0.02);
        }
    }
    Ok(())
}

/// The microseconds of CPU time that an order took.
async fn measure(
    set: &ReplicaSet,
    orders: usize,
    by_watcher: bool,
    watched: Watched,
) -> Result<f64> {
    let plan = Plan::for_orders(u32::try_from(orders)?);
    let ground = ground::seeded(set, plan).await?;
    let collector = sink::open().await?;
    let watch = format!("--watch={by_watcher}");
    let otlp = format!("--otlp-endpoint={}", collector.address);
    let mut arguments = [&watch, "--http=off", "--otlp-endpoint=off"];
    match watched {
        Watched::Not => {}
        Watched::Scraped => arguments[1] = "--http=127.0.0.1:0",
        Watched::Traced => arguments[2] = &otlp,
    }
    let server = server::serve(&ground.config, &arguments).await?;
    let scraped = server.http.clone();
    let _scraping = scraped.map(|http| AbortOnDropHandle::new(tokio::spawn(scraping(http))));
    let cost = if by_watcher {
        watch_all(&ground, &server, orders).await
    } else {
        batch_all(&ground, &server, orders).await
    };
    drop(server);
    let archived = archived(&ground).await?;
    ensure!(
        archived == orders as u64,
        "{archived} of {orders} are archived"
    );
    ground.database.drop().await?;
    ground.store.close().await;
    cost
}

async fn scraping(http: String) -> Result<()> {
    loop {
        sleep(SCRAPE_INTERVAL).await;
        scrape(&http).await?;
    }
}

async fn batch_all(ground: &Ground, server: &Server, orders: usize) -> Result<f64> {
    deliver(ground, orders).await?;
    let mut batches = BatchServiceClient::connect(server.address.clone()).await?;
    let before = machine::cpu(server.pid)?;
    let started = batches.start_batch(pb::StartBatchRequest::default());
    let id = started.await?.into_inner().batch.context("no batch")?.id;
    let mut states = batches
        .watch_batch(pb::WatchBatchRequest { id })
        .await?
        .into_inner();
    let ending = async {
        let mut last = None;
        while let Some(state) = states.message().await? {
            last = state.batch;
        }
        last.context("no state")
    };
    let ended = timeout(PATIENCE, ending)
        .await
        .context("the batch goes on")??;
    ensure!(ended.state() == pb::BatchState::Succeeded, "{ended:?}");
    Ok(each(machine::cpu(server.pid)? - before, orders))
}

async fn watch_all(ground: &Ground, server: &Server, orders: usize) -> Result<f64> {
    let mut watchers = WatcherServiceClient::connect(server.address.clone()).await?;
    let watching = async {
        loop {
            let answer = watchers.get_watcher(pb::GetWatcherRequest {}).await;
            let watcher = answer.ok().and_then(|answer| answer.into_inner().watcher);
            if watcher.is_some_and(|watcher| watcher.state() == pb::WatcherState::Watching) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, watching)
        .await
        .context("nobody watches")?;
    let before = machine::cpu(server.pid)?;
    deliver(ground, orders).await?;
    let archiving = async {
        while archived(ground).await? < orders as u64 {
            sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, archiving)
        .await
        .context("not all are archived")??;
    Ok(each(machine::cpu(server.pid)? - before, orders))
}

async fn deliver(ground: &Ground, orders: usize) -> Result<()> {
    for first in (0..orders).step_by(HANDFUL) {
        let count = HANDFUL.min(orders - first);
        honest::orders(&ground.database, first, count).await?;
    }
    Ok(())
}

async fn archived(ground: &Ground) -> Result<u64> {
    let archive = ground.database.collection::<Document>("Historique");
    Ok(archive.estimated_document_count().await?)
}
