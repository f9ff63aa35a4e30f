//! Limits on the rate: how near a batch comes to each, and keeps to it, over any ten seconds.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use tokio::time::interval;

use crate::{
    options::Size,
    support::{platform::Platform, process},
};

/// The limits that are tried, in orders a second.
const LIMITS: [u32; 4] = [500, 3_000, 8_000, 20_000];
/// The stretch that a limit is kept over.
const STRETCH: f64 = 10.0;

/// Runs a batch at each limit, and prints the least and the most of it that any ten seconds saw.
pub(crate) async fn keep(platform: &Platform, size: &Size) -> Result<()> {
    println!();
    println!("| limit, orders/s | least of it in any {STRETCH} s | most |");
    println!("|---|---|---|");
    for limit in LIMITS {
        platform.empty_archive().await?;
        platform
            .database
            .collection::<Document>("archd_batches")
            .drop()
            .await?;
        platform.store.prepare_collections().await?;
        let seen = watch(platform, limit, size.limited).await?;
        let (least, most) = extremes(&seen, f64::from(limit));
        println!(
            "| {limit} | {:.1} % | {:.1} % |",
            least * 100.0,
            most * 100.0
        );
        if size.limited > Duration::from_secs(12) {
            ensure!(most <= 1.05, "{limit} orders/s were exceeded");
        }
    }
    Ok(())
}

/// How many orders a limited batch had met by which second, by the database's clock.
async fn watch(platform: &Platform, limit: u32, length: Duration) -> Result<Vec<(f64, f64)>> {
    let batches = platform.database.collection::<Document>("archd_batches");
    let (rate, runtime) = (
        format!("--max-rate={limit}"),
        format!("--max-runtime={}ms", length.as_millis()),
    );
    let mut batch = process::limited(platform, "batch", &[&rate, &runtime])?;
    let (mut seen, begun) = (Vec::new(), Instant::now());
    let mut look = interval(Duration::from_millis(20));
    while batch.try_wait()?.is_none() {
        look.tick().await;
        ensure!(
            begun.elapsed() < length + Duration::from_secs(60),
            "the batch does not end"
        );
        let running = doc! { "counts.found": { "$gt": 0 }, "ended": { "$exists": false } };
        if let Some(batch) = batches.find_one(running).await? {
            let found = batch.get_document("counts")?.get_i64("found")?;
            let saved = batch.get_datetime("updated")?.timestamp_millis();
            seen.push((saved as f64 / 1e3, found as f64));
        }
    }
    seen.dedup();
    seen.first().context("the batch was never seen")?;
    Ok(seen)
}

/// The least and the most in any stretch, as shares of a limit. The first second is left to the
/// start.
fn extremes(seen: &[(f64, f64)], limit: f64) -> (f64, f64) {
    let share = |orders: f64| orders / (limit * STRETCH);
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    let start = seen[0].0 + 1.0;
    for (index, (from, before)) in seen.iter().enumerate() {
        for (to, after) in &seen[index..] {
            if to - from <= STRETCH {
                most = most.max(share(after - before));
            } else {
                if *from >= start {
                    least = least.min(share(after - before));
                }
                break;
            }
        }
    }
    (least, most)
}
