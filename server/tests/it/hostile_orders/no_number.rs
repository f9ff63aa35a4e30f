//! An order that has no number to be archived under goes to quarantine.

use archd::domain::judge::Reason;
use bson::{Bson, doc};

use super::{Due, all_get_their_due, good, raw_of, with, with_text};
use crate::support::TestServer;

#[tokio::test]
async fn an_order_without_usable_number_is_quarantined() {
    let server = TestServer::start().await.with_references().await;
    let mut nameless = good();
    nameless.remove("numero_commande");
    let no_number = || Due::Quarantined(Reason::NoUsableNumber);
    let mut all = vec![("no number".to_owned(), raw_of(&nameless), no_number())];
    let numbers: [Bson; 8] = [
        Bson::Null,
        "".into(),
        12.into(),
        f64::NAN.into(),
        vec!["CMD"].into(),
        doc! { "$ne": Bson::Null }.into(),
        Bson::Symbol("CMD".into()),
        Bson::Undefined,
    ];
    for number in numbers {
        let order = with(doc! { "numero_commande": number.clone() });
        all.push((number.to_string(), order, no_number()));
    }
    all.push((
        "broken text".to_owned(),
        with_text(&raw_of(&good()), b"numero_commande", b"CMD-\xff"),
        no_number(),
    ));
    all_get_their_due(&server, all).await;
}
