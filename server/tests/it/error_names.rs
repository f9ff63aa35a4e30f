//! An error that the database says of a single document is told by its name, of which the database
//! gives the number alone.

use bson::doc;
use order_archiver_api::v1 as pb;
use tonic_types::StatusExt;

use crate::support::{TestServer, order, tally};

#[tokio::test]
async fn a_document_that_a_validator_refuses_is_quarantined_with_the_name_of_the_error() {
    let server = TestServer::start().await.with_references().await;
    let rule =
        doc! { "collMod": "Historique", "validator": { "coût_commande": { "$type": "number" } } };
    server.database.run_command(rule).await.unwrap();
    let mut bad = order("BAD");
    bad.insert("coût_commande", "24,90");
    let mut parallel = order("PARALLEL");
    parallel.insert("a", vec![1, 2]);
    parallel.insert("b", vec![1, 2]);
    let index = doc! { "createIndexes": "Historique", "indexes": [{ "key": { "a": 1, "b": 1 }, "name": "ab" }] };
    server.database.run_command(index).await.unwrap();
    server
        .insert("Commande", [order("GOOD"), bad, parallel])
        .await;
    let batch = server.run_batch().await;
    assert_eq!(tally(batch.counts), [3, 1, 0, 2], "{batch:?}");
    let request = pb::ListQuarantinedRequest::default();
    let listed = server.quarantine().list_quarantined(request).await.unwrap();
    for entry in listed.into_inner().entries {
        let name = match entry.numero_commande.as_deref().unwrap_or_default() {
            "BAD" => "DocumentValidationFailure (121)",
            _ => "CannotIndexParallelArrays (171)",
        };
        assert!(entry.detail.contains(name), "{}", entry.detail);
    }
    let refused = server.archive_order("BAD").await.unwrap_err();
    assert_eq!(
        refused.get_details_error_info().unwrap().reason,
        "QUARANTINED"
    );
    let name = "DocumentValidationFailure (121)";
    assert!(refused.message().contains(name), "{refused:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn an_order_that_another_unique_index_refuses_is_quarantined_with_the_keys_of_that_index() {
    let server = TestServer::start().await.with_references().await;
    let index = |name: &str, key: bson::Document| doc! { "key": key, "name": name, "unique": true };
    let indexes = [
        index("by_client", doc! { "id_client": 1 }),
        index("by_day_and_courier", doc! { "day": 1, "id_livreur": -1 }),
    ];
    let make = doc! { "createIndexes": "Historique", "indexes": &indexes[..] };
    server.database.run_command(make).await.unwrap();
    let mut same_courier = order("COURIER");
    same_courier.insert("id_client", 2);
    server.insert("Commande", [order("FIRST")]).await;
    server.archive_order("FIRST").await.unwrap();
    server
        .insert("Commande", [order("CLIENT"), same_courier])
        .await;
    for (numero, keys) in [
        ("CLIENT", r#"{ "id_client": 1 }"#),
        ("COURIER", r#"{ "day": 1, "id_livreur": -1 }"#),
    ] {
        let refused = server.archive_order(numero).await.unwrap_err();
        let info = refused.get_details_error_info().unwrap();
        assert_eq!(info.metadata["quarantine_reason"], "refused");
        let said = refused.message();
        assert!(said.contains(keys), "{said}");
        assert!(said.contains("unique index"), "{said}");
        assert!(!said.contains("validator"), "{said}");
    }
    // The one that is archived is met again as what it is.
    let again = server.archive_order("FIRST").await.unwrap();
    assert_eq!(again.outcome(), pb::ArchiveOutcome::Duplicate);
    let batch = server.run_batch().await;
    assert_eq!(tally(batch.counts), [3, 0, 1, 2], "{batch:?}");
    server.shut_down().await;
}
