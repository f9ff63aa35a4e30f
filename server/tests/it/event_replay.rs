//! The news are what was: whoever reads a stretch of them again is told the same, whatever became
//! of everything since.

use std::{collections::BTreeSet, time::SystemTime};

use bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use devkit::ReplicaSet;
use order_archiver_api::v1 as pb;
use pb::{
    EventKind, TailEventsRequest, TailEventsResponse, tail_events_request::Start,
    tail_events_response::Event,
};
use prost::Message;
use tonic::Streaming;

use crate::{
    faults::fresh,
    support::{TestServer, eventually, order, orders, within},
    tail_cost::figure,
};

async fn tail(server: &TestServer, start: Start) -> Streaming<TailEventsResponse> {
    let request = TailEventsRequest {
        start: Some(start),
        ..Default::default()
    };
    let news = server.events().tail_events(request).await.unwrap();
    news.into_inner()
}

/// The next message that is no heartbeat.
async fn next(news: &mut Streaming<TailEventsResponse>) -> TailEventsResponse {
    loop {
        let message = within(news.message()).await.unwrap().unwrap();
        if message.kind() != EventKind::Heartbeat {
            return message;
        }
    }
}

/// What is told until a message of which `last` holds, that one included.
async fn told_until(
    news: &mut Streaming<TailEventsResponse>,
    last: impl Fn(&TailEventsResponse) -> bool,
) -> Vec<TailEventsResponse> {
    let mut told = Vec::new();
    loop {
        told.push(next(news).await);
        if told.last().is_some_and(&last) {
            return told;
        }
    }
}

/// The cursor of now.
async fn cursor(server: &TestServer) -> String {
    let request = TailEventsRequest::default();
    let news = server.events().tail_events(request).await.unwrap();
    let hello = within(news.into_inner().message()).await.unwrap().unwrap();
    hello.cursor
}

/// The ids of what is in quarantine, by number; empty for an order without one.
async fn quarantined(server: &TestServer, numero: &str) -> Vec<String> {
    let request = pb::ListQuarantinedRequest::default();
    let page = server.quarantine().list_quarantined(request).await.unwrap();
    let entries = page.into_inner().entries.into_iter();
    let named =
        entries.filter(|entry| entry.numero_commande.as_deref().unwrap_or_default() == numero);
    named.map(|entry| entry.id).collect()
}

fn watcher(message: &TailEventsResponse) -> Option<&pb::Watcher> {
    match &message.event {
        Some(Event::Watcher(watcher)) => Some(watcher),
        _ => None,
    }
}

/// Everything that is told of, by two instances that watch and one that callers call.
async fn a_day(called: &TestServer) -> Vec<TailEventsResponse> {
    let start = Start::Cursor(cursor(called).await);
    let mut live = tail(called, start).await;
    let watching = |name: &'static str| {
        called.second(move |config| {
            (config.watch, config.instance) = (true, name.to_owned());
        })
    };
    let first = watching("first").await;
    first.watcher_is(pb::WatcherState::Watching).await;

    // An order without a number and one with the number of another: two kinds of entries.
    let nameless = ObjectId::new();
    let mut order_without = order(Bson::Null);
    order_without.insert("_id", nameless);
    let mut bare = order("BARE");
    bare.insert("id_menu", 404);
    called.insert("Commande", [order_without, bare]).await;
    called.archived(1).await;
    called.insert("Commande", [order("BARE")]).await;
    eventually(async || quarantined(called, "BARE").await.pop()).await;
    called.run_batch().await;

    // One is mended and tried again, the other one is dropped.
    let numbered = doc! { "$set": { "numero_commande": "NAMED" } };
    let mut ids = quarantined(called, "").await;
    called
        .collection("Commande")
        .update_one(doc! { "_id": nameless }, numbered)
        .await
        .unwrap();
    called.archived(2).await;
    let request = pb::RetryQuarantinedRequest { ids: ids.clone() };
    let retried = called.quarantine().retry_quarantined(request).await;
    ids = quarantined(called, "BARE").await;
    let request = pb::DropQuarantinedRequest { ids };
    let dropped = called.quarantine().drop_quarantined(request).await;
    let outcomes = (
        retried.unwrap().into_inner().results[0].outcome(),
        dropped.unwrap().into_inner().dropped,
    );
    assert_eq!(outcomes, (pb::RetryOutcome::Duplicate, 1));

    // An order that is gone before it is read.
    called.pause_watcher().await;
    called.insert("Commande", [order("GONE")]).await;
    let orders_held = called.collection("Commande");
    orders_held
        .delete_one(doc! { "numero_commande": "GONE" })
        .await
        .unwrap();
    called.insert("Commande", orders(40)).await;
    called.resume_watcher().await;
    called.archived(42).await;

    first.shut_down().await;
    let second = watching("second").await;
    second.watcher_is(pb::WatcherState::Watching).await;
    let (batch, _) = called
        .start_batch(pb::BatchOptions::default(), "the last")
        .await
        .unwrap();
    called.batch_end(&batch.id).await;
    second.shut_down().await;
    told_until(&mut live, |message| {
        watcher(message).is_some_and(|watcher| {
            watcher.instance == "second" && watcher.state() == pb::WatcherState::Stopped
        })
    })
    .await
}

/// Changes and drops all that was told of, but for what names the database.
async fn change_and_drop_everything(called: &TestServer) {
    let other =
        doc! { "$set": { "state": "failed", "counts.found": 1_000_000, "instance": "nobody" } };
    let all = [
        "Commande",
        "Historique",
        "archd_batches",
        "archd_quarantine",
        "archd_quarantine_bytes",
        "archd_counters",
    ];
    for name in all {
        let collection = called.collection(name);
        collection
            .update_many(doc! {}, other.clone())
            .await
            .unwrap();
        collection.drop().await.unwrap();
    }
    let states = called.collection("archd_state");
    let watcher = doc! { "_id": "watcher" };
    states
        .update_one(watcher.clone(), other.clone())
        .await
        .unwrap();
    states.delete_one(watcher).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_the_past_is_told_byte_for_byte_what_a_live_reader_was_told() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let called = TestServer::on_with(&set.uri(), database.name(), |config| {
        (config.chunk_size, config.instance) = (10, "called".to_owned());
    })
    .await;
    called.ready().await;
    let before = SystemTime::now();
    let start = cursor(&called).await;
    let told = a_day(&called).await;

    let kinds: BTreeSet<&str> = told
        .iter()
        .map(|message| message.kind().as_str_name())
        .collect();
    assert_eq!(kinds.len(), 13, "{kinds:?}");
    let unknown: Vec<_> = told
        .iter()
        .filter(|message| message.detail_unknown)
        .collect();
    assert_eq!(unknown, Vec::<&TailEventsResponse>::new());
    all_of_it_was_so(&told);

    change_and_drop_everything(&called).await;
    let config = called.config.clone();
    called.shut_down().await;
    let later = TestServer::launch(config, database).await;
    later.ready().await;
    for start in [Start::Cursor(start), Start::SinceTime(before.into())] {
        let mut replayed = tail(&later, start).await;
        for was in &told {
            let is = next(&mut replayed).await;
            assert!(
                is.encode_to_vec() == was.encode_to_vec(),
                "{is:#?}\nwas told as\n{was:#?}"
            );
        }
    }
    // Each cursor is a place to go on from.
    for at in [0, told.len() / 2, told.len() - 2] {
        let mut replayed = tail(&later, Start::Cursor(told[at].cursor.clone())).await;
        assert_eq!(next(&mut replayed).await, told[at + 1]);
    }
    later.shut_down().await;
}

/// That the events of [`a_day`] tell what was true at their moments.
fn all_of_it_was_so(told: &[TailEventsResponse]) {
    let watchers: Vec<_> = told
        .iter()
        .filter_map(|message| Some((message.kind(), watcher(message)?)))
        .collect();
    // Who watched, and who paused and resumed it, through whom and when.
    let instances: Vec<&str> = watchers
        .iter()
        .map(|(_, watcher)| &*watcher.instance)
        .collect();
    assert!(
        instances.is_sorted() && instances.first() != instances.last(),
        "{instances:?}"
    );
    let asked: Vec<_> = watchers
        .iter()
        .filter(|(kind, _)| *kind == EventKind::WatcherAsked)
        .map(|(_, watcher)| watcher.asked_by.clone().unwrap())
        .collect();
    assert_eq!([true, false], [asked[0].pause, asked[1].pause], "{asked:?}");
    for asked in &asked {
        assert_eq!(asked.instance, "called");
        assert!(asked.peer.starts_with("127.0.0.1:"), "{asked:?}");
        assert!(asked.time.is_some());
    }
    let paused = watchers
        .iter()
        .find(|(_, watcher)| watcher.state() == pb::WatcherState::Paused);
    assert_eq!(paused.unwrap().1.asked_by.as_ref(), Some(&asked[0]));
    // What is known only later, or by counters that go on, is absent.
    for (_, watcher) in &watchers {
        let later = (
            watcher.lag,
            watcher.wall_lag,
            watcher.since_last_event,
            watcher.counts,
        );
        assert_eq!(later, (None, None, None, None));
    }

    // How far each batch was.
    let batches: Vec<_> = told
        .iter()
        .filter_map(|message| match &message.event {
            Some(Event::Batch(batch)) => Some((message.kind(), batch)),
            _ => None,
        })
        .collect();
    let last = batches.last().unwrap().1;
    let last: Vec<_> = batches
        .iter()
        .filter(|(_, batch)| batch.id == last.id)
        .collect();
    let found: Vec<i64> = last
        .iter()
        .map(|(_, batch)| batch.counts.unwrap().found)
        .collect();
    assert!(found.len() > 3 && found.is_sorted(), "{found:?}");
    assert_eq!((found[0], *found.last().unwrap()), (0, 43), "{found:?}");
    for (kind, batch) in &batches {
        let has_ended = batch.end_time.is_some();
        assert_eq!(has_ended, *kind == EventKind::BatchFinished, "{batch:?}");
    }

    // Who let orders go from the quarantine.
    let released = told.iter().filter_map(|message| match &message.event {
        Some(Event::Quarantine(entry)) => entry.release.clone().map(|release| (entry, release)),
        _ => None,
    });
    let released: Vec<_> = released
        .map(|(entry, release)| {
            assert!(
                entry.attempts > 0 && entry.order_id_json.contains("$oid"),
                "{entry:?}"
            );
            let called = release.peer.starts_with("127.0.0.1:");
            (release.cause(), release.instance, called)
        })
        .collect();
    let by_called = |cause| (cause, "called".to_owned(), true);
    assert_eq!(
        released,
        [
            by_called(pb::ReleaseCause::Archived),
            by_called(pb::ReleaseCause::Dropped),
        ]
    );
}

#[tokio::test]
async fn what_left_no_snapshot_is_told_of_with_what_the_change_tells_and_says_so() {
    let server = TestServer::start().await;
    let mut news = server.news().await;
    let now = DateTime::now();
    let batch = doc! {
        "_id": "of-before", "state": "pending", "active": false, "created": now, "updated": now,
        "counts": { "found": 0_i64 }, "options": {}, "instance": "old", "message": "x".repeat(200),
    };
    server.insert("archd_batches", [batch]).await;
    let state = doc! {
        "_id": "watcher", "epoch": 1_i64, "state": "starting", "paused": false, "last_error": "",
    };
    server.insert("archd_state", [state]).await;
    let change = async |collection: &str, id: &str, set: Document| {
        let collection = server.collection(collection);
        let update = doc! { "$set": set };
        collection
            .update_one(doc! { "_id": id }, update)
            .await
            .unwrap();
    };
    let batch = async |set: Document| change("archd_batches", "of-before", set).await;
    batch(doc! { "state": "running", "started": now, "updated": now }).await;
    let later = DateTime::from_millis(now.timestamp_millis() + 1);
    batch(doc! { "counts.found": 1_i64, "updated": later }).await;
    batch(doc! { "state": "succeeded", "ended": later, "updated": now }).await;
    let to = bson::Timestamp {
        time: 1,
        increment: 1,
    };
    let gap = doc! { "to": to, "batch_id": "", "cause": "first start" };
    change(
        "archd_state",
        "watcher",
        doc! { "state": "catching_up", "gap": gap },
    )
    .await;
    change("archd_state", "watcher", doc! { "state": "watching" }).await;
    // Nor can an entry be shown that lacks a field, or whose order has such an `_id`.
    let entry = doc! {
        "_id": "q1", "reason": "refused", "detail": "", "attempts": 1, "bytes": 1,
        "first_seen": now, "last_seen": now,
    };
    let mut huge = entry.clone();
    huge.extend(doc! { "_id": "q2", "order_id": "x".repeat(15 << 20) });
    server.insert("archd_quarantine", [entry]).await;
    server.insert("archd_quarantine", [huge]).await;
    // However large it is, an archived order comes as a line.
    let room = 16 * 1024 * 1024 - 100;
    let archived =
        doc! { "numero_commande": "BIG", "missing_fields": [], "filling": "x".repeat(room) };
    server.insert("Historique", [archived]).await;

    let told = told_until(&mut news, |message| {
        matches!(message.event, Some(Event::Order(_)))
    })
    .await;
    let told: Vec<_> = told
        .iter()
        .map(|message| {
            let known = match message.event.as_ref().unwrap() {
                Event::Batch(batch) => batch.id.clone(),
                Event::Verification(verification) => verification.id.clone(),
                Event::Watcher(watcher) => watcher.state().as_str_name().to_owned(),
                Event::Quarantine(entry) => entry.id.clone(),
                Event::Gap(gap) => gap.cause.clone(),
                Event::Order(order) => order.numero_commande.clone(),
                Event::Gone(_) | Event::WatchPartition(_) => String::new(),
            };
            (message.kind(), message.detail_unknown, known)
        })
        .collect();
    let of = |kind, is_unknown, known: &str| (kind, is_unknown, known.to_owned());
    assert_eq!(
        told,
        [
            of(EventKind::BatchStarted, true, "of-before"),
            of(EventKind::BatchProgress, true, "of-before"),
            of(EventKind::BatchFinished, true, "of-before"),
            of(EventKind::GapOpened, false, "first start"),
            of(EventKind::WatcherState, true, "WATCHER_STATE_WATCHING"),
            of(EventKind::Quarantined, true, "q1"),
            of(EventKind::Quarantined, true, "q2"),
            of(EventKind::Archived, false, "BIG"),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_costs_a_read_however_often_it_is_told() {
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::start_on(&set, |config| config.chunk_size = 1).await;
    server.insert("Commande", orders(100)).await;
    let start = cursor(&server).await;
    server.run_batch().await;
    let before = figure(&set, &["opcounters", "query"]).await;
    let mut events = 0;
    for _ in 0..3 {
        let mut news = tail(&server, Start::Cursor(start.clone())).await;
        let finished = |message: &TailEventsResponse| message.kind() == EventKind::BatchFinished;
        let told = told_until(&mut news, finished).await;
        let of_batches = told
            .iter()
            .filter(|told| matches!(told.event, Some(Event::Batch(_))));
        events += of_batches.count() as i64;
    }
    let reads = figure(&set, &["opcounters", "query"]).await - before;
    println!("{reads} reads for {events} events of a batch");
    assert!(events > 60, "{events}");
    assert!(reads < 20, "{reads} reads for {events} events");
}
