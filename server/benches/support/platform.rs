//! The platform whose orders are archived: delivered orders among the others, as the seeder makes
//! them up.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use archd::{
    config::Config,
    seed::{Generator, Plan},
    store::Store,
};
use bson::{Document, RawDocumentBuf, doc};
use devkit::ReplicaSet;
use futures::{StreamExt, TryStreamExt, stream};
use mongodb::{Collection, Database, options::WriteConcern};
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{ground, machine};

/// Orders in one insert.
const HANDFUL: usize = 1_000;
/// Inserts under way at once.
const HANDS: usize = 8;

/// What some work cost.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// By the clock.
    pub(crate) took: Duration,
    /// The CPU time of mongod.
    pub(crate) mongod: Duration,
    /// The CPU time of the bench, and of the `archd` that it awaited.
    pub(crate) client: Duration,
    /// The share of the machine's CPU time that went to processes which have nothing to do with
    /// this: it should be next to none.
    pub(crate) others: f64,
}

/// A platform on a database of its own.
pub(crate) struct Platform {
    pub(crate) database: Database,
    pub(crate) config: Config,
    pub(crate) store: Store,
    /// How many orders are delivered.
    pub(crate) delivered: usize,
    mongod: u32,
}

impl Platform {
    /// Writes orders until so many of them are delivered. The same seed and number give the same
    /// platform.
    pub(crate) async fn seeded(set: &ReplicaSet, seed: u64, delivered: usize) -> Result<Platform> {
        // Nearly nine in ten are delivered.
        let plan = Plan {
            seed,
            ..Plan::for_orders(u32::try_from(delivered + delivered / 4)?)
        };
        let ground = ground::seeded(set, plan.clone()).await?;
        let orders = ground.database.collection::<RawDocumentBuf>("Commande");
        let (give, handfuls) = mpsc::channel(HANDS);
        let making = spawn_blocking(move || make(plan, delivered, &give));
        let handfuls = stream::unfold(handfuls, async |mut handfuls| {
            Some((handfuls.recv().await?, handfuls))
        });
        handfuls
            .map(Ok::<_, mongodb::error::Error>)
            .try_for_each_concurrent(HANDS, |handful: Vec<RawDocumentBuf>| {
                let orders = &orders;
                async move {
                    let insert = orders.insert_many(handful);
                    insert.write_concern(WriteConcern::nodes(1)).await.map(drop)
                }
            })
            .await?;
        making.await?;
        let found = ground
            .database
            .collection::<Document>("Commande")
            .count_documents(doc! { "status": "livrée" })
            .await?;
        ensure!(
            found == delivered as u64,
            "{found} orders are delivered, not {delivered}"
        );
        Ok(Platform {
            database: ground.database,
            config: ground.config,
            store: ground.store,
            delivered,
            mongod: set.nodes()[0].pid(),
        })
    }

    /// Empties the archive, and lets the database write everything to disk, so that nobody pays for
    /// the one before.
    pub(crate) async fn empty_archive(&self) -> Result<()> {
        self.archive().drop().await?;
        self.store.prepare_archive().await?;
        let admin = self.database.client().database("admin");
        admin.run_command(doc! { "fsync": 1 }).await?;
        Ok(())
    }

    /// Empties the archive under a server, which goes on seeing its index there.
    pub(crate) async fn clear_archive(&self) -> Result<()> {
        self.archive().delete_many(doc! {}).await?;
        Ok(())
    }

    /// The archive.
    pub(crate) fn archive(&self) -> Collection<Document> {
        self.database.collection("Historique")
    }

    /// How many orders are archived.
    pub(crate) async fn archived(&self) -> Result<usize> {
        Ok(usize::try_from(
            self.archive().count_documents(doc! {}).await?,
        )?)
    }

    /// The archive as it lies in the database.
    pub(crate) async fn archived_documents(&self) -> Result<Vec<RawDocumentBuf>> {
        let archive = self.database.collection::<RawDocumentBuf>("Historique");
        Ok(archive.find(doc! {}).await?.try_collect().await?)
    }

    /// How often the storage engine has written to the archive since it was made.
    pub(crate) async fn writes_to_archive(&self) -> Result<i64> {
        let statistics = self
            .database
            .run_command(doc! { "collStats": "Historique" });
        let statistics = statistics.await?;
        let cursors = statistics
            .get_document("wiredTiger")
            .and_then(|engine| engine.get_document("cursor"))
            .context("the storage engine does not tell of its cursors")?;
        let calls = ["insert calls", "modify", "remove calls", "update calls"];
        calls.iter().try_fold(0, |sum, calls| {
            let count = cursors.get(calls).and_then(|count| match count {
                bson::Bson::Int32(count) => Some(i64::from(*count)),
                count => count.as_i64(),
            });
            Ok(
                sum + count
                    .with_context(|| format!("the storage engine does not count {calls}"))?,
            )
        })
    }

    /// Does some work, and says what it cost.
    pub(crate) async fn costing<T>(
        &self,
        work: impl Future<Output = Result<T>>,
    ) -> Result<(T, Cost)> {
        let now = || {
            anyhow::Ok((
                machine::cpu(self.mongod)?,
                machine::own_cpu()?,
                machine::all_cpu()?,
            ))
        };
        let (start, (mongod, own, all)) = (Instant::now(), now()?);
        let done = work.await?;
        let (took, after) = (start.elapsed(), now()?);
        let (mongod, client) = (after.0 - mongod, after.1 - own);
        let others = (after.2 - all).saturating_sub(mongod + client);
        let machine = took.as_secs_f64() * machine::cores()? as f64;
        let cost = Cost {
            took,
            mongod,
            client,
            others: others.as_secs_f64() / machine,
        };
        Ok((done, cost))
    }

    /// Gives the database up.
    pub(crate) async fn close(self) -> Result<()> {
        self.database.drop().await?;
        self.store.close().await;
        Ok(())
    }
}

/// Makes orders up, a handful at a time, until so many of them are delivered.
fn make(plan: Plan, delivered: usize, give: &mpsc::Sender<Vec<RawDocumentBuf>>) {
    let generator = Generator::new(plan);
    let mut found = 0;
    let mut orders = generator.orders().take_while(|order| {
        let wanted = found < delivered;
        found += usize::from(
            order
                .get_str("status")
                .is_ok_and(|status| status == "livrée"),
        );
        wanted
    });
    loop {
        let handful: Vec<RawDocumentBuf> = orders.by_ref().take(HANDFUL).collect();
        // Nobody takes any more after an insert has failed.
        if handful.is_empty() || give.blocking_send(handful).is_err() {
            return;
        }
    }
}
