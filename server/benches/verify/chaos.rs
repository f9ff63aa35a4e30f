//! Chaos: the same differences are found, and nothing else, while orders are delivered, batches
//! run, and the verifier is killed again and again.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bson::{Document, doc, oid::ObjectId};
use devkit::tamper::{self, Amounts, Spoiled};
use mongodb::Database;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    options::Size,
    support::{platform::Platform, process},
    verification::{Verification, verify},
};

/// What is spoiled. No document gets a twin: without its unique index the archive takes no orders.
const AMOUNTS: Amounts = Amounts {
    missing: 10,
    altered: 5,
    doubled: 0,
    damaged: 1,
    amended: 4,
    ghosts: 3,
    copies: 2,
    of_the_script: 50,
};
/// Orders delivered in a second.
const RATE: u64 = 200;
/// The shortest lease there is, so that a verification is soon taken up.
const LEASE: &str = "--lease=1s";
/// Longest until the watcher has archived what was delivered.
const PATIENCE: Duration = Duration::from_secs(60);

/// Spoils some of what is archived, kills so many verifiers, and holds the one that ends to what
/// was spoiled.
pub(crate) async fn survive(platform: &Platform, size: &Size) -> Result<()> {
    platform.empty_archive().await?;
    process::batch(platform).await?;
    // It would take up the verification of a verifier that was killed, and is to be left alive: with
    // so long a lease it hardly ever looks.
    let mut watcher = process::limited(platform, "watch", &["--lease=5m"])?;
    delivered_are_archived(&platform.database).await?;
    let spoiled = tamper::spoil(&platform.database, AMOUNTS, size.seed).await?;

    let before = before_the_missing(&platform.database, &spoiled).await?;
    let stop = CancellationToken::new();
    let delivering = deliver(platform.database.clone(), stop.clone());
    let batches = async {
        let mut batches = 0;
        while !stop.is_cancelled() {
            process::limited(platform, "batch", &[&before])?
                .wait()
                .await?;
            batches += 1;
        }
        anyhow::Ok(batches)
    };
    let verifying = async {
        let verification = killed(platform, size).await;
        stop.cancel();
        verification
    };
    let (batches, verification) = tokio::join!(batches, verifying);
    let (batches, verification) = (batches?, verification?);
    let delivered = delivering.await??;
    ensure!(watcher.try_wait()?.is_none(), "the watcher has ended");
    watcher.kill().await?;

    println!("\n### {} kills of the verifier\n", size.kills);
    println!(
        "- {delivered} orders delivered and {batches} batches run meanwhile; taken up {} times",
        verification.said["resumes"]
    );
    println!("- {}", verification.said["verdict_text"]);
    println!("- warnings: {}", verification.said["warnings"]);
    for class in CLASSES {
        let made = spoiled.get(class).map_or(0, Vec::len) as u64;
        let found = verification.count(class)?;
        println!("- {class}: {made} made, {found} found");
        ensure!(made == found, "{class}: {made} made, {found} found");
    }
    Ok(())
}

/// The classes that something is made for.
pub(crate) const CLASSES: [&str; 7] = [
    "missing",
    "altered",
    "doubled",
    "damaged",
    "amended",
    "orphaned",
    "not_rebuildable",
];

/// Starts verifiers and kills them, then lets one come to its end.
async fn killed(platform: &Platform, size: &Size) -> Result<Verification> {
    let rate = format!("--verify-max-rate={}", size.orders / (10 + 3 * size.kills));
    let arguments = [LEASE, &rate, "--settle=1s"];
    for kill in 0..size.kills {
        let mut verifier = process::limited(platform, "verify", &arguments)?;
        while begun(&platform.database).await? <= kill {
            if let Some(ended) = verifier.try_wait()? {
                bail!("{ended} after {kill} of {} kills", size.kills);
            }
            sleep(Duration::from_millis(20)).await;
        }
        // No two kills hit the same moment. Every other one lets the verification be saved, which
        // happens each second: one that gets no further is given up after a few runs.
        let saved = [1_100, 0][kill % 2];
        sleep(Duration::from_millis(saved + kill as u64 * 131 % 900)).await;
        verifier.kill().await?;
    }
    verify(platform, &[LEASE]).await
}

/// How many processes have begun to work on the verification.
async fn begun(database: &Database) -> Result<usize> {
    let verifications = database.collection::<Document>("archd_verifications");
    let active = verifications.find_one(doc! { "active": true }).await?;
    let lives = active.and_then(|it| it.get_i64("lives").ok());
    Ok(usize::try_from(lives.unwrap_or(0))?)
}

/// Has batches look at what was ordered before all that is missing: they would archive it.
async fn before_the_missing(database: &Database, spoiled: &Spoiled) -> Result<String> {
    let orders = database.collection::<Document>("Commande");
    let missing = doc! { "numero_commande": { "$in": spoiled.get("missing") } };
    let first = orders
        .find_one(missing)
        .sort(doc! { "date_commande": 1 })
        .await?;
    let first = first.context("nothing is missing")?;
    let before = first
        .get_datetime("date_commande")?
        .try_to_rfc3339_string()?;
    Ok(format!("--before={before}"))
}

/// Delivers orders until it is told to stop; says how many.
fn deliver(database: Database, stop: CancellationToken) -> JoinHandle<Result<u64>> {
    tokio::spawn(async move {
        let orders = database.collection::<Document>("Commande");
        let pattern = orders.find_one(doc! { "status": "livrée" }).await?;
        let mut order = pattern.context("no order is delivered")?;
        let mut beat = interval(Duration::from_micros(1_000_000 / RATE));
        beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut delivered = 0;
        while !stop.is_cancelled() {
            beat.tick().await;
            order.insert("_id", ObjectId::new());
            order.insert("numero_commande", format!("CMD-LIVE-{delivered:07}"));
            orders.insert_one(&order).await?;
            delivered += 1;
        }
        Ok(delivered)
    })
}

/// Waits until the watcher works.
async fn delivered_are_archived(database: &Database) -> Result<()> {
    let orders = database.collection::<Document>("Commande");
    let archive = database.collection::<Document>("Historique");
    let pattern = orders.find_one(doc! { "status": "livrée" }).await?;
    let mut order = pattern.context("no order is delivered")?;
    order.insert("_id", ObjectId::new());
    order.insert("numero_commande", "CMD-LIVE-FIRST");
    orders.insert_one(order).await?;
    let archived = async {
        while archive
            .count_documents(doc! { "numero_commande": "CMD-LIVE-FIRST" })
            .await?
            == 0
        {
            sleep(Duration::from_millis(100)).await;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, archived)
        .await
        .context("the watcher archives nothing")?
}
