//! The watch may be split into partitions that several instances read: each change is read by one
//! of them, they are spread evenly, and their number may change while orders are delivered.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use archd::{
    bytes::raw::Value,
    config::Config,
    domain::partition::Partition,
    store::{
        Store,
        orders::deliveries::{delivers, order_of, stages},
        watch::{
            lease::{Heartbeat, Lease},
            partition::Holding,
            record::State,
            split::Split,
        },
        wire::changes::{Scope, Start},
    },
};
use bson::{
    Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, RawDocumentBuf,
    Timestamp, doc, oid::ObjectId, spec::BinarySubtype,
};
use devkit::{ReplicaSet, audit};
use mongodb::Database;
use order_archiver_api::v1 as pb;
use pb::WatcherState::{Paused, Watching};
use tokio::process::Child;

use crate::{
    crash_loop::{assert_all_archived, assert_place_was_kept},
    faults::{clean, deliver, fresh, settled, state},
    load::{Load, seed},
    process::archd,
    support::{TestServer, archctl, eventually, order, within},
};

/// Short enough for a test to wait until somebody counts as gone.
const LEASE: Duration = Duration::from_secs(2);

/// An instance that wants so many partitions.
async fn wanting(database: &Database, partitions: u32) -> TestServer {
    let set = ReplicaSet::shared().await.unwrap();
    let server = TestServer::on_with(&set.uri(), database.name(), |config| {
        config.watch = true;
        config.watch_partitions = partitions;
        config.lease = LEASE;
    })
    .await;
    server.ready().await;
    server
}

/// Waits until the watch is split so, and every partition of it is read.
async fn split(server: &TestServer, partitions: usize) -> pb::Watcher {
    let mut last = pb::Watcher::default();
    let split = eventually(async || {
        // Nobody has watched yet, or a document can't be read for a moment.
        let asked = server.watcher().get_watcher(pb::GetWatcherRequest {}).await;
        last = asked.ok()?.into_inner().watcher.unwrap();
        let count = i32::try_from(partitions).unwrap();
        let is_so = (last.partition_count, last.wanted_partition_count) == (count, count);
        let reads = |partition: &pb::WatchPartition| partition.state() == Watching;
        let all = last.partitions.iter().all(reads);
        let listed = last.partitions.len() == if partitions == 1 { 0 } else { partitions };
        (is_so && all && listed && last.state() == Watching).then(|| last.clone())
    });
    let waited = tokio::time::timeout(Duration::from_secs(50), split).await;
    waited.unwrap_or_else(|_| panic!("{partitions} partitions: {last:#?}"))
}

/// How many partitions each instance reads, by its name.
fn spread(watcher: &pb::Watcher) -> BTreeMap<String, usize> {
    let mut spread = BTreeMap::new();
    for partition in &watcher.partitions {
        *spread.entry(partition.instance.clone()).or_default() += 1;
    }
    spread
}

/// Waits until the partitions are read by these instances, so many by each.
async fn spread_is(server: &TestServer, partitions: usize, wanted: &[usize]) -> pb::Watcher {
    let mut last = BTreeMap::new();
    let even = eventually(async || {
        let watcher = split(server, partitions).await;
        last = spread(&watcher);
        let mut counts: Vec<usize> = last.values().copied().collect();
        counts.sort_unstable();
        (counts == wanted).then_some(watcher)
    });
    let waited = tokio::time::timeout(Duration::from_secs(55), even).await;
    waited.unwrap_or_else(|_| panic!("{wanted:?}: {last:?}"))
}

/// `_id`s of every type that one may have, and of the values in which types differ least.
fn hostile_ids() -> Vec<Bson> {
    let binary = |subtype| {
        Bson::Binary(Binary {
            subtype,
            bytes: vec![0, 255, 7],
        })
    };
    let mut ids = vec![
        Bson::Null,
        Bson::MinKey,
        Bson::MaxKey,
        true.into(),
        false.into(),
        String::new().into(),
        "livrée\u{0}\u{202e}".into(),
        "x".repeat(100_000).into(),
        Bson::Symbol("livrée".to_owned()),
        i32::MIN.into(),
        (-1).into(),
        0.into(),
        1_i64.into(),
        i64::MIN.into(),
        i64::MAX.into(),
        f64::NAN.into(),
        f64::NEG_INFINITY.into(),
        f64::INFINITY.into(),
        1.5.into(),
        (-1e300).into(),
        Bson::Decimal128("1.25E+6000".parse::<Decimal128>().unwrap()),
        Bson::Decimal128("-0.1".parse::<Decimal128>().unwrap()),
        DateTime::from_millis(i64::MIN).into(),
        DateTime::from_millis(0).into(),
        DateTime::from_millis(i64::MAX).into(),
        Timestamp {
            time: u32::MAX,
            increment: 0,
        }
        .into(),
        ObjectId::from_bytes([0; 12]).into(),
        ObjectId::from_bytes([255; 12]).into(),
        binary(BinarySubtype::Generic),
        binary(BinarySubtype::Uuid),
        binary(BinarySubtype::UserDefined(0x80)),
        Bson::JavaScriptCode("1".to_owned()),
        Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope {
            code: "1".to_owned(),
            scope: doc! { "a": 1 },
        }),
        Document::new().into(),
        doc! { "a": { "b": [1, Bson::Null, { "c": "d" }] } }.into(),
        doc! { "numero": "CMD-1", "jour": DateTime::from_millis(1) }.into(),
    ];
    ids.extend((0..100).map(|number| Bson::from(format!("CMD-{number}"))));
    ids.extend((0..100).map(|number| Bson::from(number + 100)));
    ids.extend((0..100).map(|_| Bson::from(ObjectId::new())));
    ids
}

/// The orders of whose deliveries a partition tells, from a moment on until the collection is
/// dropped, of which every partition tells.
async fn told_of(store: &Store, partition: Partition, from: Timestamp) -> Vec<Value> {
    let orders = Scope::Collection(&store.names().orders);
    let stages = stages(store.delivered(), partition);
    let changes = store.changes(orders, &Start::At(from), stages).await;
    let mut changes = changes.unwrap();
    let mut told = Vec::new();
    loop {
        let reply = within(changes.next()).await.unwrap();
        for change in &reply.changes {
            match delivers(change) {
                Some(true) => told.push(order_of(change).unwrap().to_owned()),
                _ => return told,
            }
        }
    }
}

#[tokio::test]
async fn each_change_is_read_by_exactly_one_partition_whatever_the_id_of_its_order() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let config = Config::simulation(&set.uri(), database.name()).unwrap();
    let store = Store::new(&config).await.unwrap();
    let orders = database.collection::<Document>("Commande");
    orders
        .insert_one(doc! { "status": "before" })
        .await
        .unwrap();
    let from = store.hello().await.unwrap().latest.unwrap();
    let ids = hostile_ids();
    for (number, id) in ids.iter().enumerate() {
        let mut order = order(format!("CMD-{number}"));
        order.insert("_id", id.clone());
        // In each of the ways in which one is delivered.
        match number % 3 {
            0 => drop(orders.insert_one(order).await.unwrap()),
            _ => {
                order.insert("status", "en_cours");
                orders.insert_one(order).await.unwrap();
                let delivered = doc! { "$set": { "status": "livrée" } };
                let numero = doc! { "numero_commande": format!("CMD-{number}") };
                let updated = match number % 3 {
                    1 => orders.update_one(numero, delivered).await,
                    _ => orders.update_one(numero, vec![delivered]).await,
                };
                assert_eq!(updated.unwrap().modified_count, 1, "{id:?}");
            }
        }
    }
    orders.drop().await.unwrap();
    for of in [1, 2, 3, 7, 64] {
        let mut readers: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
        let (mut all, mut used) = (0, BTreeSet::new());
        for index in 0..of {
            for id in told_of(&store, Partition { index, of }, from).await {
                let id = id.as_ref();
                let key = [&[id.kind], id.bytes].concat();
                readers.entry(key).or_default().push(index);
                all += 1;
                used.insert(index);
            }
        }
        let twice: Vec<_> = readers.values().filter(|by| by.len() > 1).collect();
        assert!(twice.is_empty(), "{of}: {twice:?}");
        assert_eq!((all, readers.len()), (ids.len(), ids.len()), "{of}");
        // A hash that puts all of them into a few is none.
        assert!(used.len() > of as usize * 3 / 4, "{of}: {used:?}");
    }
}

#[tokio::test]
async fn partitions_are_spread_evenly_and_move_as_instances_come_and_go() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let first = wanting(&database, 4).await;
    spread_is(&first, 4, &[4]).await;
    deliver(&database, "one reads all").await;
    settled(&database).await;
    let second = wanting(&database, 4).await;
    spread_is(&first, 4, &[2, 2]).await;
    let third = wanting(&database, 4).await;
    let watcher = spread_is(&second, 4, &[1, 1, 2]).await;
    // Which instance tells makes no difference, and one of them leads.
    assert_eq!(spread(&third.watcher_now().await), spread(&watcher));
    let names = [&first, &second, &third].map(|server| server.config.instance.clone());
    assert!(names.contains(&watcher.instance), "{watcher:?}");
    for number in 0..40 {
        deliver(&database, &format!("three read {number}")).await;
    }
    settled(&database).await;
    let before = first.watcher_now().await;
    first.shut_down().await;
    let watcher = spread_is(&second, 4, &[2, 2]).await;
    for (old, new) in before.partitions.iter().zip(&watcher.partitions) {
        // Whoever had one keeps it, under its epoch.
        let kept = old.instance == new.instance;
        assert_eq!(old.epoch == new.epoch, kept, "{old:?} {new:?}");
    }
    deliver(&database, "two read").await;
    settled(&database).await;
    assert_place_was_kept(&database).await;
    second.shut_down().await;
    third.shut_down().await;
}

/// The real program, which reads its share of this database's partitions and does nothing else.
fn sharing(uri: &str, database: &Database, partitions: &str, name: &str) -> Child {
    let settings = [
        ("MONGODB_URI", uri),
        ("MONGODB_DATABASE", database.name()),
        ("ARCHD_LEASE", "2s"),
        ("ARCHD_WATCH_PARTITIONS", partitions),
        ("ARCHD_INSTANCE", name),
    ];
    let mut command = archd(&["watch"], &settings);
    command.stdout(std::process::Stdio::null());
    command.stderr(std::process::Stdio::null());
    command.spawn().unwrap()
}

#[tokio::test]
async fn the_partitions_of_an_instance_that_is_killed_are_read_by_the_others_after_its_lease() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let load = Load::start(&database, seed()).await;
    let observer = wanting(&database, 3).await;
    split(&observer, 3).await;
    let mut victim = sharing(&set.uri(), &database, "3", "victim");
    let own = observer.config.instance.clone();
    let watcher = spread_is(&observer, 3, &[1, 2]).await;
    assert!(spread(&watcher).contains_key("victim"), "{watcher:?}");
    victim.kill().await.unwrap();
    let watcher = spread_is(&observer, 3, &[3]).await;
    assert_eq!(spread(&watcher), BTreeMap::from([(own, 3)]));
    let delivered = load.stop().await;
    assert_all_archived(&database, delivered).await;
    assert_place_was_kept(&database).await;
    assert_eq!(audit::history(&database).await.unwrap(), [""; 0]);
    observer.shut_down().await;
}

#[tokio::test]
async fn the_number_of_partitions_changes_under_load_without_a_gap_or_a_double() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let load = Load::start(&database, seed()).await;
    let mut watching = wanting(&database, 1).await;
    split(&watching, 1).await;
    for partitions in [4, 2, 3, 1, 4, 1] {
        // As in a rolling restart: for a while, instances with both settings are there.
        let next = wanting(&database, partitions).await;
        split(&next, partitions as usize).await;
        watching.shut_down().await;
        split(&next, partitions as usize).await;
        watching = next;
    }
    let delivered = load.stop().await;
    assert!(delivered > 100, "{delivered}");
    assert_all_archived(&database, delivered).await;
    assert_place_was_kept(&database).await;
    assert_eq!(audit::history(&database).await.unwrap(), [""; 0]);
    // The books of the watcher balance, whatever it met twice.
    let counts = watching.watcher_now().await.counts.unwrap();
    let met = counts.archived + counts.duplicates + counts.errors;
    assert_eq!(counts.found, met, "{counts:?}");
    watching.shut_down().await;
}

#[tokio::test]
async fn a_pause_is_one_of_all_partitions_and_nothing_is_missed_by_it() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let first = wanting(&database, 3).await;
    let second = wanting(&database, 3).await;
    spread_is(&first, 3, &[1, 2]).await;
    // Asked of whichever instance.
    for asked in [&first, &second] {
        let paused = asked.pause_watcher().await;
        assert_eq!(paused.state(), Paused, "{paused:?}");
        let all = |it: &pb::WatchPartition| it.state() == Paused;
        assert!(paused.partitions.iter().all(all), "{paused:?}");
        let before = first.all("Historique").await.len();
        for number in 0..30 {
            deliver(&database, &format!("{} {number}", asked.config.instance)).await;
        }
        // An order that is asked for comes after what a watcher would have read.
        asked
            .insert("Commande", [order(asked.config.instance.clone())])
            .await;
        let numero = asked.config.instance.clone();
        asked.archive_order(&numero).await.unwrap();
        assert_eq!(first.all("Historique").await.len(), before + 1);
        // An instance counts once in ten seconds, and this one has not yet.
        let counts = TestServer::on_with(&set.uri(), database.name(), |_| {}).await;
        counts.ready().await;
        let waiting = counts.watcher_now().await.waiting.unwrap();
        assert_eq!(waiting.orders, 30, "{waiting:?}");
        counts.shut_down().await;
        asked.resume_watcher().await;
        split(asked, 3).await;
        settled(&database).await;
    }
    // What is wanted meanwhile is done where the partitions are.
    first.pause_watcher().await;
    deliver(&database, "split while paused").await;
    let third = wanting(&database, 2).await;
    eventually(async || (third.watcher_now().await.partition_count == 2).then_some(())).await;
    eventually(async || (third.watcher_now().await.state() == Paused).then_some(())).await;
    third.resume_watcher().await;
    split(&third, 2).await;
    settled(&database).await;
    assert_place_was_kept(&database).await;
    for server in [first, second, third] {
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_partition_whose_place_is_lost_has_the_whole_caught_up_once() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let server = wanting(&database, 3).await;
    split(&server, 3).await;
    deliver(&database, "before").await;
    settled(&database).await;
    let batches = server.all("archd_batches").await.len();
    server.shut_down().await;
    deliver(&database, "meanwhile").await;
    // Two of them at once.
    let states = database.collection::<Document>("archd_state");
    for partition in ["watcher-1", "watcher-2"] {
        let alter = doc! { "$set": { "checkpoint.token._data": "82" } };
        let altered = states.update_one(doc! { "_id": partition }, alter).await;
        assert_eq!(altered.unwrap().modified_count, 1);
    }
    let server = wanting(&database, 3).await;
    clean(&database).await;
    split(&server, 3).await;
    let watcher = eventually(async || {
        let watcher = state(&database).await;
        (!watcher.contains_key("gap")).then_some(watcher)
    })
    .await;
    let gap = watcher.get_document("closed_gap").unwrap();
    let cause = gap.get_str("cause").unwrap();
    assert!(cause.contains("the checkpoint was altered"), "{cause}");
    assert_eq!(server.all("archd_batches").await.len(), batches + 1);
    deliver(&database, "after").await;
    clean(&database).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_record_of_before_there_were_partitions_is_one_whole_and_a_split_one_is_readable_without()
{
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let server = wanting(&database, 1).await;
    split(&server, 1).await;
    deliver(&database, "one").await;
    settled(&database).await;
    server.shut_down().await;
    // Whoever wants one partition leaves the record as it always was.
    let watcher = state(&database).await;
    for field in ["split", "wanted"] {
        assert!(!watcher.contains_key(field), "{watcher}");
    }
    let states = database.collection::<Document>("archd_state");
    let partitions = doc! { "_id": { "$regex": "^watcher-" } };
    assert_eq!(states.count_documents(partitions).await.unwrap(), 0);

    let server = wanting(&database, 4).await;
    split(&server, 4).await;
    for number in 0..20 {
        deliver(&database, &format!("four {number}")).await;
    }
    settled(&database).await;
    server.shut_down().await;
    deliver(&database, "meanwhile").await;
    // An older archd reads none of these, and goes on by the time of the whole's checkpoint.
    let forget = doc! { "$unset": { "split": "", "wanted": "" } };
    states
        .update_one(doc! { "_id": "watcher" }, forget)
        .await
        .unwrap();
    let server = wanting(&database, 1).await;
    deliver(&database, "rolled back").await;
    settled(&database).await;
    split(&server, 1).await;
    // And forward again: the partitions go on from where that one was.
    let again = wanting(&database, 4).await;
    split(&again, 4).await;
    deliver(&database, "rolled forward").await;
    settled(&database).await;
    assert_place_was_kept(&database).await;
    server.shut_down().await;
    again.shut_down().await;
}

#[tokio::test]
async fn a_holder_that_was_silent_saves_nothing_over_its_successor_or_over_another_split() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let mut config = Config::simulation(&set.uri(), database.name()).unwrap();
    config.lease = Duration::from_secs(1);
    let store = Store::new(&config).await.unwrap();
    let watch = store.take_watch("leads", "leads").await.unwrap().unwrap();
    let lead = Lease::of_watch(watch.epoch);
    let checkpoint = RawDocumentBuf::new();
    let first = Split::NONE.followed_by(2, 1);
    assert!(store.split_watch(&lead, first, &checkpoint).await.unwrap());
    let partition = Partition { index: 1, of: 2 };
    let take = async |split, owner: &str| {
        let taken = store.take_partition(partition, split, owner, owner).await;
        taken.unwrap()
    };
    let silent = take(first, "silent").await.unwrap();
    assert_eq!(take(first, "early").await, None);
    let heartbeat = Heartbeat::bare(State::Watching, "");
    assert!(store.keep_watch(&silent, &heartbeat).await.unwrap());
    let successor = eventually(async || take(first, "successor").await).await;
    assert_eq!(successor.epoch, silent.epoch + 1);
    assert!(!store.keep_watch(&silent, &heartbeat).await.unwrap());
    assert!(!store.note_lost(&silent, "late").await.unwrap());
    assert!(matches!(
        store.holding(&silent).await.unwrap(),
        Holding::Lost
    ));
    assert!(matches!(
        store.holding(&successor).await.unwrap(),
        Holding::Goes(_, Some(_))
    ));
    let mut place = heartbeat.clone();
    let moved = bson::rawdoc! { "time": Timestamp { time: 9, increment: 1 } };
    place.checkpoint = Some(&moved);
    assert!(store.keep_watch(&successor, &place).await.unwrap());

    // Split anew, nobody has it any more, and what was said of it holds no longer.
    let second = first.followed_by(3, 1);
    assert!(store.split_watch(&lead, second, &checkpoint).await.unwrap());
    assert!(matches!(
        store.holding(&successor).await.unwrap(),
        Holding::Replaced
    ));
    let held = store.held_partitions(second).await.unwrap();
    assert_eq!(held.len(), 3);
    assert!(held.iter().all(|held| held.owner_now().is_none()));
    let third = take(second, "third").await.unwrap();
    assert_eq!(third.epoch, successor.epoch + 1);
    assert_eq!(take(first, "of before").await, None);
    let held = store.held_partitions(second).await.unwrap();
    assert_eq!(held[1].owner_now(), Some("third"));
    assert_eq!((held[1].position, &held[1].checkpoint), (None, &None));
    assert!(!store.keep_watch(&successor, &heartbeat).await.unwrap());

    // Who leads no more changes nothing either.
    store.leave_watch(&lead, State::Stopped).await.unwrap();
    store.take_watch("next", "next").await.unwrap().unwrap();
    let late = second.followed_by(4, 1);
    assert!(!store.split_watch(&lead, late, &checkpoint).await.unwrap());
}

#[tokio::test]
async fn a_split_watch_is_told_of_whole_and_by_its_partitions() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let serves = TestServer::on_with(&set.uri(), database.name(), |_| {}).await;
    serves.ready().await;
    let mut news = serves.tail_events(pb::TailEventsRequest::default()).await;
    within(news.message()).await.unwrap();
    let reads = wanting(&database, 2).await;
    let watcher = split(&serves, 2).await;
    for (partition, index) in watcher.partitions.iter().zip(0..) {
        assert_eq!((partition.index, partition.of), (index, 2));
        assert_eq!(partition.instance, reads.config.instance);
        assert!(partition.epoch > 0 && partition.position_time.is_some());
        assert!(partition.lag.is_some_and(|lag| lag.seconds < 60));
        assert!(partition.state_since_time.is_some(), "{partition:?}");
    }
    assert!(watcher.lag.is_some() && watcher.waiting.is_none());
    // Each tells that it is read, and the watcher that it is split.
    let mut partitions = BTreeSet::new();
    let mut has_split = false;
    while partitions.len() < 2 || !has_split {
        let message = within(news.message()).await.unwrap().unwrap();
        match message.event {
            Some(pb::tail_events_response::Event::WatchPartition(partition)) => {
                assert_eq!(message.kind, pb::EventKind::WatcherPartition as i32);
                assert!(!message.detail_unknown, "{partition:?}");
                if partition.state() == Watching {
                    assert_eq!(partition.instance, reads.config.instance);
                    assert_eq!(partition.of, 2, "{partition:?}");
                    partitions.insert(partition.index);
                }
            }
            Some(pb::tail_events_response::Event::Watcher(watcher)) => {
                has_split |= watcher.partition_count == 2;
            }
            _ => {}
        }
    }
    let shown = archctl(&serves.address, "watch status").await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for text in ["Partitions  2\n", "PARTITION  INSTANCE", "watching"] {
        assert!(shown.stdout.contains(text), "{text}: {shown:?}");
    }
    reads.shut_down().await;
    let left = eventually(async || {
        let watcher = serves.watcher_now().await;
        let stopped = |it: &pb::WatchPartition| it.state() == pb::WatcherState::Stopped;
        watcher.partitions.iter().all(stopped).then_some(watcher)
    })
    .await;
    assert_eq!(left.state(), pb::WatcherState::Stopped, "{left:?}");
    let has_lag = left.partitions.iter().any(|it| it.lag.is_some());
    assert!(!has_lag && left.lag.is_none(), "{left:?}");
    serves.shut_down().await;
}

#[tokio::test]
async fn a_partition_that_cannot_be_read_is_named_and_set_aside_and_read_from_the_wholes_place() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let server = wanting(&database, 2).await;
    split(&server, 2).await;
    deliver(&database, "before").await;
    settled(&database).await;
    let states = database.collection::<Document>("archd_state");
    let spoil = doc! { "$set": { "generation": "one" } };
    states
        .update_one(doc! { "_id": "watcher-1" }, spoil)
        .await
        .unwrap();
    let refused = eventually(async || {
        let asked = server.watcher().get_watcher(pb::GetWatcherRequest {}).await;
        asked.err()
    })
    .await;
    assert!(
        refused.message().contains("archd_state/watcher-1"),
        "{refused:?}"
    );
    deliver(&database, "meanwhile").await;
    let settings = crate::process::settings_on(database.name(), &[]).await;
    let aside = ["state", "--set-aside", "archd_state/watcher-1"];
    let (code, said, _) = crate::process::run(&aside, &settings).await;
    assert_eq!(code, Some(0), "{said}");
    split(&server, 2).await;
    deliver(&database, "after").await;
    clean(&database).await;
    assert_place_was_kept(&database).await;
    server.shut_down().await;
}

#[tokio::test]
async fn orders_that_are_renamed_away_pause_all_partitions_until_one_resume() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let server = wanting(&database, 3).await;
    split(&server, 3).await;
    for number in 0..20 {
        deliver(&database, &format!("before {number}")).await;
    }
    settled(&database).await;
    let rename = async |from: &str, to: &str| {
        let name = |collection| format!("{}.{collection}", database.name());
        let rename = doc! { "renameCollection": name(from), "to": name(to) };
        let admin = database.client().database("admin");
        admin.run_command(rename).await.unwrap();
    };
    rename("Commande", "Ailleurs").await;
    let paused = eventually(async || {
        let watcher = server.watcher_now().await;
        (watcher.state() == Paused).then_some(watcher)
    })
    .await;
    assert!(paused.last_error.contains("was renamed"), "{paused:?}");
    assert!(paused.paused && paused.asked_by.is_none(), "{paused:?}");
    rename("Ailleurs", "Commande").await;
    deliver(&database, "after").await;
    server.resume_watcher().await;
    clean(&database).await;
    let watcher = split(&server, 3).await;
    assert!(!watcher.paused, "{watcher:?}");
    server.shut_down().await;
}
