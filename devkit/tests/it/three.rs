//! A set of three nodes survives the loss of its primary, and takes it back.

use anyhow::Result;
use bson::{Document, doc};
use devkit::ReplicaSet;

#[tokio::test]
async fn elects_another_primary() -> Result<()> {
    let set = ReplicaSet::start_nodes(3).await?;
    let orders = set.fresh_database().await?.collection::<Document>("orders");
    orders.insert_one(doc! { "_id": 1 }).await?;

    let first = set.primary().await?;
    first.kill().await?;
    assert!(!first.is_running());
    let second = set.primary().await?;
    assert_ne!(first.port(), second.port());
    orders.insert_one(doc! { "_id": 2 }).await?;

    first.restart().await?;
    // Of three members a frozen one leaves no majority without the one that is back.
    second.freeze()?;
    let third = set.primary().await?;
    assert_ne!(second.port(), third.port());
    second.thaw()?;
    assert_eq!(orders.count_documents(doc! {}).await?, 2);
    Ok(())
}
