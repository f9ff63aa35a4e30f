//! What verifications and repairs leave behind: records that can't be read.

use bson::{DateTime, doc};

use super::set_aside;
use crate::support::TestServer;

#[tokio::test]
async fn records_that_cannot_be_read_are_named_and_set_aside_whole() {
    let server = TestServer::start().await;
    let created = DateTime::from_millis(0);
    let record = doc! {
        "numero": "CMD-1", "class": "altered", "by": 7, "reason": "why", "created": created, "fingerprint": "f",
        "document": { "status": "livrée" },
    };
    for (collection, id) in [("archd_acknowledgements", "a"), ("archd_replaced", "r")] {
        let mut torn = record.clone();
        torn.insert("_id", id);
        server.insert(collection, [torn]).await;
        set_aside(&server, &format!("{collection}/{id}")).await;
    }
    let torn =
        doc! { "_id": 1_i64, "verification": "v", "record": 7, "hash": "h", "created": created };
    server.insert("archd_ledger", [torn]).await;
    set_aside(&server, "archd_ledger/1").await;
    server.shut_down().await;
}
