//! Growth: ten times the orders in one batch, and a second batch that finds nothing new.

use anyhow::{Result, ensure};

use crate::{
    options::Size,
    platform::Platform,
    process::{self, Batch},
    verdict::{at_least, at_most, each, median},
};

/// Archives a large platform once, then runs the batch again; `small` is the rate of the small one.
pub(crate) async fn measure(platform: &Platform, size: &Size, small: f64) -> Result<()> {
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
    let (second, second_cost) = platform.costing(process::batch(platform)).await?;
    ensure!(
        second.duplicates == orders as u64,
        "{} of {orders} orders are duplicates",
        second.duplicates
    );
    let written = platform.writes_to_archive().await? - writes;

    println!("\n### The batch of {orders} orders, and a second one\n");
    println!("| batch | orders/s | mongod µs/order | client µs/order | peak MiB | others |");
    println!("|---|---:|---:|---:|---:|---:|");
    for (name, batch, cost) in [
        ("all new", &first, first_cost),
        ("nothing new", &second, second_cost),
    ] {
        println!(
            "| {name} | {:.0} | {:.1} | {:.1} | {:.0} | {:.0} % |",
            rate(batch, orders),
            each(cost.mongod, orders),
            each(cost.client, orders),
            batch.peak,
            cost.others * 100.0,
        );
    }
    let (early, late) = (resident(&first, 1), resident(&first, 3));
    println!(
        "\nMemory of the first: {early:.0} MiB in its second quarter, {late:.0} MiB in its last (medians).\n"
    );
    at_most(
        &format!("times the time an order takes among {}", size.orders),
        small / rate(&first, orders),
        1.3,
    );
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
        "writes to the archive by the second batch, as the storage engine counts them",
        written as f64,
        0.0,
    );
    Ok(())
}

fn rate(batch: &Batch, orders: usize) -> f64 {
    orders as f64 / batch.duration.as_secs_f64()
}

/// The memory that a batch held in one of its quarters, counted from zero: the median, in MiB.
fn resident(batch: &Batch, quarter: usize) -> f64 {
    let length = batch.memory.len();
    median(&batch.memory[length * quarter / 4..length * (quarter + 1) / 4])
}
