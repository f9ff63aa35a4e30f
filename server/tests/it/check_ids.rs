//! Ids of a type that joins nothing are told by `archd check` before orders are archived without
//! the names behind them.

use bson::{Binary, Bson, doc, spec::BinarySubtype};
use devkit::ReplicaSet;

use crate::{
    check::{check, furnish},
    support::order,
};

#[tokio::test]
async fn ids_that_join_nothing_are_named_with_their_field_and_what_orders_will_miss() {
    let set = ReplicaSet::shared().await.unwrap();
    let server = furnish(set).await;
    let checked = check(&set.uri(), server.database.name()).await;
    assert_eq!(checked.verdict("ids"), "ok");
    assert!(
        checked.found("ids").starts_with("of 7 documents"),
        "{}",
        checked.text
    );

    let uuid = Bson::Binary(Binary {
        subtype: BinarySubtype::Uuid,
        bytes: vec![7; 16],
    });
    let client = doc! { "id_client": uuid.clone(), "Prénom": "Zoé", "Nom": "Martin", "Email": "z@example.fr" };
    server.insert("Client", [client]).await;
    let orders = ["UUID-1", "UUID-2"].map(|numero| {
        let mut order = order(numero);
        order.insert("id_client", uuid.clone());
        order
    });
    server.insert("Commande", orders).await;
    let mut nobody = order("NOBODY");
    nobody.insert("id_client", Bson::Null);
    nobody.remove("id_menu");
    server.insert("Commande", [nobody]).await;

    let checked = check(&set.uri(), server.database.name()).await;
    assert_eq!((checked.code, checked.verdict("ids")), (Some(0), "warning"));
    let found = checked.found("ids");
    assert_eq!(
        found,
        "id_client of Commande: 2 of type binData among 6 looked at, which join nothing: such orders are archived without nom_client, email_client; \
         id_client of Client: 1 of type binData among 2 looked at, which join nothing: such orders are archived without nom_client, email_client"
    );
    // And so it is.
    for numero in ["UUID-1", "UUID-2"] {
        let archived = server.archive_order(numero).await.unwrap();
        assert_eq!(archived.missing_fields, ["nom_client", "email_client"]);
    }
    server.shut_down().await;
}
