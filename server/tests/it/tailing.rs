//! The news reach whoever listens, from every instance, and nobody who does not listen harms
//! anybody.

use std::collections::HashSet;

use bson::oid::ObjectId;
use order_archiver_api::v1 as pb;
use pb::{EventKind, TailEventsRequest, TailEventsResponse, tail_events_response::Event};
use tonic::{Code, Streaming};
use tonic_types::StatusExt;

use crate::support::{TestServer, assert_unavailable, eventually, faults, order, orders, within};

/// The news of these kinds, opened: what happens from here on is told.
async fn news(server: &TestServer, kinds: &[EventKind]) -> Streaming<TailEventsResponse> {
    let request = TailEventsRequest {
        kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
        ..Default::default()
    };
    let stream = server.events().tail_events(request).await.unwrap();
    let mut stream = stream.into_inner();
    let hello = within(stream.message()).await.unwrap().unwrap();
    assert_eq!(hello.kind(), EventKind::Heartbeat);
    stream
}

async fn next(news: &mut Streaming<TailEventsResponse>) -> TailEventsResponse {
    within(news.message()).await.unwrap().unwrap()
}

#[tokio::test]
async fn only_the_kinds_that_were_asked_for_are_told() {
    let server = TestServer::start().await;
    let mut news = news(&server, &[EventKind::Quarantined, EventKind::Conflict]).await;
    let mut nameless = order("");
    nameless.insert("note", "sans numéro");
    let mut second = order("CMD-2025-000001");
    second.insert("_id", ObjectId::new());
    server
        .insert("Commande", [order("CMD-2025-000001"), nameless])
        .await;
    server.run_batch().await;
    server.insert("Commande", [second]).await;
    let batch = server.run_batch().await;
    assert_eq!(batch.counts.unwrap().errors, 2, "{batch:?}");

    let told = [next(&mut news).await, next(&mut news).await];
    let reason = |message: &TailEventsResponse| match &message.event {
        Some(Event::Quarantine(entry)) => (message.kind(), entry.reason()),
        _ => panic!("{message:?}"),
    };
    assert_eq!(
        told.each_ref().map(reason),
        [
            (EventKind::Quarantined, pb::QuarantineReason::NoUsableNumber),
            (EventKind::Conflict, pb::QuarantineReason::NumberConflict),
        ]
    );
    let cursors: HashSet<&str> = told.iter().map(|message| message.cursor.as_str()).collect();
    assert_eq!(cursors.len(), 2);
    assert!(told.iter().all(|message| message.time.is_some()));
}

#[tokio::test]
async fn a_batch_of_any_instance_is_told_from_its_start_to_its_end() {
    let server = TestServer::start_with(|config| config.chunk_size = 10).await;
    let other = server.another(|_| {}).await;
    server.insert("Commande", orders(50)).await;
    let kinds = [
        EventKind::BatchStarted,
        EventKind::BatchProgress,
        EventKind::BatchFinished,
    ];
    let mut news = news(&other, &kinds).await;
    let batch = server.run_batch().await;
    let (mut told, mut found) = (Vec::new(), Vec::new());
    while told.last() != Some(&EventKind::BatchFinished) {
        let message = next(&mut news).await;
        let Some(Event::Batch(told_of)) = &message.event else {
            panic!("{message:?}")
        };
        assert_eq!(told_of.id, batch.id);
        told.push(message.kind());
        found.push(told_of.counts.unwrap().found);
    }
    told.dedup();
    assert_eq!(told, kinds);
    // Each message tells how far the batch was when it was sent, which may be further than the
    // change behind it.
    assert!(found.is_sorted(), "{found:?}");
    assert_eq!(found.last(), Some(&50));
}

#[tokio::test]
async fn the_orders_of_every_instance_are_told_once_and_in_their_order() {
    let server = TestServer::start().await;
    let other = server.another(|_| {}).await;
    let mut news = news(&server, &[EventKind::Incomplete]).await;
    server.insert("Commande", orders(4)).await;
    let numeros: Vec<_> = (1..=4).map(|n| format!("CMD-2025-{n:06}")).collect();
    for (numero, instance) in numeros.iter().zip([&server, &other].repeat(2)) {
        instance.archive_order(numero).await.unwrap();
    }
    for numero in numeros {
        let Some(Event::Order(order)) = next(&mut news).await.event else {
            panic!("no order")
        };
        assert_eq!(order.numero_commande, numero);
    }
}

#[tokio::test]
async fn silence_is_broken_by_heartbeats_with_new_cursors() {
    let server = TestServer::start().await;
    let request = TailEventsRequest {
        heartbeat_interval: Some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        }),
        ..Default::default()
    };
    let stream = server.events().tail_events(request).await.unwrap();
    let mut news = stream.into_inner();
    for _ in 0..3 {
        let message = within(news.message()).await.unwrap().unwrap();
        assert_eq!(message.kind(), EventKind::Heartbeat);
        assert!(message.event.is_none() && !message.cursor.is_empty());
    }
}

#[tokio::test]
async fn a_reader_too_many_is_told_to_come_back() {
    let server = TestServer::start_with(|config| config.max_tail_readers = 2).await;
    let readers = [news(&server, &[]).await, news(&server, &[]).await];
    let ask = async || {
        server
            .events()
            .tail_events(TailEventsRequest::default())
            .await
    };
    let status = ask().await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(faults(&status).0, "LIMIT_REACHED");
    let retry = status.get_details_retry_info().unwrap();
    assert!(retry.retry_delay.is_some());
    assert!(status.message().contains("ARCHD_MAX_TAIL_READERS"));
    drop(readers);
    eventually(async || ask().await.ok()).await;
}

#[tokio::test]
async fn a_reader_who_does_not_read_holds_nobody_up_and_misses_nothing() {
    const ORDERS: usize = 5_000;
    let server = TestServer::start().await;
    let mut sleeper = news(&server, &[EventKind::Incomplete]).await;
    server.insert("Commande", orders(ORDERS)).await;
    let batch = server.run_batch().await;
    assert_eq!(batch.counts.unwrap().archived, ORDERS as i64);
    let mut told = HashSet::new();
    while told.len() < ORDERS {
        if let Some(Event::Order(order)) = next(&mut sleeper).await.event {
            assert!(told.insert(order.numero_commande), "told twice");
        }
    }
}

#[tokio::test]
async fn a_server_that_stops_says_so_to_its_readers() {
    let server = TestServer::start().await;
    let mut news = news(&server, &[]).await;
    server.stop.cancel();
    let status = within(news.message()).await.unwrap_err();
    assert_unavailable(&status, "STOPPING");
    drop(news);
    server.shut_down().await;
}
