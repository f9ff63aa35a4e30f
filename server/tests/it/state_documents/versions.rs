//! A rolled-back archd meets documents that a newer one has written. Of each kind of document: the
//! part that works with it refuses by name, health says what stands still, nothing is misread or
//! overwritten, and once the document has its format again all goes on.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, DateTime, Document, doc};
use order_archiver_api::v1 as pb;
use tonic::Status;
use tonic_health::ServingStatus;

use super::{assert_works, health, program};
use crate::support::{TestServer, eventually, faults, order};

/// How a part says that it can't work with a document.
#[derive(Clone, Copy, Debug)]
enum Says {
    /// The call fails with STATE_NEWER.
    Refused,
    /// The answer names it among what can't be read.
    Named,
    /// Nothing works with it but the archd that wrote it; `archd state` names it.
    Nothing,
}

/// A kind of document: its collection, of the state's also its `_id`; how the part that works with it
/// speaks; and the service that stands still.
const KINDS: &[(&str, Says, Option<&str>)] = &[
    ("archd_acknowledgements", Says::Named, None),
    ("archd_audit", Says::Nothing, None),
    ("archd_batches", Says::Refused, None),
    ("archd_counters", Says::Named, None),
    ("archd_differences", Says::Refused, None),
    ("archd_instances", Says::Named, None),
    ("archd_ledger", Says::Named, None),
    ("archd_quarantine", Says::Named, None),
    ("archd_quarantine_bytes", Says::Named, None),
    ("archd_replaced", Says::Named, None),
    ("archd_state/identity", Says::Refused, Some("Event")),
    ("archd_state/unique_index", Says::Refused, None),
    ("archd_state/watcher", Says::Refused, Some("Watcher")),
    ("archd_verifications", Says::Refused, None),
];

/// A server that has done everything that leaves a document.
async fn furnished() -> TestServer {
    let server = TestServer::start_with(|config| {
        config.watch = true;
        config.lease = std::time::Duration::from_secs(2);
    })
    .await;
    server.watcher_is(pb::WatcherState::Watching).await;
    server
        .insert("Commande", [order(7), order("altered")])
        .await;
    server.archived(1).await;
    server.run_batch().await;
    // Whoever listens has the database named.
    drop(server.news().await);
    let altered = doc! { "$set": { "coût_commande": 99.9 } };
    let of = doc! { "numero_commande": "altered" };
    let archive = server.collection("Historique");
    archive.update_one(of, altered).await.unwrap();
    let verification = server.verify_with(Default::default()).await;
    let acknowledged = pb::AcknowledgeDifferenceRequest {
        numero_commande: "altered".to_owned(),
        reason: "looked into".to_owned(),
        by: "Zoé".to_owned(),
    };
    let mut client = server.verifications();
    client.acknowledge_difference(acknowledged).await.unwrap();
    let repair = pb::RepairOrdersRequest {
        verification_id: verification.id,
        classes: vec![pb::DifferenceClass::Altered.into()],
        confirmed: true,
        reason: "ticket 4711".to_owned(),
        by: "Zoé".to_owned(),
        ..Default::default()
    };
    let repaired = client.repair_orders(repair).await.unwrap().into_inner();
    crate::support::last(repaired).await;
    // A heartbeat of somebody who gives no more of them.
    let then = DateTime::now();
    server
        .insert(
            "archd_instances",
            [doc! {
                "_id": "elsewhere", "format": 1, "name": "elsewhere", "host": "elsewhere",
                "address": "10.0.0.1:50051", "version": "0.1.0", "started": then, "alive_at": then,
                "lease": 15_000_i64, "may_watch": false, "watch_epoch": Bson::Null,
                "batch": Bson::Null, "index_build": false,
            }],
        )
        .await;
    server
}

/// The documents of archd's own, by kind. What was set aside is read by nobody.
async fn documents(server: &TestServer) -> BTreeMap<String, Vec<Document>> {
    let names = server.database.list_collection_names().await.unwrap();
    let mut documents: BTreeMap<String, Vec<Document>> = BTreeMap::new();
    for name in names {
        if !name.starts_with("archd_") || name == "archd_set_aside" {
            continue;
        }
        for document in server.all(&name).await {
            let kind = match document.get_str("_id") {
                Ok(id) if name == "archd_state" => format!("{name}/{id}"),
                _ => name.clone(),
            };
            documents.entry(kind).or_default().push(document);
        }
    }
    documents
}

/// The document of a kind that is spoilt: of several the one that nothing replaces by itself.
fn chosen<'d>(kind: &str, documents: &'d [Document]) -> &'d Document {
    let is_it = |document: &&Document| match kind {
        "archd_instances" => document.get_str("_id").ok() == Some("elsewhere"),
        "archd_counters" => document
            .get_document("_id")
            .is_ok_and(|id| id.get_str("minute").ok() == Some("all")),
        _ => true,
    };
    documents.iter().find(is_it).unwrap()
}

/// What the part says that works with a kind: that it fails, or what it can't read.
async fn ask(server: &TestServer, kind: &str, document: &Document) -> Result<Vec<String>, Status> {
    let id = document.get_str("_id").unwrap_or_default().to_owned();
    let mut verifications = server.verifications();
    let unreadable = match kind {
        "archd_acknowledgements" => {
            let request = pb::ListAcknowledgementsRequest::default();
            let page = verifications.list_acknowledgements(request).await?;
            page.into_inner().unreadable
        }
        "archd_batches" => {
            server
                .batches()
                .get_batch(pb::GetBatchRequest { id })
                .await?;
            Vec::new()
        }
        "archd_counters" => server.stats_now().await.unreadable,
        "archd_differences" => {
            let verification = document.get_str("verification").unwrap();
            let request = pb::ListDifferencesRequest {
                verification_id: verification.to_owned(),
                ..Default::default()
            };
            verifications.list_differences(request).await?;
            Vec::new()
        }
        "archd_instances" => {
            let request = pb::ListInstancesRequest {};
            let list = server.instance_service().list_instances(request).await?;
            list.into_inner().unreadable
        }
        "archd_ledger" => {
            let request = pb::ListLedgerRequest::default();
            verifications
                .list_ledger(request)
                .await?
                .into_inner()
                .unreadable
        }
        "archd_quarantine" | "archd_quarantine_bytes" => {
            let request = pb::ListQuarantinedRequest {
                with_documents: true,
                ..Default::default()
            };
            let list = server.quarantine().list_quarantined(request).await?;
            list.into_inner().unreadable
        }
        "archd_replaced" => {
            let request = pb::ExplainOrderRequest {
                numero_commande: "altered".to_owned(),
                ..Default::default()
            };
            verifications
                .explain_order(request)
                .await?
                .into_inner()
                .unreadable
        }
        "archd_state/identity" => {
            let request = pb::TailEventsRequest::default();
            server.events().tail_events(request).await?;
            Vec::new()
        }
        "archd_state/unique_index" => {
            server.archive_order("altered").await?;
            Vec::new()
        }
        "archd_state/watcher" => {
            server
                .watcher()
                .get_watcher(pb::GetWatcherRequest {})
                .await?;
            Vec::new()
        }
        "archd_verifications" => {
            let request = pb::GetVerificationRequest { id };
            verifications.get_verification(request).await?;
            Vec::new()
        }
        _ => Vec::new(),
    };
    assert!(unreadable.iter().all(|it| it.newer), "{unreadable:?}");
    Ok(unreadable.into_iter().map(|it| it.name).collect())
}

/// Gives a document another format.
async fn reformat(server: &TestServer, kind: &str, document: &Document, format: i32) {
    let collection = kind.split('/').next().unwrap();
    let id = doc! { "_id": document.get("_id").unwrap() };
    let set = doc! { "$set": { "format": format } };
    let collection = server.collection(collection);
    let changed = collection.update_one(id, set).await.unwrap();
    assert_eq!(changed.matched_count, 1, "{kind}");
}

/// The document as it stands now.
async fn now(server: &TestServer, kind: &str, document: &Document) -> Option<Document> {
    let documents = documents(server).await.remove(kind).unwrap_or_default();
    let mut documents = documents.into_iter();
    documents.find(|it| it.get("_id") == document.get("_id"))
}

#[tokio::test]
async fn each_kind_of_document_that_is_newer_is_refused_by_name_and_goes_on_when_put_back() {
    let server = furnished().await;
    let found = documents(&server).await;
    let kinds: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    let known: BTreeSet<&str> = KINDS.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(kinds, known, "a kind of document without a row here");
    for document in found.values().flatten() {
        assert_eq!(document.get_i32("format").ok(), Some(1), "{document}");
    }

    for (kind, says, service) in KINDS {
        let found = documents(&server).await;
        let document = chosen(kind, &found[*kind]).clone();
        let id = match document.get_document("_id") {
            Ok(_) => String::new(),
            Err(_) => document.get("_id").unwrap().to_string().replace('"', ""),
        };
        let collection = kind.split('/').next().unwrap();
        if *kind == "archd_state/unique_index" {
            // It is asked by whoever misses the index.
            let archive = server.collection("Historique");
            reformat(&server, kind, &document, 2).await;
            archive.drop_index("numero_commande_1").await.unwrap();
        } else {
            reformat(&server, kind, &document, 2).await;
        }
        let spoilt = now(&server, kind, &document).await.unwrap();

        // People are told by name, and told what to do.
        let (code, said) = program(&server, &["state"]).await;
        assert_eq!(code, Some(5), "{kind}: {said}");
        for part in [collection, id.as_str(), "format 2", "run the newer archd"] {
            assert!(said.contains(part), "{kind}: {part} is not in {said}");
        }
        let (code, said) = program(&server, &["check"]).await;
        assert_eq!(code, Some(5), "{kind}: {said}");
        assert!(said.contains("format 2"), "{kind}: {said}");
        let (_, said) = program(&server, &["state", "--set-aside", "all"]).await;
        assert!(said.contains("run the newer archd"), "{kind}: {said}");

        // The part that works with it says so, and so does health.
        match says {
            Says::Refused => {
                let status = eventually(async || {
                    let status = ask(&server, kind, &document).await.err()?;
                    (faults(&status).0 == "STATE_NEWER").then_some(status)
                })
                .await;
                assert!(status.message().contains("format 2"), "{kind}: {status:?}");
                assert!(status.message().contains(collection), "{kind}: {status:?}");
            }
            Says::Named => {
                let named = ask(&server, kind, &document).await.unwrap();
                let is_it = |name: &String| name.starts_with(collection) && name.contains(&id);
                assert!(named.iter().any(is_it), "{kind}: {named:?}");
            }
            Says::Nothing => {
                ask(&server, kind, &document).await.unwrap();
            }
        }
        if let Some(service) = service {
            health(&server, service, ServingStatus::NotServing).await;
        }
        // All else goes on, and leaves it alone.
        if *kind != "archd_state/unique_index" {
            assert_works(&server, &format!("beside {}", kind.replace('/', " "))).await;
            server.run_batch().await;
        }
        assert_eq!(now(&server, kind, &document).await, Some(spoilt), "{kind}");

        reformat(&server, kind, &document, 1).await;
        eventually(async || {
            let named = ask(&server, kind, &document).await.ok()?;
            named.is_empty().then_some(())
        })
        .await;
        if let Some(service) = service {
            health(&server, service, ServingStatus::Serving).await;
        }
        let (code, said) = program(&server, &["state"]).await;
        assert_eq!(code, Some(0), "{kind}: {said}");
    }
    server.shut_down().await;
}
