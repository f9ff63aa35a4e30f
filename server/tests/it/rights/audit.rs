//! The audit log: who did what that changes more than one order, on what, and how it went.

use bson::{Bson, Document, doc};
use order_archiver_api::v1 as pb;
use tonic::{Code, Request, Status, transport::Channel};

use super::{Identities, line, of};
use crate::support::{TestServer, eventually, faults, within};

type Quarantine = pb::quarantine_service_client::QuarantineServiceClient<Channel>;

/// What the audit log says, the oldest first, once each call in it has ended.
async fn calls(server: &TestServer, number: usize) -> Vec<Document> {
    eventually(async || {
        let mut calls = server.all("archd_audit").await;
        calls.sort_by_key(|call| call.get_datetime("at").copied().unwrap());
        let ended = calls.iter().filter(|call| call.contains_key("ended"));
        (ended.count() == number && calls.len() == number).then_some(calls)
    })
    .await
}

fn text<'a>(call: &'a Document, field: &str) -> &'a str {
    call.get_str(field)
        .unwrap_or_else(|_| panic!("{field} of {call}"))
}

async fn start_batch(server: &TestServer, request: Request<pb::StartBatchRequest>) -> String {
    let mut batches = pb::batch_service_client::BatchServiceClient::new(server.channel.clone());
    let started = batches.start_batch(request).await.unwrap().into_inner();
    started.batch.unwrap().id
}

async fn drop_entry(server: &TestServer, name: &str, id: &str) -> Result<(), Status> {
    let request = pb::DropQuarantinedRequest {
        ids: vec![id.to_owned()],
    };
    let mut quarantine = Quarantine::new(server.channel.clone());
    quarantine
        .drop_quarantined(of(name, request))
        .await
        .map(drop)
}

#[tokio::test]
async fn each_call_that_operates_or_destroys_is_noted_with_who_made_it_and_how_it_ended() {
    let identities = Identities::new(&[line("night", "operate"), line("admin", "destroy")]);
    let server = identities.server().await;
    let batch = pb::StartBatchRequest {
        options: Some(pb::BatchOptions {
            limit: 5,
            validate_only: true,
            ..Default::default()
        }),
        request_id: "tonight".to_owned(),
    };
    let mut request = of("night", batch);
    let request_id = "7f3a-one".parse().unwrap();
    request.metadata_mut().insert("x-request-id", request_id);
    let id = start_batch(&server, request).await;
    drop_entry(&server, "admin", "no-such-entry")
        .await
        .unwrap_err();
    drop_entry(&server, "night", "no-such-entry")
        .await
        .unwrap_err();
    let seed = pb::SeedDataRequest {
        orders: Some(3),
        ..Default::default()
    };
    let mut seeds = pb::seed_service_client::SeedServiceClient::new(server.channel.clone());
    let seeded = seeds
        .seed_data(of("admin", seed))
        .await
        .unwrap()
        .into_inner();
    crate::support::last(seeded).await;
    let mut archive = pb::archive_service_client::ArchiveServiceClient::new(server.channel.clone());
    let order = pb::ArchiveOrderRequest {
        numero_commande: "CMD-1".to_owned(),
    };
    archive.archive_order(of("admin", order)).await.unwrap_err();

    let calls = calls(&server, 3).await;
    let told: Vec<[&str; 5]> = calls
        .iter()
        .map(|call| ["who", "call", "right", "outcome", "reason"].map(|field| text(call, field)))
        .collect();
    let service = |name: &str| format!("orderarchiver.v1.{name}");
    let (start, release, seed) = (
        service("BatchService/StartBatch"),
        service("QuarantineService/DropQuarantined"),
        service("SeedService/SeedData"),
    );
    assert_eq!(
        told,
        [
            ["night", &start, "operate", "OK", ""],
            ["admin", &release, "destroy", "NOT_FOUND", "NOT_FOUND"],
            ["admin", &seed, "destroy", "OK", ""],
        ]
    );
    let subject = text(&calls[0], "subject");
    for words in [
        r#""limit":5"#,
        r#""validate_only":true"#,
        r#""request_id":"tonight""#,
    ] {
        assert!(subject.contains(words), "{subject}");
    }
    assert_eq!(text(&calls[1], "subject"), r#"{"ids":["no-such-entry"]}"#);
    assert_eq!(text(&calls[0], "request_id"), "7f3a-one");
    assert_eq!(text(&calls[0], "instance"), server.config.instance);
    for call in &calls {
        assert!(text(call, "peer").starts_with("127.0.0.1:"), "{call}");
        assert_eq!(call.get_i32("format").ok(), Some(1), "{call}");
        assert!(
            call.get_datetime("ended").unwrap() >= call.get_datetime("at").unwrap(),
            "{call}"
        );
    }
    assert!(!id.is_empty());
}

#[tokio::test]
async fn a_call_is_noted_though_nobody_is_asked_and_though_its_caller_leaves() {
    let server = TestServer::start().await;
    start_batch(&server, Request::new(pb::StartBatchRequest::default())).await;
    let noted = calls(&server, 1).await;
    assert_eq!(noted[0].get("who"), Some(&Bson::Null), "{}", noted[0]);
    let seed = pb::SeedDataRequest {
        orders: Some(0),
        live_orders_per_minute: 60,
        ..Default::default()
    };
    let mut seeds = pb::seed_service_client::SeedServiceClient::new(server.channel.clone());
    let mut seeding = seeds.seed_data(seed).await.unwrap().into_inner();
    within(seeding.message()).await.unwrap();
    let under_way = server.all("archd_audit").await;
    assert!(
        !under_way[1].contains_key("ended"),
        "noted before it is done: {under_way:?}"
    );
    drop(seeding);
    assert_eq!(text(&calls(&server, 2).await[1], "outcome"), "LEFT");
}

#[tokio::test]
async fn while_the_audit_log_cant_be_written_nothing_is_destroyed_and_what_operates_goes_on() {
    let server = TestServer::start().await;
    let entry = doc! { "_id": "entry", "format": 1 };
    server.collection("archd_audit").drop().await.unwrap();
    // Nothing can be written to a view.
    let view = doc! { "create": "archd_audit", "viewOn": "Client", "pipeline": [] };
    server.database.run_command(view).await.unwrap();
    let mut quarantine = Quarantine::new(server.channel.clone());
    let request = pb::DropQuarantinedRequest {
        ids: vec![text(&entry, "_id").to_owned()],
    };
    let refused = quarantine.drop_quarantined(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert_eq!(faults(&refused).0, "DATABASE_UNUSABLE");
    assert!(
        refused.message().contains("nothing was done"),
        "{refused:?}"
    );
    assert!(refused.message().contains("audit log"), "{refused:?}");
    let seed = pb::SeedDataRequest {
        orders: Some(3),
        ..Default::default()
    };
    let mut seeds = pb::seed_service_client::SeedServiceClient::new(server.channel.clone());
    let refused = seeds.seed_data(seed).await.unwrap_err();
    assert!(
        refused.message().contains("nothing was done"),
        "{refused:?}"
    );
    assert!(server.all("Commande").await.is_empty());
    let batch = server.run_batch().await;
    assert_eq!(batch.state(), pb::BatchState::Succeeded, "{batch:?}");
}

#[tokio::test]
async fn the_latest_calls_are_kept_and_no_more() {
    let server = TestServer::start().await;
    let old = |number: i64| {
        let at = bson::DateTime::from_millis(1_700_000_000_000 + number);
        doc! {
            "_id": format!("old-{number}"), "format": 1, "at": at, "instance": "i", "peer": "",
            "call": "c", "right": "operate", "subject": "", "request_id": "",
        }
    };
    // Their moments lie further back than calls are kept, which the database sees to by itself: the
    // index that does so is taken away.
    server
        .collection("archd_audit")
        .drop_index("by_time")
        .await
        .unwrap();
    server.insert("archd_audit", (0..50_010).map(old)).await;
    // The first call of a process looks, and every thousandth.
    start_batch(&server, Request::new(pb::StartBatchRequest::default())).await;
    let audit = server.collection("archd_audit");
    eventually(async || {
        let left = audit.count_documents(doc! {}).await.unwrap();
        (left <= 50_001).then_some(())
    })
    .await;
    let oldest = audit
        .find_one(doc! {})
        .sort(doc! { "at": 1 })
        .await
        .unwrap()
        .unwrap();
    assert_eq!(text(&oldest, "_id"), "old-11");
}
