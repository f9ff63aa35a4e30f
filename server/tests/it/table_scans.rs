//! No query of the server's own reads a whole collection: on a mongod that refuses to, everything
//! works but what is named here.

use std::collections::BTreeSet;

use bson::{DateTime, Document, doc};
use devkit::ReplicaSet;
use futures::TryStreamExt;
use order_archiver_api::{FILE_DESCRIPTOR_SET, v1 as pb};
use pb::verification_service_client::VerificationServiceClient;
use prost::Message;
use tonic::{Response, Status, Streaming};

use crate::{
    repairs::verified,
    support::{TestServer, eventually, order, orders, references, tally, within},
};

/// What may read all orders, and why.
const EXEMPT: [(&str, &str); 3] = [
    (
        "GetStats with include_near_misses",
        "statuses that only look delivered are looked for by hand, in every order",
    ),
    (
        "StartBatch with a limit, before or max_runtime",
        "such a batch meets only some orders, so it looks for near misses in every one; its warnings say when it could not",
    ),
    (
        "SeedData",
        "a simulation tells in the end how many orders there are of each status",
    ),
];

/// A mongod that refuses to read whole collections from here on.
async fn strict() -> (ReplicaSet, TestServer) {
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::start_on(&set, |config| {
        config.watch = true;
        config.chunk_size = 20;
    })
    .await;
    for (collection, document) in references() {
        server.insert(collection, [document]).await;
    }
    // What every deployment is told to have.
    let indexed = pb::BatchOptions {
        create_indexes: true,
        ..Default::default()
    };
    // The catch-up of the watcher's first start may be under way, and makes none.
    eventually(async || {
        let (batch, already) = server.start_batch(indexed, "").await.unwrap();
        server.batch_end(&batch.id).await;
        (!already).then_some(())
    })
    .await;
    let strict = doc! { "setParameter": 1, "notablescan": true };
    set.nodes()[0].admin(strict).await.unwrap();
    (set, server)
}

#[tokio::test]
async fn every_call_and_every_source_works_where_whole_collections_may_not_be_read() {
    let (_set, server) = strict().await;
    profile(&server, 2).await;
    let mut called = BTreeSet::new();
    let mut works = |call: &str, answer: Result<(), Status>| {
        answer.unwrap_or_else(|status| panic!("{call}: {status:?}"));
        called.insert(call.to_owned());
    };
    let ok = |answer: Result<(), Status>| answer;

    // The three ways in: a caller, the watcher, a batch; and what is quarantined on each.
    server.insert("Commande", [order("one")]).await;
    works("ArchiveOrder", server.archive_order("one").await.map(drop));
    server.insert("Commande", orders(50)).await;
    server.insert("Commande", [order(7)]).await;
    server.archived(51).await;
    let mut late = order("late");
    late.insert("status", "en_cours");
    server.insert("Commande", [late]).await;
    let delivered = doc! { "$set": { "status": "livrée" } };
    let number = doc! { "numero_commande": "late" };
    server
        .collection("Commande")
        .update_one(number, delivered)
        .await
        .unwrap();
    server.archived(52).await;
    let (batch, _) = server
        .start_batch(pb::BatchOptions::default(), "nightly")
        .await
        .unwrap();
    works("StartBatch", Ok(()));
    let ended = server.batch_end(&batch.id).await;
    assert_eq!(ended.state(), pb::BatchState::Succeeded, "{ended:?}");
    assert_eq!(tally(ended.counts), [53, 0, 52, 1]);
    assert!(ended.warnings.is_empty(), "{:?}", ended.warnings);
    works("WatchBatch", Ok(()));
    let dry_run = pb::BatchOptions {
        validate_only: true,
        ..Default::default()
    };
    assert_eq!(
        server.run_batch_with(dry_run).await.state(),
        pb::BatchState::Succeeded
    );

    let id = || batch.id.clone();
    works(
        "GetBatch",
        ok(server
            .batches()
            .get_batch(pb::GetBatchRequest { id: id() })
            .await
            .map(drop)),
    );
    let succeeded = pb::ListBatchesRequest {
        states: vec![
            pb::BatchState::Succeeded.into(),
            pb::BatchState::Failed.into(),
        ],
        page_size: 1,
        ..Default::default()
    };
    let page = server.batches().list_batches(succeeded.clone()).await;
    let page_token = page.map(|page| page.into_inner().next_page_token).unwrap();
    let next = pb::ListBatchesRequest {
        page_token,
        ..succeeded
    };
    works(
        "ListBatches",
        server.batches().list_batches(next).await.map(drop),
    );
    let slow = pb::BatchOptions {
        max_orders_per_second: Some(1),
        ..Default::default()
    };
    let (running, _) = server.start_batch(slow, "slow").await.unwrap();
    let tune = pb::TuneBatchRequest {
        id: running.id.clone(),
        max_orders_per_second: Some(2),
        ..Default::default()
    };
    works(
        "TuneBatch",
        server.batches().tune_batch(tune).await.map(drop),
    );
    let cancel = pb::CancelBatchRequest {
        id: running.id.clone(),
    };
    works(
        "CancelBatch",
        server.batches().cancel_batch(cancel).await.map(drop),
    );
    assert_eq!(
        server.batch_end(&running.id).await.state(),
        pb::BatchState::Cancelled
    );

    let get = pb::GetArchivedOrderRequest {
        numero_commande: "one".to_owned(),
    };
    works(
        "GetArchivedOrder",
        server.archive().get_archived_order(get).await.map(drop),
    );
    let list = pb::ListArchivedOrdersRequest {
        page_size: 2,
        ..Default::default()
    };
    works(
        "ListArchivedOrders",
        server.archive().list_archived_orders(list).await.map(drop),
    );
    let asked = futures::stream::iter([pb::ArchiveOrdersRequest {
        numero_commande: "one".to_owned(),
    }]);
    let answers = server.archive().archive_orders(asked).await;
    let first = within(answers.unwrap().into_inner().message()).await;
    works("ArchiveOrders", first.map(drop));

    works(
        "GetStats",
        server
            .stats()
            .get_stats(pb::GetStatsRequest::default())
            .await
            .map(drop),
    );
    let reasons = pb::ListQuarantinedRequest {
        reasons: vec![pb::QuarantineReason::NoUsableNumber.into()],
        ..Default::default()
    };
    let listed = server.list_quarantined(reasons).await;
    works("ListQuarantined", Ok(()));
    let ids = vec![listed.entries[0].id.clone()];
    let retry = pb::RetryQuarantinedRequest { ids: ids.clone() };
    works(
        "RetryQuarantined",
        server.quarantine().retry_quarantined(retry).await.map(drop),
    );
    let release = pb::DropQuarantinedRequest { ids };
    works(
        "DropQuarantined",
        server
            .quarantine()
            .drop_quarantined(release)
            .await
            .map(drop),
    );

    drop(server.news().await);
    works("TailEvents", Ok(()));
    works(
        "GetWatcher",
        server
            .watcher()
            .get_watcher(pb::GetWatcherRequest {})
            .await
            .map(drop),
    );
    works(
        "PauseWatcher",
        server
            .watcher()
            .pause_watcher(pb::PauseWatcherRequest {})
            .await
            .map(drop),
    );
    works(
        "ResumeWatcher",
        server
            .watcher()
            .resume_watcher(pb::ResumeWatcherRequest {})
            .await
            .map(drop),
    );
    server.watcher_is(pb::WatcherState::Watching).await;
    assert_eq!(server.instances().await.len(), 1);
    works("ListInstances", Ok(()));
    works(
        "GetInstance",
        server
            .instance_service()
            .get_instance(pb::GetInstanceRequest {})
            .await
            .map(drop),
    );
    let mut verifications = VerificationServiceClient::new(server.channel.clone());
    let explain = pb::ExplainOrderRequest {
        numero_commande: "one".to_owned(),
        with_history: true,
        history_limit: None,
    };
    let explained = verifications.explain_order(explain).await;
    works("ExplainOrder", explained.map(drop));
    let found =
        doc! { "_id": "v-1", "verdict": "not_verified", "created": DateTime::from_millis(0) };
    server.insert("archd_verifications", [found]).await;
    let found = doc! {
        "_id": "v-1.a", "verification": "v-1", "class": "missing", "rank": 0, "settled": true,
        "first_seen": DateTime::from_millis(0), "numero_commande": "one", "fingerprint": "f",
    };
    server.insert("archd_differences", [found]).await;
    let acknowledge = pb::AcknowledgeDifferenceRequest {
        numero_commande: "one".to_owned(),
        reason: "looked into".to_owned(),
        by: String::new(),
    };
    let acknowledged = verifications.acknowledge_difference(acknowledge).await;
    works("AcknowledgeDifference", acknowledged.map(drop));
    for collection in ["archd_verifications", "archd_differences"] {
        let taken = server.collection(collection).delete_many(doc! {}).await;
        assert_eq!(taken.unwrap().deleted_count, 1);
    }
    let listed = verifications
        .list_acknowledgements(pb::ListAcknowledgementsRequest::default())
        .await;
    works("ListAcknowledgements", listed.map(drop));
    let listed = verifications
        .list_ledger(pb::ListLedgerRequest::default())
        .await;
    works("ListLedger", listed.map(drop));
    let verification = verified(&server).await.id;
    works("StartVerification", Ok(()));
    works("WatchVerification", Ok(()));
    let id = verification.clone();
    let read = verifications.get_verification(pb::GetVerificationRequest { id });
    works("GetVerification", read.await.map(drop));
    let listed = verifications
        .list_verifications(pb::ListVerificationsRequest::default())
        .await;
    works("ListVerifications", listed.map(drop));
    let differences = pb::ListDifferencesRequest {
        verification_id: verification.clone(),
        ..Default::default()
    };
    let listed = verifications.list_differences(differences).await;
    works("ListDifferences", listed.map(drop));
    let repair = pb::RepairOrdersRequest {
        verification_id: verification.clone(),
        classes: vec![pb::DifferenceClass::Missing.into()],
        ..Default::default()
    };
    let repaired = verifications.repair_orders(repair).await;
    works("RepairOrders", within(outcome_of(repaired)).await);
    let id = verification;
    let cancelled = verifications.cancel_verification(pb::CancelVerificationRequest { id });
    assert_eq!(
        cancelled.await.unwrap_err().code(),
        tonic::Code::FailedPrecondition
    );
    works("CancelVerification", Ok(()));
    // A second instance finds its way too.
    server.second(|_| {}).await.shut_down().await;
    assert_eq!(scanned(&server).await, BTreeSet::new());
    seed(&server).await;
    works("SeedData", Ok(()));

    let descriptors = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let services = descriptors.file.iter().flat_map(|file| &file.service);
    let all: BTreeSet<String> = services
        .flat_map(|service| service.method.iter().map(|method| method.name().to_owned()))
        .collect();
    assert_eq!(called, all, "a call without a case");
}

/// What a stream comes to, once it has ended.
async fn outcome_of<M>(answers: Result<Response<Streaming<M>>, Status>) -> Result<(), Status> {
    let mut answers = answers?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}

async fn seed(server: &TestServer) {
    let seed = pb::SeedDataRequest {
        orders: Some(20),
        append: true,
        ..Default::default()
    };
    let mut seeding = server.seeds().seed_data(seed).await.unwrap().into_inner();
    while within(seeding.message()).await.unwrap().is_some() {}
}

/// Which collections were read whole since the profiler was set, by which command. A hint may ask
/// for that where nothing else can.
async fn scanned(server: &TestServer) -> BTreeSet<(String, String)> {
    let profile = server.collection("system.profile");
    let whole = doc! { "appName": "archd", "planSummary": { "$regex": "COLLSCAN" } };
    let found = profile.find(whole).await.unwrap();
    let found: Vec<Document> = found.try_collect().await.unwrap();
    let of = |entry: &Document| {
        let command = entry.get_document("command").unwrap();
        // A stream of changes reads the history, which has no indexes.
        let begun = entry.get_document("originatingCommand").unwrap_or(command);
        let streams = begun
            .get_array("pipeline")
            .ok()
            .and_then(|stages| stages.first()?.as_document())
            .is_some_and(|stage| stage.contains_key("$changeStream"));
        let (name, collection) = command.iter().next()?;
        let collection = collection.as_str().unwrap_or_default();
        (!streams).then(|| (name.clone(), collection.to_owned()))
    };
    found.iter().filter_map(of).collect()
}

async fn profile(server: &TestServer, level: i32) {
    server
        .database
        .run_command(doc! { "profile": level })
        .await
        .unwrap();
}

#[tokio::test]
async fn what_reads_all_orders_is_named_with_its_reason() {
    let (set, server) = strict().await;
    let lenient = doc! { "setParameter": 1, "notablescan": false };
    set.nodes()[0].admin(lenient).await.unwrap();
    server.insert("Commande", orders(3)).await;
    let all_orders = BTreeSet::from([("aggregate".to_owned(), "Commande".to_owned())]);
    for (what, why) in EXEMPT {
        profile(&server, 0).await;
        server.collection("system.profile").drop().await.unwrap();
        profile(&server, 2).await;
        if what == "SeedData" {
            seed(&server).await;
        } else if what.starts_with("GetStats") {
            let request = pb::GetStatsRequest {
                include_near_misses: true,
                ..Default::default()
            };
            server.stats().get_stats(request).await.unwrap();
        } else {
            let limited = pb::BatchOptions {
                limit: 2,
                ..Default::default()
            };
            let batch = server.run_batch_with(limited).await;
            assert_eq!(batch.state(), pb::BatchState::Succeeded, "{batch:?}");
            assert!(batch.warnings.is_empty(), "{batch:?}");
        }
        let told = eventually(async || {
            let scanned = scanned(&server).await;
            (!scanned.is_empty()).then_some(scanned)
        });
        assert_eq!(told.await, all_orders, "{what}: {why}");
    }
}

/// How many keys and documents a command of the server's was made to look at, as mongod's profiler
/// tells.
async fn looked_at(server: &TestServer, collection: &str) -> (i64, i64) {
    let namespace = format!("{}.{collection}", server.database.name());
    let last = eventually(async || {
        let profile = server.collection("system.profile");
        let of =
            doc! { "ns": &namespace, "appName": "archd", "op": { "$in": ["query", "command"] } };
        let found = profile.find_one(of).sort(doc! { "ts": -1 });
        found.await.unwrap()
    })
    .await;
    let whole = |name: &str| {
        last.get(name)
            .map_or(0, |n| n.as_i32().map_or(0, i64::from))
    };
    (whole("keysExamined"), whole("docsExamined"))
}

#[tokio::test]
async fn the_statistics_look_at_no_more_than_the_minutes_of_their_window() {
    const MINUTES: i64 = 20_000;
    let server = TestServer::start().await;
    let now = DateTime::now().timestamp_millis() / 60_000 * 60_000;
    let counters = ["rpc", "batch", "watch"].into_iter().flat_map(|source| {
        let all = doc! { "_id": { "door": source, "minute": "all" }, "found": MINUTES, "archived": MINUTES, "since": DateTime::from_millis(now) };
        let minutes = (0..MINUTES).map(move |minute| {
            let minute = DateTime::from_millis(now - minute * 60_000);
            doc! { "_id": { "door": source, "minute": minute }, "minute": minute, "found": 1_i64, "archived": 1_i64 }
        });
        minutes.chain([all])
    });
    let counters: Vec<Document> = counters.collect();
    for handful in counters.chunks(10_000) {
        server.insert("archd_counters", handful.to_vec()).await;
    }
    profile(&server, 2).await;
    for (window, minutes) in [(3_600, 60), (86_400, 1_440)] {
        let request = pb::GetStatsRequest {
            window: Some(prost_types::Duration {
                seconds: window,
                nanos: 0,
            }),
            ..Default::default()
        };
        let stats = server.get_stats(request).await;
        assert_eq!(stats.lifetime.unwrap().archived, 3 * MINUTES);
        let archived = stats.window.unwrap().archived;
        assert!(
            (3 * minutes..=3 * minutes + 3).contains(&archived),
            "{archived}"
        );
        let (keys, documents) = looked_at(&server, "archd_counters").await;
        let most = 3 * (minutes + 2) + 10;
        assert!(
            keys <= most && documents <= most,
            "{keys} keys, {documents} documents"
        );
    }
    profile(&server, 0).await;
}
