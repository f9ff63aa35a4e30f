//! The latest verification that is told of: one that was cancelled says nothing, and hides nothing.

use order_archiver_api::v1 as pb;
use prost_types::Duration;

use crate::support::{TestServer, order};

fn settling(seconds: i64) -> pb::VerificationOptions {
    pb::VerificationOptions {
        settle: Some(Duration { seconds, nanos: 0 }),
        ..Default::default()
    }
}

#[tokio::test]
async fn one_that_was_cancelled_takes_nothing_from_what_the_one_before_it_has_said() {
    let server = TestServer::start().await;
    server.insert("Commande", [order("MISSING")]).await;
    let said = server.verify_with(settling(0)).await;
    assert_eq!(said.verdict(), pb::Verdict::NotVerified);
    // It waits an hour until it reads again what it has found.
    let (cancelled, _) = server
        .start_verification(settling(3_600), "")
        .await
        .unwrap();
    let request = pb::CancelVerificationRequest {
        id: cancelled.id.clone(),
    };
    let mut client = server.verifications();
    client.cancel_verification(request).await.unwrap();
    let cancelled = server.verification_end(&cancelled.id).await;
    assert_eq!(cancelled.state(), pb::VerificationState::Cancelled);
    let told = server.stats_now().await.last_verification.unwrap();
    assert_eq!(told.id, said.id);
}
