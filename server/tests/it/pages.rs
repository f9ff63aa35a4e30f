//! Pages: any client can read them whatever the data hold, and what a message can't carry it names.

use std::collections::HashMap;

use bson::{Bson, DateTime, Decimal128, Document, doc};
use order_archiver_api::v1 as pb;
use pb::{archive_service_client::ArchiveServiceClient, tail_events_response::Event};
use prost::Message;

use crate::support::{TestServer, order, within};

/// What a client takes by default, in bytes.
const DEFAULT_LIMIT: usize = 4 * 1024 * 1024;

/// An archived order with one field that is unusual.
fn archived(numero: &str, field: &str, value: impl Into<Bson>) -> Document {
    let mut order = order(numero);
    order.insert("date_archivage", DateTime::from_millis(1_760_624_625_000));
    order.insert("archived_by", "script v2.0");
    order.insert("incomplete", false);
    order.insert(field, value);
    order
}

fn text(bytes: usize) -> String {
    "é".repeat(bytes / 2)
}

/// Every archived order, read page by page by a client with the default limit.
async fn list(server: &TestServer, page_size: i32, with_documents: bool) -> Vec<pb::ArchivedOrder> {
    let mut client = ArchiveServiceClient::new(server.channel.clone());
    let mut orders = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListArchivedOrdersRequest {
            page_size,
            page_token,
            with_documents,
            ..Default::default()
        };
        let page = within(client.list_archived_orders(request)).await;
        let page = page.unwrap_or_else(|fault| panic!("after {} orders: {fault}", orders.len()));
        let page = page.into_inner();
        assert!(page.encoded_len() < DEFAULT_LIMIT, "{}", page.encoded_len());
        assert!(!page.orders.is_empty() && page.next_page_token.len() < 2_048);
        orders.extend(page.orders);
        if page.next_page_token.is_empty() {
            return orders;
        }
        page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn every_order_is_listed_whatever_its_fields_hold() {
    let server = TestServer::start().await;
    let year = |year| {
        DateTime::builder()
            .year(year)
            .month(1)
            .day(1)
            .build()
            .unwrap()
    };
    let decimal = |text: &str| text.parse::<Decimal128>().unwrap();
    // A field, what it holds, and whether a message can't carry that.
    let unusual: Vec<(&str, Bson, bool)> = vec![
        ("date_commande", year(9_999).into(), false),
        (
            "date_commande",
            DateTime::from_millis(253_402_300_800_000).into(),
            true,
        ),
        ("date_commande", DateTime::MAX.into(), true),
        ("date_archivage", DateTime::MIN.into(), true),
        ("date_archivage", year(-5).into(), true),
        ("prix_menu", f64::NAN.into(), true),
        ("prix_menu", decimal("NaN").into(), true),
        ("coût_commande", f64::INFINITY.into(), true),
        ("coût_commande", decimal("-Infinity").into(), true),
        ("coût_commande", f64::MAX.into(), false),
        ("nom_client", text(5 << 20).into(), true),
        ("archived_by", text(1 << 20).into(), true),
        ("nom_menu", text(60_000).into(), false),
        ("notes", text(15 << 20).into(), false),
        ("notes", text(2_900_000).into(), false),
        ("missing_fields", vec![text(100_000); 50].into(), false),
    ];
    let mut expected = HashMap::new();
    for (at, (field, value, left_out)) in unusual.iter().enumerate() {
        let numero = format!("CMD-{at:03}");
        server
            .insert("Historique", [archived(&numero, field, value.clone())])
            .await;
        expected.insert(numero, (*field, *left_out));
    }
    let usual = (0..300).map(|at| archived(&format!("CMD-1{at:03}"), "nom_menu", text(60_000)));
    server.insert("Historique", usual).await;

    for with_documents in [false, true] {
        let orders = list(&server, 1_000, with_documents).await;
        assert_eq!(orders.len(), unusual.len() + 300);
        assert!(orders.is_sorted_by(|a, b| a.numero_commande > b.numero_commande));
        for order in &orders {
            let (field, left_out) = expected.get(&order.numero_commande).unwrap_or(&("", false));
            let names: Vec<&str> = order.omitted_fields.iter().map(String::as_str).collect();
            let too_large = with_documents && order.document_bytes > 3 << 20;
            let mut wanted = Vec::new();
            wanted.extend(left_out.then_some(*field));
            wanted.extend(too_large.then_some("document_json"));
            assert_eq!(names, wanted, "{}", order.numero_commande);
            let shown = with_documents && !too_large;
            assert_eq!(
                !order.document_json.is_empty(),
                shown,
                "{}",
                order.numero_commande
            );
        }
    }
    // One by one they are answered as well, and the document shows what the fields can't.
    let mut client = ArchiveServiceClient::new(server.channel.clone());
    for (numero, (field, left_out)) in expected {
        let request = pb::GetArchivedOrderRequest {
            numero_commande: numero,
        };
        let order = client
            .get_archived_order(request)
            .await
            .unwrap()
            .into_inner()
            .order
            .unwrap();
        assert_eq!(
            order.omitted_fields.iter().any(|name| name == field),
            left_out
        );
        let shown = order.document_json.contains(&format!("\"{field}\":"));
        assert!(
            shown || order.omitted_fields.contains(&"document_json".to_owned()),
            "{field}"
        );
    }
}

#[tokio::test]
async fn numbers_of_any_length_are_listed_once_each() {
    let server = TestServer::start().await;
    let long = text(300_000);
    let mut numeros: Vec<String> = (0..7).map(|at| format!("CMD-{at}")).collect();
    numeros.extend((0..5).map(|at| format!("CMD-3{long}{at}")));
    numeros.extend([511, 512, 513, 514, 1_023, 1_024, 1_025].map(|length| "y".repeat(length)));
    numeros.push(format!("Z{}", "x".repeat(5 << 20)));
    for numero in &numeros {
        server
            .insert("Historique", [archived(numero, "nom_menu", "Menu")])
            .await;
    }
    numeros.sort_by(|a, b| b.cmp(a));
    for page_size in [1, 2, 3, 1_000] {
        let orders = list(&server, page_size, false).await;
        assert_eq!(orders.len(), numeros.len(), "pages of {page_size}");
        for (order, numero) in orders.iter().zip(&numeros) {
            let whole = numero.len() <= 1_024;
            assert_eq!(order.numero_commande == *numero, whole);
            let begin: String = numero.chars().take(300).collect();
            assert!(order.numero_commande.starts_with(&begin));
            assert_eq!(
                order.omitted_fields.contains(&"numero_commande".to_owned()),
                !whole
            );
        }
    }
}

#[tokio::test]
async fn quarantined_orders_are_listed_with_their_documents_whatever_their_size() {
    let server = TestServer::start().await;
    for bytes in [2_900_000, 10, 3_500_000, 2_000_000, 15 << 20, 2_000_000] {
        let mut bad = order(5);
        bad.insert("notes", text(bytes));
        server.insert("Commande", [bad]).await;
    }
    server.run_batch().await;
    let (mut entries, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListQuarantinedRequest {
            page_size: 1_000,
            with_documents: true,
            page_token,
            ..Default::default()
        };
        let page = server.list_quarantined(request).await;
        assert!(page.encoded_len() < DEFAULT_LIMIT);
        entries.extend(page.entries);
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    assert_eq!(entries.len(), 6);
    for entry in entries {
        let large = entry.document_bytes > 3 << 20;
        assert_eq!(entry.document_json.is_empty(), large);
        assert_eq!(
            entry.omitted_fields.len(),
            usize::from(large),
            "{:?}",
            entry.omitted_fields
        );
    }
}

#[tokio::test]
async fn batches_are_listed_however_much_there_is_to_say_of_them() {
    let server = TestServer::start().await;
    server.insert("Commande", [order("CMD-1")]).await;
    for _ in 0..12 {
        server.run_batch().await;
    }
    let miss = |at: usize| doc! { "status": format!("{at} {}", text(500)), "orders": 1_i64, "examples": ["CMD-9"] };
    let misses: Vec<Document> = (0..1_500).map(miss).collect();
    let much = doc! { "$set": { "near_misses": misses, "warnings": vec![text(1_000); 500] } };
    server
        .collection("archd_batches")
        .update_many(doc! {}, much)
        .await
        .unwrap();
    let (mut batches, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListBatchesRequest {
            page_size: 200,
            page_token,
            ..Default::default()
        };
        let page = server.list_batches(request).await;
        assert!(page.encoded_len() < DEFAULT_LIMIT);
        batches.extend(page.batches);
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    assert_eq!(batches.len(), 12);
    for batch in &batches {
        assert!(batch.near_misses.len() == 10 && batch.warnings.len() > 100);
        let last = batch.warnings.last().unwrap();
        assert!(last.contains("leaves out"), "{last}");
    }
    let request = pb::GetBatchRequest {
        id: batches[0].id.clone(),
    };
    server.batches().get_batch(request).await.unwrap();
    let request = pb::WatchBatchRequest {
        id: batches[0].id.clone(),
    };
    let mut states = server
        .batches()
        .watch_batch(request)
        .await
        .unwrap()
        .into_inner();
    assert!(within(states.message()).await.unwrap().is_some());
}

#[tokio::test]
async fn events_are_told_whatever_the_order_holds() {
    let server = TestServer::start().await;
    let mut news = server.news().await;
    let long = format!("CMD-{}", text(5 << 20));
    let orders = [
        archived(&long, "nom_menu", "Menu"),
        archived("CMD-2", "date_archivage", DateTime::MAX),
        archived("CMD-3", "nom_client", text(5 << 20)),
        archived("CMD-4", "missing_fields", vec![text(100_000); 50]),
        archived("CMD-5", "missing_fields", vec!["nom_menu"; 100_000]),
    ];
    server.insert("Historique", orders).await;
    let mut told = Vec::new();
    while told.len() < 5 {
        let message = within(news.message()).await.unwrap().unwrap();
        assert!(message.encoded_len() < 64 * 1024);
        if let Some(Event::Order(order)) = message.event {
            told.push(order);
        }
    }
    assert!(long.starts_with(told[0].numero_commande.trim_end_matches('…')));
    assert_eq!(
        (told[1].numero_commande.as_str(), &told[1].date_archivage),
        ("CMD-2", &None)
    );
    assert_eq!(told[2].numero_commande, "CMD-3");
    assert!(told[3].missing_fields.is_empty());
    assert_eq!(told[4].missing_fields, ["nom_menu"; 8]);
}
