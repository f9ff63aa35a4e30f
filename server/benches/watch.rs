//! How soon an order is archived after its status changes, and how fast a burst drains, beside a
//! plain watcher and the floor.
//!
//! `cargo bench --bench watch` measures; under `cargo test` it makes one short round to show that
//! it still works. Every latency is seen by the same observer, a change stream on the archive,
//! which shows only what a majority holds: from the moment before the update of the status is sent
//! to the moment at which the observer sees the archived order.

#![allow(missing_docs, reason = "a bench has no readers of its documentation")]
#![allow(clippy::print_stdout, reason = "the figures are its data")]

mod peers {
    pub(crate) mod enriched;
    pub(crate) mod watchers;
}
mod support {
    pub(crate) mod ground;
}

use std::{
    collections::HashMap,
    env,
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use archd::{config::Config, seed::Plan};
use bson::{Bson, Document, doc, oid::ObjectId};
use devkit::ReplicaSet;
use futures::StreamExt;
use mongodb::Database;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

/// How much is measured.
struct Size {
    seconds: u64,
    burst: usize,
    plain_burst: usize,
}

const FULL: Size = Size {
    seconds: 15,
    burst: 100_000,
    plain_burst: 3_000,
};
const SHORT: Size = Size {
    seconds: 1,
    burst: 500,
    plain_burst: 50,
};
/// Longest that one measurement may take.
const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::main]
async fn main() -> Result<()> {
    let size = if env::args().any(|argument| argument == "--bench") {
        FULL
    } else {
        SHORT
    };
    let set = ReplicaSet::start().await?;
    let bench = Bench { set, size };

    println!(
        "latency from the change of status to the archived order, majority-committed and observed"
    );
    println!(
        "{:<34} {:>8} {:>9} {:>9} {:>9}",
        "", "orders", "p50 ms", "p99 ms", "max ms"
    );
    let floor = bench
        .steady("floor: delivery + one insert", 20, Contender::Floor)
        .await?;
    let mut medians = Vec::new();
    for rate in [20, 200, 1_000] {
        medians.push((rate, bench.steady("archd", rate, Contender::Archd).await?));
    }
    for rate in [20, 200] {
        bench
            .steady("plain watcher, one by one", rate, Contender::Plain)
            .await?;
    }
    for (rate, median) in medians {
        println!(
            "archd at {rate}/s: p50 is {:.2} x the floor",
            median / floor
        );
    }

    println!("\nburst: one updateMany, orders archived a second");
    let batch = bench.batch().await?;
    let archd = bench
        .burst("archd, watching", bench.size.burst, Contender::Archd)
        .await?;
    let plain = bench
        .burst(
            "plain watcher, one by one",
            bench.size.plain_burst,
            Contender::Plain,
        )
        .await?;
    println!(
        "archd drains at {:.2} x its batch, {:.0} x the plain watcher",
        archd / batch,
        archd / plain
    );
    Ok(())
}

/// Who archives.
#[derive(Clone, Copy)]
enum Contender {
    Archd,
    Plain,
    Floor,
}

struct Bench {
    set: ReplicaSet,
    size: Size,
}

impl Bench {
    /// Changes the status of orders at a steady rate; the median latency, in milliseconds.
    async fn steady(&self, name: &str, rate: u64, contender: Contender) -> Result<f64> {
        let stage = self.stage().await?;
        let ids = stage
            .orders_under_way(usize::try_from(rate * self.size.seconds)?.max(5))
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
        let finished = timeout(Duration::from_secs(self.size.seconds * 3 + 10), observing).await;
        let in_time = finished.is_ok();
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
        let late = if !in_time {
            format!("  only {} of {} in time", latencies.len(), ids.len())
        } else {
            String::new()
        };
        println!(
            "{:<34} {:>8} {:>9.1} {:>9.1} {:>9.1}{late}",
            format!("{name}, {rate}/s"),
            latencies.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
        Ok(at(0.5))
    }

    /// Delivers many orders in one update; orders archived a second.
    async fn burst(&self, name: &str, orders: usize, contender: Contender) -> Result<f64> {
        let stage = self.stage().await?;
        stage.orders_under_way(orders).await?;
        let archiving = stage.start(contender).await?;
        let mut observer = Observer::open(&stage.database).await?;
        let start = Instant::now();
        stage
            .database
            .collection::<Document>("Commande")
            .update_many(doc! {}, doc! { "$set": { "status": "livrée" } })
            .await?;
        for _ in 0..orders {
            observer.next().await?;
        }
        archiving.stop().await;
        Ok(rate(name, orders, start.elapsed()))
    }

    /// Archives as many orders with one batch; orders a second.
    async fn batch(&self) -> Result<f64> {
        let stage = self.stage().await?;
        stage.orders_under_way(self.size.burst).await?;
        stage
            .database
            .collection::<Document>("Commande")
            .update_many(doc! {}, doc! { "$set": { "status": "livrée" } })
            .await?;
        let mut observer = Observer::open(&stage.database).await?;
        // Without a checkpoint the watcher begins with a catch-up batch, which is what is measured
        // here.
        let start = Instant::now();
        let archiving = stage.watch();
        for _ in 0..self.size.burst {
            observer.next().await?;
        }
        archiving.stop().await;
        Ok(rate("archd, one batch", self.size.burst, start.elapsed()))
    }

    /// A fresh database with people, restaurants and menus.
    async fn stage(&self) -> Result<Stage> {
        let ground = support::ground::seeded(&self.set, Plan::for_orders(20_000)).await?;
        ground.store.close().await;
        let mut config = ground.config;
        config.watch = true;
        let database = ground.database;
        Ok(Stage { database, config })
    }
}

fn rate(name: &str, orders: usize, took: Duration) -> f64 {
    let rate = orders as f64 / took.as_secs_f64();
    println!(
        "{name:<34} {orders:>8} orders {:>8.2} s {rate:>9.0}/s",
        took.as_secs_f64()
    );
    rate
}

/// A database to archive in.
struct Stage {
    database: Database,
    config: Config,
}

/// An archiver at work.
struct Archiving {
    task: JoinHandle<Result<()>>,
    stop: CancellationToken,
}

impl Archiving {
    /// Ends it, and waits until it has ended.
    async fn stop(self) {
        self.stop.cancel();
        if timeout(Duration::from_secs(5), self.task).await.is_err() {
            println!("  (left behind)");
        }
    }
}

impl Stage {
    /// Orders on their way, whose references all exist.
    async fn orders_under_way(&self, count: usize) -> Result<Vec<ObjectId>> {
        let ids: Vec<ObjectId> = (0..count).map(|_| ObjectId::new()).collect();
        let order = |(number, id): (usize, &ObjectId)| {
            let person = |most: usize| i32::try_from(number * 7_919 % most).unwrap_or(0) + 1;
            doc! {
                "_id": id, "numero_commande": format!("CMD-2025-{number:07}"), "status": "en_cours", "id_client": person(2_000), "id_livreur": person(60),
                "id_restaurant": person(40), "id_menu": person(150), "coût_commande": 24.9, "date_commande": bson::DateTime::now(),
                "adresse_livraison": { "rue": "12 rue de la Paix", "code_postal": "75002", "ville": "Paris" }, "quantité": 2,
            }
        };
        let documents: Vec<Document> = ids.iter().enumerate().map(order).collect();
        for chunk in documents.chunks(10_000) {
            self.database
                .collection::<Document>("Commande")
                .insert_many(chunk)
                .await?;
        }
        Ok(ids)
    }

    /// Starts a contender, and waits until it listens.
    async fn start(&self, contender: Contender) -> Result<Archiving> {
        let archiving = match contender {
            Contender::Archd => {
                let archiving = self.watch();
                self.watching().await?;
                archiving
            }
            Contender::Plain => self.peer(peers::watchers::plain_watcher(self.database.clone())),
            Contender::Floor => self.peer(peers::watchers::floor(self.database.clone())),
        };
        // A peer does not say when its stream is open; a delivery that nobody counts does.
        if !matches!(contender, Contender::Archd) {
            self.heard().await?;
        }
        Ok(archiving)
    }

    fn watch(&self) -> Archiving {
        let stop = CancellationToken::new();
        let (config, stopped) = (self.config.clone(), stop.clone());
        Archiving {
            task: tokio::spawn(async move { Ok(archd::watch(None, config, stopped).await?) }),
            stop,
        }
    }

    fn peer(&self, work: impl Future<Output = Result<()>> + Send + 'static) -> Archiving {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            tokio::select! { () = stopped.cancelled() => Ok(()), outcome = work => outcome }
        });
        Archiving { task, stop }
    }

    /// Waits until archd has caught up and watches.
    async fn watching(&self) -> Result<()> {
        let state = self.database.collection::<Document>("archd_state");
        self.until(async || {
            state
                .find_one(doc! { "_id": "watcher", "state": "watching" })
                .await
                .is_ok_and(|found| found.is_some())
        })
        .await
    }

    async fn heard(&self) -> Result<()> {
        let (orders, archive) = (
            self.database.collection::<Document>("Commande"),
            self.database.collection::<Document>("Historique"),
        );
        self.until(async || {
            let probe = ObjectId::new();
            let order = doc! { "_id": probe, "numero_commande": probe.to_hex(), "status": "probe" };
            let deliver = async {
                orders.insert_one(order).await?;
                orders
                    .update_one(
                        doc! { "_id": probe },
                        doc! { "$set": { "status": "livrée" } },
                    )
                    .await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
                orders.delete_one(doc! { "_id": probe }).await?;
                archive.find_one(doc! { "_id": probe }).await
            };
            deliver.await.is_ok_and(|found| found.is_some())
        })
        .await
    }

    async fn until(&self, mut there: impl AsyncFnMut() -> bool) -> Result<()> {
        let waiting = async {
            while !there().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, waiting)
            .await
            .context("the archiver did not get ready")
    }
}

/// Sees what is archived, once a majority holds it.
struct Observer {
    changes: mongodb::change_stream::ChangeStream<
        mongodb::change_stream::event::ChangeStreamEvent<Document>,
    >,
}

impl Observer {
    async fn open(database: &Database) -> Result<Observer> {
        let stages = [
            doc! { "$match": { "operationType": "insert" } },
            doc! { "$project": { "documentKey": 1, "operationType": 1, "ns": 1 } },
        ];
        let changes = database
            .collection::<Document>("Historique")
            .watch()
            .pipeline(stages)
            .batch_size(10_000)
            .await?;
        Ok(Observer { changes })
    }

    async fn next(&mut self) -> Result<(ObjectId, Instant)> {
        let change = timeout(PATIENCE, self.changes.next())
            .await
            .context("nothing is archived any more")?;
        let key = change
            .context("the observer lost its stream")??
            .document_key;
        let seen = Instant::now();
        match key.and_then(|key| key.get("_id").cloned()) {
            Some(Bson::ObjectId(id)) => Ok((id, seen)),
            other => {
                ensure!(other.is_none(), "an archived order has the `_id` {other:?}");
                anyhow::bail!("an archived order has no `_id`")
            }
        }
    }
}
