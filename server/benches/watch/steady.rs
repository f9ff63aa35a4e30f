//! How soon an order is archived after its status changes, while orders come at a steady rate: from
//! the moment before the update of the status is sent to the moment at which the observer sees the
//! archived order.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bson::{Document, doc, oid::ObjectId};
use devkit::ReplicaSet;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    observer::Observer,
    options::Size,
    stage::{Contender, Stage},
    support::verdict::{at_most, median},
};

/// Contenders, each with the rates at which orders come.
const CONTENDERS: [(&str, Contender, &[u64]); 3] = [
    (
        "floor: delivery by the change stream and one majority insert",
        Contender::Floor,
        &[20, 200],
    ),
    ("`archd`", Contender::Archd, &[20, 200, 1_000]),
    (
        "plain watcher, one order after the other",
        Contender::Plain,
        &[20, 200],
    ),
];

/// Latencies, in milliseconds.
#[derive(Clone, Copy)]
struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
    /// How many orders were archived in time.
    archived: usize,
}

/// Lets each archive at each of its rates, by turns.
pub(crate) async fn measure(set: &ReplicaSet, size: &Size) -> Result<()> {
    let mut rounds: HashMap<(usize, u64), Vec<Latency>> = HashMap::new();
    for _ in 0..size.rounds {
        for (at, (_, contender, rates)) in CONTENDERS.iter().enumerate() {
            for rate in *rates {
                let latency = turn(set, *contender, *rate, size.seconds).await?;
                rounds.entry((at, *rate)).or_default().push(latency);
            }
        }
    }
    let of = |key: (usize, u64), figure: fn(Latency) -> f64| {
        median(&rounds[&key].iter().copied().map(figure).collect::<Vec<_>>())
    };

    println!(
        "\n### From the change of status to the archived order, {} rounds of {} s\n",
        size.rounds, size.seconds
    );
    println!("| contender | orders | p50 ms | p99 ms | max ms |");
    println!("|---|---:|---:|---:|---:|");
    for (at, (name, _, rates)) in CONTENDERS.iter().enumerate() {
        for rate in *rates {
            let key = (at, *rate);
            println!(
                "| {name}, {rate}/s | {:.0} of {} | {:.1} | {:.1} | {:.1} |",
                of(key, |latency| latency.archived as f64),
                orders(*rate, size.seconds),
                of(key, |latency| latency.p50),
                of(key, |latency| latency.p99),
                of(key, |latency| latency.max),
            );
        }
    }
    println!();
    let floor = of((0, 200), |latency| latency.p50);
    let (p50, p99) = (
        |latency: Latency| latency.p50,
        |latency: Latency| latency.p99,
    );
    at_most(
        "times the floor's p50 at 200/s",
        of((1, 200), p50) / floor,
        1.1,
    );
    at_most("p99 at 200/s, in ms", of((1, 200), p99), 50.0);
    at_most("p50 at 1,000/s, in ms", of((1, 1_000), p50), 20.0);
    at_most("p99 at 1,000/s, in ms", of((1, 1_000), p99), 250.0);
    Ok(())
}

/// How many orders come.
fn orders(rate: u64, seconds: u64) -> u64 {
    (rate * seconds).max(5)
}

/// Changes the status of orders at a steady rate.
async fn turn(set: &ReplicaSet, contender: Contender, rate: u64, seconds: u64) -> Result<Latency> {
    let stage = Stage::new(set).await?;
    let ids = stage
        .orders_under_way(usize::try_from(orders(rate, seconds))?)
        .await?;
    let archiving = stage.start(contender).await?;
    let mut observer = Observer::open(&stage.database).await?;

    let mut sent: HashMap<ObjectId, Instant> = HashMap::new();
    let deliveries = {
        let (orders, ids) = (
            stage.database.collection::<Document>("Commande"),
            ids.clone(),
        );
        let (tell, told) = mpsc::unbounded_channel();
        let writer = tokio::spawn(async move {
            let mut tick = interval(Duration::from_secs(1) / u32::try_from(rate)?);
            tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
            for id in ids {
                tick.tick().await;
                let orders = orders.clone();
                let _ = tell.send((id, Instant::now()));
                tokio::spawn(async move {
                    orders
                        .update_one(doc! { "_id": id }, doc! { "$set": { "status": "livrée" } })
                        .await
                });
            }
            anyhow::Ok(())
        });
        (writer, told)
    };
    let (writer, mut told) = deliveries;
    let mut latencies = Vec::with_capacity(ids.len());
    let observing = async {
        while latencies.len() < ids.len() {
            let (id, seen) = observer.next().await?;
            while let Ok((id, at)) = told.try_recv() {
                sent.insert(id, at);
            }
            latencies.push(
                (seen
                    - *sent
                        .get(&id)
                        .context("an order was archived that nobody delivered")?)
                .as_secs_f64()
                    * 1_000.0,
            );
        }
        anyhow::Ok(())
    };
    // A contender that can't keep up is measured by what it managed.
    let finished = timeout(Duration::from_secs(seconds * 3 + 10), observing).await;
    if let Ok(outcome) = finished {
        outcome?;
    }
    writer.abort();
    archiving.stop().await;
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| {
        latencies
            .get(((latencies.len() as f64 - 1.0) * share) as usize)
            .copied()
            .unwrap_or(f64::NAN)
    };
    stage.database.drop().await?;
    Ok(Latency {
        p50: at(0.5),
        p99: at(0.99),
        max: at(1.0),
        archived: latencies.len(),
    })
}
