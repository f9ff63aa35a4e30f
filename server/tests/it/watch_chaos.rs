//! Several instances on a set of three nodes share the partitions of the watch while processes are
//! killed and frozen, the primary steps down, networks are cut, and instances and the number of
//! partitions change: whatever happens, each delivered order is archived once.
//!
//! `CHAOS_SECONDS` says for how long, `SEED` repeats what was seen.

use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};

use bson::{Document, doc};
use devkit::{ReplicaSet, audit, relay::Relay};
use mongodb::{
    Database,
    options::{ReadConcern, WriteConcern},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use tokio::{
    process::Child,
    time::{sleep, timeout},
};

use crate::{
    crash_loop::{assert_all_archived, assert_place_was_kept, caught_up},
    load::{Load, how_many, seed},
    process::{archd, run, signal},
    support::{eventually, order},
};

const LEASE: Duration = Duration::from_secs(2);
/// Orders that are delivered after each fault: enough that every partition has some of them.
const PROBES: usize = 64;
/// Longest that archiving may stand still after a fault: elections and two leases fall into it.
const STANDSTILL: Duration = Duration::from_secs(45);
/// The name of the set, as `devkit` gives it.
const DATABASE: &str = "livraison";

/// A running instance, with a network of its own.
struct Instance {
    program: Child,
    /// One to each node.
    network: Vec<Relay>,
}

impl Instance {
    /// Starts one that wants so many partitions.
    async fn start(set: &ReplicaSet, partitions: u32) -> Instance {
        let mut network = Vec::new();
        for node in set.nodes() {
            network.push(Relay::to_mongod(&node.address()).await.unwrap());
        }
        let nodes: Vec<String> = set.nodes().iter().map(|node| node.address()).collect();
        let relays: Vec<String> = network.iter().map(Relay::address).collect();
        for relay in &network {
            let pairs = nodes.iter().zip(&relays);
            relay.rewrite_all(pairs.map(|(node, relay)| (node.as_bytes(), relay.as_bytes())));
        }
        let mut uri = set.uri();
        for (node, relay) in nodes.iter().zip(&relays) {
            uri = uri.replace(node, relay);
        }
        let partitions = partitions.to_string();
        let settings = [
            ("MONGODB_URI", uri.as_str()),
            ("MONGODB_DATABASE", DATABASE),
            ("ARCHD_LEASE", "2s"),
            ("ARCHD_OPERATION_TIMEOUT", "5s"),
            ("ARCHD_WATCH_PARTITIONS", &partitions),
        ];
        let mut command = archd(&["watch"], &settings);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Instance {
            program: command.spawn().unwrap(),
            network,
        }
    }

    /// Ends it in good order.
    async fn stop(mut self) {
        signal(&self.program, "TERM");
        let ended = timeout(Duration::from_secs(60), self.program.wait()).await;
        assert!(ended.is_ok(), "an instance does not stop");
    }
}

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Killed,
    Frozen,
    SteppedDown,
    Cut,
    Isolated,
    SplitAnew,
    Added,
    Removed,
}

const FAULTS: [Fault; 8] = [
    Fault::Killed,
    Fault::Frozen,
    Fault::SteppedDown,
    Fault::Cut,
    Fault::Isolated,
    Fault::SplitAnew,
    Fault::Added,
    Fault::Removed,
];

struct Chaos {
    set: ReplicaSet,
    database: Database,
    dice: StdRng,
    partitions: u32,
    instances: Vec<Instance>,
    probes: usize,
    /// How long after each kind of fault what was delivered since was archived.
    took: BTreeMap<Fault, Vec<Duration>>,
}

impl Chaos {
    async fn begin(seed: u64) -> Chaos {
        let set = ReplicaSet::start_nodes(3).await.unwrap();
        // The observer must be no slower than an instance to notice another primary.
        let uri = format!(
            "{}&heartbeatFrequencyMS=1000&connectTimeoutMS=3000",
            set.uri()
        );
        let client = mongodb::Client::with_uri_str(&uri).await.unwrap();
        let mut chaos = Chaos {
            database: client.database(DATABASE),
            set,
            dice: StdRng::seed_from_u64(seed),
            partitions: 4,
            instances: Vec::new(),
            probes: 0,
            took: BTreeMap::new(),
        };
        for _ in 0..3 {
            chaos.add().await;
        }
        chaos
    }

    async fn add(&mut self) {
        let instance = Instance::start(&self.set, self.partitions).await;
        self.instances.push(instance);
    }

    fn any(&mut self) -> usize {
        self.dice.random_range(0..self.instances.len())
    }

    /// Does harm, and waits until what is delivered after it is archived.
    async fn strike(&mut self) {
        let mut fault = *FAULTS.choose(&mut self.dice).unwrap();
        if fault == Fault::Removed && self.instances.len() < 3 {
            fault = Fault::Added;
        }
        if fault == Fault::Added && self.instances.len() > 4 {
            fault = Fault::Removed;
        }
        let at = self.any();
        let since = Instant::now();
        match fault {
            Fault::Killed => {
                let mut victim = self.instances.swap_remove(at);
                victim.program.kill().await.unwrap();
                self.recovers(fault, since).await;
                self.add().await;
            }
            Fault::Frozen => {
                signal(&self.instances[at].program, "STOP");
                let length = LEASE.mul_f64(self.dice.random_range(1.2..2.5));
                self.recovers(fault, since).await;
                sleep(length.saturating_sub(since.elapsed())).await;
                signal(&self.instances[at].program, "CONT");
            }
            Fault::SteppedDown => {
                let primary = self.set.primary().await.unwrap();
                let down = doc! { "replSetStepDown": 10, "force": true };
                // The set may just have had an election.
                let _ = primary.admin(down).await;
                self.recovers(fault, since).await;
            }
            Fault::Cut => {
                self.instances[at].network.iter().for_each(Relay::cut);
                self.recovers(fault, since).await;
            }
            Fault::Isolated => {
                self.instances[at].network.iter().for_each(Relay::pause);
                self.recovers(fault, since).await;
                let length = LEASE.mul_f64(self.dice.random_range(0.5..3.0));
                sleep(length.saturating_sub(since.elapsed())).await;
                self.instances[at].network.iter().for_each(Relay::resume);
            }
            Fault::SplitAnew => {
                let others = [1, 2, 3, 4, 8].into_iter();
                let others: Vec<u32> = others.filter(|it| *it != self.partitions).collect();
                self.partitions = *others.choose(&mut self.dice).unwrap();
                self.add().await;
                self.is_split().await;
                self.recovers(fault, since).await;
                self.instances.swap_remove(0).stop().await;
            }
            Fault::Added => {
                self.add().await;
                self.recovers(fault, since).await;
            }
            Fault::Removed => {
                self.instances.swap_remove(at).stop().await;
                self.recovers(fault, since).await;
            }
        }
    }

    /// Waits until the stream is split as is wanted.
    async fn is_split(&self) {
        let states = self.database.collection::<Document>("archd_state");
        let wanted = i64::from(self.partitions);
        eventually(async || {
            let watcher = states.find_one(doc! { "_id": "watcher" });
            let watcher = watcher.read_concern(ReadConcern::majority());
            let watcher = timeout(LEASE, watcher.into_future()).await.ok()?.ok()??;
            let split = watcher.get_document("split").ok()?;
            (split.get_i64("partitions").ok()? == wanted).then_some(())
        })
        .await;
    }

    /// Delivers orders now, and waits until every one of them is archived.
    async fn recovers(&mut self, fault: Fault, since: Instant) {
        let probes: Vec<Document> = (0..PROBES)
            .map(|number| order(format!("PROBE-{}-{number}", self.probes)))
            .collect();
        self.probes += PROBES;
        let ids: Vec<_> = probes.iter().map(|probe| probe["_id"].clone()).collect();
        for probe in &probes {
            self.deliver(probe).await;
        }
        let archive = self.database.collection::<Document>("Historique");
        let archived = eventually(async || {
            let of_these = doc! { "_id": { "$in": ids.clone() } };
            let count = archive.count_documents(of_these);
            let count = count.read_concern(ReadConcern::majority());
            let count = timeout(LEASE, count.into_future()).await.ok()?.ok()?;
            (count == PROBES as u64).then_some(())
        });
        let waited = timeout(STANDSTILL, archived).await;
        assert!(waited.is_ok(), "{fault:?}: archiving stands still");
        self.took.entry(fault).or_default().push(since.elapsed());
    }

    /// Delivers an order, however often that has to be tried.
    async fn deliver(&self, order: &Document) {
        let orders = self.database.collection::<Document>("Commande");
        eventually(async || {
            let id = doc! { "_id": &order["_id"] };
            let put = orders.replace_one(id, order).upsert(true);
            let put = put.write_concern(WriteConcern::majority());
            timeout(LEASE, put.into_future()).await.ok()?.ok()
        })
        .await;
    }
}

#[tokio::test]
async fn whatever_happens_to_instances_network_and_primary_each_order_is_archived_once() {
    let seed = seed();
    let seconds = how_many("CHAOS_SECONDS", 40);
    let mut chaos = Chaos::begin(seed).await;
    let load = Load::start(&chaos.database, seed).await;
    caught_up(&chaos.database).await;
    let began = Instant::now();
    let mut strikes = 0;
    while began.elapsed() < Duration::from_secs(seconds as u64) {
        chaos.strike().await;
        strikes += 1;
        let calm = chaos.dice.random_range(0..1_500);
        sleep(Duration::from_millis(calm)).await;
    }
    let delivered = load.stop().await + chaos.probes;
    println!(
        "{delivered} orders and {strikes} faults in {:.0?}; seconds until archiving went on after one:",
        began.elapsed(),
    );
    println!(
        "{:<12} {:>6} {:>10} {:>10}",
        "", "times", "median s", "longest s"
    );
    for (fault, took) in &mut chaos.took {
        took.sort();
        println!(
            "{:<12} {:>6} {:>10.1} {:>10.1}",
            format!("{fault:?}"),
            took.len(),
            took[took.len() / 2].as_secs_f64(),
            took[took.len() - 1].as_secs_f64()
        );
    }
    // The faults are over: whoever looks now has the driver's own patience.
    let database = chaos.set.client().await.unwrap().database(DATABASE);
    assert_all_archived(&database, delivered).await;
    // No place in the history was lost by any of it, and no checkpoint ever got ahead of an order.
    assert_place_was_kept(&database).await;
    assert_eq!(audit::history(&database).await.unwrap(), [""; 0]);
    while let Some(instance) = chaos.instances.pop() {
        instance.stop().await;
    }
    let uri = chaos.set.uri();
    let settings = [
        ("MONGODB_URI", uri.as_str()),
        ("MONGODB_DATABASE", DATABASE),
    ];
    let (code, said, log) = run(&["verify"], &settings).await;
    assert_eq!(code, Some(0), "{said}\n{log}");
    assert!(said.contains("VERIFIED"), "{said}");
}
