//! A number or an `_id` that the archive holds in another form is a conflict.

use archd::{bytes::raw::kind, domain::judge::Reason};
use bson::{Bson, doc};
use order_archiver_api::v1 as pb;

use super::{Due, cases, entry, id_of, with};
use crate::support::{TestServer, tally};

#[tokio::test]
async fn a_number_that_the_archive_holds_in_another_form_is_a_conflict() {
    let server = TestServer::start().await.with_references().await;
    server
        .insert(
            "Historique",
            [
                doc! { "_id": 1, "numero_commande": ["CMD-1", "CMD-2"] },
                doc! { "_id": 2, "numero_commande": Bson::Symbol("CMD-3".into()) },
                doc! { "_id": 3, "numero_commande": "CMD-4" },
            ],
        )
        .await;
    let conflict = || Due::Quarantined(Reason::NumberConflict);
    let numbered = |numero: &str| with(doc! { "numero_commande": numero });
    let orders = cases(vec![
        ("in a list", numbered("CMD-2"), conflict()),
        ("as a symbol", numbered("CMD-3"), conflict()),
        (
            "the same `_id`, as another kind of number",
            with(doc! { "_id": 3_i64, "numero_commande": "CMD-5" }),
            conflict(),
        ),
    ]);
    server
        .insert_raw("Commande", orders.iter().map(|(_, order, _)| order.clone()))
        .await;
    let same = with(doc! { "_id": 3.0, "numero_commande": "CMD-4" });
    assert_eq!(id_of(&same).kind, kind::DOUBLE);
    let batch = server.run_batch().await;
    assert_eq!(tally(batch.counts), [3, 0, 0, 3], "{batch:?}");
    for (name, order, _) in &orders {
        let entry = entry(&server, id_of(order)).await;
        assert_eq!(
            entry.reason(),
            pb::QuarantineReason::NumberConflict,
            "{name}"
        );
    }
    server.collection("Commande").drop().await.unwrap();
    server.insert_raw("Commande", [same]).await;
    let batch = server.run_batch().await;
    assert_eq!(tally(batch.counts), [1, 0, 1, 0], "{batch:?}");
}
