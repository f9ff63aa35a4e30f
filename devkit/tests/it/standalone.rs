//! A standalone mongod is one that the product has to refuse to watch.

use anyhow::{Context, Result};
use bson::{Document, doc};
use devkit::{Options, Standalone};

#[tokio::test]
async fn takes_writes_and_has_no_change_streams() -> Result<()> {
    let alone = Standalone::start().await?;
    let orders = alone
        .client()
        .await?
        .database("test")
        .collection::<Document>("orders");
    orders.insert_one(doc! { "_id": 1 }).await?;
    let refusal = orders
        .watch()
        .await
        .err()
        .context("it has change streams")?;
    assert!(refusal.to_string().contains("40573"), "{refusal}");

    alone.node().restart().await?;
    assert_eq!(orders.count_documents(doc! {}).await?, 1);
    Ok(())
}

#[tokio::test]
async fn says_why_it_does_not_start() -> Result<()> {
    let failure = Options::new()
        .arg("--nonsense")
        .start_standalone()
        .await
        .err()
        .context("it has started")?;
    assert!(format!("{failure:#}").contains("nonsense"), "{failure:#}");
    let failure = Options::new()
        .arg("--setParameter")
        .arg("nonsense=1")
        .start_standalone()
        .await
        .err()
        .context("it has started")?;
    assert!(format!("{failure:#}").contains("nonsense"), "{failure:#}");
    Ok(())
}
