//! Numbers and ids of megabytes are dealt with like any others, and hold nobody up.

use archd::domain::judge::Reason;
use bson::doc;

use super::{Due, all_get_their_due, complete, with, without};
use crate::support::TestServer;

#[tokio::test]
async fn large_numbers_and_ids_hold_nobody_up() {
    let server = TestServer::start().await.with_references().await;
    let large = |letter: &str| letter.repeat(5 * 1024 * 1024);
    let mut all = Vec::new();
    for letter in ["a", "b", "c", "d", "e", "f"] {
        let number = with(doc! { "numero_commande": large(letter) });
        all.push((format!("number {letter}"), number, complete()));
        let id = with(doc! { "id_client": large(letter) });
        let due = without(&["nom_client", "email_client"]);
        all.push((format!("id of a client {letter}"), id, due));
        let id = with(doc! { "_id": large(letter) });
        let due = Due::Quarantined(Reason::TooLarge);
        all.push((format!("id {letter}"), id, due));
    }
    all_get_their_due(&server, all).await;
}
