//! Of two orders with one number, one is archived, and the other is a conflict.

use archd::domain::judge::Reason;
use bson::doc;

use super::with;
use crate::support::{TestServer, tally};

#[tokio::test]
async fn of_two_orders_with_one_number_one_is_archived_and_the_other_is_a_conflict() {
    // On one page, and on two that are archived at the same time.
    for chunk_size in [500, 1] {
        let server = TestServer::start_with(|config| config.chunk_size = chunk_size).await;
        let numbered = with(doc! { "numero_commande": "CMD-1" });
        let other = with(doc! { "numero_commande": "CMD-1", "note": "another order" });
        server.insert_raw("Commande", [numbered, other]).await;
        assert_eq!(tally(server.run_batch().await.counts), [2, 1, 0, 1]);
        let archive = server.all("Historique").await;
        assert_eq!(archive.len(), 1);
        let entries = server.all("archd_quarantine").await;
        let reasons: Vec<_> = entries
            .iter()
            .map(|entry| entry.get_str("reason").unwrap())
            .collect();
        assert_eq!(reasons, [Reason::NumberConflict.name()]);
        assert_eq!(tally(server.run_batch().await.counts), [2, 0, 1, 1]);
        assert_eq!(server.all("Historique").await, archive);
    }
}
