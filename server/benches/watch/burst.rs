//! How fast many orders drain whose status one update changes, beside one batch over as many.

use std::time::{Duration, Instant};

use anyhow::Result;
use bson::{Document, doc};
use devkit::ReplicaSet;

use crate::{
    observer::Observer,
    options::Size,
    stage::{Contender, Stage},
    support::{
        machine,
        verdict::{at_least, each, median, spread},
    },
};

/// The plain watcher drains as many orders for each of the others'.
const PLAIN: usize = 33;

/// Who archives so many orders, and when.
#[derive(Clone, Copy)]
enum Drain {
    /// Nobody: what the update itself takes, until the observer has seen it.
    Nobody,
    /// One batch, once they are delivered.
    Batch,
    /// Somebody who watches while they are.
    Watching(Contender),
}

/// What one turn came to.
#[derive(Clone, Copy)]
struct Turn {
    orders: usize,
    took: Duration,
    /// The CPU time of mongod.
    mongod: Duration,
    /// That of the archiver, the bench and the observer.
    client: Duration,
}

impl Turn {
    fn rate(self) -> f64 {
        self.orders as f64 / self.took.as_secs_f64()
    }
}

/// Lets each drain a burst, by turns.
pub(crate) async fn measure(set: &ReplicaSet, size: &Size) -> Result<()> {
    let contenders = [
        ("the update alone, nobody archives", Drain::Nobody),
        ("`archd`, one batch over as many", Drain::Batch),
        ("`archd`, watching", Drain::Watching(Contender::Archd)),
        (
            "plain watcher, one order after the other",
            Drain::Watching(Contender::Plain),
        ),
    ];
    let mut turns: [Vec<Turn>; 4] = Default::default();
    for _ in 0..size.rounds {
        for ((_, drain), turns) in contenders.iter().zip(&mut turns) {
            let orders = match drain {
                Drain::Watching(Contender::Plain) => (size.orders / PLAIN).max(1),
                _ => size.orders,
            };
            turns.push(turn(set, *drain, orders).await?);
        }
    }

    println!("\n### A burst: one `updateMany`, {} rounds\n", size.rounds);
    println!(
        "| contender | orders | orders/s | lowest–highest | mongod µs/order | client µs/order |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for ((name, _), turns) in contenders.iter().zip(&turns) {
        println!(
            "| {name} | {} | {:.0} | {} | {:.1} | {:.1} |",
            turns[0].orders,
            of(turns, Turn::rate),
            spread(&turns.iter().copied().map(Turn::rate).collect::<Vec<_>>()),
            of(turns, |turn| each(turn.mongod, turn.orders)),
            of(turns, |turn| each(turn.client, turn.orders)),
        );
    }
    println!();
    let [update, batch, watching, plain] = turns.each_ref().map(|turns| of(turns, Turn::rate));
    at_least("of the batch's rate", watching / batch, 0.7);
    // The watcher archives while the orders are being delivered, the batch afterwards.
    let both = 1.0 / (1.0 / update + 1.0 / batch);
    at_least(
        "of the rate of the update with a batch after it",
        watching / both,
        0.9,
    );
    at_least("times the plain watcher's rate", watching / plain, 5.0);
    Ok(())
}

async fn turn(set: &ReplicaSet, drain: Drain, orders: usize) -> Result<Turn> {
    let stage = Stage::new(set).await?;
    stage.orders_under_way(orders).await?;
    let deliver = async || {
        let under_way = stage.database.collection::<Document>("Commande");
        let delivered = doc! { "$set": { "status": "livrée" } };
        under_way.update_many(doc! {}, delivered).await
    };
    let watching = match drain {
        Drain::Watching(contender) => Some(stage.start(contender).await?),
        Drain::Batch => {
            deliver().await?;
            None
        }
        Drain::Nobody => None,
    };
    let mongod = set.nodes()[0].pid();
    let mut observer = Observer::open(&stage.database).await?;
    let before = (machine::cpu(mongod)?, machine::own_cpu()?);
    let start = Instant::now();
    let archiving = match drain {
        // Without a checkpoint the watcher begins with a catch-up batch, which is what is measured
        // here.
        Drain::Batch => Some(stage.watch()),
        _ => {
            deliver().await?;
            watching
        }
    };
    if let Some(archiving) = archiving {
        for _ in 0..orders {
            observer.next().await?;
        }
        let took = start.elapsed();
        let turn = Turn::new(orders, took, mongod, before)?;
        archiving.stop().await;
        stage.database.drop().await?;
        return Ok(turn);
    }
    let turn = Turn::new(orders, start.elapsed(), mongod, before)?;
    stage.database.drop().await?;
    Ok(turn)
}

impl Turn {
    fn new(
        orders: usize,
        took: Duration,
        mongod: u32,
        before: (Duration, Duration),
    ) -> Result<Turn> {
        Ok(Turn {
            orders,
            took,
            mongod: machine::cpu(mongod)? - before.0,
            client: machine::own_cpu()? - before.1,
        })
    }
}

/// The median of a figure of several turns.
fn of(turns: &[Turn], figure: impl Fn(Turn) -> f64) -> f64 {
    median(&turns.iter().copied().map(figure).collect::<Vec<_>>())
}
