//! An order keeps its `_id` in the archive, whatever it is; only one that is too long to travel
//! goes to quarantine.

use archd::{
    bytes::raw::{self, Writer},
    domain::enrich::original,
    store::quarantine::record::entry_id,
};
use bson::{Binary, Bson, Document, RawDocumentBuf, Timestamp, doc, oid::ObjectId};
use devkit::ReplicaSet;
use order_archiver_api::v1 as pb;
use pb::{ArchiveOutcome, QuarantineReason, RetryOutcome, WatcherState};

use crate::{
    faults::{deliver, fresh, settled, watching},
    support::{TestServer, eventually, faults, order, orders, tally},
};

const EMPTY: Timestamp = Timestamp {
    time: 0,
    increment: 0,
};

/// A delivered order with its fields in this order.
fn fields(numero: &str, fields: Document) -> Document {
    let mut order = order(numero);
    order.remove("_id");
    let mut first = fields;
    first.extend(order);
    first
}

/// How orders come into the database.
#[derive(Clone, Copy, Debug)]
enum Way {
    Insert,
    /// As replication and restoring do it: the server leaves the document as it is.
    ApplyOps,
}

async fn put(server: &TestServer, way: Way, order: &Document) {
    match way {
        Way::Insert => server.insert("Commande", [order.clone()]).await,
        Way::ApplyOps => {
            let namespace = format!("{}.Commande", server.database.name());
            server.insert("Commande", [doc! { "_id": "none" }]).await;
            let operation = doc! { "op": "i", "ns": namespace, "o": order };
            let admin = server.database.client().database("admin");
            // One by one, so that a change stream hears of it.
            let apply = doc! { "applyOps": [operation], "allowAtomic": false };
            let applied = admin.run_command(apply);
            applied.await.unwrap();
            let orders = server.collection("Commande");
            orders.delete_one(doc! { "_id": "none" }).await.unwrap();
        }
    }
}

/// The one order that there is, and its archived document, which must have the same `_id` and hold
/// it byte for byte.
async fn archived_whole(server: &TestServer, case: &str) {
    let [order] = server.all_raw("Commande").await.try_into().unwrap();
    let archive = server.all_raw("Historique").await;
    let [archived] = &archive[..] else {
        panic!("{case}: {archive:?}");
    };
    assert_eq!(
        raw::find(archived, "_id"),
        raw::find(&order, "_id"),
        "{case}"
    );
    assert_eq!(original(archived), order, "{case}");
    assert_eq!(server.all("archd_quarantine").await, [], "{case}");
}

#[tokio::test]
async fn an_empty_timestamp_stays_the_id_wherever_it_stands_and_whoever_archives_it() {
    let cases = [
        ("first", Way::Insert, doc! { "_id": EMPTY }),
        ("not first", Way::Insert, doc! { "a": 1, "_id": EMPTY }),
        (
            "not first, restored",
            Way::ApplyOps,
            doc! { "a": 1, "_id": EMPTY, "at": EMPTY },
        ),
        (
            "an ordinary one, restored",
            Way::ApplyOps,
            doc! { "a": EMPTY, "b": 2, "_id": 7, "nom_client": "own" },
        ),
        (
            "beside others, restored",
            Way::ApplyOps,
            doc! { "_id": EMPTY, "at": EMPTY, "in": { "at": EMPTY } },
        ),
    ];
    for (case, way, first) in cases {
        let server = TestServer::start().await.with_references().await;
        put(&server, way, &fields("CMD-1", first.clone())).await;
        let batch = server.run_batch().await;
        assert_eq!(tally(batch.counts), [1, 1, 0, 0], "{case}");
        archived_whole(&server, case).await;
        let again = server.run_batch().await;
        assert_eq!(tally(again.counts), [1, 0, 1, 0], "{case}");
        let answer = server.archive_order("CMD-1").await.unwrap();
        assert_eq!(answer.outcome(), ArchiveOutcome::Duplicate, "{case}");
        server.shut_down().await;

        let server = TestServer::start_with(|config| config.watch = true).await;
        let server = server.with_references().await;
        server.watcher_is(WatcherState::Watching).await;
        put(&server, way, &fields("CMD-1", first)).await;
        server.archived(1).await;
        archived_whole(&server, case).await;
        server.shut_down().await;
    }
}

/// `_id`s over 1 MiB, up to what the database lets in: its history holds them twice. Each lies
/// beside its neighbours in the order of `_id`s.
fn long_ids() -> Vec<Bson> {
    const MIB: usize = 1 << 20;
    let bytes = |size| {
        Bson::Binary(Binary {
            subtype: bson::spec::BinarySubtype::Generic,
            bytes: vec![7; size],
        })
    };
    vec![
        "m".repeat(MIB).into(),
        format!("{}n", "m".repeat(MIB)).into(),
        "o".repeat(3 * MIB).into(),
        "z".repeat(7 * MIB).into(),
        doc! { "part": "p".repeat(2 * MIB) }.into(),
        bytes(2 * MIB),
    ]
}

fn with_id(numero: &str, id: impl Into<Bson>) -> Document {
    let mut order = order(numero);
    order.insert("_id", id);
    order
}

/// Holds the entry of an order to what it must say of an `_id` that is too long.
fn is_too_long(reason: QuarantineReason, detail: &str) {
    assert_eq!(reason, QuarantineReason::TooLarge, "{detail}");
    assert!(
        detail.contains("`_id`") && detail.contains("1 MiB"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_batch_quarantines_orders_with_long_ids_and_saves_none_of_them_as_its_position() {
    // One and two orders a page: so pages begin at every one of them, or lie between two.
    for chunk in [1, 2, 3] {
        let server = TestServer::start_with(|config| config.chunk_size = chunk).await;
        let server = server.with_references().await;
        let mut all: Vec<Document> = orders(6).collect();
        all.extend([
            with_id("CMD-A", "a"),
            with_id("CMD-N", "n"),
            with_id("CMD-S", "short"),
        ]);
        let good = all.len() as i64;
        for (at, id) in long_ids().into_iter().enumerate() {
            all.push(with_id(&format!("LONG-{at}"), id));
        }
        let long = long_ids().len() as i64;
        for order in all {
            server.insert("Commande", [order]).await;
        }
        let batch = server.run_batch().await;
        assert_eq!(batch.state(), pb::BatchState::Succeeded, "{batch:?}");
        assert_eq!(
            tally(batch.counts),
            [good + long, good, 0, long],
            "{batch:?}"
        );
        let again = server.run_batch().await;
        assert_eq!(tally(again.counts), [good + long, 0, good, long]);
        for entry in server.all("archd_quarantine").await {
            assert_eq!(entry.get_str("reason").unwrap(), "too_large");
            is_too_long(QuarantineReason::TooLarge, entry.get_str("detail").unwrap());
        }
        // What the batches said of themselves, all of it.
        let oplog = server.database.client().database("local");
        let of_batches = doc! { "ns": format!("{}.archd_batches", server.database.name()) };
        let oplog = oplog.collection::<RawDocumentBuf>("oplog.rs");
        let mut oplog = oplog.find(of_batches).await.unwrap();
        while oplog.advance().await.unwrap() {
            let bytes = oplog.current().as_bytes().len();
            assert!(bytes < 1 << 20, "{bytes} bytes in an update of a batch");
        }
        server.shut_down().await;
    }
}

#[tokio::test]
async fn callers_and_the_watcher_meet_long_ids_as_such_and_their_entries_are_retried_and_dropped() {
    let server = TestServer::start_with(|config| config.watch = true).await;
    let server = server.with_references().await;
    server.watcher_is(WatcherState::Watching).await;
    for (at, id) in long_ids().into_iter().enumerate() {
        let numero = format!("LONG-{at}");
        let order = with_id(&numero, id);
        server
            .insert(
                "Commande",
                [order.clone(), self::order(format!("NEXT-{at}"))],
            )
            .await;
        let document = RawDocumentBuf::try_from(&order).unwrap();
        let entry = entry_id(raw::find(&document, "_id").unwrap());
        let entries = server.collection("archd_quarantine");
        let name = doc! { "_id": &entry };
        eventually(async || entries.find_one(name.clone()).await.unwrap()).await;
        server.archived(at + 1).await;

        let status = server.archive_order(&numero).await.unwrap_err();
        assert_eq!(faults(&status).0, "QUARANTINED", "{status:?}");
        let ids = vec![entry];
        let retry = pb::RetryQuarantinedRequest { ids: ids.clone() };
        let retried = server.quarantine().retry_quarantined(retry).await.unwrap();
        let [result] = retried.into_inner().results.try_into().unwrap();
        assert_eq!(
            result.outcome(),
            RetryOutcome::StillQuarantined,
            "{result:?}"
        );
        is_too_long(QuarantineReason::TooLarge, &result.detail);

        let list = server
            .quarantine()
            .list_quarantined(pb::ListQuarantinedRequest::default())
            .await;
        let [listed] = list.unwrap().into_inner().entries.try_into().unwrap();
        is_too_long(listed.reason(), &listed.detail);
        let drop = pb::DropQuarantinedRequest { ids };
        server.quarantine().drop_quarantined(drop).await.unwrap();
        assert_eq!(entries.find_one(name).await.unwrap(), None);
        // Else the next one of the catch-up batches would bring it back.
        let orders = server.collection("Commande");
        orders
            .delete_one(doc! { "numero_commande": numero })
            .await
            .unwrap();
    }
    server.shut_down().await;
}

#[tokio::test]
async fn an_order_with_two_ids_or_with_one_that_no_insert_takes_goes_to_quarantine_alone() {
    let server = TestServer::start().await.with_references().await;
    let good = order("CMD-GOOD");
    server.insert("Commande", [good]).await;
    let namespace = format!("{}.Commande", server.database.name());
    let refused: [(&str, Bson); 2] = [
        ("CMD-LIST", vec![1, 2].into()),
        (
            "CMD-REGEX",
            Bson::RegularExpression(bson::Regex {
                pattern: "^a".try_into().unwrap(),
                options: "".try_into().unwrap(),
            }),
        ),
    ];
    let mut bad: Vec<RawDocumentBuf> = refused
        .into_iter()
        .map(|(numero, id)| RawDocumentBuf::try_from(&with_id(numero, id)).unwrap())
        .collect();
    let mut twice = Writer::default();
    let order = RawDocumentBuf::try_from(&order("CMD-TWICE")).unwrap();
    for element in raw::elements(order.as_bytes()) {
        twice.value(element.key, element.value);
    }
    let other = RawDocumentBuf::try_from(&doc! { "v": ObjectId::new() }).unwrap();
    twice.value("_id", raw::find(&other, "v").unwrap());
    bad.push(twice.finish());
    let mut put = 0;
    for order in bad {
        let mut operation = Writer::default();
        operation
            .string("op", "i")
            .string("ns", &namespace)
            .document("o", &order);
        let operation = operation.finish();
        let mut apply = Writer::default();
        apply.array(
            "applyOps",
            [raw::ValueRef {
                kind: raw::kind::DOCUMENT,
                bytes: operation.as_bytes(),
            }],
        );
        let admin = server.database.client().database("admin");
        // Not every version lets such an order in at all.
        put += i64::from(admin.run_raw_command(apply.finish()).await.is_ok());
    }
    assert!(put > 0, "no such order can be made here");
    for before in [0, 1] {
        let batch = server.run_batch().await;
        assert_eq!(
            tally(batch.counts),
            [1 + put, 1 - before, before, put],
            "{batch:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_long_ids_in_a_row_stop_no_watcher() {
    const ORDERS: usize = 16;
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let server = watching(&set.uri(), database.clone(), |_| {}).await;
    deliver(&database, "CMD-1").await;
    settled(&database).await;
    server.shut_down().await;
    // All of them at once for the next one: more than the database can send in a reply.
    let long = |number: usize| {
        let mut order = order(format!("LONG-{number}"));
        order.insert("_id", format!("{number:02}{}", "x".repeat(1_000_000)));
        order
    };
    let orders: Vec<Document> = (0..ORDERS).map(long).collect();
    let commande = database.collection::<Document>("Commande");
    commande.insert_many(orders).await.unwrap();
    let server = watching(&set.uri(), database.clone(), |_| {}).await;
    eventually(async || {
        let archive = database.collection::<Document>("Historique");
        let archived = archive.count_documents(doc! {}).await.unwrap();
        (archived == ORDERS as u64 + 1).then_some(())
    })
    .await;
    server.shut_down().await;
}
