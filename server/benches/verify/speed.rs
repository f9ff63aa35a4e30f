//! Speed: what each depth and scope costs, beside the batch that archived the same orders in the
//! same round.

use anyhow::{Result, ensure};
use bson::{Bson, Document, doc};
use futures::TryStreamExt;

use crate::{
    by_hand,
    options::Size,
    support::{
        platform::{Cost, Platform},
        process,
        verdict::{at_least, at_most, each, median, spread},
    },
    verification::{Verification, verify},
};

/// One in so many orders changes before a verification of what changed.
const ONE_IN: usize = 100;

/// What happens to one in a hundred orders before a verification.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    /// Others are delivered, and archived by a batch: what a night brings.
    Delivered,
    /// Archived ones are amended: each is a difference that has to be read again and weighed.
    Amended,
}

/// What is measured.
struct Kind {
    name: &'static str,
    arguments: &'static [&'static str],
    change: Change,
    /// The most that it may cost of what archiving costs.
    aim: Option<f64>,
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "`archd verify --presence`",
        arguments: &["--presence"],
        change: Change::None,
        aim: Some(0.08),
    },
    Kind {
        name: "`archd verify`",
        arguments: &[],
        change: Change::None,
        aim: Some(0.40),
    },
    Kind {
        name: "`archd verify --changes`, 1 % delivered and archived since",
        arguments: &["--changes"],
        change: Change::Delivered,
        aim: Some(0.02),
    },
    Kind {
        name: "`archd verify --changes`, 1 % amended since, 1 s to settle",
        arguments: &["--changes"],
        change: Change::Amended,
        aim: None,
    },
];

/// One turn of a kind.
struct Turn {
    took: f64,
    cost: Cost,
    peak: f64,
}

/// Archives all orders, then verifies them in each way, round after round.
pub(crate) async fn measure(platform: &Platform, size: &Size) -> Result<()> {
    let orders = platform.delivered;
    let mut batches = Vec::new();
    let mut kinds: [Vec<Turn>; KINDS.len()] = Default::default();
    let few = orders / ONE_IN;
    for round in 0..size.rounds {
        platform.empty_archive().await?;
        let delivered = orders + round * few;
        let (batch, cost) = platform.costing(process::batch(platform)).await?;
        ensure!(
            batch.archived == delivered as u64,
            "{} archived",
            batch.archived
        );
        let took = batch.duration.as_secs_f64();
        batches.push(Turn {
            took,
            cost,
            peak: batch.peak,
        });
        for (kind, turns) in KINDS.iter().zip(&mut kinds) {
            let looked_at = match kind.change {
                Change::None => delivered,
                Change::Delivered => deliver(platform, few).await?,
                Change::Amended => amend(platform, few, round).await?,
            };
            let (verification, cost) = platform.costing(verify(platform, kind.arguments)).await?;
            check(&verification, kind, looked_at)?;
            let took = verification.duration.as_secs_f64();
            turns.push(Turn {
                took,
                cost,
                peak: verification.peak,
            });
        }
    }
    println!("\n### {orders} orders, {} rounds: medians\n", size.rounds);
    println!(
        "| what | seconds | of the batch's time | of its CPU time | mongod µs/order | client µs/order | peak MiB |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let row = |name: &str, turns: &[Turn]| {
        let of = |figure: fn(&Turn) -> f64| median(&turns.iter().map(figure).collect::<Vec<_>>());
        let cpu = |turn: &Turn| (turn.cost.mongod + turn.cost.client).as_secs_f64();
        let against = |figure: fn(&Turn) -> f64| {
            let ratios = turns.iter().zip(&batches);
            median(
                &ratios
                    .map(|(turn, batch)| figure(turn) / figure(batch))
                    .collect::<Vec<_>>(),
            )
        };
        let (time, cpu) = (against(|turn| turn.took), against(cpu));
        println!(
            "| {name} | {:.2} | {:.1} % | {:.1} % | {:.2} | {:.2} | {:.0} |",
            of(|turn| turn.took),
            time * 100.0,
            cpu * 100.0,
            median(
                &turns
                    .iter()
                    .map(|turn| each(turn.cost.mongod, orders))
                    .collect::<Vec<_>>()
            ),
            median(
                &turns
                    .iter()
                    .map(|turn| each(turn.cost.client, orders))
                    .collect::<Vec<_>>()
            ),
            turns.iter().map(|turn| turn.peak).fold(0.0, f64::max),
        );
        (time, of(|turn| turn.took))
    };
    row("`archd batch`", &batches);
    let figures: Vec<(f64, f64)> = KINDS
        .iter()
        .zip(&kinds)
        .map(|(kind, turns)| row(kind.name, turns))
        .collect();
    println!();
    for (kind, (ratio, _)) in KINDS.iter().zip(&figures) {
        if let Some(aim) = kind.aim {
            at_most(&format!("of the batch's time, {}", kind.name), *ratio, aim);
        }
    }
    let peaks: Vec<f64> = kinds.iter().flatten().map(|turn| turn.peak).collect();
    println!("- peaks of memory: {} MiB", spread(&peaks));
    at_most(
        "MiB at most",
        peaks.iter().copied().fold(0.0, f64::max),
        150.0,
    );
    if size.by_hand {
        // Each round has delivered some.
        let delivered = orders + size.rounds * few;
        let took = by_hand::merge(platform, delivered).await?.as_secs_f64();
        println!("- two cursors over {delivered} orders merged in Python: {took:.1} s");
        let for_as_many = took / delivered as f64 * orders as f64;
        at_least("times as fast as that", for_as_many / figures[1].1, 10.0);
    }
    Ok(())
}

fn check(verification: &Verification, kind: &Kind, looked_at: usize) -> Result<()> {
    let said = &verification.said;
    ensure!(verification.verified, "{}: {said}", kind.name);
    let delivered = verification.count("delivered")?;
    ensure!(delivered == looked_at as u64, "{}: {said}", kind.name);
    let amended = match kind.change {
        Change::Amended => looked_at as u64,
        Change::None | Change::Delivered => 0,
    };
    ensure!(
        verification.count("amended")? == amended,
        "{}: {said}",
        kind.name
    );
    Ok(())
}

/// Delivers so many orders more, and archives them.
async fn deliver(platform: &Platform, amount: usize) -> Result<usize> {
    let on_their_way = doc! { "status": { "$ne": "livrée" } };
    update(platform, on_their_way, amount, doc! { "status": "livrée" }).await?;
    let batch = process::batch(platform).await?;
    ensure!(
        batch.archived == amount as u64,
        "{} archived",
        batch.archived
    );
    Ok(amount)
}

/// Amends so many orders that are archived.
async fn amend(platform: &Platform, amount: usize, round: usize) -> Result<usize> {
    let delivered = doc! { "status": "livrée" };
    let remark = doc! { "remarque": format!("round {round}") };
    update(platform, delivered, amount, remark).await?;
    Ok(amount)
}

/// Sets fields of so many of these orders.
async fn update(
    platform: &Platform,
    which: Document,
    amount: usize,
    fields: Document,
) -> Result<()> {
    let orders = platform.database.collection::<Document>("Commande");
    let limit = i64::try_from(amount)?;
    let found = orders
        .find(which)
        .projection(doc! { "_id": 1 })
        .limit(limit)
        .await?;
    let found: Vec<Document> = found.try_collect().await?;
    ensure!(
        found.len() == amount,
        "there are {} such orders",
        found.len()
    );
    for found in found.chunks(1_000) {
        let ids: Vec<Option<&Bson>> = found.iter().map(|it| it.get("_id")).collect();
        let among = doc! { "_id": { "$in": ids } };
        orders.update_many(among, doc! { "$set": &fields }).await?;
    }
    Ok(())
}
