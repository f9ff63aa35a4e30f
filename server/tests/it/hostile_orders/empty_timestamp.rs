//! An empty timestamp stays one: MongoDB would replace it by the time.

use archd::domain::enrich::original;
use bson::doc;

use super::good;
use crate::support::{TestServer, tally};

#[tokio::test]
async fn an_empty_timestamp_is_not_taken_for_now() {
    let server = TestServer::start().await.with_references().await;
    let empty = bson::Timestamp {
        time: 0,
        increment: 0,
    };
    server.insert("Commande", [good()]).await;
    // An insert would replace it by the time; only an update leaves it as it is.
    let update = doc! { "$set": { "timestamp": empty, "after": 1 } };
    let orders = server.collection("Commande");
    orders.update_one(doc! {}, update).await.unwrap();

    assert_eq!(tally(server.run_batch().await.counts), [1, 1, 0, 0]);
    let [archived] = server.all_raw("Historique").await.try_into().unwrap();
    assert_eq!([original(&archived)], server.all_raw("Commande").await[..]);
}
