//! What the tests of the watcher's faults share: a watching server behind a relay, and the audit at
//! their end.

use archd::config::Config;
use bson::{Bson, Document, doc};
use devkit::{ReplicaSet, audit, relay::Relay};
use mongodb::Database;
use order_archiver_api::v1 as pb;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::support::{TestServer, eventually, order, references};

/// A mongod whose fail points one test at a time may set; it has them for the whole process.
pub(crate) struct FailPoints {
    pub(crate) set: &'static ReplicaSet,
    _turn: MutexGuard<'static, ()>,
}

impl FailPoints {
    pub(crate) async fn turn() -> FailPoints {
        static SET: OnceCell<ReplicaSet> = OnceCell::const_new();
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let set = SET
            .get_or_try_init(ReplicaSet::start)
            .await
            .expect("a set of its own");
        FailPoints { set, _turn: turn }
    }

    /// Makes these commands of the server fail.
    pub(crate) async fn fail(&self, commands: &[&str], mode: impl Into<Bson>, how: Document) {
        let mut data = doc! { "failCommands": commands, "appName": "archd" };
        data.extend(how);
        let fail = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
        self.set.configure_fail_point(fail).await.unwrap();
    }

    pub(crate) async fn mend(&self) {
        self.set.clear_fail_point("failCommand").await.unwrap();
    }

    /// A server that watches a database of its own here.
    pub(crate) async fn watching(&self) -> TestServer {
        watching(&self.set.uri(), fresh(self.set).await, |_| {}).await
    }
}

/// A database with [`references`].
pub(crate) async fn fresh(set: &ReplicaSet) -> Database {
    let database = set.fresh_database().await.unwrap();
    for (collection, document) in references() {
        let collection = database.collection(collection);
        collection.insert_one(document).await.unwrap();
    }
    database
}

/// A server that reaches the database at this URI, while the test reaches it as it always does; it
/// watches.
pub(crate) async fn watching(
    uri: &str,
    database: Database,
    change: impl FnOnce(&mut Config),
) -> TestServer {
    let mut config = Config::simulation(uri, database.name()).unwrap();
    config.watch = true;
    change(&mut config);
    let server = TestServer::launch(config, database).await;
    server.ready().await;
    server.watcher_is(pb::WatcherState::Watching).await;
    server
}

/// A relay to the shared mongod, and a server that watches through it.
pub(crate) async fn relayed() -> (Relay, TestServer) {
    let set = ReplicaSet::shared().await.unwrap();
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
    let server = watching(&relay.uri(), fresh(set).await, |_| {}).await;
    (relay, server)
}

/// Delivers an order.
pub(crate) async fn deliver(database: &Database, numero: &str) {
    let orders = database.collection("Commande");
    orders.insert_one(order(numero)).await.unwrap();
}

/// Delivers so many orders one by one, and waits until the watcher has told of every one.
pub(crate) async fn deliver_many(server: &TestServer, name: &str, count: usize) {
    for number in 0..count {
        deliver(&server.database, &format!("{name}-{number}")).await;
    }
    settled(&server.database).await;
}

/// Waits until the audit finds nothing more to complain of, and holds the checkpoints to it.
pub(crate) async fn settled(database: &Database) {
    clean(database).await;
    assert_eq!(audit::history(database).await.unwrap(), [""; 0]);
}

/// That the audit finds nothing to complain of.
pub(crate) async fn assert_clean(database: &Database) {
    let audit = audit::audit(database).await.unwrap();
    assert!(audit.is_clean(), "{:#?}", audit.differences);
}

/// Waits until the audit finds nothing more to complain of.
pub(crate) async fn clean(database: &Database) {
    let mut last = audit::Audit::default();
    let clean = eventually(async || {
        last = audit::audit(database).await.unwrap();
        last.is_clean().then_some(())
    });
    let clean = tokio::time::timeout(std::time::Duration::from_secs(45), clean).await;
    assert!(clean.is_ok(), "{last:#?}");
}

/// What the watcher's document says was the cause of the last gap that was closed.
pub(crate) async fn cause(database: &Database) -> Option<String> {
    let watcher = state(database).await;
    let gap = watcher.get_document("closed_gap").ok()?;
    Some(gap.get_str("cause").unwrap().to_owned())
}

/// The watcher's document.
pub(crate) async fn state(database: &Database) -> Document {
    let states = database.collection::<Document>("archd_state");
    let watcher = states.find_one(doc! { "_id": "watcher" }).await.unwrap();
    watcher.unwrap()
}

/// The seed of a random test: `SEED`, or a new one. It is printed, so that a failure can be
/// repeated.
#[allow(
    clippy::print_stderr,
    reason = "whoever reads of a failure needs the seed"
)]
pub(crate) fn seed() -> u64 {
    let given = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    eprintln!("SEED={seed}");
    seed
}
