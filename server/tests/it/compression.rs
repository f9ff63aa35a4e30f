//! Clients that compress with gzip are served, and what a request becomes when it is unpacked
//! counts, not what it was.

use order_archiver_api::v1 as pb;
use pb::{
    archive_service_client::ArchiveServiceClient, batch_service_client::BatchServiceClient,
    event_service_client::EventServiceClient, quarantine_service_client::QuarantineServiceClient,
    stats_service_client::StatsServiceClient, watcher_service_client::WatcherServiceClient,
};
use tonic::{Code, codec::CompressionEncoding::Gzip, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    child::Server,
    process::settings_on,
    support::{TestServer, faults, last, order, orders, within},
};

/// A client that compresses, and understands what is compressed.
macro_rules! compressing {
    ($client:ident, $channel:expr) => {
        $client::new($channel.clone())
            .send_compressed(Gzip)
            .accept_compressed(Gzip)
    };
}

#[tokio::test]
async fn every_service_understands_gzip_and_answers_with_it() {
    let server = TestServer::start().await.with_references().await;
    server.insert("Commande", orders(200)).await;
    let channel = &server.channel;
    let packed = |metadata: &tonic::metadata::MetadataMap| {
        metadata
            .get("grpc-encoding")
            .map(|encoding| encoding.as_bytes() == b"gzip")
    };

    let mut archive = compressing!(ArchiveServiceClient, channel);
    let request = pb::ArchiveOrderRequest {
        numero_commande: "CMD-2025-000001".to_owned(),
    };
    let answer = archive.archive_order(request).await.unwrap();
    assert_eq!(packed(answer.metadata()), Some(true));
    let outcome = answer.into_inner().result.unwrap().outcome();
    assert_eq!(outcome, pb::ArchiveOutcome::Archived);

    let requests = (2..=200).map(|number| pb::ArchiveOrdersRequest {
        numero_commande: format!("CMD-2025-{number:06}"),
    });
    let answers = archive.archive_orders(futures::stream::iter(requests));
    let mut answers = answers.await.unwrap().into_inner();
    let mut archived = 0;
    while let Some(answer) = within(answers.message()).await.unwrap() {
        let answer = answer.answer.unwrap();
        assert!(matches!(
            answer,
            pb::archive_orders_response::Answer::Result(_)
        ));
        archived += 1;
    }
    assert_eq!(archived, 199);

    let list = pb::ListArchivedOrdersRequest {
        page_size: 1_000,
        with_documents: true,
        ..Default::default()
    };
    let page = archive.list_archived_orders(list).await.unwrap();
    assert_eq!(packed(page.metadata()), Some(true));
    assert_eq!(page.into_inner().orders.len(), 200);

    let mut batches = compressing!(BatchServiceClient, channel);
    let started = batches.start_batch(pb::StartBatchRequest::default()).await;
    let id = started.unwrap().into_inner().batch.unwrap().id;
    let states = batches.watch_batch(pb::WatchBatchRequest { id }).await;
    let ended = last(states.unwrap().into_inner()).await.batch.unwrap();
    assert_eq!(ended.state(), pb::BatchState::Succeeded);

    let mut events = compressing!(EventServiceClient, channel);
    let news = events.tail_events(pb::TailEventsRequest::default()).await;
    let mut news = news.unwrap().into_inner();
    within(news.message()).await.unwrap().unwrap();

    let mut quarantine = compressing!(QuarantineServiceClient, channel);
    let list = quarantine.list_quarantined(pb::ListQuarantinedRequest::default());
    assert!(list.await.unwrap().into_inner().entries.is_empty());
    let mut stats = compressing!(StatsServiceClient, channel);
    let figures = stats.get_stats(pb::GetStatsRequest::default()).await;
    assert_eq!(figures.unwrap().into_inner().archive_size, 200);
    let mut watcher = compressing!(WatcherServiceClient, channel);
    // Nobody watches, which is what it answers.
    let watcher = watcher.get_watcher(pb::GetWatcherRequest {}).await;
    assert_ne!(
        watcher.err().map(|status| status.code()),
        Some(Code::Unimplemented)
    );
    let mut health = compressing!(HealthClient, channel);
    let request = HealthCheckRequest {
        service: String::new(),
    };
    assert!(health.check(request).await.is_ok());
}

#[tokio::test]
async fn whoever_does_not_ask_for_it_is_answered_plainly() {
    let server = TestServer::start().await;
    server.insert("Commande", [order("CMD-1")]).await;
    let request = pb::ArchiveOrderRequest {
        numero_commande: "CMD-1".to_owned(),
    };
    let answer = server.archive().archive_order(request).await.unwrap();
    assert!(answer.metadata().get("grpc-encoding").is_none());
}

#[tokio::test]
async fn what_would_unpack_to_more_than_a_request_may_be_is_refused_before_it_is() {
    const BOMB: usize = 48 << 20;
    let settings = settings_on("bombs", &[]).await;
    let mut server = Server::start(1_024, &settings).await;
    let channel = server.connect().await;
    // Just above what any request may be unpacked: what a process takes for its first calls is not
    // the bombs' doing.
    refused_when_unpacked(&channel, 5 << 20).await;
    let before = server.peak_memory();
    for _ in 0..2 {
        refused_when_unpacked(&channel, BOMB).await;
    }
    let grown = server.peak_memory() - before;
    println!("grew by {grown} MiB");
    assert!(grown < (BOMB >> 20) as u64 / 2, "{grown} MiB");
    server.stop().await;
}

/// Sends requests of so many bytes, which are within the limit of a request while they are packed.
async fn refused_when_unpacked(channel: &Channel, size: usize) {
    let mut archive = compressing!(ArchiveServiceClient, channel);
    let request = pb::ArchiveOrderRequest {
        numero_commande: "x".repeat(size),
    };
    let refused = within(archive.archive_order(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert_eq!(faults(&refused).0, "LIMIT_REACHED", "{refused:?}");
    let mut events = compressing!(EventServiceClient, channel);
    let request = pb::TailEventsRequest {
        start: Some(pb::tail_events_request::Start::Cursor("x".repeat(size))),
        ..Default::default()
    };
    let refused = within(events.tail_events(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
}
