//! Crowd: whether callers and probes are served while the HTTP port is full of connections that
//! are left open.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use archd::seed::Plan;
use devkit::ReplicaSet;
use tokio::{
    io::{copy, sink},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    Size,
    sink::get,
    support::{ground, honest, machine, server, verdict::at_most},
};

/// How long a probe waits for its answer.
const PROBE: Duration = Duration::from_secs(5);
/// How long a connection that was closed waits until it comes again.
const PAUSE: Duration = Duration::from_secs(1);

/// Calls beside the crowd, with a probe each second.
pub(crate) async fn stand(set: &ReplicaSet, size: &Size) -> Result<()> {
    let ground = ground::seeded(set, Plan::for_orders(2_000)).await?;
    let arguments = ["--watch=false", "--http=127.0.0.1:0"];
    let server = server::serve(&ground.config, &arguments).await?;
    let http = server.http.clone().context("no HTTP")?;
    let count = size.seconds * honest::RATE as usize;
    let alone = honest::orders(&ground.database, 0, count).await?;
    let alone = honest::call(&server.address, alone).await?;

    let mut crowd = JoinSet::new();
    for _ in 0..size.crowd {
        let http = http.clone();
        crowd.spawn(async move {
            loop {
                if let Ok(mut stream) = TcpStream::connect(&http).await {
                    // Until it is told to leave.
                    copy(&mut stream, &mut sink()).await.ok();
                }
                sleep(PAUSE).await;
            }
        });
    }
    let numbers = honest::orders(&ground.database, count, count).await?;
    let probing = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..size.seconds {
            let asked = Instant::now();
            let answer = timeout(PROBE, get(&http, "/livez")).await;
            answer.context("a probe was shut out")??;
            slowest = slowest.max(asked.elapsed());
            sleep(Duration::from_secs(1)).await;
        }
        anyhow::Ok(slowest)
    };
    let (beside, slowest) = tokio::join!(honest::call(&server.address, numbers), probing);
    let (beside, slowest) = (beside?, slowest?);
    let refused = beside.refused;
    ensure!(refused == 0, "{refused} orders were not archived");
    println!(
        "\n### {} connections to the HTTP port that are left open\n\n- `ArchiveOrder`, p50 {:.2} ms and p99 {:.2} ms beside them, {:.2} and {:.2} ms without; none refused",
        size.crowd,
        beside.at(0.5),
        beside.at(0.99),
        alone.at(0.5),
        alone.at(0.99),
    );
    println!(
        "- the slowest of {} probes: {:.0} ms",
        size.seconds,
        slowest.as_secs_f64() * 1_000.0
    );
    let peak = machine::memory(server.pid).context("archd has ended")?.peak;
    at_most("the most MiB that `archd` held", peak, 256.0);
    ground.database.drop().await?;
    ground.store.close().await;
    Ok(())
}
