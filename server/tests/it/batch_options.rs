//! A batch keeps what it was asked for as long as it lives; its limits change while it runs, and that makes no other request of it.

use bson::{DateTime, Document, doc};
use order_archiver_api::v1 as pb;
use pb::{BatchOptions, TuneBatchRequest};
use prost_types::{Duration, Timestamp};
use tonic::{Code, Status};

use crate::{
    process::archd,
    support::{TestServer, faults, orders, within},
};
use devkit::ReplicaSet;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

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

/// A batch that an instance elsewhere runs, and will for a long time.
async fn runs_elsewhere(server: &TestServer, options: Document) {
    let now = DateTime::now();
    let batch = doc! {
        "_id": "b-1", "state": "running", "active": true, "instance": "elsewhere", "options": options, "request_id": "nightly",
        "created": now, "started": now, "updated": now, "alive_until": DateTime::from_millis(now.timestamp_millis() + 3_600_000),
        "throttle": "a secondary is 12s behind", "epoch": 3_i64,
    };
    server.insert("archd_batches", [batch]).await;
}

fn options_elsewhere() -> Document {
    doc! { "limit": 0_i64, "create_indexes": false, "limits": { "max_orders_per_second": 10_i64, "max_write_latency": 500_i64 } }
}

async fn end_it(server: &TestServer, reason: &str) {
    let state = if reason == "unbalanced" {
        "failed"
    } else {
        "succeeded"
    };
    let end = doc! {
        "$set": { "state": state, "stop_reason": reason, "ended": DateTime::now() },
        "$unset": { "active": 1, "alive_until": 1 },
    };
    let batches = server.collection("archd_batches");
    let updated = batches.update_one(doc! { "_id": "b-1", "active": true }, end);
    assert_eq!(updated.await.unwrap().modified_count, 1);
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
    runs_elsewhere(&server, options_elsewhere()).await;
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
    let (code, figures, _) = Process::start(&server, batch).await.end().await;
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

#[tokio::test]
async fn a_process_waits_for_a_dry_run_and_then_archives() {
    let server = TestServer::start().await;
    server.insert("Commande", orders(3)).await;
    runs_elsewhere(
        &server,
        doc! { "limit": 0_i64, "create_indexes": false, "validate_only": true },
    )
    .await;
    let mut batch = Process::start(&server, "batch --output=json").await;
    batch.says("is running already").await;
    end_it(&server, "exhausted").await;
    let (code, figures, _) = batch.end().await;
    assert_eq!((code, &figures["archived"]), (Some(0), &3.into()));
    assert_eq!(figures["validate_only"], false);
}

#[tokio::test]
async fn a_process_whose_batch_does_not_balance_leaves_with_a_code_of_its_own() {
    let server = TestServer::start().await;
    runs_elsewhere(&server, options_elsewhere()).await;
    let mut batch = Process::start(&server, "batch --output=json").await;
    batch.says("is running already").await;
    end_it(&server, "unbalanced").await;
    let (code, figures, log) = batch.end().await;
    assert_eq!(code, Some(8), "{log}");
    assert_eq!(
        (&figures["state"], &figures["resumes"]),
        (&"BATCH_STATE_FAILED".into(), &2.into())
    );
}

/// `archd` as a process, on the database of a test.
struct Process {
    child: tokio::process::Child,
    log: tokio::io::Lines<BufReader<tokio::process::ChildStderr>>,
}

impl Process {
    async fn start(server: &TestServer, arguments: &str) -> Process {
        let uri = ReplicaSet::shared().await.unwrap().uri();
        let settings = [
            ("MONGODB_URI", uri.as_str()),
            ("MONGODB_DATABASE", server.database.name()),
        ];
        let arguments: Vec<_> = arguments.split(' ').collect();
        let mut child = archd(&arguments, &settings).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Process { child, log }
    }

    /// Waits for a line of the log.
    async fn says(&mut self, words: &str) {
        within(async {
            loop {
                let line = self.log.next_line().await.unwrap().expect(words);
                if line.contains(words) {
                    return;
                }
            }
        })
        .await;
    }

    /// The code, the figures, and the rest of the log.
    async fn end(mut self) -> (Option<i32>, serde_json::Value, String) {
        within(async {
            let (mut log, mut figures) = (String::new(), String::new());
            while let Some(line) = self.log.next_line().await.unwrap() {
                log = format!("{log}{line}\n");
            }
            let mut stdout = self.child.stdout.take().unwrap();
            stdout.read_to_string(&mut figures).await.unwrap();
            let code = self.child.wait().await.unwrap().code();
            let figures = serde_json::from_str(&figures)
                .unwrap_or_else(|error| panic!("{error}: {figures}\n{log}"));
            (code, figures, log)
        })
        .await
    }
}
