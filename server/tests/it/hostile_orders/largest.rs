//! An order is archived if its archived document fits into MongoDB, to the byte.

use archd::domain::{enrich::LARGEST_DOCUMENT, judge::Reason};
use bson::doc;

use super::{Due, all_get_their_due, cases, complete, good, of_size, raw_of};
use crate::support::TestServer;

#[tokio::test]
async fn an_order_is_archived_up_to_the_last_byte_that_fits() {
    let server = TestServer::start().await.with_references().await;
    let probe = raw_of(&good());
    server.insert_raw("Commande", [probe.clone()]).await;
    server.run_batch().await;
    let [archived] = server.all_raw("Historique").await.try_into().unwrap();
    let added = archived.as_bytes().len() - probe.as_bytes().len();
    for name in ["Commande", "Historique"] {
        server.collection(name).drop().await.unwrap();
    }
    // The server makes the unique index anew only when it starts or the database comes back.
    server
        .database
        .run_command(doc! { "createIndexes": "Historique", "indexes": [{ "key": { "numero_commande": 1 }, "name": "n", "unique": true }] })
        .await
        .unwrap();

    let largest = LARGEST_DOCUMENT - added;
    let too_large = || Due::Quarantined(Reason::TooLarge);
    all_get_their_due(
        &server,
        cases(vec![
            ("fits to the byte", of_size(largest), complete()),
            ("one byte over", of_size(largest + 1), too_large()),
            (
                "as large as it gets",
                of_size(LARGEST_DOCUMENT),
                too_large(),
            ),
            ("fits again", of_size(largest), complete()),
        ]),
    )
    .await;
}
