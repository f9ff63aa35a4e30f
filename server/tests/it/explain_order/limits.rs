//! What is asked wrongly is refused by the name of the field, and what is large is told in short.

use bson::{Bson, doc};
use order_archiver_api::v1 as pb;
use pb::OrderConclusion;
use prost::Message;
use prost_types::Duration as Length;
use tonic::Code;

use super::{ask, explain, private, server, with};
use crate::support::faults;

#[tokio::test]
async fn every_bad_field_is_named() {
    let server = server().await;
    let request = |numero: &str, seconds| pb::ExplainOrderRequest {
        numero_commande: numero.to_owned(),
        with_history: true,
        history_limit: Some(Length { seconds, nanos: 0 }),
    };
    for (request, fields) in [
        (request("", 61), &["numero_commande", "history_limit"][..]),
        (request(&"x".repeat(257), 10), &["numero_commande"]),
        (request("a", 0), &["history_limit"]),
        (request("a", -1), &["history_limit"]),
    ] {
        let refused = ask(&server, request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(
            faults(&refused),
            (
                "INVALID_FIELD".to_owned(),
                fields.iter().map(|it| (*it).to_owned()).collect()
            )
        );
    }
    server.shut_down().await;
}

#[tokio::test]
async fn whatever_an_order_holds_its_answer_stays_small() {
    let server = server().await;
    let large = "canary".repeat(1_000_000);
    server
        .insert("Commande", [with(private("large"), "blob", large)])
        .await;
    server.archive_order("large").await.unwrap();
    let found = explain(&server, "large").await;
    assert_eq!(found.conclusion(), OrderConclusion::Archived);
    assert!(
        found.orders[0].document_bytes > 6_000_000 && found.encoded_len() < 4_096,
        "{found:?}"
    );

    // Long `_id`s and statuses, and a list of numbers, which is no number.
    let long = |at: usize| {
        let id = format!("{at}{}", "x".repeat(100_000));
        let status = vec!["livrée".to_owned(), "y".repeat(3_000)];
        with(with(private("many"), "_id", id), "status", status)
    };
    server.insert("Commande", (0..12).map(long)).await;
    server
        .insert(
            "Commande",
            [with(
                private("x"),
                "numero_commande",
                vec!["many", "listed"],
            )],
        )
        .await;
    let found = explain(&server, "many").await;
    assert_eq!((found.orders.len(), found.more_orders), (10, true));
    assert!(found.encoded_len() < 64 * 1024, "{}", found.encoded_len());
    let listed = pb::ExplainOrderRequest {
        numero_commande: "listed".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        ask(&server, listed).await.unwrap_err().code(),
        Code::NotFound
    );

    // What somebody else wrote into the archive may be of any type.
    let odd = doc! {
        "_id": "odd", "numero_commande": "odd", "date_archivage": "canary", "archived_by": ["canary"], "incomplete": "canary",
        "missing_fields": Bson::Null,
    };
    server.insert("Historique", [odd]).await;
    let odd = explain(&server, "odd").await;
    assert_eq!(odd.conclusion(), OrderConclusion::Damaged);
    assert_eq!(odd.archived[0].likeness(), pb::ArchiveLikeness::Damaged);
    assert!(odd.summary.contains("at fault: "), "{}", odd.summary);
    assert_eq!(
        (
            odd.archived[0].archived_by.as_str(),
            odd.archived[0].date_archivage
        ),
        ("", None)
    );
    server.shut_down().await;
}
