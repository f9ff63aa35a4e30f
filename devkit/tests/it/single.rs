//! A set of one node is ready when it is returned: it takes writes, streams changes, fails on
//! demand and comes back.

use std::time::Duration;

use anyhow::{Context, Result};
use bson::{Document, doc};
use devkit::ReplicaSet;
use tokio::time::timeout;

#[tokio::test]
async fn takes_writes_and_streams_changes() -> Result<()> {
    let set = ReplicaSet::shared().await?;
    let orders = set.fresh_database().await?.collection::<Document>("orders");
    orders.insert_one(doc! { "_id": 1 }).await?;
    let mut changes = orders.watch().await?;
    orders.insert_one(doc! { "_id": 2 }).await?;
    let event = timeout(Duration::from_secs(10), async {
        loop {
            if let Some(event) = changes.next_if_any().await? {
                return anyhow::Ok(event);
            }
        }
    });
    assert_eq!(event.await??.document_key, Some(doc! { "_id": 2 }));
    Ok(())
}

#[tokio::test]
async fn is_shared_and_its_databases_are_not() -> Result<()> {
    let (one, other) = (ReplicaSet::shared().await?, ReplicaSet::shared().await?);
    assert!(std::ptr::eq(one, other));
    assert_ne!(one.fresh_database_name(), other.fresh_database_name());
    Ok(())
}

/// Each test has a runtime of its own, and the shared set has to outlive that of the test which
/// came first.
#[test]
fn is_shared_between_runtimes() -> Result<()> {
    for id in 0..2 {
        tokio::runtime::Runtime::new()?.block_on(async {
            let set = ReplicaSet::shared().await?;
            set.fresh_database()
                .await?
                .collection("orders")
                .insert_one(doc! { "_id": id })
                .await?;
            assert_eq!(set.primary().await?.port(), set.nodes()[0].port());
            anyhow::Ok(())
        })?;
    }
    Ok(())
}

#[tokio::test]
async fn fails_on_demand() -> Result<()> {
    let set = ReplicaSet::start().await?;
    let orders = set.fresh_database().await?.collection::<Document>("orders");
    set.configure_fail_point(doc! {
        "configureFailPoint": "failCommand",
        "mode": "alwaysOn",
        "data": { "failCommands": ["insert"], "errorCode": 8000 },
    })
    .await?;
    let refusal = orders
        .insert_one(doc! {})
        .await
        .err()
        .context("the fail point has no effect")?;
    assert!(refusal.to_string().contains("failCommand"), "{refusal}");
    set.clear_fail_point("failCommand").await?;
    orders.insert_one(doc! {}).await?;
    Ok(())
}

#[tokio::test]
async fn comes_back_after_every_kind_of_end() -> Result<()> {
    let set = ReplicaSet::start().await?;
    let node = &set.nodes()[0];
    let orders = set.fresh_database().await?.collection::<Document>("orders");
    orders.insert_one(doc! { "_id": 0 }).await?;
    let (port, mut pid) = (node.port(), node.pid());
    for id in 1..=4 {
        match id {
            1 => node.kill().await?,
            2 => node.terminate().await?,
            3 => node.freeze()?,
            _ => assert!(node.is_running()),
        }
        assert_eq!(node.is_running(), id > 2);
        node.restart().await?;
        assert!(node.is_running() && node.port() == port && node.pid() != pid);
        pid = node.pid();
        orders.insert_one(doc! { "_id": id }).await?;
    }
    assert_eq!(orders.count_documents(doc! {}).await?, 5);
    Ok(())
}

#[tokio::test]
async fn answers_nothing_while_frozen() -> Result<()> {
    let set = ReplicaSet::start().await?;
    let orders = set.fresh_database().await?.collection::<Document>("orders");
    orders.insert_one(doc! { "_id": 1 }).await?;
    set.nodes()[0].freeze()?;
    {
        let mut insert = std::pin::pin!(async { orders.insert_one(doc! { "_id": 2 }).await });
        assert!(
            timeout(Duration::from_millis(500), &mut insert)
                .await
                .is_err()
        );
        set.nodes()[0].thaw()?;
        insert.await?;
    }
    assert_eq!(orders.count_documents(doc! {}).await?, 2);
    Ok(())
}
