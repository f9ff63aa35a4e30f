//! An order in quarantine can be found, looked at, tried again and let go.

use archd::{bytes::raw, store::quarantine::record::entry_id};
use bson::{Document, RawDocumentBuf, doc};
use order_archiver_api::v1 as pb;
use pb::{QuarantineReason as Reason, RetryOutcome};
use tonic::Code;

use crate::support::{TestServer, order, tally};

/// Orders that can't be archived, with `_id`s from 1 on; the last two share a number.
async fn with_bad_orders() -> TestServer {
    let server = TestServer::start().await.with_references().await;
    let numbers = [
        bson::Bson::Null,
        "".into(),
        12.into(),
        "CMD-1".into(),
        "CMD-1".into(),
    ];
    let orders = numbers.into_iter().zip(1..).map(|(number, id)| {
        let mut order = order(number);
        order.insert("_id", id);
        order
    });
    server.insert("Commande", orders).await;
    let batch = server.run_batch().await;
    assert_eq!(tally(batch.counts), [5, 1, 0, 4], "{batch:?}");
    server
}

/// The name of the entry of the order with this `_id`.
fn name(id: i32) -> String {
    let order = RawDocumentBuf::try_from(&doc! { "_id": id }).unwrap();
    entry_id(raw::find(&order, "_id").unwrap())
}

async fn list(
    server: &TestServer,
    request: pb::ListQuarantinedRequest,
) -> pb::ListQuarantinedResponse {
    let listed = server.quarantine().list_quarantined(request).await;
    listed.unwrap().into_inner()
}

async fn names(server: &TestServer, reasons: &[Reason]) -> Vec<String> {
    let request = pb::ListQuarantinedRequest {
        reasons: reasons.iter().map(|reason| (*reason).into()).collect(),
        ..Default::default()
    };
    let entries = list(server, request).await.entries;
    entries.into_iter().map(|entry| entry.id).collect()
}

fn sorted(ids: &[i32]) -> Vec<String> {
    let mut names: Vec<String> = ids.iter().copied().map(name).collect();
    names.sort();
    names
}

async fn retry(server: &TestServer, ids: &[i32]) -> Vec<RetryOutcome> {
    let request = pb::RetryQuarantinedRequest {
        ids: ids.iter().copied().map(name).collect(),
    };
    let response = server.quarantine().retry_quarantined(request).await;
    let results = response.unwrap().into_inner().results;
    let asked: Vec<String> = ids.iter().copied().map(name).collect();
    let answered: Vec<&String> = results.iter().map(|result| &result.id).collect();
    assert_eq!(answered, asked.iter().collect::<Vec<_>>());
    for result in &results {
        let left = matches!(
            result.outcome(),
            RetryOutcome::Archived | RetryOutcome::Duplicate
        );
        assert_eq!(result.detail.is_empty(), left, "{result:?}");
    }
    results.iter().map(pb::RetryResult::outcome).collect()
}

async fn set(server: &TestServer, id: i32, fields: Document) {
    let orders = server.collection("Commande");
    let update = doc! { "$set": fields };
    let result = orders.update_one(doc! { "_id": id }, update).await;
    assert_eq!(result.unwrap().matched_count, 1);
}

#[tokio::test]
async fn entries_are_listed_by_reason_and_page_by_page() {
    let server = with_bad_orders().await;
    let table: [(&[Reason], &[i32]); 5] = [
        (&[], &[1, 2, 3, 5]),
        (&[Reason::NoUsableNumber], &[1, 2, 3]),
        (&[Reason::NumberConflict], &[5]),
        (
            &[Reason::NumberConflict, Reason::NoUsableNumber],
            &[1, 2, 3, 5],
        ),
        (&[Reason::TooLarge], &[]),
    ];
    for (reasons, ids) in table {
        assert_eq!(names(&server, reasons).await, sorted(ids), "{reasons:?}");
    }

    let mut found = Vec::new();
    let mut request = pb::ListQuarantinedRequest {
        page_size: 3,
        ..Default::default()
    };
    loop {
        let page = list(&server, request.clone()).await;
        found.push(page.entries.len());
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, [3, 1]);

    let request = pb::ListQuarantinedRequest {
        id: name(5),
        with_documents: true,
        ..Default::default()
    };
    let [entry] = list(&server, request).await.entries.try_into().unwrap();
    assert_eq!(
        (
            entry.order_id_json.as_str(),
            entry.numero_commande.as_deref(),
            entry.reason(),
            entry.attempts
        ),
        ("5", Some("CMD-1"), Reason::NumberConflict, 1)
    );
    assert!(
        entry.detail.contains("`_id` 4") && entry.detail.contains("CMD-1"),
        "{}",
        entry.detail
    );
    assert!(
        entry
            .document_json
            .contains(r#""_id":{"$numberInt":"5"},"numero_commande":"CMD-1""#),
        "{}",
        entry.document_json
    );
}

#[tokio::test]
async fn a_mended_order_leaves_by_a_retry_and_others_stay() {
    let server = with_bad_orders().await;
    set(&server, 1, doc! { "numero_commande": "CMD-11" }).await;
    set(&server, 2, doc! { "numero_commande": 2 }).await;
    set(&server, 3, doc! { "status": "annulée" }).await;
    let orders = server.collection("Commande");
    orders.delete_one(doc! { "_id": 5 }).await.unwrap();

    use RetryOutcome::{Archived, NotDelivered, StillQuarantined};
    let expected = [StillQuarantined, Archived, NotDelivered, NotDelivered];
    assert_eq!(retry(&server, &[2, 1, 3, 5]).await, expected);
    assert_eq!(names(&server, &[]).await, sorted(&[2, 3, 5]));
    let mended = server
        .collection("Historique")
        .find_one(doc! { "numero_commande": "CMD-11" })
        .await
        .unwrap();
    assert_eq!(mended.unwrap().get_i32("_id").unwrap(), 1);
    let parts = server.all("archd_quarantine_bytes").await;
    assert_eq!(parts.len(), 3, "the bytes of an entry go with it");
    let request = pb::ListQuarantinedRequest {
        id: name(2),
        ..Default::default()
    };
    assert_eq!(list(&server, request).await.entries[0].attempts, 2);
}

#[tokio::test]
async fn a_dropped_entry_comes_back_with_the_next_batch() {
    let server = with_bad_orders().await;
    let before = server.all("Commande").await;
    let request = pb::DropQuarantinedRequest {
        ids: vec![name(1), name(5), name(1)],
    };
    let dropped = server.quarantine().drop_quarantined(request).await.unwrap();
    assert_eq!(dropped.into_inner().dropped, 2);
    assert_eq!(names(&server, &[]).await, sorted(&[2, 3]));
    assert_eq!(server.all("archd_quarantine_bytes").await.len(), 2);
    assert_eq!(server.all("Commande").await, before);

    assert_eq!(tally(server.run_batch().await.counts), [5, 0, 1, 4]);
    assert_eq!(names(&server, &[]).await, sorted(&[1, 2, 3, 5]));
}

#[tokio::test]
async fn an_unknown_entry_is_named_and_nothing_happens() {
    let server = with_bad_orders().await;
    let ids = vec![name(1), name(404)];
    let mut client = server.quarantine();
    let retried = pb::RetryQuarantinedRequest { ids: ids.clone() };
    let dropped = pb::DropQuarantinedRequest { ids };
    let refused = [
        client.retry_quarantined(retried).await.unwrap_err(),
        client.drop_quarantined(dropped).await.unwrap_err(),
    ];
    for status in refused {
        assert_eq!(status.code(), Code::NotFound, "{status:?}");
        assert!(status.message().contains(&name(404)), "{status:?}");
    }
    assert_eq!(names(&server, &[]).await, sorted(&[1, 2, 3, 5]));
}

#[tokio::test]
async fn a_batch_lets_go_whom_the_archive_holds() {
    let server = with_bad_orders().await;
    set(&server, 1, doc! { "numero_commande": "CMD-11" }).await;
    server.archive_order("CMD-11").await.unwrap();
    set(&server, 5, doc! { "numero_commande": "CMD-15" }).await;
    assert_eq!(names(&server, &[]).await, sorted(&[1, 2, 3, 5]));

    assert_eq!(tally(server.run_batch().await.counts), [5, 1, 2, 2]);
    assert_eq!(names(&server, &[]).await, sorted(&[2, 3]));
    assert_eq!(server.all("archd_quarantine_bytes").await.len(), 2);
}

#[tokio::test]
async fn an_order_that_has_become_shorter_is_kept_as_it_is_now() {
    let server = with_bad_orders().await;
    for (length, parts) in [(12 << 20, 2), (100, 2), (9 << 20, 2)] {
        set(&server, 1, doc! { "padding": "x".repeat(length) }).await;
        retry(&server, &[1]).await;
        let stored = server.all("archd_quarantine_bytes").await;
        let of_it = |part: &&Document| part.get_str("_id").unwrap().starts_with(&name(1));
        assert_eq!(stored.iter().filter(of_it).count(), parts);
        let config = archd::config::Config::simulation(
            &devkit::ReplicaSet::shared().await.unwrap().uri(),
            server.database.name(),
        );
        let store = archd::store::Store::new(&config.unwrap()).await.unwrap();
        let kept = store.quarantined_order(&name(1)).await.unwrap();
        assert_eq!(
            kept.unwrap(),
            server.all_raw("Commande").await[0],
            "{length}"
        );
    }
}
