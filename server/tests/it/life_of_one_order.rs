//! An order becomes the same archived document whichever source it comes through.

use bson::{Document, doc};
use order_archiver_api::v1 as pb;

use crate::support::{TestServer, order, within};

/// The archived document without what differs from one archiving to the next.
fn settled(mut archived: Document) -> Document {
    archived.remove("_id");
    archived
        .remove("date_archivage")
        .expect("every archived order has a date");
    archived
}

#[tokio::test]
async fn one_order_through_each_source_gives_one_document() {
    let server = TestServer::start().await.with_references().await;
    let mut first = order("CMD-2025-000001");
    first.insert("note", "sans oignons");
    let mut second = first.clone();
    second.insert("_id", bson::oid::ObjectId::new());
    second.insert("numero_commande", "CMD-2025-000002");

    server.insert("Commande", [first.clone()]).await;
    let answer = server.archive_order("CMD-2025-000001").await.unwrap();
    assert_eq!(
        (answer.outcome(), answer.incomplete),
        (pb::ArchiveOutcome::Archived, false)
    );
    server.insert("Commande", [second]).await;
    let batch = server.run_batch().await;
    let counts = batch.counts.unwrap();
    assert_eq!(
        (
            counts.found,
            counts.archived,
            counts.duplicates,
            counts.errors
        ),
        (2, 1, 1, 0),
        "{batch:?}"
    );

    let archived = server.all("Historique").await;
    let [by_rpc, by_batch] = archived.try_into().unwrap();
    let (by_rpc, mut by_batch) = (settled(by_rpc), settled(by_batch));
    by_batch.insert("numero_commande", "CMD-2025-000001");
    assert_eq!(by_rpc, by_batch);

    first.remove("_id");
    first.extend(doc! {
        "nom_client": "Zoé Martin", "email_client": "zoe@example.fr", "nom_livreur": "Ali Benali", "nom_restaurant": "Le Bistrot",
        "nom_menu": "Menu du jour", "prix_menu": 12.5, "incomplete": false, "missing_fields": [], "archived_by": "script v2.0",
    });
    assert_eq!(by_rpc, first);
}

#[tokio::test]
async fn an_archived_order_is_told_and_counted_and_can_be_read() {
    let server = TestServer::start().await.with_references().await;
    let mut news = server.tail_events(pb::TailEventsRequest::default()).await;
    let hello = within(news.message()).await.unwrap().unwrap();
    assert_eq!(hello.kind(), pb::EventKind::Heartbeat);
    let mut incomplete = order("CMD-2025-000007");
    incomplete.insert("id_menu", 99);
    server.insert("Commande", [incomplete]).await;
    server.archive_order("CMD-2025-000007").await.unwrap();

    let told = within(news.message()).await.unwrap().unwrap();
    assert_eq!(told.kind(), pb::EventKind::Incomplete);
    let Some(pb::tail_events_response::Event::Order(event)) = told.event else {
        panic!("{told:?}")
    };
    assert_eq!(
        (event.numero_commande.as_str(), event.missing_fields),
        (
            "CMD-2025-000007",
            vec!["nom_menu".to_owned(), "prix_menu".to_owned()]
        )
    );

    let stats = server.stats_now().await;
    let expected = pb::OrderCounts {
        found: 1,
        archived: 1,
        duplicates: 0,
        incomplete: 1,
        errors: 0,
        gone: 0,
    };
    assert_eq!(
        (
            stats.lifetime.unwrap(),
            stats.window.unwrap(),
            stats.archive_size
        ),
        (expected, expected, 1)
    );

    let request = pb::GetArchivedOrderRequest {
        numero_commande: "CMD-2025-000007".to_owned(),
    };
    let read = server
        .archive()
        .get_archived_order(request)
        .await
        .unwrap()
        .into_inner()
        .order
        .unwrap();
    assert_eq!(
        (
            read.nom_client.as_deref(),
            read.nom_menu,
            read.cout_commande.as_deref()
        ),
        (Some("Zoé Martin"), None, Some("24.9"))
    );
    assert!(
        read.document_json
            .contains(r#""numero_commande":"CMD-2025-000007""#),
        "{}",
        read.document_json
    );
    server.shut_down().await;
}
