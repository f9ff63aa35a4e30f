//! Beside: how much a batch loses to a verification that runs at the default limit of its rate.

use anyhow::{Context, Result, ensure};
use bson::doc;

use crate::{
    options::Size,
    support::{
        platform::Platform,
        process,
        verdict::{at_most, median, spread},
    },
};

/// Runs a batch over the last third of the orders, with a verification of the first ones beside it
/// and without, by turns.
pub(crate) async fn compare(platform: &Platform, size: &Size) -> Result<()> {
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..size.rounds {
        alone.push(rate(platform, false).await?);
        beside.push(rate(platform, true).await?);
    }
    println!(
        "\n### A batch with a verification beside it, {} rounds\n",
        size.rounds
    );
    println!(
        "- alone: {:.0} orders/s ({})",
        median(&alone),
        spread(&alone)
    );
    println!(
        "- beside one: {:.0} orders/s ({})",
        median(&beside),
        spread(&beside)
    );
    at_most("lost", 1.0 - median(&beside) / median(&alone), 0.1);
    Ok(())
}

async fn rate(platform: &Platform, with_verification: bool) -> Result<f64> {
    platform.empty_archive().await?;
    process::batch(platform).await?;
    let archive = platform.archive();
    let third = platform.delivered as u64 * 2 / 3;
    let last = archive
        .find_one(doc! {})
        .sort(doc! { "_id": 1 })
        .skip(third)
        .await?;
    let last = last.context("the archive is empty")?;
    archive
        .delete_many(doc! { "_id": { "$gte": last.get("_id") } })
        .await?;
    let verification = match with_verification {
        true => Some(process::limited(platform, "verify", &[])?),
        false => None,
    };
    let batch = process::batch(platform).await?;
    if let Some(mut verification) = verification {
        ensure!(
            verification.try_wait()?.is_none(),
            "the verification ended before the batch"
        );
        verification.kill().await?;
    }
    Ok(batch.archived as f64 / batch.duration.as_secs_f64())
}
