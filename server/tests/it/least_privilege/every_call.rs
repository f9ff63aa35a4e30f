//! Everything that archd does for callers, each RPC at least once, whatever becomes of it.

use std::{
    collections::BTreeMap,
    future::Future,
    time::{Duration, SystemTime},
};

use bson::{Bson, doc};
use order_archiver_api::v1 as pb;
use tokio::time::timeout;
use tonic::{Code, Response, Status, Streaming};

use crate::support::{TestServer, eventually, http::get, order, orders, references};

/// The longest that a call is waited for: what can't be done for want of a privilege is told at
/// once, or never.
const PATIENCE: Duration = Duration::from_secs(3);

/// How calls ended, by the names of their methods.
#[derive(Debug, Default)]
pub(super) struct Ended(pub(super) BTreeMap<&'static str, Vec<Code>>);

impl Ended {
    fn note<T>(&mut self, method: &'static str, answer: Result<T, Status>) -> Option<T> {
        let code = answer.as_ref().err().map_or(Code::Ok, Status::code);
        self.0.entry(method).or_default().push(code);
        answer.ok()
    }
}

async fn patiently<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    timeout(PATIENCE, call)
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded("the test waits no longer")))
}

async fn unary<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Status> {
    patiently(call).await.map(Response::into_inner)
}

/// What a stream brings until it has said enough.
async fn stream<M>(
    call: impl Future<Output = Result<Response<Streaming<M>>, Status>>,
    enough: impl Fn(&[M]) -> bool,
) -> Result<Vec<M>, Status> {
    let mut answers = unary(call).await?;
    let mut messages = Vec::new();
    while !enough(&messages) {
        match patiently(answers.message()).await? {
            Some(message) => messages.push(message),
            None => break,
        }
    }
    Ok(messages)
}

/// Calls everything, on data that make it do all that it can do. The data are written by the
/// administrator, to whom the server's handle of the database belongs.
pub(super) async fn every_call(server: &TestServer) -> Ended {
    let mut ended = Ended::default();
    let began = SystemTime::now();
    for (collection, document) in references() {
        server.insert(collection, [document]).await;
    }
    server.insert("Commande", orders(6)).await;
    let mut near = order("CMD-near");
    near.insert("status", "Livrée");
    server.insert("Commande", [order(Bson::Null), near]).await;
    // What can't begin for want of a privilege is told by another code.
    eventually(async || {
        let asked = server.archive_order("CMD-2025-000001").await;
        let waits = matches!(&asked, Err(status) if status.code() == Code::Unavailable);
        (!waits).then_some(())
    })
    .await;
    archive(server, &mut ended).await;
    batches(server, &mut ended).await;
    watcher(server, &mut ended).await;
    quarantine(server, &mut ended).await;
    verifications(server, &mut ended).await;
    figures(server, &mut ended).await;
    let since = pb::tail_events_request::Start::SinceTime(began.into());
    let request = pb::TailEventsRequest {
        start: Some(since),
        ..Default::default()
    };
    let mut client = server.events();
    let news = stream(client.tail_events(request), |news| !news.is_empty()).await;
    ended.note("TailEvents", news);
    seed(server, &mut ended).await;
    ended
}

async fn archive(server: &TestServer, ended: &mut Ended) {
    let numero_commande = "CMD-2025-000001".to_owned();
    let request = pb::ArchiveOrderRequest {
        numero_commande: numero_commande.clone(),
    };
    let mut client = server.archive();
    let archived = unary(client.archive_order(request)).await;
    ended.note("ArchiveOrder", archived);
    let asked = futures::stream::iter([pb::ArchiveOrdersRequest {
        numero_commande: "CMD-2025-000002".to_owned(),
    }]);
    let answers = stream(client.archive_orders(asked), |_| false).await;
    ended.note("ArchiveOrders", answers);
    let request = pb::GetArchivedOrderRequest { numero_commande };
    let archived = unary(client.get_archived_order(request)).await;
    ended.note("GetArchivedOrder", archived);
    let request = pb::ListArchivedOrdersRequest {
        with_documents: true,
        ..Default::default()
    };
    let listed = unary(client.list_archived_orders(request)).await;
    ended.note("ListArchivedOrders", listed);
}

async fn batches(server: &TestServer, ended: &mut Ended) {
    let mut client = server.batches();
    let request = pb::StartBatchRequest {
        options: Some(pb::BatchOptions {
            create_indexes: true,
            ..Default::default()
        }),
        ..Default::default()
    };
    let started = ended.note("StartBatch", unary(client.start_batch(request)).await);
    let id = started.and_then(|started| started.batch);
    let id = id.map_or_else(|| "latest".to_owned(), |batch| batch.id);
    let request = pb::WatchBatchRequest { id: id.clone() };
    let states = stream(client.watch_batch(request), |_| false).await;
    ended.note("WatchBatch", states);
    let request = pb::GetBatchRequest { id: id.clone() };
    ended.note("GetBatch", unary(client.get_batch(request)).await);
    let request = pb::ListBatchesRequest::default();
    ended.note("ListBatches", unary(client.list_batches(request)).await);
    let request = pb::TuneBatchRequest {
        id: id.clone(),
        max_orders_per_second: Some(100),
        ..Default::default()
    };
    ended.note("TuneBatch", unary(client.tune_batch(request)).await);
    let request = pb::CancelBatchRequest { id };
    ended.note("CancelBatch", unary(client.cancel_batch(request)).await);
}

async fn watcher(server: &TestServer, ended: &mut Ended) {
    let mut client = server.watcher();
    let watches = eventually(async || {
        let answer = client.get_watcher(pb::GetWatcherRequest {}).await;
        let state = answer.map(|it| it.into_inner().watcher.unwrap_or_default().state());
        match state {
            Ok(state) => (state == pb::WatcherState::Watching).then_some(Ok(())),
            Err(status) => Some(Err(status)),
        }
    });
    let watches = patiently(watches).await;
    ended.note("GetWatcher", watches);
    server.insert("Commande", [order("CMD-watched")]).await;
    let mut client = server.watcher();
    let request = pb::PauseWatcherRequest {};
    ended.note("PauseWatcher", unary(client.pause_watcher(request)).await);
    let request = pb::ResumeWatcherRequest {};
    ended.note("ResumeWatcher", unary(client.resume_watcher(request)).await);
}

async fn quarantine(server: &TestServer, ended: &mut Ended) {
    let mut client = server.quarantine();
    let request = pb::ListQuarantinedRequest::default();
    let listed = ended.note(
        "ListQuarantined",
        unary(client.list_quarantined(request)).await,
    );
    let entries = listed.unwrap_or_default().entries.into_iter();
    let mut ids: Vec<String> = entries.map(|entry| entry.id).collect();
    ids.push("none".to_owned());
    ids.truncate(1);
    let request = pb::RetryQuarantinedRequest { ids: ids.clone() };
    let retried = unary(client.retry_quarantined(request)).await;
    ended.note("RetryQuarantined", retried);
    let request = pb::DropQuarantinedRequest { ids };
    let dropped = unary(client.drop_quarantined(request)).await;
    ended.note("DropQuarantined", dropped);
}

async fn verifications(server: &TestServer, ended: &mut Ended) {
    let archive = server.collection("Historique");
    let of = |number: u8| doc! { "numero_commande": format!("CMD-2025-00000{number}") };
    archive.delete_one(of(3)).await.unwrap();
    let altered = doc! { "$set": { "coût_commande": 99.9 } };
    archive.update_one(of(4), altered).await.unwrap();
    let mut client = server.verifications();
    // One that is told of again and one that goes on from it.
    let mut id = "latest".to_owned();
    for scope in [
        pb::VerificationScope::Full,
        pb::VerificationScope::Changes,
        pb::VerificationScope::Full,
    ] {
        let request = pb::StartVerificationRequest {
            options: Some(pb::VerificationOptions {
                scope: scope.into(),
                settle: Some(prost_types::Duration::default()),
                max_orders_per_second: Some(0),
                ..Default::default()
            }),
            ..Default::default()
        };
        let started = ended.note(
            "StartVerification",
            unary(client.start_verification(request)).await,
        );
        if let Some(verification) = started.and_then(|started| started.verification) {
            id = verification.id;
        }
        let request = pb::WatchVerificationRequest { id: id.clone() };
        let states = stream(client.watch_verification(request), |_| false).await;
        ended.note("WatchVerification", states);
    }
    let request = pb::GetVerificationRequest { id: id.clone() };
    let read = unary(client.get_verification(request)).await;
    ended.note("GetVerification", read);
    let request = pb::ListVerificationsRequest::default();
    let listed = unary(client.list_verifications(request)).await;
    ended.note("ListVerifications", listed);
    let request = pb::ListDifferencesRequest {
        verification_id: id.clone(),
        ..Default::default()
    };
    let listed = unary(client.list_differences(request)).await;
    ended.note("ListDifferences", listed);
    let request = pb::AcknowledgeDifferenceRequest {
        numero_commande: "CMD-2025-000004".to_owned(),
        reason: "looked into".to_owned(),
        by: "Zoé".to_owned(),
    };
    let acknowledged = unary(client.acknowledge_difference(request)).await;
    ended.note("AcknowledgeDifference", acknowledged);
    let request = pb::ListAcknowledgementsRequest::default();
    let listed = unary(client.list_acknowledgements(request)).await;
    ended.note("ListAcknowledgements", listed);
    let request = pb::ListLedgerRequest::default();
    ended.note("ListLedger", unary(client.list_ledger(request)).await);
    let request = pb::ExplainOrderRequest {
        numero_commande: "CMD-2025-000004".to_owned(),
        with_history: true,
        history_limit: None,
    };
    ended.note("ExplainOrder", unary(client.explain_order(request)).await);
    let request = pb::RepairOrdersRequest {
        verification_id: id.clone(),
        classes: [pb::DifferenceClass::Missing, pb::DifferenceClass::Altered]
            .map(i32::from)
            .to_vec(),
        confirmed: true,
        reason: "ticket 4711".to_owned(),
        by: "Zoé".to_owned(),
        ..Default::default()
    };
    let repaired = stream(client.repair_orders(request), |_| false).await;
    ended.note("RepairOrders", repaired);
    let request = pb::CancelVerificationRequest { id };
    let cancelled = unary(client.cancel_verification(request)).await;
    ended.note("CancelVerification", cancelled);
}

async fn figures(server: &TestServer, ended: &mut Ended) {
    let request = pb::GetStatsRequest {
        include_near_misses: true,
        series_step: Some(prost_types::Duration {
            seconds: 3_600,
            nanos: 0,
        }),
        ..Default::default()
    };
    ended.note("GetStats", unary(server.stats().get_stats(request)).await);
    let mut client = server.instance_service();
    let request = pb::ListInstancesRequest {};
    ended.note("ListInstances", unary(client.list_instances(request)).await);
    let request = pb::GetInstanceRequest {};
    ended.note("GetInstance", unary(client.get_instance(request)).await);
    let metrics = get(server.http.unwrap(), "/metrics").await;
    assert_eq!(metrics.status, 200, "{}", metrics.body);
}

async fn seed(server: &TestServer, ended: &mut Ended) {
    let request = pb::SeedDataRequest {
        orders: Some(20),
        append: true,
        live_orders_per_minute: 6_000,
        live_order_lifetime: Some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        }),
        ..Default::default()
    };
    let lives = |told: &[pb::SeedDataResponse]| {
        let live = told
            .iter()
            .filter(|told| told.phase() == pb::SeedPhase::Live);
        live.count() >= 3
    };
    let seeded = stream(server.seeds().seed_data(request), lives).await;
    ended.note("SeedData", seeded);
}
