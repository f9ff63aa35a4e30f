//! Readers: whether callers wait longer while pages are told of what happens.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context, Result};
use archd::seed::Plan;
use devkit::ReplicaSet;
use tokio::{io::AsyncReadExt, task::JoinSet};

use crate::{
    Size,
    sink::read_events,
    support::{
        ground,
        honest::{self, Fared},
        machine, server,
        verdict::{at_most, median},
    },
};

/// Files for a thousand readers, of whom a quarter of the files is.
const FILES: u32 = 8_192;

/// Calls with readers and without, by turns, on one server.
pub(crate) async fn compare(set: &ReplicaSet, size: &Size) -> Result<()> {
    let ground = ground::seeded(set, Plan::for_orders(2_000)).await?;
    let arguments = ["--watch=false", "--http=127.0.0.1:0"];
    let server = server::serve_with_files(FILES, &ground.config, &arguments).await?;
    let http = server.http.clone().context("no HTTP")?;
    let count = size.seconds * honest::RATE as usize;
    let mut first = 0;
    let mut call = async || -> Result<Fared> {
        let numbers = honest::orders(&ground.database, first, count).await?;
        first += count;
        honest::call(&server.address, numbers).await
    };
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let mut read = 0;
    for _ in 0..size.rounds {
        alone.push(call().await?);
        let bytes = Arc::new(AtomicUsize::new(0));
        let mut readers = JoinSet::new();
        for _ in 0..size.readers {
            let mut reader = read_events(&http).await?;
            let bytes = bytes.clone();
            readers.spawn(async move {
                let mut buffer = [0; 16 * 1024];
                while let Ok(more @ 1..) = reader.read(&mut buffer).await {
                    bytes.fetch_add(more, Ordering::Relaxed);
                }
            });
        }
        beside.push(call().await?);
        read = bytes.load(Ordering::Relaxed);
    }
    println!(
        "\n### {} readers of events, {} pairs of {count} calls\n\n- read by all of them in the last pair: {} MiB; the most that `archd` held: {:.0} MiB",
        size.readers,
        size.rounds,
        read >> 20,
        machine::memory(server.pid).context("archd has ended")?.peak,
    );
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let of = |fared: &[Fared]| {
            let figures: Vec<f64> = fared.iter().map(|fared| fared.at(share)).collect();
            median(&figures)
        };
        let (alone, beside) = (of(&alone), of(&beside));
        println!("- {name}: {beside:.2} ms beside them, {alone:.2} ms without");
        at_most("more", beside / alone - 1.0, 0.1);
    }
    ground.database.drop().await?;
    ground.store.close().await;
    Ok(())
}
