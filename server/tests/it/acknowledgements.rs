//! An acknowledgement is a record: of the differences that the latest verification found under a
//! number, made once, and never in the way of another one.

use bson::{Bson, DateTime, Document, doc};
use order_archiver_api::v1 as pb;
use pb::{DifferenceClass, verification_service_client::VerificationServiceClient};
use tonic::{Code, Status, transport::Channel};

use crate::support::{TestServer, faults, order};

fn client(server: &TestServer) -> VerificationServiceClient<Channel> {
    VerificationServiceClient::new(server.channel.clone())
}

async fn acknowledge(
    server: &TestServer,
    numero: &str,
    reason: &str,
    by: &str,
) -> Result<Vec<pb::Acknowledgement>, Status> {
    let request = pb::AcknowledgeDifferenceRequest {
        numero_commande: numero.to_owned(),
        reason: reason.to_owned(),
        by: by.to_owned(),
    };
    let answer = client(server).acknowledge_difference(request).await?;
    Ok(answer.into_inner().acknowledgements)
}

async fn list(
    server: &TestServer,
    request: pb::ListAcknowledgementsRequest,
) -> pb::ListAcknowledgementsResponse {
    client(server)
        .list_acknowledgements(request)
        .await
        .unwrap()
        .into_inner()
}

/// A verification that ended with a verdict at a moment.
fn verification(id: &str, second: i64) -> Document {
    doc! {
        "_id": id, "state": "succeeded", "verdict": "not_verified", "created": DateTime::from_millis(second * 1_000),
        "updated": DateTime::from_millis(second * 1_000), "format": 1,
    }
}

/// A difference that it found.
fn difference(verification: &str, key: &str, class: &str, numero: &str) -> Document {
    doc! {
        "_id": format!("{verification}.{key}"), "verification": verification, "class": class, "rank": 0, "settled": true,
        "first_seen": DateTime::from_millis(0), "numero_commande": numero, "order_id": key, "fingerprint": format!("print of {key}"), "format": 1,
    }
}

#[tokio::test]
async fn the_differences_of_the_latest_verification_are_acknowledged_once_for_each_reason() {
    let server = TestServer::start().await;
    let mut unfinished = verification("v-3", 3);
    unfinished.remove("verdict");
    server
        .insert(
            "archd_verifications",
            [verification("v-1", 1), verification("v-2", 2), unfinished],
        )
        .await;
    let mut unsettled = difference("v-2", "f", "missing", "A");
    unsettled.insert("settled", false);
    server
        .insert(
            "archd_differences",
            [
                difference("v-1", "z", "missing", "A"),
                difference("v-2", "a", "altered", "A"),
                difference("v-2", "b", "doubled", "A"),
                difference("v-2", "c", "amended", "A"),
                difference("v-2", "d", "missing", "B"),
                difference("v-2", "e", "orphaned", "C"),
                unsettled,
            ],
        )
        .await;
    let noted = acknowledge(&server, "A", "looked into", "ops")
        .await
        .unwrap();
    let mut classes: Vec<DifferenceClass> = noted.iter().map(pb::Acknowledgement::class).collect();
    classes.sort_by_key(|class| *class as i32);
    assert_eq!(
        classes,
        [DifferenceClass::Altered, DifferenceClass::Doubled]
    );
    assert!(
        noted
            .iter()
            .all(|noted| noted.reason == "looked into" && noted.by == "ops")
    );

    // Asked again it is the same record; for another reason it is one more, and the first one stays.
    let mut again = acknowledge(&server, "A", "looked into", "ops")
        .await
        .unwrap();
    again.sort_by_key(|noted| noted.class);
    let mut first = noted.clone();
    first.sort_by_key(|noted| noted.class);
    assert_eq!(again, first);
    let other = acknowledge(&server, "A", "looked into", "").await.unwrap();
    assert!(other[0].by.starts_with("127.0.0.1:"), "{other:?}");
    assert_eq!(server.all("archd_acknowledgements").await.len(), 4);
    let kept = server.all("archd_acknowledgements").await;
    let of_a = kept
        .iter()
        .find(|noted| noted.get_str("class").unwrap() == "altered")
        .unwrap();
    assert_eq!(of_a.get_str("fingerprint").unwrap(), "print of a");
    assert_eq!(of_a.get_str("order_id").unwrap(), "a");
    assert!(of_a.get_datetime("created").is_ok() && of_a.get("archive_id") == Some(&Bson::Null));

    for (numero, reason) in [("C", "why"), ("D", "why")] {
        let refused = acknowledge(&server, numero, reason, "").await.unwrap_err();
        assert_eq!(
            (refused.code(), faults(&refused).0.as_str()),
            (Code::NotFound, "NOT_FOUND")
        );
    }
    let refused = acknowledge(&server, "", &"x".repeat(1_025), &"x".repeat(257))
        .await
        .unwrap_err();
    assert_eq!(faults(&refused).1, ["numero_commande", "reason", "by"]);
    let refused = acknowledge(&server, "A", " ", "").await.unwrap_err();
    assert_eq!(faults(&refused).1, ["reason"]);
    server.shut_down().await;
}

#[tokio::test]
async fn a_difference_of_which_no_bytes_were_read_is_acknowledged_as_it_is_now() {
    let server = TestServer::start().await;
    let live = order("A");
    server.insert("Commande", [live.clone()]).await;
    server
        .insert("archd_verifications", [verification("v-1", 1)])
        .await;
    let mut missing = difference("v-1", "a", "missing", "A");
    missing.insert("order_id", live.get_object_id("_id").unwrap());
    missing.remove("fingerprint");
    server.insert("archd_differences", [missing]).await;
    acknowledge(&server, "A", "why", "").await.unwrap();
    let noted = server.all("archd_acknowledgements").await.remove(0);
    let raw = server.all_raw("Commande").await.remove(0);
    let wanted = archd::domain::verify::fingerprint::fingerprint(
        archd::domain::verify::class::Class::Missing,
        Some(&raw),
        None,
    );
    assert_eq!(noted.get_str("fingerprint").unwrap(), wanted);
    server.shut_down().await;
}

#[tokio::test]
async fn acknowledgements_are_listed_the_latest_first_and_one_that_cannot_be_read_is_named() {
    let server = TestServer::start().await;
    let noted = |at: i64| {
        doc! {
            "_id": format!("a-{at:02}"), "numero": format!("CMD-{at}"), "class": "altered", "fingerprint": "f", "reason": "why", "by": "ops",
            "created": DateTime::from_millis(1_760_000_000_000 + at / 2), "format": 1,
        }
    };
    server
        .insert("archd_acknowledgements", (0..25).map(noted))
        .await;
    let torn = doc! { "$set": { "by": 7 } };
    server
        .collection("archd_acknowledgements")
        .update_one(doc! { "_id": "a-11" }, torn)
        .await
        .unwrap();
    let mut request = pb::ListAcknowledgementsRequest {
        page_size: 7,
        page_token: String::new(),
    };
    let (mut numbers, mut unreadable) = (Vec::new(), Vec::new());
    loop {
        let page = list(&server, request.clone()).await;
        assert!(page.acknowledgements.len() + page.unreadable.len() <= 7);
        numbers.extend(
            page.acknowledgements
                .into_iter()
                .map(|noted| noted.numero_commande),
        );
        unreadable.extend(page.unreadable.into_iter().map(|document| document.name));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let wanted: Vec<String> = (0..25)
        .rev()
        .filter(|at| *at != 11)
        .map(|at| format!("CMD-{at}"))
        .collect();
    assert_eq!(
        (numbers, unreadable),
        (wanted, vec!["archd_acknowledgements/a-11".to_owned()])
    );
    let wrong = pb::ListAcknowledgementsRequest {
        page_size: -1,
        page_token: "made up".to_owned(),
    };
    let refused = client(&server)
        .list_acknowledgements(wrong)
        .await
        .unwrap_err();
    assert_eq!(faults(&refused).1, ["page_size", "page_token"]);
    server.shut_down().await;
}
