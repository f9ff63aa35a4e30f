//! Repair mends what a verification found, keeps what it takes out, and touches nothing that has no
//! live order.

use bson::{Document, doc};
use devkit::tamper::{self, Amounts};
use order_archiver_api::v1 as pb;
use pb::{
    DifferenceClass as Class, RepairOutcome as Outcome, Verdict,
    verification_service_client::VerificationServiceClient,
};
use tonic::{Code, transport::Channel};

use crate::support::{TestServer, eventually, faults, last, within};

/// Everything that can be spoiled, each a few times.
const AMOUNTS: Amounts = Amounts {
    missing: 3,
    altered: 5,
    doubled: 0,
    damaged: 2,
    amended: 2,
    ghosts: 2,
    copies: 1,
    of_the_script: 4,
};

/// So many delivered orders, as a platform would have them.
pub(crate) fn platform_orders(count: i32) -> impl Iterator<Item = Document> {
    (1..=count).map(|number| {
        doc! {
            "_id": bson::oid::ObjectId::new(), "numero_commande": format!("CMD-2025-{number:06}"), "status": "livrée",
            "id_client": number, "id_livreur": 1, "id_restaurant": 1, "id_menu": 1, "quantité": 1 + number % 3,
            "frais_livraison": 2.5, "coût_commande": 12.5, "adresse_livraison": { "rue": "1 rue de la Paix", "ville": "Paris" },
            "date_commande": bson::DateTime::from_millis(1_760_000_000_000 + i64::from(number)),
        }
    })
}

pub(crate) fn verifications(server: &TestServer) -> VerificationServiceClient<Channel> {
    VerificationServiceClient::new(server.channel.clone())
}

/// A verification that reads again at once what it finds, to its end.
pub(crate) async fn verified(server: &TestServer) -> pb::Verification {
    let options = pb::VerificationOptions {
        settle: Some(prost_types::Duration::default()),
        max_orders_per_second: Some(0),
        ..Default::default()
    };
    let request = pb::StartVerificationRequest {
        options: Some(options),
        ..Default::default()
    };
    let mut client = verifications(server);
    let started = client
        .start_verification(request)
        .await
        .unwrap()
        .into_inner();
    assert!(!started.already_running);
    let id = started.verification.unwrap().id;
    let request = pb::WatchVerificationRequest { id };
    let states = client.watch_verification(request).await.unwrap();
    let ended = last(states.into_inner()).await.verification.unwrap();
    assert_eq!(ended.state(), pb::VerificationState::Succeeded, "{ended:?}");
    ended
}

/// Asks for repairs, and says what became of each.
async fn repaired(
    server: &TestServer,
    request: pb::RepairOrdersRequest,
) -> Result<Vec<pb::RepairOrdersResponse>, tonic::Status> {
    let mut answers = verifications(server)
        .repair_orders(request)
        .await?
        .into_inner();
    let mut all = Vec::new();
    while let Some(answer) = within(answers.message()).await? {
        all.push(answer);
    }
    Ok(all)
}

fn of(id: &str, classes: &[Class], confirmed: bool) -> pb::RepairOrdersRequest {
    pb::RepairOrdersRequest {
        verification_id: id.to_owned(),
        classes: classes.iter().map(|class| (*class).into()).collect(),
        confirmed,
        reason: "ticket 4711".to_owned(),
        by: "Zoé of accounting".to_owned(),
        ..Default::default()
    }
}

fn outcomes(answers: &[pb::RepairOrdersResponse], outcome: Outcome) -> usize {
    answers
        .iter()
        .filter(|answer| answer.outcome() == outcome)
        .count()
}

async fn archived_server(orders: i32) -> TestServer {
    let server = TestServer::start().await;
    server.insert("Commande", platform_orders(orders)).await;
    server.run_batch().await;
    server
}

#[tokio::test]
async fn what_was_spoiled_is_found_repaired_and_then_all_is_verified() {
    let server = archived_server(60).await;
    let before = server.all("Historique").await;
    let spoiled = tamper::spoil(&server.database, AMOUNTS, 7).await.unwrap();
    let found = verified(&server).await;
    assert_eq!(found.verdict(), Verdict::NotVerified);
    let counts = found.counts.unwrap();
    let made = |class: &str| spoiled.get(class).map_or(0, Vec::len) as i64;
    assert_eq!(
        [
            counts.missing,
            counts.altered,
            counts.damaged,
            counts.amended,
            counts.orphaned,
            counts.not_rebuildable
        ],
        [
            "missing",
            "altered",
            "damaged",
            "amended",
            "orphaned",
            "not_rebuildable"
        ]
        .map(made),
        "{found:?}"
    );

    let spoiled_archive = server.all("Historique").await;
    let refused = repaired(&server, of(&found.id, &[Class::Altered], false))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(server.all("Historique").await, spoiled_archive);

    let missing = repaired(&server, of(&found.id, &[Class::Missing], false))
        .await
        .unwrap();
    assert_eq!(
        outcomes(&missing, Outcome::Archived),
        AMOUNTS.missing,
        "{missing:?}"
    );
    let request = of(&found.id, &[Class::Altered, Class::Damaged], true);
    let replaced = repaired(&server, request.clone()).await.unwrap();
    assert_eq!(
        outcomes(&replaced, Outcome::Replaced),
        AMOUNTS.altered + AMOUNTS.damaged,
        "{replaced:?}"
    );
    // To ask again does nothing.
    let again = repaired(&server, request).await.unwrap();
    assert_eq!(outcomes(&again, Outcome::Gone), again.len(), "{again:?}");

    let after = verified(&server).await;
    assert_eq!(after.verdict(), Verdict::Verified, "{after:?}");
    let counts = after.counts.unwrap();
    assert_eq!((counts.delivered, counts.verified), (60, 60));
    assert_eq!(counts.orphaned, made("orphaned"));

    // Each document that was taken out is kept as it was, with who asked and why.
    let kept = server.all("archd_replaced").await;
    assert_eq!(kept.len(), AMOUNTS.altered + AMOUNTS.damaged);
    for kept in kept {
        let document = kept.get_document("document").unwrap();
        assert!(spoiled_archive.contains(document), "{document}");
        assert_eq!(kept.get_str("by").unwrap(), "Zoé of accounting");
        assert_eq!(kept.get_str("reason").unwrap(), "ticket 4711");
        assert!(
            replaced
                .iter()
                .any(|answer| answer.replaced_id == kept.get_str("_id").unwrap())
        );
    }
    // What nobody spoiled was not touched.
    let touched: Vec<&String> = ["missing", "altered", "damaged", "not_rebuildable"]
        .iter()
        .flat_map(|class| &spoiled[class])
        .collect();
    let now = server.all("Historique").await;
    for document in before {
        let numero = document.get_str("numero_commande").unwrap().to_owned();
        assert!(
            touched.contains(&&numero) || now.contains(&document),
            "{numero}"
        );
    }
}

#[tokio::test]
async fn a_document_whose_live_order_is_gone_or_not_delivered_is_never_touched() {
    let server = archived_server(6).await;
    let archive = server.collection("Historique");
    for numero in ["CMD-2025-000001", "CMD-2025-000002"] {
        let lie = doc! { "$set": { "coût_commande": 0.01 } };
        archive
            .update_one(doc! { "numero_commande": numero }, lie)
            .await
            .unwrap();
    }
    let found = verified(&server).await;
    assert_eq!(found.counts.unwrap().altered, 2, "{found:?}");
    let orders = server.collection("Commande");
    orders
        .delete_one(doc! { "numero_commande": "CMD-2025-000001" })
        .await
        .unwrap();
    let refund = doc! { "$set": { "status": "annulée" } };
    orders
        .update_one(doc! { "numero_commande": "CMD-2025-000002" }, refund)
        .await
        .unwrap();
    let before = server.all("Historique").await;
    let answers = repaired(&server, of(&found.id, &[Class::Altered], true))
        .await
        .unwrap();
    assert_eq!(outcomes(&answers, Outcome::Refused), 2, "{answers:?}");
    assert_eq!(server.all("Historique").await, before);
    assert!(server.all("archd_replaced").await.is_empty());
}

#[tokio::test]
async fn a_number_that_stands_twice_is_mended_and_the_index_comes_back() {
    let server = archived_server(20).await;
    let amounts = Amounts {
        missing: 0,
        altered: 0,
        doubled: 2,
        damaged: 0,
        amended: 0,
        ghosts: 0,
        copies: 0,
        of_the_script: 0,
    };
    let before = server.all("Historique").await;
    let spoiled = tamper::spoil(&server.database, amounts, 1).await.unwrap();
    let found = verified(&server).await;
    assert_eq!(found.counts.unwrap().doubled, 2, "{found:?}");
    let request = pb::RepairOrdersRequest {
        numeros_commande: spoiled["doubled"].clone(),
        ..of("latest", &[], true)
    };
    let answers = repaired(&server, request).await.unwrap();
    assert_eq!(outcomes(&answers, Outcome::Removed), 2, "{answers:?}");
    assert_eq!(server.all("Historique").await, before);
    assert_eq!(server.all("archd_replaced").await.len(), 2);
    // The instance makes its index anew, and archives again.
    server
        .insert("Commande", platform_orders(21).skip(20))
        .await;
    eventually(async || server.archive_order("CMD-2025-000021").await.ok()).await;
    assert_eq!(verified(&server).await.verdict(), Verdict::Verified);
}

#[tokio::test]
async fn an_order_that_cannot_be_archived_again_is_told_with_where_its_document_is_kept() {
    let server = archived_server(2).await;
    let archive = server.collection("Historique");
    let lie = doc! { "$set": { "coût_commande": 0.01 } };
    let first = doc! { "numero_commande": "CMD-2025-000001" };
    archive.update_one(first.clone(), lie).await.unwrap();
    let altered = archive.find_one(first).await.unwrap().unwrap();
    let found = verified(&server).await;
    let validator = doc! { "numero_commande": { "$ne": "CMD-2025-000001" } };
    let refuse = doc! { "collMod": "Historique", "validator": validator };
    server.database.run_command(refuse).await.unwrap();
    let answers = repaired(&server, of(&found.id, &[Class::Altered], true)).await;
    let answers = answers.unwrap();
    assert_eq!(outcomes(&answers, Outcome::TakenOut), 1, "{answers:?}");
    assert!(answers[0].detail.contains("in quarantine"), "{answers:?}");
    let kept = server.all("archd_replaced").await;
    assert_eq!(kept[0].get_str("_id").unwrap(), answers[0].replaced_id);
    assert_eq!(kept[0].get_document("document").unwrap(), &altered);
}

#[tokio::test]
async fn what_has_no_verdict_is_not_repaired_and_the_latest_is_the_one_that_has() {
    let server = archived_server(3).await;
    let archive = server.collection("Historique");
    archive
        .delete_one(doc! { "numero_commande": "CMD-2025-000001" })
        .await
        .unwrap();
    assert_eq!(verified(&server).await.verdict(), Verdict::NotVerified);
    // One that waits until it may read again what it has found.
    let options = pb::VerificationOptions {
        settle: Some(prost_types::Duration {
            seconds: 3_600,
            nanos: 0,
        }),
        ..Default::default()
    };
    let (running, _) = server.start_verification(options, "").await.unwrap();
    let waits = async || {
        let request = pb::GetVerificationRequest {
            id: running.id.clone(),
        };
        let read = verifications(&server).get_verification(request).await;
        let read = read.unwrap().into_inner().verification.unwrap();
        read.throttle.contains("is read again in").then_some(())
    };
    eventually(waits).await;
    let refused = repaired(&server, of(&running.id, &[Class::Missing], false)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert_eq!(faults(&refused).0, "NO_VERDICT", "{refused}");
    let answers = repaired(&server, of("latest", &[Class::Missing], false)).await;
    assert_eq!(outcomes(&answers.unwrap(), Outcome::Archived), 1);
}

#[tokio::test]
async fn what_was_acknowledged_is_repaired_by_its_number_only() {
    let server = archived_server(3).await;
    let altered = doc! { "$set": { "coût_commande": 1 } };
    let archive = server.collection("Historique");
    archive.update_many(doc! {}, altered).await.unwrap();
    verified(&server).await;
    let acknowledged = pb::AcknowledgeDifferenceRequest {
        numero_commande: "CMD-2025-000002".to_owned(),
        reason: "agreed with the customer".to_owned(),
        by: "Zoé".to_owned(),
    };
    let mut client = verifications(&server);
    client.acknowledge_difference(acknowledged).await.unwrap();
    let id = verified(&server).await.id;
    let answers = repaired(&server, of(&id, &[Class::Altered], true)).await;
    let mut numbers: Vec<String> = answers
        .unwrap()
        .into_iter()
        .map(|it| it.numero_commande)
        .collect();
    numbers.sort();
    assert_eq!(numbers, ["CMD-2025-000001", "CMD-2025-000003"]);
    let by_number = pb::RepairOrdersRequest {
        numeros_commande: vec!["CMD-2025-000002".to_owned()],
        ..of(&id, &[], true)
    };
    let answers = repaired(&server, by_number).await.unwrap();
    assert_eq!(outcomes(&answers, Outcome::Replaced), 1, "{answers:?}");
}

#[tokio::test]
async fn a_bad_request_names_what_is_wrong_with_it() {
    let server = TestServer::start().await;
    let id = "00000000-0000-0000-0000-000000000000";
    let table = [
        (of(id, &[], true), "classes"),
        (of(id, &[Class::Amended], true), "classes"),
        (
            pb::RepairOrdersRequest {
                numeros_commande: vec!["CMD-1".to_owned()],
                ..of(id, &[Class::Missing], true)
            },
            "classes",
        ),
        (
            pb::RepairOrdersRequest {
                numeros_commande: vec![String::new()],
                ..of(id, &[], true)
            },
            "numeros_commande",
        ),
        (
            pb::RepairOrdersRequest {
                reason: " ".to_owned(),
                ..of(id, &[Class::Altered], true)
            },
            "reason",
        ),
        (
            pb::RepairOrdersRequest {
                by: "x".repeat(257),
                ..of(id, &[Class::Missing], false)
            },
            "by",
        ),
    ];
    for (request, field) in table {
        let refused = repaired(&server, request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains(field), "{field}: {refused}");
    }
    let unknown = repaired(&server, of(id, &[Class::Missing], false))
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound, "{unknown}");
}
