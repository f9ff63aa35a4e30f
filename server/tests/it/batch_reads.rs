//! A batch that is told to read from a secondary does, and misses no order there, whatever becomes
//! of the secondary.

use std::time::{Duration, Instant};

use archd::{
    config::{BatchReads, Config},
    store::{
        Store,
        orders::{
            gather::Selection,
            pages::{PageRequest, View},
        },
    },
};
use bson::{Document, doc};
use devkit::{Node, ReplicaSet, Standalone};
use mongodb::{Database, options::WriteConcern};
use order_archiver_api::v1 as pb;

use crate::{
    faults::assert_clean,
    support::{TestServer, eventually, order, tally},
};

/// For how long a batch may be held up by a secondary: one short try, beside what the batch itself
/// takes here.
const HELD_UP: std::ops::Range<Duration> = Duration::from_secs(2)..Duration::from_secs(20);

fn reads_from_secondaries(config: &mut Config) {
    config.batch_reads = BatchReads::Secondary;
    config.chunk_size = 10;
    // A batch would wait for the secondary that it is to do without.
    config.max_replication_lag = None;
}

async fn secondaries(set: &ReplicaSet) -> Vec<&Node> {
    let primary = set.primary().await.unwrap().address();
    let nodes = set.nodes().iter();
    nodes.filter(|node| node.address() != primary).collect()
}

/// Delivers so many orders, known to so many members.
async fn deliver(server: &TestServer, count: usize, known_to: WriteConcern) {
    let orders = (0..count).map(|_| order(format!("CMD-{}", bson::oid::ObjectId::new())));
    let commande = server.collection("Commande");
    let delivered = commande.insert_many(orders).write_concern(known_to);
    delivered.await.unwrap();
}

/// Runs a batch that ends as it should, and tells what it met.
async fn batch(server: &TestServer, options: pb::BatchOptions) -> [i64; 4] {
    let batch = server.run_batch_with(options).await;
    assert_eq!(batch.state(), pb::BatchState::Succeeded, "{batch:?}");
    tally(batch.counts)
}

async fn assert_exact(server: &TestServer) {
    assert_clean(&server.database).await;
}

/// The server's database as this one node has it.
async fn database_on(node: &Node, server: &TestServer) -> Database {
    let client = node.client().await.unwrap();
    client.database(server.database.name())
}

/// How many pages of orders, looks at the archive and finds of clients a node has answered the
/// server since it began to take notes.
async fn notes(server: &TestServer, node: &Node) -> [u64; 3] {
    let database = database_on(node, server).await;
    let profile = database.collection::<Document>("system.profile");
    let count = async |what: Document| profile.count_documents(what).await.unwrap();
    [
        count(doc! { "command.find": "Commande", "command.sort": { "_id": 1 } }).await,
        count(doc! { "command.find": "Historique", "command.projection": { "_id": 1 } }).await,
        count(doc! { "command.find": "Client" }).await,
    ]
}

#[tokio::test]
async fn pages_are_read_from_a_secondary_and_what_orders_refer_to_from_the_primary() {
    let set = ReplicaSet::start_nodes(3).await.unwrap();
    let server = TestServer::start_on(&set, reads_from_secondaries).await;
    let server = server.with_references().await;
    deliver(&server, 95, WriteConcern::majority()).await;
    for node in set.nodes() {
        // The primary itself repeats some reads on the secondaries, to keep their caches warm.
        let take_notes = doc! { "profile": 1, "filter": { "appName": "archd" } };
        let database = database_on(node, &server).await;
        database.run_command(take_notes).await.unwrap();
    }
    let everything = pb::BatchOptions::default();
    let dry_run = pb::BatchOptions {
        validate_only: true,
        ..everything
    };
    assert_eq!(batch(&server, dry_run).await, [95, 95, 0, 0]);
    assert_eq!(batch(&server, everything).await, [95, 95, 0, 0]);
    assert_eq!(batch(&server, everything).await, [95, 0, 95, 0]);
    assert_exact(&server).await;

    let [pages, looks, clients] = notes(&server, set.primary().await.unwrap()).await;
    assert_eq!((pages, looks), (0, 0));
    assert!(clients > 0);
    let mut elsewhere = [0; 3];
    for node in secondaries(&set).await {
        let noted = notes(&server, node).await;
        elsewhere = std::array::from_fn(|what| elsewhere[what] + noted[what]);
    }
    let [pages, looks, clients] = elsewhere;
    // Ten for each of the first two batches; once most orders are archived, pages of bare ids are
    // longer.
    assert!(pages > 20 && looks > 20, "{pages} pages, {looks} looks");
    assert_eq!(clients, 0);
    server.shut_down().await;
}

#[tokio::test]
async fn what_orders_refer_to_is_read_no_older_than_their_page() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let config = Config::simulation(&set.uri(), database.name()).unwrap();
    let store = Store::new(&config).await.unwrap();
    let tell = async |command: Document| database.run_command(command).await.unwrap();
    let deliver = doc! { "insert": "Commande", "documents": [order("CMD-1")], "writeConcern": { "w": "majority" } };
    let delivered = tell(deliver).await.get_timestamp("operationTime").unwrap();
    tell(doc! { "profile": 2 }).await;
    let first = PageRequest {
        from: None,
        limit: 10,
        before: None,
        view: View::Whole,
        index: None,
        stride: None,
    };
    let page = store.order_page(&first).await.unwrap();
    assert_eq!(page.orders.len(), 1);
    let orders = Selection::Read(page.orders, Default::default());
    store.gather_orders(&orders).await.unwrap();
    tell(doc! { "profile": 0 }).await;
    let profile = database.collection::<Document>("system.profile");
    let clients = profile.find_one(doc! { "command.find": "Client" }).await;
    let clients = clients.unwrap().unwrap();
    let command = clients.get_document("command").unwrap();
    let concern = command.get_document("readConcern").unwrap();
    assert!(concern.get_timestamp("afterClusterTime").unwrap() >= delivered);
}

/// Hides a member from everyone who reads, while it goes on confirming writes.
async fn hide(set: &ReplicaSet, hidden: &Node) {
    let primary = set.primary().await.unwrap();
    let reply = primary.admin(doc! { "replSetGetConfig": 1 }).await.unwrap();
    let mut config = reply.get_document("config").unwrap().clone();
    let version = config.get_i32("version").unwrap();
    config.insert("version", version + 1);
    for member in config.get_array_mut("members").unwrap() {
        let member = member.as_document_mut().unwrap();
        if member.get_str("host").unwrap() == hidden.address() {
            member.extend(doc! { "hidden": true, "priority": 0 });
        }
    }
    let reconfig = doc! { "replSetReconfig": config };
    primary.admin(reconfig).await.unwrap();
}

#[tokio::test]
async fn a_secondary_that_lags_or_freezes_hides_no_order_and_holds_a_batch_up_for_a_moment_only() {
    let set = ReplicaSet::start_nodes(3).await.unwrap();
    let [confirms, reads] = secondaries(&set).await[..] else {
        panic!("a set of three has two secondaries");
    };
    hide(&set, confirms).await;
    for fault in ["lags", "freezes"] {
        let server = TestServer::start_on(&set, reads_from_secondaries).await;
        deliver(&server, 50, WriteConcern::nodes(3)).await;
        assert_eq!(batch(&server, Default::default()).await, [50, 50, 0, 0]);
        match fault {
            "lags" => {
                let stop = doc! { "configureFailPoint": "rsSyncApplyStop", "mode": "alwaysOn" };
                reads.configure_fail_point(stop).await.unwrap();
                // What was on its way is applied first.
                let stopped = doc! { "waitForFailPoint": "rsSyncApplyStop", "timesEntered": 1, "maxTimeMS": 30_000 };
                reads.admin(stopped).await.unwrap();
            }
            _ => reads.freeze().unwrap(),
        }
        deliver(&server, 100, WriteConcern::majority()).await;
        let since = Instant::now();
        assert_eq!(batch(&server, Default::default()).await, [150, 100, 50, 0]);
        let took = since.elapsed();
        println!("the secondary {fault}: the batch took {took:.1?}");
        assert!(took < HELD_UP.end, "{fault}: {took:?}");
        match fault {
            "lags" => {
                assert!(took > HELD_UP.start, "the secondary was not even asked");
                reads.clear_fail_point("rsSyncApplyStop").await.unwrap();
            }
            _ => reads.thaw().unwrap(),
        }
        assert_exact(&server).await;
        server.shut_down().await;
    }
}

#[tokio::test]
async fn where_there_is_no_secondary_the_primary_is_read_at_the_first_try() {
    let set = ReplicaSet::start().await.unwrap();
    let standalone = Standalone::start().await.unwrap();
    let of_one = format!("mongodb://{}/?replicaSet=rs", set.nodes()[0].address());
    for uri in [of_one, set.uri(), standalone.uri()] {
        let database = set.fresh_database_name();
        let server = TestServer::on_with(&uri, &database, reads_from_secondaries).await;
        server.ready().await;
        deliver(&server, 25, WriteConcern::majority()).await;
        let take_notes = doc! { "profile": 2 };
        server.database.run_command(take_notes).await.unwrap();
        assert_eq!(batch(&server, Default::default()).await, [25, 25, 0, 0]);
        assert_eq!(batch(&server, Default::default()).await, [25, 0, 25, 0]);
        let mut page = doc! { "command.find": "Commande", "command.sort": { "_id": 1 } };
        let profile = server.collection("system.profile");
        assert!(profile.count_documents(page.clone()).await.unwrap() > 0);
        // Whoever is asked after a try in vain has more time than that.
        page.insert("command.maxTimeMS", doc! { "$gt": 2_000 });
        assert_eq!(profile.count_documents(page).await.unwrap(), 0);
        assert_exact(&server).await;
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_page_that_ends_early_leaves_no_cursor_on_the_secondary() {
    let set = ReplicaSet::start_nodes(3).await.unwrap();
    let server = TestServer::start_on(&set, |config| {
        reads_from_secondaries(config);
        config.chunk_size = 40;
    })
    .await;
    // Pages end once they hold 16 MiB.
    for _ in 0..50 {
        let mut large = order(format!("CMD-{}", bson::oid::ObjectId::new()));
        large.insert("note", "x".repeat(1024 * 1024));
        let orders = server.collection("Commande");
        let delivered = orders.insert_one(large);
        delivered
            .write_concern(WriteConcern::majority())
            .await
            .unwrap();
    }
    let open = async || {
        let mut open = 0;
        for node in secondaries(&set).await {
            let status = node.admin(doc! { "serverStatus": 1 }).await.unwrap();
            let metrics = status.get_document("metrics").unwrap();
            let cursors = metrics.get_document("cursor").unwrap();
            open += cursors
                .get_document("open")
                .unwrap()
                .get_i64("total")
                .unwrap();
        }
        open
    };
    let before = open().await;
    let dry_run = pb::BatchOptions {
        validate_only: true,
        ..pb::BatchOptions::default()
    };
    assert_eq!(batch(&server, dry_run).await, [50, 50, 0, 0]);
    let since = Instant::now();
    eventually(async || (open().await <= before).then_some(())).await;
    assert!(
        since.elapsed() < Duration::from_secs(3),
        "{:?}",
        since.elapsed()
    );
    server.shut_down().await;
}
