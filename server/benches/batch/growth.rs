//! Growth: ten times the orders in one batch, then batches that find nothing new, and raw inserts
//! of as many documents.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{
    contest::Rates,
    options::Size,
    peers,
    support::{
        platform::{Cost, Platform},
        process::{self, Batch},
        verdict::{at_least, at_most, each, median},
    },
};

/// How often a batch finds nothing new: one is over in a moment, and so told by its median.
const AGAIN: usize = 5;

/// Archives a large platform once, runs the batch again and again, and inserts what it archived by
/// itself; `small` are the rates of the small platform, if they were measured.
pub(crate) async fn measure(platform: &Platform, size: &Size, small: Option<&Rates>) -> Result<()> {
    let orders = platform.delivered;
    platform.empty_archive().await?;
    let (first, first_cost) = platform.costing(process::batch(platform)).await?;
    ensure!(
        first.archived == orders as u64,
        "{} of {orders} orders are archived",
        first.archived
    );
    let writes = platform.writes_to_archive().await?;
    ensure!(
        writes >= i64::try_from(orders)?,
        "the storage engine counts {writes} writes only"
    );
    let mut seconds = Vec::with_capacity(AGAIN);
    for _ in 0..AGAIN {
        let (second, cost) = platform.costing(process::batch(platform)).await?;
        ensure!(
            second.duplicates == orders as u64,
            "{} of {orders} orders are duplicates",
            second.duplicates
        );
        seconds.push((second, cost));
    }
    seconds.sort_by_key(|(second, _)| second.duration);
    let (second, second_cost) = seconds.swap_remove(AGAIN / 2);
    let written = platform.writes_to_archive().await? - writes;
    let insert = raw_insert(platform, 1).await?;
    let inserts = raw_insert(platform, 4).await?;

    println!(
        "\n### The batch of {orders} orders, then {AGAIN} that find nothing new, the median of them\n"
    );
    println!(
        "| what | orders/s | time an order takes, × among {} | mongod µs/order | client µs/order | peak MiB | others |",
        size.orders
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let row = |name: &str, took: Duration, before: Option<f64>, cost: Cost, peak: Option<f64>| {
        let rate = orders as f64 / took.as_secs_f64();
        println!(
            "| {name} | {rate:.0} | {} | {:.1} | {:.1} | {} | {:.0} % |",
            before.map_or(String::new(), |before| format!("{:.2}", before / rate)),
            each(cost.mongod, orders),
            each(cost.client, orders),
            peak.map_or(String::new(), |peak| format!("{peak:.0}")),
            cost.others * 100.0,
        );
    };
    let archd = small.map(|small| small.archd);
    row(
        "`archd batch`, all new",
        first.duration,
        archd,
        first_cost,
        Some(first.peak),
    );
    row(
        "`archd batch`, nothing new",
        second.duration,
        None,
        second_cost,
        Some(second.peak),
    );
    row(
        "raw insert, one at a time",
        insert.took,
        small.map(|small| small.insert),
        insert,
        None,
    );
    row(
        "raw insert, four in flight",
        inserts.took,
        small.map(|small| small.inserts),
        inserts,
        None,
    );
    let (early, late) = (resident(&first, 1), resident(&first, 3));
    println!(
        "\nMemory of the first: {early:.0} MiB in its second quarter, {late:.0} MiB in its last (medians).\n"
    );
    if let Some(small) = archd {
        at_most(
            &format!("times the time an order takes among {}", size.orders),
            small / rate(&first, orders),
            1.3,
        );
    }
    at_most("MiB at most while archiving", first.peak, 150.0);
    at_most(
        "times the memory of the second quarter in the last",
        late / early,
        1.1,
    );
    at_least(
        "times as fast when nothing is new",
        rate(&second, orders) / rate(&first, orders),
        15.0,
    );
    at_most(
        "writes to the archive when nothing is new, as the storage engine counts them",
        written as f64,
        0.0,
    );
    Ok(())
}

/// What it costs to insert the archived documents, and nothing else.
async fn raw_insert(platform: &Platform, in_flight: usize) -> Result<Cost> {
    let finished = platform.archived_documents().await?;
    platform.empty_archive().await?;
    let insert = peers::insert::archive(&platform.database, &finished, in_flight);
    Ok(platform.costing(insert).await?.1)
}

fn rate(batch: &Batch, orders: usize) -> f64 {
    orders as f64 / batch.duration.as_secs_f64()
}

/// The memory that a batch held in one of its quarters, counted from zero: the median, in MiB.
fn resident(batch: &Batch, quarter: usize) -> f64 {
    let length = batch.memory.len();
    median(&batch.memory[length * quarter / 4..length * (quarter + 1) / 4])
}
