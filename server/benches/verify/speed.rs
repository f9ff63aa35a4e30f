//! Speed: what each depth and scope costs, beside the batch that archived the same orders in the
//! same round.

use anyhow::{Result, ensure};
use bson::doc;

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
const CHANGED: i64 = 100;

/// What is measured.
struct Kind {
    name: &'static str,
    arguments: &'static [&'static str],
    /// The most that it may cost of what archiving costs.
    aim: f64,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "`archd verify --presence`",
        arguments: &["--presence"],
        aim: 0.08,
    },
    Kind {
        name: "`archd verify`",
        arguments: &[],
        aim: 0.40,
    },
    Kind {
        name: "`archd verify --changes`, 1 % changed",
        arguments: &["--changes"],
        aim: 0.02,
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
    for round in 0..size.rounds {
        platform.empty_archive().await?;
        let (batch, cost) = platform.costing(process::batch(platform)).await?;
        ensure!(
            batch.archived == orders as u64,
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
            if kind.arguments == ["--changes"] {
                change(platform, round).await?;
            }
            let (verification, cost) = platform.costing(verify(platform, kind.arguments)).await?;
            check(&verification, kind, orders)?;
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
        at_most(
            &format!("of the batch's time, {}", kind.name),
            *ratio,
            kind.aim,
        );
    }
    let peaks: Vec<f64> = kinds.iter().flatten().map(|turn| turn.peak).collect();
    println!("- peaks of memory: {} MiB", spread(&peaks));
    at_most(
        "MiB at most",
        peaks.iter().copied().fold(0.0, f64::max),
        150.0,
    );
    if size.by_hand {
        let took = by_hand::merge(platform).await?;
        println!(
            "- two cursors merged in Python: {:.1} s",
            took.as_secs_f64()
        );
        at_least(
            "times as fast as that",
            took.as_secs_f64() / figures[1].1,
            10.0,
        );
    }
    Ok(())
}

fn check(verification: &Verification, kind: &Kind, orders: usize) -> Result<()> {
    ensure!(
        verification.verified,
        "{}: {}",
        kind.name,
        verification.said
    );
    if kind.arguments != ["--changes"] {
        let delivered = verification.count("delivered")?;
        ensure!(
            delivered == orders as u64,
            "{}: {}",
            kind.name,
            verification.said
        );
    } else {
        let amended = verification.count("amended")?;
        let least = orders as i64 / CHANGED / 2;
        ensure!(
            amended >= u64::try_from(least)?,
            "{}: {}",
            kind.name,
            verification.said
        );
    }
    Ok(())
}

/// Changes one in a hundred of the delivered orders.
async fn change(platform: &Platform, round: usize) -> Result<()> {
    let orders = platform.database.collection::<bson::Document>("Commande");
    let mut ids = Vec::new();
    let mut cursor = orders
        .find(doc! { "status": "livrée" })
        .projection(doc! { "_id": 1 })
        .await?;
    let mut seen = 0_i64;
    while cursor.advance().await? {
        seen += 1;
        if seen % CHANGED == 0 {
            ids.push(cursor.deserialize_current()?.remove("_id"));
        }
    }
    for ids in ids.chunks(1_000) {
        let among = doc! { "_id": { "$in": ids.iter().flatten().cloned().collect::<Vec<_>>() } };
        let note = doc! { "$set": { "remarque": format!("round {round}") } };
        orders.update_many(among, note).await?;
    }
    Ok(())
}
