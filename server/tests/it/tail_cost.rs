//! Those who listen cost next to nothing: many readers are served by one stream, many followers by
//! one reader, and whoever leaves leaves nothing behind.

use std::time::{Duration, Instant};

use bson::{Document, doc};
use devkit::ReplicaSet;
use futures::future::join_all;
use order_archiver_api::v1 as pb;
use pb::{
    EventKind, TailEventsRequest, batch_service_client::BatchServiceClient,
    event_service_client::EventServiceClient, tail_events_request::Start,
    tail_events_response::Event,
};
use tokio::time::timeout;
use tonic::{Streaming, transport::Channel};

use crate::support::{TestServer, eventually, orders, within};

/// A figure of mongod's own statistics.
pub(crate) async fn figure(set: &ReplicaSet, path: &[&str]) -> i64 {
    let admin = set.client().await.unwrap().database("admin");
    let status = admin.run_command(doc! { "serverStatus": 1 }).await.unwrap();
    let (last, path) = path.split_last().unwrap();
    let inner: &Document = path
        .iter()
        .fold(&status, |inner, name| inner.get_document(name).unwrap());
    let figure = inner.get(last).unwrap();
    figure.as_i64().or(figure.as_i32().map(i64::from)).unwrap()
}

async fn open_cursors(set: &ReplicaSet) -> i64 {
    figure(set, &["metrics", "cursor", "open", "total"]).await
}

/// Another connection to the server: one carries about a thousand streams.
async fn connection(server: &TestServer) -> Channel {
    let endpoint = Channel::from_shared(server.address.clone()).unwrap();
    endpoint.connect().await.unwrap()
}

async fn tail(channel: &Channel, request: TailEventsRequest) -> Streaming<pb::TailEventsResponse> {
    let mut client = EventServiceClient::new(channel.clone());
    client.tail_events(request).await.unwrap().into_inner()
}

/// The median time that an order takes, of some of them.
async fn median(server: &TestServer, from: usize) -> Duration {
    let mut times = Vec::new();
    for number in from..from + 101 {
        let asked = Instant::now();
        let numero = format!("CMD-2025-{number:06}");
        server.archive_order(&numero).await.unwrap();
        times.push(asked.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_readers_do_not_slow_down_who_archives() {
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::start_on(&set, |config| config.max_tail_readers = 300).await;
    server.insert("Commande", orders(400)).await;
    let alone = median(&server, 1).await;

    let channel = connection(&server).await;
    // What they wait for never comes: it is the reading that is measured, not the telling.
    let request = TailEventsRequest {
        kinds: vec![EventKind::GapOpened.into()],
        ..Default::default()
    };
    let mut readers = Vec::new();
    for _ in 0..300 {
        let mut reader = tail(&channel, request.clone()).await;
        within(reader.message()).await.unwrap().unwrap();
        readers.push(reader);
    }
    let crowded = median(&server, 201).await;
    println!("an order took {alone:?} without readers, {crowded:?} with 300");
    assert!(
        crowded < 3 * alone + Duration::from_millis(10),
        "{alone:?} -> {crowded:?}"
    );

    let refused = EventServiceClient::new(channel).tail_events(request).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::ResourceExhausted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leaves_the_news_leaves_no_cursor_behind() {
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::start_on(&set, |config| config.max_tail_readers = 2_000).await;
    server.insert("Commande", orders(50)).await;
    server.run_batch().await;
    let channel = connection(&server).await;
    let since = prost_types::Timestamp {
        seconds: bson::DateTime::now().timestamp_millis() / 1_000 - 60,
        nanos: 0,
    };
    let base = open_cursors(&set).await;
    let ways = [
        ("before they are served", None, Duration::from_millis(30)),
        ("while they listen", None, Duration::from_secs(2)),
        (
            "while they catch up",
            Some(Start::SinceTime(since)),
            Duration::from_millis(150),
        ),
    ];
    for (when, start, stay) in ways {
        for _ in 0..2 {
            join_all((0..300).map(|_| {
                let mut client = EventServiceClient::new(channel.clone());
                let request = TailEventsRequest {
                    start: start.clone(),
                    ..Default::default()
                };
                async move {
                    let listen = async {
                        let mut reader = client.tail_events(request).await.unwrap().into_inner();
                        while let Ok(Some(_)) = reader.message().await {}
                    };
                    assert!(timeout(stay, listen).await.is_err(), "it ended by itself");
                }
            }))
            .await;
        }
        let left = Instant::now();
        eventually(async || (open_cursors(&set).await <= base).then_some(())).await;
        println!(
            "those who left {when} left no cursor after {:?}",
            left.elapsed()
        );
        assert!(
            left.elapsed() < Duration::from_secs(4),
            "{when}: {:?}",
            left.elapsed()
        );
    }
    // A server that stops takes all of them along.
    let mut reader = tail(&channel, TailEventsRequest::default()).await;
    within(reader.message()).await.unwrap().unwrap();
    drop(channel);
    server.shut_down().await;
    assert!(open_cursors(&set).await <= base);
}

/// How many `find`s mongod answers in a while.
async fn finds(set: &ReplicaSet) -> i64 {
    let before = figure(set, &["opcounters", "query"]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    figure(set, &["opcounters", "query"]).await - before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_followers_of_a_batch_cost_as_much_as_one() {
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::start_on(&set, |config| config.chunk_size = 1).await;
    server.insert("Commande", orders(1_000)).await;
    let options = pb::BatchOptions {
        max_orders_per_second: Some(2),
        ..Default::default()
    };
    let (batch, _) = server.start_batch(options, "").await.unwrap();
    let follow = async |channel: &Channel| {
        let mut client = BatchServiceClient::new(channel.clone());
        let request = pb::WatchBatchRequest {
            id: batch.id.clone(),
        };
        let mut states = client.watch_batch(request).await.unwrap().into_inner();
        within(states.message()).await.unwrap().unwrap();
        states
    };
    let mut followers = vec![tokio::spawn(seen(follow(&connection(&server).await).await))];
    let one = finds(&set).await;
    for _ in 0..4 {
        let channel = connection(&server).await;
        let many = join_all((0..500).map(|_| follow(&channel))).await;
        followers.extend(many.into_iter().map(|states| tokio::spawn(seen(states))));
    }
    let many = finds(&set).await;
    println!(
        "{one} finds for one follower, {many} for {}",
        followers.len()
    );
    assert!(many < 2 * one + 20, "{one} -> {many}");

    let request = pb::CancelBatchRequest {
        id: batch.id.clone(),
    };
    server.batches().cancel_batch(request).await.unwrap();
    for seen in followers {
        let seen = within(seen).await.unwrap();
        let last = seen.last().unwrap();
        assert_eq!(last.state(), pb::BatchState::Cancelled);
        let found = |batch: &pb::Batch| batch.counts.unwrap().found;
        assert!(seen.iter().map(found).is_sorted());
    }
    let none = finds(&set).await;
    println!("{none} finds when nobody follows any more");
    assert!(none < one, "{one} -> {none}");
}

/// All states that a follower is told.
async fn seen(mut states: Streaming<pb::WatchBatchResponse>) -> Vec<pb::Batch> {
    let mut seen = Vec::new();
    while let Some(state) = states.message().await.unwrap() {
        seen.push(state.batch.unwrap());
    }
    seen
}

/// What a reader is told of orders until it has heard of so many.
async fn told(mut reader: Streaming<pb::TailEventsResponse>, count: usize) -> Vec<String> {
    let mut told = Vec::new();
    while told.len() < count {
        let message = within(reader.message()).await.unwrap().unwrap();
        if let Some(Event::Order(order)) = message.event {
            told.push(order.numero_commande);
        }
    }
    // What was told twice would still come, before the next silence.
    while let Some(message) = within(reader.message()).await.unwrap() {
        match message.event {
            Some(Event::Order(order)) => told.push(order.numero_commande),
            _ if message.kind() == EventKind::Heartbeat => break,
            _ => {}
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_falls_behind_or_begins_in_the_past_misses_nothing_and_hears_nothing_twice() {
    const ORDERS: usize = 4_000;
    let server = TestServer::start_with(|config| config.chunk_size = 50).await;
    server.insert("Commande", orders(ORDERS)).await;
    let request = TailEventsRequest {
        heartbeat_interval: Some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        }),
        ..Default::default()
    };
    // One reads as it comes, and one nothing before the end: by then it has missed most of what is
    // kept for it.
    let channel = connection(&server).await;
    let mut quick = tail(&channel, request.clone()).await;
    within(quick.message()).await.unwrap().unwrap();
    let mut slow = tail(&channel, request.clone()).await;
    let start = within(slow.message()).await.unwrap().unwrap().cursor;
    let mut readers = vec![("quick", tokio::spawn(told(quick, ORDERS)))];

    let (batch, _) = server
        .start_batch(pb::BatchOptions::default(), "")
        .await
        .unwrap();
    server.batch_under_way(&batch.id).await;
    // Those who begin in the past have more to read at every step, while more comes.
    for _ in 0..5 {
        let from_start = TailEventsRequest {
            start: Some(Start::Cursor(start.clone())),
            ..request.clone()
        };
        let reader = tail(&channel, from_start).await;
        readers.push(("late", tokio::spawn(told(reader, ORDERS))));
    }
    assert_eq!(
        server.batch_end(&batch.id).await.state(),
        pb::BatchState::Succeeded
    );
    readers.push(("slow", tokio::spawn(told(slow, ORDERS))));
    let all: Vec<String> = (1..=ORDERS)
        .map(|number| format!("CMD-2025-{number:06}"))
        .collect();
    let mut order = None;
    for (name, reader) in readers {
        let told = within(reader).await.unwrap();
        let mut sorted = told.clone();
        sorted.sort();
        assert!(sorted == all, "{name}: {} told of {ORDERS}", told.len());
        assert!(
            *order.get_or_insert(told.clone()) == told,
            "{name}: in another order"
        );
    }
}
