//! A relay lets everything through but what it is told to spoil.

use std::time::Duration;

use anyhow::Result;
use bson::{Document, doc};
use devkit::{
    ReplicaSet,
    relay::{Deed, Plan, Relay},
};
use mongodb::{Client, Collection, options::ClientOptions};
use tokio::time::{Instant, timeout};

/// The same orders, through a relay and not, by a client that asks once.
async fn orders() -> Result<(Relay, Collection<Document>, Collection<Document>)> {
    let set = ReplicaSet::shared().await?;
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await?;
    let direct = set.fresh_database().await?;
    let mut options = ClientOptions::parse(relay.uri()).await?;
    (options.retry_writes, options.retry_reads) = (Some(false), Some(false));
    let relayed = Client::with_options(options)?.database(direct.name());
    relayed.run_command(doc! { "ping": 1 }).await?;
    Ok((
        relay,
        relayed.collection("orders"),
        direct.collection("orders"),
    ))
}

#[tokio::test]
async fn a_message_that_is_cut_never_arrives_and_one_whose_answer_is_swallowed_does() -> Result<()>
{
    let (relay, relayed, direct) = orders().await?;
    relay.on("insert", Plan::First(1), Deed::Cut);
    assert!(relayed.insert_one(doc! { "_id": 1 }).await.is_err());
    assert_eq!(
        (relay.clear(), direct.count_documents(doc! {}).await?),
        (1, 0)
    );
    relay.on("insert", Plan::Every(2), Deed::Swallow);
    relayed.insert_one(doc! { "_id": 2 }).await?;
    assert!(relayed.insert_one(doc! { "_id": 3 }).await.is_err());
    relayed.insert_one(doc! { "_id": 4 }).await?;
    assert_eq!(
        (relay.clear(), direct.count_documents(doc! {}).await?),
        (1, 3)
    );
    Ok(())
}

#[tokio::test]
async fn a_paused_relay_holds_everything_back_and_loses_nothing() -> Result<()> {
    let (relay, relayed, direct) = orders().await?;
    relay.pause();
    let insert = tokio::spawn(async move { relayed.insert_one(doc! { "_id": 1 }).await });
    let arrived = async {
        while direct.count_documents(doc! {}).await? == 0 {}
        anyhow::Ok(())
    };
    assert!(timeout(Duration::from_millis(300), arrived).await.is_err());
    relay.resume();
    insert.await??;
    Ok(())
}

#[tokio::test]
async fn a_delayed_message_arrives_later_and_a_cut_ends_what_is_open() -> Result<()> {
    let (relay, relayed, _) = orders().await?;
    let delay = Duration::from_millis(200);
    relay.on("insert", Plan::Always, Deed::Delay(delay));
    let asked = Instant::now();
    relayed.insert_one(doc! { "_id": 1 }).await?;
    assert!(asked.elapsed() >= delay);
    relay.clear();
    relay.on("insert", Plan::Always, Deed::Delay(Duration::from_secs(60)));
    let insert = tokio::spawn(async move { relayed.insert_one(doc! { "_id": 2 }).await });
    while relay.hits() == 0 {
        tokio::task::yield_now().await;
    }
    relay.cut();
    assert!(insert.await?.is_err());
    Ok(())
}

#[tokio::test]
async fn a_client_of_a_set_behind_relays_never_goes_around_them() -> Result<()> {
    let set = ReplicaSet::start_nodes(3).await?;
    let nodes: Vec<String> = set.nodes().iter().map(|node| node.address()).collect();
    let mut relays = Vec::new();
    for node in &nodes {
        relays.push(Relay::to_mongod(node).await?);
    }
    let addresses: Vec<String> = relays.iter().map(Relay::address).collect();
    let mut uri = set.uri();
    for (relay, (node, address)) in relays.iter().zip(nodes.iter().zip(&addresses)) {
        let pairs = nodes.iter().zip(&addresses);
        relay.rewrite_all(pairs.map(|(node, address)| (node.as_bytes(), address.as_bytes())));
        uri = uri.replace(node, address);
    }
    let mut options = ClientOptions::parse(uri).await?;
    options.server_selection_timeout = Some(Duration::from_secs(2));
    let orders = Client::with_options(options)?.database("relayed");
    let orders = orders.collection::<Document>("orders");
    // It writes to the primary, whichever that is.
    orders.insert_one(doc! { "_id": 1 }).await?;
    relays.iter().for_each(Relay::pause);
    let insert = orders.insert_one(doc! { "_id": 2 }).into_future();
    let written = timeout(Duration::from_secs(4), insert).await;
    assert!(!matches!(written, Ok(Ok(_))), "{written:?}");
    relays.iter().for_each(Relay::resume);
    Ok(())
}
