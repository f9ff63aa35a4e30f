//! A batch keeps what it was asked for to its end; its limits change while it runs, and that makes
//! no other request of it.

use order_archiver_api::v1 as pb;
use pb::{BatchOptions, TuneBatchRequest};
use prost_types::{Duration, Timestamp};
use tonic::{Code, Status};

use crate::{
    batch_process::{Process, options_elsewhere, runs_elsewhere},
    support::{TestServer, faults, orders, within},
};

const fn millis(millis: i32) -> Option<Duration> {
    Some(Duration {
        seconds: (millis / 1_000) as i64,
        nanos: millis % 1_000 * 1_000_000,
    })
}

/// Every option but a dry run.
fn all_options() -> BatchOptions {
    BatchOptions {
        limit: 10,
        before: Some(Timestamp {
            seconds: 1_760_000_000,
            nanos: 5_000_000,
        }),
        max_runtime: millis(3_600_000),
        validate_only: false,
        create_indexes: true,
        max_orders_per_second: Some(0),
        max_replication_lag: millis(2_000),
        max_write_latency: millis(500),
    }
}

async fn tune(server: &TestServer, request: TuneBatchRequest) -> Result<BatchOptions, Status> {
    let answer = server.batches().tune_batch(request).await?.into_inner();
    Ok(answer.batch.unwrap().options.unwrap())
}

fn is_reused(answer: Result<(pb::Batch, bool), Status>, what: &str) {
    let status = answer.expect_err(what);
    assert_eq!(status.code(), Code::AlreadyExists, "{what}: {status:?}");
    assert_eq!(faults(&status).0, "REQUEST_ID_REUSED", "{what}");
}

#[tokio::test]
async fn every_option_comes_back_as_it_was_asked_for() {
    let server = TestServer::start().await;
    let nothing = BatchOptions::default();
    let dry_run = BatchOptions {
        validate_only: true,
        create_indexes: false,
        ..all_options()
    };
    for options in [all_options(), dry_run, nothing] {
        assert_eq!(server.run_batch_with(options).await.options, Some(options));
    }
    let unlimited = BatchOptions {
        max_runtime: millis(0),
        ..nothing
    };
    assert_eq!(
        server.run_batch_with(unlimited).await.options,
        Some(nothing)
    );
}

#[tokio::test]
async fn a_request_id_is_known_by_every_option() {
    let server = TestServer::start().await;
    let asked = all_options();
    let (first, _) = server.start_batch(asked, "nightly").await.unwrap();
    server.batch_end(&first.id).await;
    // What the database can't hold makes no difference.
    let to_the_nanosecond = BatchOptions {
        max_write_latency: Some(Duration {
            seconds: 0,
            nanos: 500_000_999,
        }),
        ..asked
    };
    for same in [asked, to_the_nanosecond] {
        let (again, already) = server.start_batch(same, "nightly").await.unwrap();
        assert_eq!((again.id, already), (first.id.clone(), true));
    }
    #[rustfmt::skip]
    let others = [
        ("limit", BatchOptions { limit: 11, ..asked }),
        ("before", BatchOptions { before: None, ..asked }),
        ("max_runtime", BatchOptions { max_runtime: None, ..asked }),
        ("validate_only", BatchOptions { validate_only: true, create_indexes: false, ..asked }),
        ("create_indexes", BatchOptions { create_indexes: false, ..asked }),
        ("max_orders_per_second", BatchOptions { max_orders_per_second: None, ..asked }),
        ("max_replication_lag", BatchOptions { max_replication_lag: millis(2_001), ..asked }),
        ("max_write_latency", BatchOptions { max_write_latency: None, ..asked }),
    ];
    for (what, other) in others {
        is_reused(server.start_batch(other, "nightly").await, what);
    }
}

#[tokio::test]
async fn limits_change_while_the_batch_runs_and_make_no_other_request_of_it() {
    let server = TestServer::start().await;
    let other = server.another(|_| {}).await;
    runs_elsewhere(&server.database, options_elsewhere()).await;
    let asked = BatchOptions {
        max_orders_per_second: Some(10),
        max_write_latency: millis(500),
        ..Default::default()
    };
    let watch = pb::WatchBatchRequest {
        id: "b-1".to_owned(),
    };
    let mut states = other.batches().watch_batch(watch).await.unwrap();
    let mut state = async || within(states.get_mut().message()).await.unwrap().unwrap();
    let before = state().await.batch.unwrap();
    assert_eq!(before.options, Some(asked));
    assert_eq!(
        (before.throttle.as_str(), before.resumes),
        ("a secondary is 12s behind", 2)
    );

    let request = TuneBatchRequest {
        id: "b-1".to_owned(),
        max_orders_per_second: Some(0),
        max_replication_lag: millis(2_000),
        max_write_latency: None,
    };
    let tuned = BatchOptions {
        max_orders_per_second: Some(0),
        max_replication_lag: millis(2_000),
        ..asked
    };
    assert_eq!(tune(&server, request).await.unwrap(), tuned);
    let after = state().await.batch.unwrap();
    assert_eq!(after.options, Some(tuned), "as the other instance tells it");

    let again = TuneBatchRequest {
        id: "b-1".to_owned(),
        max_write_latency: millis(1),
        ..Default::default()
    };
    let tuned = BatchOptions {
        max_write_latency: millis(1),
        ..tuned
    };
    assert_eq!(tune(&other, again).await.unwrap(), tuned);

    let (repeated, already) = server.start_batch(asked, "nightly").await.unwrap();
    assert_eq!((repeated.options, already), (Some(tuned), true));
    let as_tuned = server.start_batch(tuned, "nightly").await;
    is_reused(as_tuned, "the limits that were tuned");
}

#[tokio::test]
async fn a_batch_that_has_ended_keeps_its_limits() {
    let server = TestServer::start().await;
    let batch = server.run_batch().await;
    let request = TuneBatchRequest {
        id: batch.id.clone(),
        max_orders_per_second: Some(5),
        ..Default::default()
    };
    let status = tune(&server, request).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(faults(&status).0, "BATCH_ENDED");
    let request = pb::GetBatchRequest { id: batch.id };
    let kept = server.batches().get_batch(request).await.unwrap();
    assert_eq!(kept.into_inner().batch.unwrap().options, batch.options);
}

#[tokio::test]
async fn a_batch_of_a_process_has_the_options_of_its_command_line() {
    let server = TestServer::start().await;
    server.insert("Commande", orders(3)).await;
    let batch = "batch --max-runtime=1h --max-rate=5000 --max-lag=2s --max-write-latency=500ms --output=json";
    let (code, figures, _) = Process::start(&server.database, batch).await.end().await;
    assert_eq!((code, &figures["found"]), (Some(0), &3.into()));
    let request = pb::GetBatchRequest {
        id: figures["id"].as_str().unwrap().to_owned(),
    };
    let kept = server.batches().get_batch(request).await.unwrap();
    let expected = BatchOptions {
        max_runtime: millis(3_600_000),
        max_orders_per_second: Some(5_000),
        max_replication_lag: millis(2_000),
        max_write_latency: millis(500),
        ..Default::default()
    };
    assert_eq!(kept.into_inner().batch.unwrap().options, Some(expected));
}
