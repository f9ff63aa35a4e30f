//! Whatever happens to a write, each order is archived once and counted once.

use std::{collections::HashSet, time::Duration};

use bson::{Document, doc};
use devkit::ReplicaSet;
use futures::future::{join, join_all};
use order_archiver_api::v1 as pb;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{TestServer, order, tally, within};

fn numeros(count: usize) -> Vec<String> {
    (1..=count).map(|at| format!("CMD-{at:06}")).collect()
}

/// Makes the server's inserts fail in this way.
async fn fail(set: &ReplicaSet, mode: Document, how: Document) {
    let mut data = doc! { "failCommands": ["insert"], "appName": "archd" };
    data.extend(how);
    let fail_point = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
    set.configure_fail_point(fail_point).await.unwrap();
}

/// Holds that the archive has exactly these orders, and that the books say the same.
async fn archived_once(server: &TestServer, numeros: &[String], counts: [i64; 4]) {
    let archive = server.all("Historique").await;
    let archived: Vec<&str> = archive
        .iter()
        .map(|row| row.get_str("numero_commande").unwrap())
        .collect();
    let distinct: HashSet<&str> = archived.iter().copied().collect();
    let wanted: HashSet<&str> = numeros.iter().map(String::as_str).collect();
    assert_eq!((archived.len(), &distinct), (numeros.len(), &wanted));
    // After such a fault the server may take the database for away, for a moment.
    let stats = loop {
        server.ready().await;
        let request = pb::GetStatsRequest::default();
        match server.stats().get_stats(request).await {
            Err(status) if status.code() == Code::Unavailable => {}
            answer => break answer.unwrap(),
        }
    };
    assert_eq!(tally(stats.into_inner().lifetime), counts);
}

#[tokio::test]
async fn an_order_is_archived_and_counted_once_whatever_happens_to_its_insert() {
    let set = ReplicaSet::start().await.unwrap();
    let lost = || doc! { "closeConnection": true };
    let unconfirmed = || doc! { "writeConcernError": { "code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting for replication timed out" } };
    let refused = |code: i32| doc! { "errorCode": code };
    let faults = [
        (1, lost()),
        (2, lost()),
        (1, unconfirmed()),
        (2, unconfirmed()),
        (3, refused(11602)),
        (3, refused(91)),
        (3, refused(189)),
        (2, refused(10107)),
        (2, refused(6)),
    ];
    for (times, fault) in faults {
        let server = TestServer::start_on(&set, |_| {})
            .await
            .with_references()
            .await;
        let numeros = numeros(30);
        server.insert("Commande", numeros.iter().map(order)).await;
        fail(&set, doc! { "times": times }, fault.clone()).await;
        let answer = server.archive_order(&numeros[0]).await.unwrap();
        assert_eq!(answer.outcome(), pb::ArchiveOutcome::Archived, "{fault}");

        server.ready().await;
        fail(&set, doc! { "times": times }, fault.clone()).await;
        let batch = server.run_batch().await;
        assert_eq!(tally(batch.counts), [30, 29, 1, 0], "{fault}: {batch:?}");
        archived_once(&server, &numeros, [30, 30, 0, 0]).await;
        server.shut_down().await;
    }
}

#[tokio::test]
async fn an_insert_whose_answer_never_comes_is_read_back() {
    let set = ReplicaSet::start().await.unwrap();
    let change = |config: &mut archd::config::Config| {
        config.operation_timeout = Duration::from_secs(1);
    };
    let server = TestServer::start_on(&set, change)
        .await
        .with_references()
        .await;
    let numeros = numeros(20);
    server.insert("Commande", numeros.iter().map(order)).await;
    let archive = format!("{}.Historique", server.database.name());
    let wait = doc! {
        "configureFailPoint": "waitAfterCommandFinishesExecution", "mode": "alwaysOn", "data": { "ns": archive, "commands": ["insert"] },
    };
    set.configure_fail_point(wait).await.unwrap();
    let batch = server.run_batch().await;
    set.clear_fail_point("waitAfterCommandFinishesExecution")
        .await
        .unwrap();
    assert_eq!(tally(batch.counts), [20, 20, 0, 0], "{batch:?}");
    archived_once(&server, &numeros, [20, 20, 0, 0]).await;
}

#[tokio::test]
async fn a_caller_hears_in_time_of_a_database_that_refuses_for_ever() {
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::start_on(&set, |_| {})
        .await
        .with_references()
        .await;
    server.insert("Commande", [order("CMD-1")]).await;
    fail(
        &set,
        doc! { "times": 1_000_000 },
        doc! { "errorCode": 91, "closeConnection": false },
    )
    .await;

    let mut request = tonic::Request::new(pb::ArchiveOrderRequest {
        numero_commande: "CMD-1".to_owned(),
    });
    request.set_timeout(Duration::from_secs(2));
    let status = server.archive().archive_order(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.get_details_retry_info().is_some(), "{status:?}");

    let started = server
        .batches()
        .start_batch(pb::StartBatchRequest::default())
        .await;
    let batch = started.unwrap().into_inner().batch.unwrap();
    let cancel = pb::CancelBatchRequest {
        id: batch.id.clone(),
    };
    server.batches().cancel_batch(cancel).await.unwrap();
    set.clear_fail_point("failCommand").await.unwrap();
    let batch = server.batch_end(&batch.id).await;
    assert_eq!(batch.state(), pb::BatchState::Cancelled, "{batch:?}");
    // The coalescer or the batch may have archived it in the end, or neither.
    let archived = tally(batch.counts)[1];
    assert!(
        archived <= server.all("Historique").await.len() as i64,
        "{batch:?}"
    );
}

#[tokio::test]
async fn callers_and_a_batch_at_once_archive_each_order_once() {
    const CALLERS: usize = 8;
    const ORDERS: usize = 200;
    let server = TestServer::start_with(|config| config.chunk_size = 20)
        .await
        .with_references()
        .await;
    let numeros = numeros(ORDERS);
    server.insert("Commande", numeros.iter().map(order)).await;
    // All callers of one order stand in line together.
    let asked = numeros.iter().flat_map(|numero| [numero; CALLERS]);
    let callers = join_all(asked.map(|numero| server.archive_order(numero)));
    let (answers, batch) = within(join(callers, server.run_batch())).await;
    let by_callers = answers
        .into_iter()
        .filter(|answer| answer.as_ref().unwrap().outcome() == pb::ArchiveOutcome::Archived)
        .count();
    let [found, by_batch, _, errors] = tally(batch.counts);
    assert_eq!((found, errors), (200, 0));
    assert_eq!(by_callers + usize::try_from(by_batch).unwrap(), ORDERS);

    let archive = server.all("Historique").await;
    assert_eq!(archive.len(), ORDERS);
    let stats = server
        .stats()
        .get_stats(pb::GetStatsRequest::default())
        .await
        .unwrap();
    let [_, archived, _, errors] = tally(stats.into_inner().lifetime);
    assert_eq!((archived, errors), (200, 0));
}

#[tokio::test]
async fn another_unique_index_on_the_archive_refuses_one_order_and_not_its_neighbours() {
    let server = TestServer::start().await.with_references().await;
    server
        .database
        .run_command(doc! { "createIndexes": "Historique", "indexes": [{ "key": { "ticket": 1 }, "name": "ticket", "unique": true, "sparse": true }] })
        .await
        .unwrap();
    let mut orders: Vec<Document> = numeros(3).iter().map(order).collect();
    orders[0].insert("ticket", 1);
    orders[1].insert("ticket", 1);
    server.insert("Commande", orders).await;
    let batch = server.run_batch().await;
    assert_eq!(tally(batch.counts), [3, 2, 0, 1], "{batch:?}");
    let request = pb::ListQuarantinedRequest::default();
    let listed = server.quarantine().list_quarantined(request).await.unwrap();
    let [entry] = listed.into_inner().entries.try_into().unwrap();
    assert_eq!(entry.reason(), pb::QuarantineReason::Refused);
    assert!(entry.detail.contains("11000"), "{}", entry.detail);
}
