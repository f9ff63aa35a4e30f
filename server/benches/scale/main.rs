//! What several instances and several partitions of the watch are good for, and what they cost the
//! database.
//!
//! `cargo bench --bench scale` measures and prints what `docs/scale.md` shows; options follow `--`,
//! and `--help` names them. Under `cargo test` it makes one short round to show that it still works.

#![allow(missing_docs, reason = "a bench has no readers of its documentation")]
#![allow(clippy::print_stdout, reason = "the figures are its data")]

#[path = "../support"]
#[allow(dead_code, reason = "the benches share it, and each uses a part")]
mod support {
    pub(crate) mod ground;
    pub(crate) mod machine;
}

mod fleet;

use std::{
    env,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use archd::seed::Plan;
use bson::{Document, doc, oid::ObjectId};
use clap::{Parser, builder::RangedU64ValueParser};
use devkit::ReplicaSet;
use mongodb::Database;
use tokio::time::{sleep, timeout};

use self::fleet::Fleet;
use crate::support::machine;

/// Longest that one measurement may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Measures what several instances and partitions are good for.
#[derive(Parser)]
struct Size {
    /// Orders that are delivered at once before each fleet
    #[arg(long, default_value_t = 60_000, value_parser = RangedU64ValueParser::<usize>::new().range(100..=1_000_000))]
    orders: usize,
    /// Documents that are written beside the orders, and are nothing to the watch
    #[arg(long, default_value_t = 100_000, value_parser = RangedU64ValueParser::<usize>::new().range(100..=1_000_000))]
    noise: usize,
    /// Rounds of each; the median counts
    #[arg(long, default_value_t = 3, value_parser = RangedU64ValueParser::<usize>::new().range(1..=100))]
    rounds: usize,
    /// How many instances there are in turn
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3])]
    instances: Vec<usize>,
    /// In how many partitions in turn
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4])]
    partitions: Vec<u32>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

impl Size {
    fn of_this_run() -> Size {
        let mut size = match env::args().any(|argument| argument == "--bench") {
            true => Size::parse(),
            false => Size::parse_from(["scale"]),
        };
        if !size.bench {
            (size.orders, size.noise, size.rounds) = (200, 200, 1);
            (size.instances, size.partitions) = (vec![2], vec![1, 2]);
        }
        size
    }
}

/// What one fleet did.
#[derive(Clone, Copy)]
struct Figures {
    /// Orders archived a second.
    rate: f64,
    /// Processor time of mongod for an order, in microseconds.
    mongod: f64,
    /// Processor time of all instances for an order, in microseconds.
    archd: f64,
    /// How much of the machine was busy.
    busy: f64,
    /// Processor time of mongod for a write that is nothing to the watch, in microseconds.
    noise: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let size = Size::of_this_run();
    let set = ReplicaSet::start().await?;
    println!("### {}, seen by one mongod\n", machine::size()?);
    println!(
        "{} orders delivered in one `updateMany`, and {} other writes; medians of {} rounds\n",
        size.orders, size.noise, size.rounds
    );
    let none = noise_alone(&set, &size).await?;
    println!("mongod without any instance: {none:.1} µs of processor time for each other write\n");
    println!(
        "| instances | partitions | orders/s | mongod µs/order | archd µs/order | machine busy | mongod µs/other write |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|");
    for instances in &size.instances {
        for partitions in &size.partitions {
            let mut rounds = Vec::new();
            for _ in 0..size.rounds {
                rounds.push(round(&set, &size, *instances, *partitions).await?);
            }
            let median = |of: fn(&Figures) -> f64| {
                let mut values: Vec<f64> = rounds.iter().map(of).collect();
                values.sort_by(f64::total_cmp);
                values[values.len() / 2]
            };
            println!(
                "| {instances} | {partitions} | {:.0} | {:.1} | {:.1} | {:.0} % | {:.1} |",
                median(|it| it.rate),
                median(|it| it.mongod),
                median(|it| it.archd),
                median(|it| it.busy) * 100.0,
                median(|it| it.noise),
            );
        }
    }
    Ok(())
}

/// A burst of deliveries, and other writes, before one fleet.
async fn round(
    set: &ReplicaSet,
    size: &Size,
    instances: usize,
    partitions: u32,
) -> Result<Figures> {
    let ground = support::ground::seeded(set, Plan::for_orders(20_000)).await?;
    ground.store.close().await;
    let database = ground.database;
    under_way(&database, size.orders).await?;
    let uri = ground.config.mongodb_uri.expose().to_owned();
    let mut fleet = Fleet::start(&uri, &database, instances, partitions).await?;
    let mongod = set.nodes()[0].pid();

    let before = (machine::cpu(mongod)?, fleet.cpu()?, machine::all_cpu()?);
    let began = Instant::now();
    database
        .collection::<Document>("Commande")
        .update_many(doc! {}, doc! { "$set": { "status": "livrée" } })
        .await?;
    archived(&database, size.orders).await?;
    let took = began.elapsed();
    let after = (machine::cpu(mongod)?, fleet.cpu()?, machine::all_cpu()?);
    let cores = machine::cores()? as f64;
    let of_an_order = |time: Duration| time.as_secs_f64() * 1e6 / size.orders as f64;
    let noise = noise(set, &database, size.noise).await?;
    fleet.stop().await?;
    let archive = database.collection::<Document>("Historique");
    let count = archive.count_documents(doc! {}).await?;
    ensure!(count == size.orders as u64, "{count} orders are archived");
    database.drop().await?;
    Ok(Figures {
        rate: size.orders as f64 / took.as_secs_f64(),
        mongod: of_an_order(after.0 - before.0),
        archd: of_an_order(after.1.saturating_sub(before.1)),
        busy: (after.2 - before.2).as_secs_f64() / took.as_secs_f64() / cores,
        noise,
    })
}

/// What other writes cost a mongod that nobody watches.
async fn noise_alone(set: &ReplicaSet, size: &Size) -> Result<f64> {
    let mut rounds = Vec::new();
    for _ in 0..size.rounds {
        let database = set.fresh_database().await?;
        rounds.push(noise(set, &database, size.noise).await?);
        database.drop().await?;
    }
    rounds.sort_by(f64::total_cmp);
    Ok(rounds[rounds.len() / 2])
}

/// Writes documents that are nothing to the watch; mongod's processor time for each of them, in
/// microseconds, until every reader of the history has passed them.
async fn noise(set: &ReplicaSet, database: &Database, writes: usize) -> Result<f64> {
    let mongod = set.nodes()[0].pid();
    let before = machine::cpu(mongod)?;
    let other = database.collection::<Document>("autre");
    let filling = "x".repeat(400);
    for chunk in 0..writes.div_ceil(1_000) {
        let left = (writes - chunk * 1_000).min(1_000);
        let documents = (0..left).map(|number| doc! { "n": number as i64, "filling": &filling });
        other.insert_many(documents).await?;
    }
    // Readers are at most a look behind.
    sleep(Duration::from_millis(1_500)).await;
    let used = machine::cpu(mongod)? - before;
    Ok(used.as_secs_f64() * 1e6 / writes as f64)
}

/// Waits until the archive holds so many orders.
async fn archived(database: &Database, orders: usize) -> Result<()> {
    let archive = database.collection::<Document>("Historique");
    let waiting = async {
        while archive.estimated_document_count().await? < orders as u64 {
            sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    };
    let waited = timeout(PATIENCE, waiting).await;
    waited.context("the orders are not archived")?
}

/// Orders on their way, whose references all exist.
async fn under_way(database: &Database, count: usize) -> Result<()> {
    let order = |number: usize| {
        let person = |most: usize| i32::try_from(number * 7_919 % most).unwrap_or(0) + 1;
        doc! {
            "_id": ObjectId::new(), "numero_commande": format!("CMD-2025-{number:07}"),
            "status": "en_cours", "id_client": person(2_000), "id_livreur": person(60),
            "id_restaurant": person(40), "id_menu": person(150), "coût_commande": 24.9,
            "date_commande": bson::DateTime::now(), "quantité": 2,
            "adresse_livraison": { "rue": "12 rue de la Paix", "code_postal": "75002", "ville": "Paris" },
        }
    };
    let documents: Vec<Document> = (0..count).map(order).collect();
    for chunk in documents.chunks(10_000) {
        let orders = database.collection::<Document>("Commande");
        orders.insert_many(chunk).await?;
    }
    Ok(())
}
