//! Callers who leave before they are answered take nothing away from anybody else.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use archd::{config::Config, store::Store};
use bson::{Bson, doc};
use devkit::{
    Node, ReplicaSet,
    relay::{Deed, Plan, Relay},
};
use futures::future::join_all;
use order_archiver_api::v1 as pb;
use pb::{
    archive_service_client::ArchiveServiceClient, batch_service_client::BatchServiceClient,
    event_service_client::EventServiceClient, stats_service_client::StatsServiceClient,
};
use tokio::{task::JoinHandle, time::timeout};
use tonic::{Request, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    faults::watching,
    support::{TestServer, eventually, order, orders, within},
};

/// How long callers of an attack wait: not long enough for most answers.
const IMPATIENCE: Duration = Duration::from_millis(30);
/// Longest that somebody else may wait for an answer meanwhile: a loaded machine needs some of it,
/// a starved pool much more.
const ANSWERED: Duration = Duration::from_secs(5);
/// Longest that a server may take to leave with nothing left to do.
const LEAVES: Duration = Duration::from_secs(5);

/// A request whose caller leaves soon.
fn hasty<M>(message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.set_timeout(IMPATIENCE);
    request
}

/// Somebody who archives one order after the other, and never waits long.
struct Bystander {
    stop: Arc<AtomicBool>,
    task: JoinHandle<(usize, Duration)>,
}

impl Bystander {
    fn start(server: &TestServer) -> Bystander {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, mut client) = (stop.clone(), server.archive());
        let task = tokio::spawn(async move {
            let (mut answered, mut longest) = (0, Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) {
                let numero_commande = format!("CMD-2025-{:06}", answered % 1_000 + 1);
                let asked = Instant::now();
                let request = pb::ArchiveOrderRequest { numero_commande };
                let answer = timeout(ANSWERED, client.archive_order(request)).await;
                let waited = asked.elapsed();
                answer
                    .unwrap_or_else(|_| panic!("no answer after {answered} within {waited:?}"))
                    .unwrap_or_else(|status| panic!("after {answered}, {waited:?}: {status:?}"));
                answered += 1;
                longest = longest.max(waited);
            }
            (answered, longest)
        });
        Bystander { stop, task }
    }

    async fn stop(self, name: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let (answered, longest) = within(self.task).await.unwrap();
        println!("{name}: {answered} others were answered meanwhile, after {longest:?} at most");
    }
}

/// Callers who come together, by connections that are not those of the others: a server cuts one on
/// which too many leave.
struct Crowd {
    address: String,
    /// A batch that has ended.
    batch: String,
}

impl Crowd {
    async fn of<F: Future<Output = ()>>(&self, size: usize, act: impl Fn(usize, Channel) -> F) {
        let endpoint = Channel::from_shared(self.address.clone()).unwrap();
        let connections: Vec<Channel> = (0..25).map(|_| endpoint.connect_lazy()).collect();
        let callers = (0..size).zip(connections.into_iter().cycle());
        join_all(callers.map(|(caller, connection)| act(caller, connection))).await;
    }
}

#[tokio::test]
async fn what_a_call_keeps_is_kept_until_the_database_answers_though_its_caller_has_left() {
    let set = ReplicaSet::shared().await.unwrap();
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let config = Config::simulation(&relay.uri(), database.name()).unwrap();
    let store = Store::new(&config).await.unwrap().for_callers();
    relay.on(
        "CMD-slow",
        Plan::Always,
        Deed::Delay(Duration::from_secs(1)),
    );
    let kept = Arc::new(());
    let keeping = store.keeping(kept.clone());
    let left = timeout(IMPATIENCE * 10, keeping.archived_order("CMD-slow")).await;
    assert!(
        left.is_err() && relay.hits() == 1,
        "the database has been asked"
    );
    drop(keeping);
    assert_eq!(Arc::strong_count(&kept), 2, "it reads on");
    eventually(async || (Arc::strong_count(&kept) == 1).then_some(())).await;
}

/// Lets callers come and leave in rounds, and holds the server to its promises meanwhile and right
/// afterwards.
async fn calm_under(name: &str, rounds: usize, attack: impl AsyncFn(&Crowd)) {
    let set = ReplicaSet::start().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let server = watching(&set.uri(), database, |config| {
        config.max_tail_readers = 1_000
    })
    .await;
    server.insert("Commande", orders(1_000)).await;
    let batch = server.run_batch().await.id;
    let crowd = Crowd {
        address: server.address.clone(),
        batch,
    };

    let mut health = HealthClient::new(server.channel.clone());
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let mut health = health.watch(request).await.unwrap().into_inner();
    let ill = Arc::new(AtomicBool::new(false));
    let noticed = ill.clone();
    let watched = tokio::spawn(async move {
        while let Ok(Some(answer)) = health.message().await {
            if answer.status != tonic_health::ServingStatus::Serving as i32 {
                noticed.store(true, Ordering::Relaxed);
            }
        }
    });

    let bystander = Bystander::start(&server);
    for _ in 0..rounds {
        attack(&crowd).await;
    }
    bystander.stop(name).await;

    assert!(
        !ill.load(Ordering::Relaxed),
        "{name}: health said NOT_SERVING"
    );
    assert_eq!(
        server.watcher_now().await.state(),
        pb::WatcherState::Watching,
        "{name}"
    );
    let delivered = Instant::now();
    server.insert("Commande", [order("CMD-2025-900000")]).await;
    let archive = server.collection("Historique");
    eventually(async || {
        let found = archive.find_one(doc! { "numero_commande": "CMD-2025-900000" });
        found.await.unwrap()
    })
    .await;
    assert!(
        delivered.elapsed() < ANSWERED,
        "{name}: the watcher took {:?}",
        delivered.elapsed()
    );

    watched.abort();
    let _ = watched.await;
    let stopping = Instant::now();
    server.shut_down().await;
    let took = stopping.elapsed();
    println!("{name}: the server left after {took:?}");
    assert!(took < LEAVES, "{name}: the server left after {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_who_ask_for_archived_orders() {
    calm_under("GetArchivedOrder", 10, async |crowd| {
        let ask = |caller: usize, channel| async move {
            let numero_commande = format!("CMD-2025-{caller:06}");
            let request = hasty(pb::GetArchivedOrderRequest { numero_commande });
            drop(
                ArchiveServiceClient::new(channel)
                    .get_archived_order(request)
                    .await,
            );
        };
        crowd.of(500, ask).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_who_follow_a_batch() {
    calm_under("WatchBatch", 3, async |crowd| {
        let follow = |_, channel| {
            let id = crowd.batch.clone();
            async move {
                let mut client = BatchServiceClient::new(channel);
                let follow = client.watch_batch(pb::WatchBatchRequest { id });
                drop(timeout(IMPATIENCE, follow).await);
            }
        };
        crowd.of(1_000, follow).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_each_who_archive_list_count_or_tail() {
    calm_under("the others", 3, async |crowd| {
        let archive = |caller: usize, channel| async move {
            let numero_commande = format!("CMD-2025-{caller:06}");
            let request = hasty(pb::ArchiveOrderRequest { numero_commande });
            drop(
                ArchiveServiceClient::new(channel)
                    .archive_order(request)
                    .await,
            );
        };
        crowd.of(500, archive).await;
        let list = |_, channel| async move {
            let request = hasty(pb::ListArchivedOrdersRequest::default());
            drop(
                ArchiveServiceClient::new(channel)
                    .list_archived_orders(request)
                    .await,
            );
        };
        crowd.of(500, list).await;
        let count = |_, channel| async move {
            let request = hasty(pb::GetStatsRequest::default());
            drop(StatsServiceClient::new(channel).get_stats(request).await);
        };
        crowd.of(500, count).await;
        let tail = |_, channel| async move {
            let mut client = EventServiceClient::new(channel);
            let tail = client.tail_events(pb::TailEventsRequest::default());
            drop(timeout(IMPATIENCE, tail).await);
        };
        crowd.of(500, tail).await;
    })
    .await;
}

/// Asks for an order that the archive holds.
async fn ask(mut client: ArchiveServiceClient<Channel>) -> Result<(), Status> {
    let numero_commande = "CMD-2025-000001".to_owned();
    let request = pb::GetArchivedOrderRequest { numero_commande };
    client.get_archived_order(request).await.map(drop)
}

/// Has what callers read of the archive hang on a node, and as many callers hang in it as are let
/// through.
async fn hang(server: &TestServer, node: &Node, mode: impl Into<Bson>) -> Vec<JoinHandle<()>> {
    let archive = format!("{}.Historique", server.database.name());
    let data = doc! {
        "failCommands": ["find"], "appName": "archd", "namespace": archive,
        "blockConnection": true, "blockTimeMS": 45_000,
    };
    let hang = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
    node.configure_fail_point(hang).await.unwrap();
    let callers = (0..200).map(|_| {
        let asked = ask(server.archive());
        tokio::spawn(async move { drop(asked.await) })
    });
    let callers = callers.collect();
    eventually(async || {
        let finds =
            doc! { "currentOp": true, "appName": "archd", "command.find": { "$exists": true } };
        let finds = node.admin(finds).await.unwrap();
        (finds.get_array("inprog").unwrap().len() >= 25).then_some(())
    })
    .await;
    callers
}

fn patient(config: &mut Config) {
    let long = Duration::from_secs(60);
    (config.operation_timeout, config.request_timeout) = (long, long);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_hang_leave_connections_to_the_watcher_to_batches_and_to_orders() {
    let set = ReplicaSet::start().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let server = watching(&set.uri(), database, patient).await;
    server.insert("Commande", orders(3)).await;
    server.archived(3).await;
    let hanging = hang(&server, &set.nodes()[0], "alwaysOn").await;

    let since = Instant::now();
    let delivered = "CMD-2025-900001";
    server.insert("Commande", [order(delivered)]).await;
    server.archived(4).await;
    let archived = timeout(ANSWERED, server.archive_order(delivered)).await;
    archived.expect("in time").unwrap();
    // Long enough for heartbeats of the database to be missed.
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.ready().await;
    println!("the others were served within {:?}", since.elapsed());
    assert!(since.elapsed() < 3 * ANSWERED, "{:?}", since.elapsed());
    hanging.iter().for_each(JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_never_end_are_given_up_and_others_take_their_turn() {
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::start_on(&set, |config| {
        config.operation_timeout = Duration::from_secs(2);
        config.request_timeout = Duration::from_secs(3);
    })
    .await;
    server.insert("Commande", orders(1)).await;
    server.run_batch().await;
    let hanging = hang(&server, &set.nodes()[0], doc! { "times": 25 }).await;
    let since = Instant::now();
    // What hangs already goes on hanging for most of a minute.
    eventually(async || ask(server.archive()).await.ok()).await;
    println!("another caller was answered after {:?}", since.elapsed());
    assert!(since.elapsed() < 2 * ANSWERED, "{:?}", since.elapsed());
    hanging.iter().for_each(JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_hang_on_a_primary_do_not_block_its_successor() {
    let set = ReplicaSet::start_nodes(3).await.unwrap();
    let server = TestServer::on_with(&set.uri(), "livraison", patient).await;
    server.ready().await;
    server.insert("Commande", orders(1)).await;
    server.run_batch().await;
    let primary = set.primary().await.unwrap();
    let hanging = hang(&server, primary, "alwaysOn").await;
    let step_down = doc! { "replSetStepDown": 60, "force": true };
    primary.admin(step_down).await.unwrap();

    let since = Instant::now();
    eventually(async || timeout(ANSWERED, ask(server.archive())).await.ok()?.ok()).await;
    println!("the successor answered after {:?}", since.elapsed());
    assert!(since.elapsed() < 4 * ANSWERED, "{:?}", since.elapsed());
    hanging.iter().for_each(JoinHandle::abort);
}
