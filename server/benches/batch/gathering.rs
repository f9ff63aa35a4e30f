//! The two ways to gather: from how many orders on the finds are cheaper than the `$lookup`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use archd::bytes::raw::{Value, kind};
use bson::{Document, doc};
use futures::TryStreamExt;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::{
    options::Size,
    support::{platform::Platform, verdict::each},
};

const CHUNKS: [usize; 6] = [1, 2, 4, 16, 64, 1_000];

/// A way to gather.
#[derive(Clone, Copy)]
enum Way {
    Lookup,
    Find,
}

/// What a way has cost so far.
#[derive(Default)]
struct Total {
    calls: usize,
    took: Duration,
    mongod: Duration,
}

/// Gathers chunks of several sizes either way, in turns.
pub(crate) async fn compare(platform: &Platform, size: &Size) -> Result<()> {
    platform.empty_archive().await?;
    let ids = ids(platform, size.seed).await?;
    println!("\n### Gathering, one call after the other\n");
    println!(
        "| orders in a chunk | `$lookup`: ms a chunk | finds: ms a chunk | `$lookup`: mongod µs/order | finds: mongod µs/order |"
    );
    println!("|---:|---:|---:|---:|---:|");
    for orders in CHUNKS {
        let (mut lookup, mut find) = (Total::default(), Total::default());
        for _ in 0..size.rounds {
            gather(platform, &ids, orders, Way::Lookup, size.span, &mut lookup).await?;
            gather(platform, &ids, orders, Way::Find, size.span, &mut find).await?;
        }
        let millis = |total: &Total| total.took.as_secs_f64() * 1_000.0 / total.calls as f64;
        let micros = |total: &Total| each(total.mongod, total.calls * orders);
        println!(
            "| {orders} | {:.2} | {:.2} | {:.0} | {:.0} |",
            millis(&lookup),
            millis(&find),
            micros(&lookup),
            micros(&find)
        );
    }
    Ok(())
}

/// Gathers one chunk after the other for a while.
async fn gather(
    platform: &Platform,
    ids: &[Value],
    orders: usize,
    way: Way,
    span: Duration,
    total: &mut Total,
) -> Result<()> {
    let store = &platform.store;
    let start = Instant::now();
    let work = async {
        let mut calls = 0;
        for chunk in ids.chunks_exact(orders).cycle() {
            let bundles = match way {
                Way::Lookup => {
                    let bundles = store.gather_by_lookup("_id", chunk).await?;
                    bundles.context("an id that several have")?
                }
                Way::Find => store.gather_by_find("_id", chunk).await?.bundles,
            };
            ensure!(
                bundles.len() == orders,
                "{} of {orders} orders were gathered",
                bundles.len()
            );
            calls += 1;
            if start.elapsed() >= span {
                break;
            }
        }
        Ok(calls)
    };
    let (calls, cost) = platform.costing(work).await?;
    total.calls += calls;
    total.took += cost.took;
    total.mongod += cost.mongod;
    Ok(())
}

/// The `_id`s of the delivered orders, in no order.
async fn ids(platform: &Platform, seed: u64) -> Result<Vec<Value>> {
    let orders = platform.database.collection::<Document>("Commande");
    let orders = orders
        .find(doc! { "status": "livrée" })
        .projection(doc! { "_id": 1 });
    let orders: Vec<Document> = orders.await?.try_collect().await?;
    let id = |order: &Document| {
        let bytes = order.get_object_id("_id")?.bytes();
        Ok(Value {
            kind: kind::OBJECT_ID,
            bytes: bytes.into(),
        })
    };
    let mut ids = orders.iter().map(id).collect::<Result<Vec<_>>>()?;
    ids.shuffle(&mut StdRng::seed_from_u64(seed));
    Ok(ids)
}
