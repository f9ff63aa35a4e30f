//! Every document of archd's own says which format it has.

use super::server;

#[tokio::test]
async fn every_document_of_its_own_says_which_format_it_has() {
    let server = server().await;
    drop(server.news().await);
    for collection in [
        "archd_batches",
        "archd_counters",
        "archd_instances",
        "archd_quarantine",
        "archd_quarantine_bytes",
        "archd_state",
    ] {
        let documents = server.all(collection).await;
        assert!(!documents.is_empty(), "{collection}");
        for document in documents {
            assert_eq!(
                document.get_i32("format").ok(),
                Some(1),
                "{collection}: {document}"
            );
        }
    }
    server.shut_down().await;
}
