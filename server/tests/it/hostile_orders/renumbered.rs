//! An order that is renumbered after it was archived is a conflict until it has its number again.

use bson::doc;
use order_archiver_api::v1 as pb;
use tonic::Code;

use super::{entry, value_of, with};
use crate::support::{TestServer, tally};

#[tokio::test]
async fn an_order_renumbered_after_archiving_is_a_conflict_until_that_is_mended() {
    let server = TestServer::start().await.with_references().await;
    let renumber = async |numero: &str| {
        let update = doc! { "$set": { "numero_commande": numero } };
        let orders = server.collection("Commande");
        orders.update_one(doc! { "_id": 7 }, update).await.unwrap();
    };
    server
        .insert_raw(
            "Commande",
            [with(doc! { "_id": 7, "numero_commande": "CMD-1" })],
        )
        .await;
    assert_eq!(tally(server.run_batch().await.counts), [1, 1, 0, 0]);
    let archive = server.all_raw("Historique").await;

    for numero in ["CMD-2".to_owned(), "C".repeat(256)] {
        renumber(&numero).await;
        // A batch looks at the archive's index of `_id`s, where the order is.
        assert_eq!(tally(server.run_batch().await.counts), [1, 0, 1, 0]);
        let status = server.archive_order(&numero).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        let entry = entry(&server, value_of(&7.into()).as_ref()).await;
        assert_eq!(entry.reason(), pb::QuarantineReason::NumberConflict);
        assert!(entry.detail.len() < 1024, "{}", entry.detail.len());
        assert_eq!(server.all_raw("Historique").await, archive);
    }
    renumber("CMD-1").await;
    assert_eq!(tally(server.run_batch().await.counts), [1, 0, 1, 0]);
    assert_eq!(server.all("archd_quarantine").await, []);
}
