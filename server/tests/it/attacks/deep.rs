//! Documents that nest as many others as the database takes are shown, and nothing runs out of its
//! stack by them.

use std::time::Duration;

use archd::bytes::raw::{ValueRef, Writer, kind};
use bson::{Document, RawDocumentBuf, doc};
use order_archiver_api::v1 as pb;
use pb::archive_service_client::ArchiveServiceClient;

use super::started;
use crate::{
    connections::serves,
    support::{TestServer, order, within},
};

/// How many; the database takes 180 levels.
const LEVELS: usize = 175;

/// An order that nests so many documents.
fn deep(numero: &str) -> RawDocumentBuf {
    let mut inner = Writer::default().finish();
    for _ in 0..LEVELS {
        let mut around = Writer::default();
        around.document("d", &inner);
        inner = around.finish();
    }
    let plain = RawDocumentBuf::try_from(&order(numero)).unwrap();
    let mut writer = Writer::default();
    for element in archd::bytes::raw::elements(plain.as_bytes()) {
        writer.value(element.key, element.value);
    }
    let bytes = inner.as_bytes();
    let kind = kind::DOCUMENT;
    writer.value("deep", ValueRef { kind, bytes });
    writer.finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_as_deep_as_the_database_takes_is_archived_and_shown() {
    // One that puts it there, and one in a process of its own that has to do with it.
    let hand = TestServer::start().await;
    hand.insert_raw("Commande", [deep("CMD-DEEP")]).await;
    let mut server = started(&hand.database, 1_024).await;
    let mut client = ArchiveServiceClient::new(server.connect().await);
    let numero_commande = "CMD-DEEP".to_owned();
    let request = pb::ArchiveOrderRequest {
        numero_commande: numero_commande.clone(),
    };
    let archived = within(client.archive_order(request))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        archived.result.unwrap().outcome(),
        pb::ArchiveOutcome::Archived
    );
    let request = pb::GetArchivedOrderRequest { numero_commande };
    let shown = within(client.get_archived_order(request))
        .await
        .unwrap()
        .into_inner();
    let json = shown.order.unwrap().document_json;
    assert_eq!(json.matches("\"d\":").count(), LEVELS, "{json}");
    for format in [pb::ExtendedJson::Canonical, pb::ExtendedJson::Relaxed] {
        let request = pb::ListArchivedOrdersRequest {
            with_documents: true,
            document_json_format: format.into(),
            ..Default::default()
        };
        let page = within(client.list_archived_orders(request)).await.unwrap();
        assert_eq!(page.into_inner().orders.len(), 1);
    }
    serves(&server, Duration::from_secs(5)).await;
    server.stop().await;
    let archive = hand.database.collection::<Document>("Historique");
    assert_eq!(archive.count_documents(doc! {}).await.unwrap(), 1);
}
