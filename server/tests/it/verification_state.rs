//! A verification's document that can't be read stops verifications and nothing else, until it is
//! set aside; one of a newer version is left alone.

use bson::{DateTime, Document, doc};
use order_archiver_api::v1 as pb;
use tonic::Code;
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};

use crate::{
    process::{run, settings_on},
    support::{TestServer, eventually, faults, orders},
};

/// An active verification whose instance is gone.
fn left(id: &str, with: Document) -> Document {
    let then = DateTime::from_millis(DateTime::now().timestamp_millis() - 60_000);
    let mut left = doc! {
        "_id": id, "state": "running", "active": true, "alive_until": DateTime::from_millis(0),
        "created": then, "updated": then, "started": then, "epoch": 1_i64, "lives": 1_i64,
    };
    left.extend(with);
    left
}

async fn health_of_verifications(server: &TestServer, wanted: ServingStatus) {
    let service = "orderarchiver.v1.VerificationService";
    eventually(async || {
        let mut health = HealthClient::new(server.channel.clone());
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health.check(request).await.unwrap();
        (answer.into_inner().status == wanted as i32).then_some(())
    })
    .await;
}

async fn start(server: &TestServer) -> Result<pb::Verification, tonic::Status> {
    let started = server.start_verification(Default::default(), "");
    started.await.map(|(verification, _)| verification)
}

#[tokio::test]
async fn a_bad_verification_is_named_and_set_aside_while_everything_else_goes_on() {
    let faults_of_documents = [
        (doc! { "counts": { "missing": "three" } }, "counts.missing"),
        // What only its runner reads.
        (doc! { "progress": { "days": 7 } }, "progress.days"),
        (doc! { "verdict": "maybe" }, "verdict"),
    ];
    for (bad, field) in faults_of_documents {
        let server = TestServer::start().await;
        server.insert("Commande", orders(2)).await;
        server
            .insert("archd_verifications", [left("v-bad", bad)])
            .await;
        health_of_verifications(&server, ServingStatus::NotServing).await;
        let batch = server.run_batch().await;
        assert_eq!(batch.counts.unwrap().archived, 2);

        let settings = settings_on(server.database.name(), &[("ARCHD_WATCH", "false")]).await;
        let (code, listed, _) = run(&["state"], &settings).await;
        assert_eq!(code, Some(5), "{listed}");
        assert!(listed.contains("archd_verifications/v-bad"), "{listed}");
        assert!(listed.contains(field), "{listed}");
        let aside = ["state", "--set-aside", "archd_verifications/v-bad"];
        let (code, said, _) = run(&aside, &settings).await;
        assert_eq!(code, Some(0), "{said}");
        health_of_verifications(&server, ServingStatus::Serving).await;
        let verification = start(&server).await.unwrap();
        let ended = server.verification_end(&verification.id).await;
        assert_eq!(ended.verdict(), pb::Verdict::Verified, "{ended:?}");
    }
}

#[tokio::test]
async fn a_newer_verification_is_left_alone_and_listed_as_such() {
    let server = TestServer::start().await;
    let newer = left("v-new", doc! { "format": 2, "state": "pondering" });
    server.insert("archd_verifications", [newer.clone()]).await;
    health_of_verifications(&server, ServingStatus::NotServing).await;
    let status = start(&server).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(faults(&status).0, "STATE_NEWER", "{status:?}");
    assert!(
        status.message().contains("archd_verifications/v-new"),
        "{status:?}"
    );
    let cancel = pb::CancelVerificationRequest {
        id: "v-new".to_owned(),
    };
    let status = server
        .verifications()
        .cancel_verification(cancel)
        .await
        .unwrap_err();
    assert_eq!(faults(&status).0, "STATE_NEWER", "{status:?}");
    let listed = server
        .verifications()
        .list_verifications(pb::ListVerificationsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(listed.unreadable[0].name, "archd_verifications/v-new");
    assert!(
        server.stats_now().await.unreadable.is_empty(),
        "it has not ended"
    );
    assert_eq!(server.all("archd_verifications").await, [newer]);
}
