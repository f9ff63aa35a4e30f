//! Whatever a caller sends, it hears what is wrong with every field of it, in words that a program
//! can compare.

use order_archiver_api::v1 as pb;
use prost_types::{Duration, Timestamp};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{TestServer, faults, last, order, orders, within};

const NO_MOMENT: Timestamp = Timestamp {
    seconds: 0,
    nanos: 1_000_000_000,
};
const NEVER: Timestamp = Timestamp {
    seconds: i64::MAX,
    nanos: 0,
};
const NO_LENGTH: Duration = Duration {
    seconds: 60,
    nanos: 1_000_000_000,
};
const FOR_EVER: Duration = Duration {
    seconds: i64::MAX,
    nanos: 0,
};
const LESS_THAN_NOTHING: Duration = Duration {
    seconds: -1,
    nanos: 0,
};

/// Less than a millisecond.
const NEXT_TO_NOTHING: Duration = Duration {
    seconds: 0,
    nanos: 999_999,
};

fn long(length: usize) -> String {
    "é".repeat(length / 2 + 1)
}

/// That a call was refused for exactly these fields.
fn assert_refused<A: std::fmt::Debug>(
    call: &str,
    answer: Result<A, Status>,
    reason: &str,
    fields: &[&str],
) {
    let status = answer.expect_err(call);
    assert_eq!(status.code(), Code::InvalidArgument, "{call}: {status:?}");
    assert_eq!(
        faults(&status),
        (
            reason.to_owned(),
            fields.iter().map(|field| (*field).to_owned()).collect()
        ),
        "{call}"
    );
    assert!(
        fields.iter().all(|field| status.message().contains(field)),
        "{call}: {status:?}"
    );
}

/// Sends each request and holds the refusal to the fields beside it.
macro_rules! refused {
    ($client:expr, $call:ident: $($request:expr => $fields:expr),+ $(,)?) => {
        $(refused!($client, $call, "INVALID_FIELD": $request => $fields);)+
    };
    ($client:expr, $call:ident, $reason:literal: $($request:expr => $fields:expr),+ $(,)?) => {
        $({
            let answer = $client.$call($request).await;
            assert_refused(stringify!($call $request), answer, $reason, &$fields);
        })+
    };
}

#[tokio::test]
async fn every_field_that_is_wrong_is_named() {
    let server = TestServer::start().await;
    let numero_commande = String::new;
    refused!(server.archive(), archive_order:
        pb::ArchiveOrderRequest { numero_commande: numero_commande() } => ["numero_commande"],
        pb::ArchiveOrderRequest { numero_commande: long(256) } => ["numero_commande"]);
    refused!(server.archive(), get_archived_order:
        pb::GetArchivedOrderRequest { numero_commande: numero_commande() } => ["numero_commande"],
        pb::GetArchivedOrderRequest { numero_commande: long(256) } => ["numero_commande"]);
    refused!(server.archive(), list_archived_orders:
        pb::ListArchivedOrdersRequest { page_size: -1, archived_from: Some(NO_MOMENT), archived_to: Some(NEVER), numero_prefix: long(256), ..Default::default() }
            => ["page_size", "archived_from", "archived_to", "numero_prefix"],
        pb::ListArchivedOrdersRequest { archived_from: Some(Timestamp { seconds: 2, nanos: 0 }), archived_to: Some(Timestamp { seconds: 1, nanos: 0 }), ..Default::default() }
            => ["archived_to"]);
    refused!(server.archive(), list_archived_orders, "INVALID_PAGE_TOKEN":
        pb::ListArchivedOrdersRequest { page_size: i32::MIN, page_token: "zz".to_owned(), ..Default::default() } => ["page_size", "page_token"]);

    let options = |options| pb::StartBatchRequest {
        options: Some(options),
        request_id: String::new(),
    };
    refused!(server.batches(), start_batch:
        pb::StartBatchRequest {
            options: Some(pb::BatchOptions { limit: -1, before: Some(NEVER), max_runtime: Some(LESS_THAN_NOTHING), validate_only: true, create_indexes: true,
                max_orders_per_second: Some(-1), max_replication_lag: Some(Duration::default()), max_write_latency: Some(FOR_EVER) }),
            request_id: long(64),
        } => ["options.limit", "options.before", "options.max_runtime", "options.create_indexes", "options.max_orders_per_second",
              "options.max_replication_lag", "options.max_write_latency", "request_id"],
        options(pb::BatchOptions { max_runtime: Some(NEXT_TO_NOTHING), max_replication_lag: Some(NEXT_TO_NOTHING), max_write_latency: Some(LESS_THAN_NOTHING), ..Default::default() })
            => ["options.max_runtime", "options.max_replication_lag", "options.max_write_latency"],
        options(pb::BatchOptions { before: Some(NO_MOMENT), max_runtime: Some(NO_LENGTH), ..Default::default() }) => ["options.before", "options.max_runtime"]);
    for id in [String::new(), long(64)] {
        refused!(server.batches(), get_batch: pb::GetBatchRequest { id: id.clone() } => ["id"]);
        refused!(server.batches(), cancel_batch: pb::CancelBatchRequest { id: id.clone() } => ["id"]);
        refused!(server.batches(), tune_batch:
            pb::TuneBatchRequest { id: id.clone(), max_orders_per_second: Some(1), ..Default::default() } => ["id"],
            pb::TuneBatchRequest { id: id.clone(), ..Default::default() } => ["id", "max_orders_per_second"]);
        refused!(server.batches(), watch_batch: pb::WatchBatchRequest { id } => ["id"]);
    }
    let id = || "b-1".to_owned();
    refused!(server.batches(), tune_batch:
        pb::TuneBatchRequest { id: id(), max_orders_per_second: Some(-1), max_replication_lag: Some(Duration::default()), max_write_latency: Some(NO_LENGTH) }
            => ["max_orders_per_second", "max_replication_lag", "max_write_latency"],
        pb::TuneBatchRequest { id: id(), max_replication_lag: Some(FOR_EVER), max_write_latency: Some(NEXT_TO_NOTHING), ..Default::default() }
            => ["max_replication_lag", "max_write_latency"]);
    for unknown in [0, 99] {
        refused!(server.batches(), list_batches: pb::ListBatchesRequest { page_size: -1, states: vec![1, unknown], ..Default::default() } => ["page_size", "states"]);
        refused!(server.quarantine(), list_quarantined: pb::ListQuarantinedRequest { page_size: -1, reasons: vec![unknown], id: long(64), ..Default::default() }
            => ["page_size", "reasons", "id"]);
        refused!(server.events(), tail_events: pb::TailEventsRequest { kinds: vec![2, unknown], heartbeat_interval: Some(NO_LENGTH), ..Default::default() }
            => ["kinds", "heartbeat_interval"]);
    }
    for heartbeat in [FOR_EVER, LESS_THAN_NOTHING] {
        refused!(server.events(), tail_events: pb::TailEventsRequest { heartbeat_interval: Some(heartbeat), ..Default::default() } => ["heartbeat_interval"]);
    }
    for window in [FOR_EVER, NO_LENGTH, LESS_THAN_NOTHING] {
        refused!(server.stats(), get_stats: pb::GetStatsRequest { window: Some(window), ..Default::default() } => ["window"]);
    }
    refused!(server.seeds(), seed_data:
        pb::SeedDataRequest {
            orders: Some(-1), dangling_share: Some(f64::NAN), until_time: Some(NEVER), months: 121,
            live_orders_per_minute: -1, live_order_lifetime: Some(NO_LENGTH), ..Default::default()
        } => ["orders", "dangling_share", "until_time", "months", "live_orders_per_minute", "live_order_lifetime"],
        pb::SeedDataRequest { orders: Some(i64::MAX), until_time: Some(NO_MOMENT), ..Default::default() } => ["orders", "until_time"]);
    let many = || vec!["q".to_owned(); 1_001];
    refused!(server.quarantine(), retry_quarantined:
        pb::RetryQuarantinedRequest { ids: Vec::new() } => ["ids"], pb::RetryQuarantinedRequest { ids: many() } => ["ids"],
        pb::RetryQuarantinedRequest { ids: vec![String::new()] } => ["ids"]);
    refused!(server.quarantine(), drop_quarantined:
        pb::DropQuarantinedRequest { ids: Vec::new() } => ["ids"], pb::DropQuarantinedRequest { ids: many() } => ["ids"],
        pb::DropQuarantinedRequest { ids: vec![long(64)] } => ["ids"]);
    server.run_batch().await;
}

#[tokio::test]
async fn an_order_of_a_stream_hears_what_archive_order_would_say() {
    let server = TestServer::start().await;
    server.insert("Commande", orders(1)).await;
    let numeros = ["", "CMD-2025-000001", "CMD-0", "CMD-2025-000001"];
    let requests = numeros.map(|numero| pb::ArchiveOrdersRequest {
        numero_commande: numero.to_owned(),
    });
    let mut answers = server
        .archive()
        .archive_orders(futures::stream::iter(requests))
        .await
        .unwrap()
        .into_inner();
    let mut said = Vec::new();
    while let Some(answer) = within(answers.message()).await.unwrap() {
        said.push(match answer.answer.unwrap() {
            pb::archive_orders_response::Answer::Result(result) => result.numero_commande,
            pb::archive_orders_response::Answer::Failure(failure) => {
                format!("{} {}", failure.code, failure.reason)
            }
        });
    }
    assert_eq!(
        said,
        [
            "3 INVALID_FIELD",
            "CMD-2025-000001",
            "5 NOT_FOUND",
            "CMD-2025-000001"
        ]
    );
}

#[tokio::test]
async fn a_message_over_its_limit_is_refused_and_the_next_one_served() {
    let server = TestServer::start().await;
    let numero_commande = "x".repeat(5 << 20);
    let request = pb::ArchiveOrderRequest {
        numero_commande: numero_commande.clone(),
    };
    let by_call = server.archive().archive_order(request).await.unwrap_err();
    let requests = futures::stream::iter([pb::ArchiveOrdersRequest { numero_commande }]);
    let mut answers = server
        .archive()
        .archive_orders(requests)
        .await
        .unwrap()
        .into_inner();
    let by_stream = within(answers.message()).await.unwrap_err();
    for status in [by_call, by_stream] {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert_eq!(faults(&status).0, "LIMIT_REACHED");
        // It would be refused again.
        assert!(status.get_details_retry_info().is_none());
    }
    server.run_batch().await;
}

#[tokio::test]
async fn what_nobody_knows_is_named() {
    let server = TestServer::start().await;
    let name = || "nobody".to_owned();
    let table = [
        (
            "order",
            server
                .archive()
                .archive_order(pb::ArchiveOrderRequest {
                    numero_commande: name(),
                })
                .await
                .map(drop),
        ),
        (
            "archived order",
            server
                .archive()
                .get_archived_order(pb::GetArchivedOrderRequest {
                    numero_commande: name(),
                })
                .await
                .map(drop),
        ),
        (
            "batch",
            server
                .batches()
                .get_batch(pb::GetBatchRequest { id: name() })
                .await
                .map(drop),
        ),
        (
            "batch",
            server
                .batches()
                .cancel_batch(pb::CancelBatchRequest { id: name() })
                .await
                .map(drop),
        ),
        (
            "batch",
            server
                .batches()
                .tune_batch(pb::TuneBatchRequest {
                    id: name(),
                    max_orders_per_second: Some(0),
                    ..Default::default()
                })
                .await
                .map(drop),
        ),
        (
            "batch",
            server
                .batches()
                .watch_batch(pb::WatchBatchRequest { id: name() })
                .await
                .map(drop),
        ),
        (
            "quarantine entry",
            server
                .quarantine()
                .retry_quarantined(pb::RetryQuarantinedRequest { ids: vec![name()] })
                .await
                .map(drop),
        ),
        (
            "quarantine entry",
            server
                .quarantine()
                .drop_quarantined(pb::DropQuarantinedRequest { ids: vec![name()] })
                .await
                .map(drop),
        ),
    ];
    for (kind, answer) in table {
        let status = answer.expect_err(kind);
        assert_eq!(status.code(), Code::NotFound, "{kind}: {status:?}");
        assert_eq!(faults(&status).0, "NOT_FOUND");
        let resource = status.get_details_resource_info().unwrap();
        assert_eq!(
            (
                resource.resource_type.as_str(),
                resource.resource_name.as_str()
            ),
            (kind, "nobody")
        );
    }
}

#[tokio::test]
async fn an_order_under_way_is_refused_with_its_status() {
    let server = TestServer::start().await;
    let mut under_way = order("CMD-2025-000001");
    under_way.insert("status", "en_cours");
    server.insert("Commande", [under_way]).await;
    let status = server.archive_order("CMD-2025-000001").await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), info.metadata["status"].as_str()),
        ("NOT_DELIVERED", "\"en_cours\"")
    );
    let violations = status
        .get_details_precondition_failure()
        .unwrap()
        .violations;
    assert_eq!(
        (
            violations[0].r#type.as_str(),
            violations[0].subject.as_str()
        ),
        ("NOT_DELIVERED", "CMD-2025-000001")
    );
}

#[tokio::test]
async fn page_tokens_walk_the_archive_to_its_end() {
    let server = TestServer::start().await;
    server.insert("Commande", orders(250)).await;
    server.run_batch().await;
    let mut request = pb::ListArchivedOrdersRequest {
        page_size: 40,
        numero_prefix: "CMD-2025-".to_owned(),
        ..Default::default()
    };
    let (mut numeros, mut pages) = (Vec::new(), Vec::new());
    loop {
        let page = server
            .archive()
            .list_archived_orders(request.clone())
            .await
            .unwrap()
            .into_inner();
        pages.push(page.orders.len());
        numeros.extend(page.orders.into_iter().map(|order| order.numero_commande));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
        // How much a page holds may change on the way.
        request.page_size = 41;
        request.with_documents = true;
    }
    assert_eq!(pages, [40, 41, 41, 41, 41, 41, 5]);
    let expected: Vec<_> = (1..=250)
        .rev()
        .map(|number| format!("CMD-2025-{number:06}"))
        .collect();
    assert_eq!(numeros, expected);

    let of_other_filters = pb::ListArchivedOrdersRequest {
        numero_prefix: "CMD-".to_owned(),
        ..request.clone()
    };
    let altered = pb::ListArchivedOrdersRequest {
        page_token: request.page_token.replacen('4', "5", 1),
        ..request.clone()
    };
    refused!(server.archive(), list_archived_orders, "INVALID_PAGE_TOKEN": of_other_filters => ["page_token"], altered => ["page_token"]);
}

#[tokio::test]
async fn page_tokens_walk_the_batches_and_the_quarantine_to_their_end() {
    let server = TestServer::start().await;
    let mut nameless = orders(5).collect::<Vec<_>>();
    nameless.iter_mut().for_each(|order| {
        order.remove("numero_commande");
    });
    server.insert("Commande", nameless).await;
    let mut started = Vec::new();
    for _ in 0..5 {
        started.insert(0, server.run_batch().await.id);
    }
    let mut request = pb::ListBatchesRequest {
        page_size: 2,
        states: vec![pb::BatchState::Succeeded.into()],
        ..Default::default()
    };
    let mut listed = Vec::new();
    loop {
        let page = server.list_batches(request.clone()).await;
        listed.extend(page.batches.into_iter().map(|batch| batch.id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(listed, started);

    let mut request = pb::ListQuarantinedRequest {
        page_size: 2,
        with_documents: true,
        ..Default::default()
    };
    let mut entries = Vec::new();
    let last_token = loop {
        let page = server.list_quarantined(request.clone()).await;
        entries.extend(page.entries.into_iter().map(|entry| entry.id));
        if page.next_page_token.is_empty() {
            break request.page_token;
        }
        request.page_token = page.next_page_token;
    };
    entries.sort();
    entries.dedup();
    assert_eq!(entries.len(), 5);
    // The token of one list is none of another's.
    refused!(server.batches(), list_batches, "INVALID_PAGE_TOKEN":
        pb::ListBatchesRequest { page_token: last_token, ..Default::default() } => ["page_token"]);
}

#[tokio::test]
async fn the_longest_seeding_in_the_oldest_year_is_a_request_like_any_other() {
    let server = TestServer::start().await;
    for seconds in [-62_135_596_800, 253_402_300_799] {
        let request = pb::SeedDataRequest {
            orders: Some(20),
            until_time: Some(Timestamp { seconds, nanos: 0 }),
            months: 120,
            append: true,
            ..Default::default()
        };
        let stream = server
            .seeds()
            .seed_data(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(last(stream).await.phase(), pb::SeedPhase::Written);
    }
}
