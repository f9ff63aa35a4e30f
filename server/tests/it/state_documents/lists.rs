//! The list of batches is in the order of the database's clock, and goes on behind what can't be
//! read.

use archd::bytes::raw::{self, Value, ValueRef, Writer};
use bson::RawDocumentBuf;
use order_archiver_api::v1 as pb;

use super::batch;
use crate::support::TestServer;

#[tokio::test]
async fn one_bad_batch_breaks_no_list_and_pages_go_on_behind_it() {
    let server = TestServer::start().await;
    let mut bad = [batch("bad-1", 3), batch("bad-2", 5), batch("bad-3", 7)];
    bad[0].insert("created", "yesterday");
    bad[1].insert("state", 3);
    bad[2].insert("options", "none");
    let good = (1..=9).map(|number| batch(&format!("good-{number}"), number));
    server.insert("archd_batches", good.chain(bad)).await;
    for page_size in [1, 2, 5, 100] {
        let (mut read, mut unreadable, mut page_token) = (Vec::new(), Vec::new(), String::new());
        loop {
            let request = pb::ListBatchesRequest {
                page_size,
                page_token,
                ..Default::default()
            };
            let page = server.list_batches(request).await;
            read.extend(page.batches.into_iter().map(|batch| batch.id));
            unreadable.extend(page.unreadable.into_iter().map(|document| document.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let expected: Vec<String> = (1..=9).map(|number| format!("good-{number}")).collect();
        assert_eq!(read, expected, "{page_size}");
        unreadable.sort();
        let expected = ["bad-1", "bad-2", "bad-3"].map(|id| format!("archd_batches/{id}"));
        assert_eq!(unreadable, expected, "{page_size}");
    }
}

#[tokio::test]
async fn batches_are_listed_by_the_databases_clock_whatever_their_ids_say() {
    let server = TestServer::start().await;
    // Their instances' clocks were years apart: the ids sort the other way round.
    let all = (0..5).map(|minutes| batch(&format!("b-{minutes}"), minutes + 1));
    server.insert("archd_batches", all).await;
    let latest = server.run_batch().await;
    let request = pb::ListBatchesRequest {
        page_size: 3,
        ..Default::default()
    };
    let page = server.list_batches(request.clone()).await;
    let ids = |page: &pb::ListBatchesResponse| {
        page.batches
            .iter()
            .map(|batch| batch.id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&page), [latest.id.as_str(), "b-0", "b-1"]);
    let next = pb::ListBatchesRequest {
        page_token: page.next_page_token,
        ..request
    };
    let page = server.list_batches(next).await;
    assert_eq!(ids(&page), ["b-2", "b-3", "b-4"]);
    let stats = server.stats_now().await;
    assert_eq!(stats.last_batch.unwrap().id, latest.id);
}

#[tokio::test]
async fn a_list_whose_places_have_any_names_is_read() {
    let server = TestServer::start().await;
    // As no driver writes one; the database takes it.
    let mut warnings = Writer::default();
    warnings.value(b"\xff\xfe", Value::string("slow").as_ref());
    let warnings = warnings.finish();
    const ARRAY: u8 = 0x04;
    let mut odd = Writer::default();
    let plain = RawDocumentBuf::try_from(&batch("odd", 3)).unwrap();
    for element in raw::elements(plain.as_bytes()) {
        odd.value(element.key, element.value);
    }
    odd.value(
        "warnings",
        ValueRef {
            kind: ARRAY,
            bytes: warnings.as_bytes(),
        },
    );
    server.insert_raw("archd_batches", [odd.finish()]).await;
    let page = server.list_batches(pb::ListBatchesRequest::default()).await;
    assert_eq!(page.batches[0].id, "odd");
    assert_eq!(page.batches[0].warnings.len(), 1, "{page:?}");
}
