//! One batch at a time on a database, whichever instance was asked; whatever ends it, the next one
//! takes up the rest.

use std::time::Duration;

use bson::{DateTime, doc};
use devkit::ReplicaSet;
use mongodb::IndexModel;
use order_archiver_api::v1 as pb;
use pb::{BatchOptions, BatchState, BatchStopReason};
use tonic::Code;

use crate::support::{TestServer, eventually, faults, order, orders};

/// Enough orders, in small enough chunks, to do something while they are archived.
const MANY: usize = 3_000;
const CHUNK: usize = 20;
/// Chunks that can be under way when a batch hears that it is to stop.
const UNDER_WAY: i64 = 8;

fn end(batch: &pb::Batch) -> (BatchState, BatchStopReason) {
    (batch.state(), batch.stop_reason())
}

/// Found, archived, duplicates.
fn met(batch: &pb::Batch) -> (i64, i64, i64) {
    let counts = batch.counts.unwrap();
    (counts.found, counts.archived, counts.duplicates)
}

async fn busy_server() -> TestServer {
    let server = TestServer::start_with(|config| config.chunk_size = CHUNK).await;
    server.insert("Commande", orders(MANY)).await;
    server
}

#[tokio::test]
async fn every_instance_answers_with_the_batch_that_runs_and_can_cancel_it() {
    let server = busy_server().await;
    let other = server.another(|_| {}).await;
    let (batch, already) = server
        .start_batch(BatchOptions::default(), "")
        .await
        .unwrap();
    assert!(!already);
    for instance in [&server, &other] {
        let again = instance
            .start_batch(BatchOptions::default(), "")
            .await
            .unwrap();
        assert_eq!((again.0.id.as_str(), again.1), (batch.id.as_str(), true));
    }
    other.batch_under_way(&batch.id).await;

    let request = pb::CancelBatchRequest {
        id: batch.id.clone(),
    };
    let answer = other.batches().cancel_batch(request.clone()).await.unwrap();
    let cancelled = answer.into_inner().batch.unwrap();
    assert_eq!(cancelled.state(), BatchState::Cancelling);
    let (here, there) = (
        server.batch_end(&batch.id).await,
        other.batch_end(&batch.id).await,
    );
    assert_eq!(here, there);
    assert_eq!(
        end(&here),
        (BatchState::Cancelled, BatchStopReason::Cancelled)
    );
    let (before, (found, archived, _)) = (met(&cancelled).0, met(&here));
    assert!(
        found <= before + UNDER_WAY * CHUNK as i64,
        "it went on from {before} to {found}"
    );
    assert_eq!(
        (found, server.all("Historique").await.len() as i64),
        (archived, archived)
    );

    let status = other.batches().cancel_batch(request).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(faults(&status).0, "BATCH_ENDED");

    let rest = server.run_batch().await;
    assert_eq!(
        end(&rest),
        (BatchState::Succeeded, BatchStopReason::Exhausted)
    );
    assert_eq!(met(&rest), (MANY as i64, MANY as i64 - archived, archived));
}

#[tokio::test]
async fn of_two_instances_asked_at_once_one_runs_the_batch() {
    let server = busy_server().await;
    let other = server.another(|_| {}).await;
    let (one, two) = tokio::join!(
        server.start_batch(BatchOptions::default(), ""),
        other.start_batch(BatchOptions::default(), "")
    );
    let ((one, one_was_there), (two, two_was_there)) = (one.unwrap(), two.unwrap());
    assert_eq!(one.id, two.id);
    assert!(one_was_there != two_was_there);
    assert_eq!(
        met(&server.batch_end(&one.id).await),
        (MANY as i64, MANY as i64, 0)
    );
    let second = server.run_batch().await;
    assert_eq!(met(&second), (MANY as i64, 0, MANY as i64));
}

#[tokio::test]
async fn a_request_id_is_one_batch_for_ever() {
    let server = TestServer::start().await;
    server.insert("Commande", orders(5)).await;
    let limited = BatchOptions {
        limit: 2,
        ..Default::default()
    };
    let (first, already) = server.start_batch(limited, "nightly").await.unwrap();
    assert!(!already);
    server.batch_end(&first.id).await;
    let (second, already) = server.start_batch(limited, "nightly").await.unwrap();
    assert_eq!((second.id, already), (first.id, true));
    let status = server
        .start_batch(BatchOptions::default(), "nightly")
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert_eq!(faults(&status).0, "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn a_batch_keeps_to_its_limit_and_its_date() {
    let server = TestServer::start_with(|config| config.chunk_size = CHUNK).await;
    let dated = |day: i64| {
        let mut order = order(format!("CMD-2025-{day:06}"));
        order.insert("date_commande", DateTime::from_millis(day * 86_400_000));
        order
    };
    server.insert("Commande", (1..=100).map(dated)).await;
    let table = [
        ((30, None), (30, 30, 0), BatchStopReason::Limit, 30),
        ((0, Some(51)), (50, 20, 30), BatchStopReason::Exhausted, 50),
        ((60, None), (60, 10, 50), BatchStopReason::Limit, 60),
        (
            (1_000, None),
            (100, 40, 60),
            BatchStopReason::Exhausted,
            100,
        ),
    ];
    for ((limit, before), expected, reason, total) in table {
        let before = before.map(|day| prost_types::Timestamp {
            seconds: day * 86_400,
            nanos: 0,
        });
        let options = BatchOptions {
            limit,
            before,
            ..Default::default()
        };
        let batch = server.run_batch_with(options).await;
        assert_eq!(end(&batch), (BatchState::Succeeded, reason));
        assert_eq!((met(&batch), batch.estimated_total), (expected, total));
    }
}

#[tokio::test]
async fn a_batch_whose_instance_died_is_taken_up_by_the_next_one() {
    let server = TestServer::start().await;
    server.insert("Commande", orders(3)).await;
    let past = DateTime::from_millis(0);
    let dead = |id: &str, runs_without_progress: i64| {
        doc! {
            "_id": id, "state": "running", "active": true, "instance": "gone", "options": { "limit": 0_i64, "create_indexes": false },
            "created": past, "started": past, "updated": past, "alive_until": past, "request_id": id, "barren_lives": runs_without_progress,
        }
    };
    server.insert("archd_batches", [dead("0000", 1)]).await;
    let (taken, already) = server
        .start_batch(BatchOptions::default(), "0000")
        .await
        .unwrap();
    assert_eq!((taken.id.as_str(), already), ("0000", true));
    let batch = server.batch_end("0000").await;
    assert_eq!(
        (end(&batch), met(&batch)),
        (
            (BatchState::Succeeded, BatchStopReason::Exhausted),
            (3, 3, 0)
        )
    );
    // A batch that brings down whoever takes it up is not tried for ever.
    server.insert("archd_batches", [dead("0001", 5)]).await;
    let batch = server.batch_end("0001").await;
    assert_eq!(
        end(&batch),
        (BatchState::Failed, BatchStopReason::Interrupted)
    );
    assert_eq!(met(&server.run_batch().await), (3, 0, 3));
}

#[tokio::test]
async fn a_batch_is_not_taken_for_dead_while_it_looks_for_near_misses() {
    let set = ReplicaSet::start().await.unwrap();
    let lease = Duration::from_secs(1);
    let server = TestServer::start_on(&set, |config| config.lease = lease).await;
    let _other = server.second(|_| {}).await;
    server.insert("Commande", orders(3)).await;
    // Three times as long as the lease; of what a batch does only the look for near misses
    // aggregates.
    let slow = doc! {
        "configureFailPoint": "failCommand", "mode": "alwaysOn",
        "data": { "failCommands": ["aggregate"], "blockConnection": true, "blockTimeMS": 3_000 },
    };
    set.configure_fail_point(slow).await.unwrap();
    let batch = server.run_batch().await;
    set.clear_fail_point("failCommand").await.unwrap();
    assert_eq!((batch.resumes, met(&batch)), (0, (3, 3, 0)));
}

#[tokio::test]
async fn what_keeps_a_batch_from_its_near_misses_is_in_its_warnings() {
    const MAX_TIME_EXPIRED: i32 = 50;
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::start_on(&set, |_| {}).await;
    server.insert("Commande", orders(3)).await;
    let slow = doc! {
        "configureFailPoint": "failCommand", "mode": "alwaysOn",
        "data": { "failCommands": ["aggregate"], "appName": "archd", "errorCode": MAX_TIME_EXPIRED },
    };
    set.configure_fail_point(slow).await.unwrap();
    let batch = server.run_batch().await;
    set.clear_fail_point("failCommand").await.unwrap();
    assert_eq!(
        (batch.state(), met(&batch)),
        (BatchState::Succeeded, (3, 3, 0))
    );
    let warning = batch.warnings.last().unwrap();
    assert!(
        warning.contains("only look delivered") && warning.contains("ARCHD_OPERATION_TIMEOUT"),
        "{warning}"
    );
    let batch = server.run_batch().await;
    let looked_for = |warning: &String| warning.contains("only look delivered");
    assert!(!batch.warnings.iter().any(looked_for), "{batch:?}");
}

#[tokio::test]
async fn a_stop_while_the_database_is_away_hands_the_batch_on() {
    const EXCEEDED_TIME_LIMIT: i32 = 262;
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::start_on(&set, |config| config.retry_attempts = 0).await;
    let other = server.second(|_| {}).await;
    server.insert("Commande", orders(30)).await;
    let away = doc! {
        "configureFailPoint": "failCommand", "mode": "alwaysOn",
        "data": { "failCommands": ["insert"], "appName": "archd", "errorCode": EXCEEDED_TIME_LIMIT },
    };
    set.configure_fail_point(away).await.unwrap();
    let (batch, _) = server
        .start_batch(BatchOptions::default(), "")
        .await
        .unwrap();
    // It waits for the database, and gives its heartbeat now and then.
    let id = batch.id.clone();
    eventually(async || {
        let request = pb::GetBatchRequest { id: id.clone() };
        let answer = server.batches().get_batch(request).await.ok()?;
        let batch = answer.into_inner().batch?;
        (batch.update_time?.seconds > batch.start_time?.seconds + 1).then_some(())
    })
    .await;
    server.shut_down().await;
    set.clear_fail_point("failCommand").await.unwrap();
    let batch = other.batch_end(&batch.id).await;
    assert_eq!(
        (batch.state(), met(&batch)),
        (BatchState::Succeeded, (30, 30, 0))
    );
}

#[tokio::test]
async fn a_missing_index_is_named_with_its_mend_and_made_when_asked_for() {
    let server = TestServer::start().await.with_references().await;
    // An index on the field is an index on the field, whatever its name.
    let by_hand = IndexModel::builder().keys(doc! { "id_menu": 1 });
    let by_hand = by_hand
        .options(
            mongodb::options::IndexOptions::builder()
                .name("menus".to_owned())
                .build(),
        )
        .build();
    server
        .collection("Menu")
        .create_index(by_hand)
        .await
        .unwrap();
    let warnings = server.run_batch().await.warnings;
    let mends = [
        ("Client", "\"id_client\": 1"),
        ("Livreur", "\"id_livreur\": 1"),
        ("Restaurants", "\"id_restaurant\": 1"),
        ("Commande", "\"numero_commande\": 1"),
        ("Commande", "\"status\": 1, \"_id\": 1"),
    ]
    .map(|(collection, key)| format!(".getCollection({collection:?}).createIndex({{ {key} }}"));
    assert_eq!(warnings.len(), mends.len(), "{warnings:?}");
    for (warning, mend) in warnings.iter().zip(mends) {
        assert!(warning.contains(&mend), "{warning}");
    }
    let options = BatchOptions {
        create_indexes: true,
        ..Default::default()
    };
    let batch = server.run_batch_with(options).await;
    assert_eq!(
        (batch.state(), batch.warnings),
        (BatchState::Succeeded, Vec::new())
    );
}

#[tokio::test]
async fn a_batch_cut_short_by_a_stop_is_finished_by_another_instance() {
    let server = busy_server().await;
    let other = server
        .another(|config| config.instance = "other".to_owned())
        .await;
    let (batch, _) = server
        .start_batch(BatchOptions::default(), "")
        .await
        .unwrap();
    server.batch_under_way(&batch.id).await;
    server.shut_down().await;
    let batch = other.batch_end(&batch.id).await;
    assert_eq!(
        end(&batch),
        (BatchState::Succeeded, BatchStopReason::Exhausted)
    );
    assert_eq!(met(&batch), (MANY as i64, MANY as i64, 0));
    assert_eq!(batch.instance, "other", "it was not cut short");
}

#[tokio::test]
async fn a_caller_who_hangs_up_leaves_no_batch_that_nobody_runs() {
    let server = TestServer::start().await;
    server.insert("Commande", orders(10)).await;
    for patience in 1..40 {
        let mut request = tonic::Request::new(pb::StartBatchRequest::default());
        request.set_timeout(std::time::Duration::from_millis(patience));
        let _ = server.batches().start_batch(request).await;
    }
    eventually(async || {
        let request = pb::ListBatchesRequest::default();
        let batches = server.batches().list_batches(request).await.unwrap();
        let batches = batches.into_inner().batches;
        assert!(
            batches
                .iter()
                .all(|batch| batch.state() != BatchState::Failed)
        );
        batches
            .iter()
            .all(|batch| batch.state() == BatchState::Succeeded)
            .then_some(())
    })
    .await;
}
