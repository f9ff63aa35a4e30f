//! Lists of archd's own documents go on past those that can't be read, whatever their `_id`s are
//! and however long, and fields that archd does not know do no harm.

use archd::bytes::raw::{self, Value, ValueRef, Writer, kind};
use bson::{Bson, DateTime, Document, RawDocumentBuf, doc, oid::ObjectId, rawdoc};
use order_archiver_api::v1 as pb;
use prost::Message;

use crate::support::{TestServer, order};

const MIB: usize = 1 << 20;

/// `_id`s that no document of archd's has, before, among and behind its own.
fn foreign_ids() -> Vec<Bson> {
    let long = |first: char| Bson::from(first.to_string().repeat(5_000));
    vec![
        5.into(),
        6.into(),
        7.5.into(),
        long('a'),
        long('g'),
        "gp".into(),
        long('h'),
        long('z'),
        doc! { "a": 1 }.into(),
        ObjectId::from_bytes([7; 12]).into(),
        ObjectId::from_bytes([8; 12]).into(),
        true.into(),
        DateTime::from_millis(0).into(),
    ]
}

fn good_ids() -> Vec<String> {
    (0..9).map(|number| format!("good-{number}")).collect()
}

/// A document with one more field, which holds text that is not UTF-8.
fn with_strange_text(document: &Document) -> RawDocumentBuf {
    let mut writer = Writer::default();
    let document = RawDocumentBuf::try_from(document).unwrap();
    for element in raw::elements(document.as_bytes()) {
        writer.value(element.key, element.value);
    }
    writer.value("unknown", Value::text(b"\xff\xfe").as_ref());
    writer.finish()
}

fn batch(id: impl Into<Bson>, minutes_ago: i64) -> Document {
    let then = DateTime::from_millis(DateTime::now().timestamp_millis() - minutes_ago * 60_000);
    doc! { "_id": id, "state": "succeeded", "created": then, "updated": then }
}

fn entry(id: impl Into<Bson>) -> Document {
    let seen = DateTime::now();
    doc! {
        "_id": id, "order_id": 1, "reason": "refused", "detail": "no", "attempts": 1, "bytes": 10, "first_seen": seen, "last_seen": seen,
    }
}

/// All pages: what can be read, and what can't.
async fn walk<P>(mut page: P) -> (Vec<String>, usize)
where
    P: AsyncFnMut(String) -> (Vec<String>, usize, String),
{
    let (mut read, mut unreadable, mut token) = (Vec::new(), 0, String::new());
    for _ in 0..1_000 {
        let (ids, bad, next) = page(token).await;
        assert!(next.len() <= 4_096, "{}", next.len());
        read.extend(ids);
        unreadable += bad;
        if next.is_empty() {
            return (read, unreadable);
        }
        token = next;
    }
    panic!("the list does not end");
}

async fn quarantined(
    server: &TestServer,
    page_size: i32,
    reasons: &[pb::QuarantineReason],
) -> (Vec<String>, usize) {
    walk(async |page_token| {
        let request = pb::ListQuarantinedRequest {
            page_size,
            page_token,
            reasons: reasons.iter().map(|reason| (*reason).into()).collect(),
            ..Default::default()
        };
        let page = server.list_quarantined(request).await;
        assert!(page.encoded_len() < 4 * MIB, "{}", page.encoded_len());
        let ids = page.entries.into_iter().map(|entry| entry.id).collect();
        (ids, page.unreadable.len(), page.next_page_token)
    })
    .await
}

async fn batches(server: &TestServer, page_size: i32) -> (Vec<String>, usize) {
    walk(async |page_token| {
        let request = pb::ListBatchesRequest {
            page_size,
            page_token,
            ..Default::default()
        };
        let page = server.list_batches(request).await;
        assert!(page.encoded_len() < 4 * MIB, "{}", page.encoded_len());
        let ids = page.batches.into_iter().map(|batch| batch.id).collect();
        (ids, page.unreadable.len(), page.next_page_token)
    })
    .await
}

#[tokio::test]
async fn entries_with_ids_of_any_type_and_length_are_all_listed() {
    let server = TestServer::start().await;
    let all = good_ids().into_iter().map(Bson::from).chain(foreign_ids());
    server.insert("archd_quarantine", all.map(entry)).await;
    let refused = [pb::QuarantineReason::Refused];
    for page_size in [1, 2, 5, 100] {
        for reasons in [&[][..], &refused] {
            let (read, unreadable) = quarantined(&server, page_size, reasons).await;
            let mut expected = good_ids();
            expected.push("gp".to_owned());
            // Long texts are texts: their entries can be read.
            let short: Vec<String> = read.into_iter().filter(|id| id.len() < 100).collect();
            assert_eq!(short, expected, "{page_size}");
            assert_eq!(unreadable, 8, "{page_size}");
        }
    }
    server.shut_down().await;
}

#[tokio::test]
async fn batches_with_ids_of_any_type_and_length_are_all_listed() {
    let server = TestServer::start().await;
    let all = good_ids().into_iter().map(Bson::from).chain(foreign_ids());
    // All were asked for at once, or each at its time.
    for apart in [0, 1] {
        let numbered = all.clone().zip(0..);
        let all = numbered.map(|(id, number)| batch(id, number * apart));
        server.collection("archd_batches").drop().await.unwrap();
        server.insert("archd_batches", all).await;
        let by_time = mongodb::IndexModel::builder().keys(doc! { "created": 1, "_id": 1 });
        let options = mongodb::options::IndexOptions::builder().name("by_time".to_owned());
        let index = by_time.options(options.build()).build();
        let collection = server.collection("archd_batches");
        collection.create_index(index).await.unwrap();
        for page_size in [1, 2, 5, 100] {
            let (mut read, unreadable) = batches(&server, page_size).await;
            read.retain(|id| id.len() < 100);
            read.sort();
            let mut expected = good_ids();
            expected.push("gp".to_owned());
            assert_eq!(read, expected, "{page_size} {apart}");
            assert_eq!(unreadable, 8, "{page_size} {apart}");
        }
    }
    server.shut_down().await;
}

#[tokio::test]
async fn documents_that_cannot_be_read_count_towards_the_size_of_a_page() {
    let server = TestServer::start().await;
    let long = |number: usize| format!("{number:04}-{}", "x".repeat(40_000));
    let bad = (0..200).map(|number| {
        let mut entry = entry(long(number));
        entry.insert("attempts", "many");
        entry
    });
    server.insert("archd_quarantine", bad).await;
    let bad = (0..200).map(|number| {
        let mut batch = batch(long(number), 1);
        batch.insert("state", "asleep");
        batch
    });
    server.insert("archd_batches", bad).await;
    assert_eq!(quarantined(&server, 1_000, &[]).await, (Vec::new(), 200));
    assert_eq!(batches(&server, 200).await, (Vec::new(), 200));
    let request = pb::ListQuarantinedRequest::default();
    let page = server.list_quarantined(request).await;
    let longest = page.unreadable.iter().map(|it| it.name.len()).max();
    assert!(longest.unwrap() < 1_100, "{longest:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn fields_that_archd_does_not_know_may_hold_any_bytes() {
    let server = TestServer::start_with(|config| config.watch = true).await;
    server.watcher_is(pb::WatcherState::Watching).await;
    server
        .insert_raw("archd_quarantine", [with_strange_text(&entry("odd"))])
        .await;
    let strange = with_strange_text(&batch("odd", 1));
    server.insert_raw("archd_batches", [strange]).await;
    let mut nested = batch("nested", 2);
    nested.remove("options");
    let options = rawdoc! { "options": with_strange_text(&doc! {}) };
    let nested = RawDocumentBuf::try_from(&nested).unwrap();
    let mut writer = Writer::default();
    for part in [&nested, &options] {
        for element in raw::elements(part.as_bytes()) {
            writer.value(element.key, element.value);
        }
    }
    server.insert_raw("archd_batches", [writer.finish()]).await;
    let odd = |id: &str| vec![id.to_owned()];
    assert_eq!(quarantined(&server, 10, &[]).await, (odd("odd"), 0));
    let both = [odd("odd"), odd("nested")].concat();
    let (mut read, unreadable) = batches(&server, 10).await;
    // But for the one that the watcher began with.
    read.retain(|id| id.len() < 20);
    assert_eq!((read, unreadable), (both, 0));
    let mut set = Writer::default();
    set.document("q", &rawdoc! { "_id": "watcher" })
        .document("u", &rawdoc! { "$set": with_strange_text(&doc! {}) });
    let mut update = Writer::default();
    let set = set.finish();
    let member = ValueRef {
        kind: kind::DOCUMENT,
        bytes: set.as_bytes(),
    };
    update
        .string("update", "archd_state")
        .array("updates", [member]);
    let reply = server.database.run_raw_command(update.finish());
    assert_eq!(reply.await.unwrap().get_i32("nModified").unwrap(), 1);
    assert_eq!(
        server.watcher_now().await.state(),
        pb::WatcherState::Watching
    );
    server.insert("Commande", [order("seen")]).await;
    server.archived(1).await;
    server.shut_down().await;
}
