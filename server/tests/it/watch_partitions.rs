//! The watch may be split into partitions that several instances read: each change is read by one
//! of them, they are spread evenly, and their number may change while orders are delivered.

mod changing;
mod hashes;
mod leases;
mod lost;
mod older;
mod pauses;
mod renaming;
mod set_aside;
mod shares;
mod told;

use std::{collections::BTreeMap, time::Duration};

use archd::{
    config::Config,
    domain::partition::Partition,
    store::{
        Store,
        watch::{lease::Lease, split::Split},
    },
};
use bson::Document;
use devkit::ReplicaSet;
use mongodb::{Collection, Database};
use order_archiver_api::v1 as pb;
use pb::WatcherState::Watching;

use crate::{
    faults::{deliver, fresh, settled},
    support::{TestServer, eventually},
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

/// A database whose watch is in two partitions, and the instance that reads them and has archived
/// an order.
async fn in_two() -> (Database, TestServer) {
    let database = fresh(ReplicaSet::shared().await.unwrap()).await;
    let server = wanting(&database, 2).await;
    split(&server, 2).await;
    deliver(&database, "before").await;
    settled(&database).await;
    (database, server)
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

/// Where the watcher's document is, and those of its partitions.
fn states(database: &Database) -> Collection<Document> {
    database.collection("archd_state")
}

/// The store of an instance of the test's own, whose leases are so long.
async fn store(database: &Database, lease: Duration) -> Store {
    let uri = ReplicaSet::shared().await.unwrap().uri();
    let mut config = Config::simulation(&uri, database.name()).unwrap();
    config.lease = lease;
    Store::new(&config).await.unwrap()
}

/// Takes a partition of a split under a name; none when somebody else has it.
async fn take(store: &Store, partition: Partition, split: Split, owner: &str) -> Option<Lease> {
    let taken = store.take_partition(partition, split, owner, owner).await;
    taken.unwrap()
}
