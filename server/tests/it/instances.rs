//! Each process of archd leaves a heartbeat in the database, with what it holds there, until it
//! stops in good order.

use std::time::Duration;

use bson::{Bson, DateTime, Document, doc};
use devkit::ReplicaSet;
use order_archiver_api::v1 as pb;

use crate::{
    process::{archd, run, settings_on, signal},
    support::{TestServer, assert_unavailable, eventually, orders},
};

/// The heartbeats in a database.
async fn heartbeats(server: &TestServer) -> Vec<Document> {
    server.all("archd_instances").await
}

/// Waits until the instances, as a server tells of them, are as they should be.
async fn listed(server: &TestServer, right: impl Fn(&[pb::Instance]) -> bool) -> Vec<pb::Instance> {
    eventually(async || {
        let instances = server.instances().await;
        right(&instances).then_some(instances)
    })
    .await
}

fn named<'a>(instances: &'a [pb::Instance], server: &TestServer) -> Option<&'a pb::Instance> {
    instances
        .iter()
        .find(|instance| instance.name == server.config.instance)
}

fn millis_ago(millis: i64) -> DateTime {
    DateTime::from_millis(DateTime::now().timestamp_millis() - millis)
}

/// A heartbeat that was given so long ago.
fn heartbeat(name: &str, millis: i64) -> Document {
    doc! {
        "_id": format!("id of {name}"), "format": 1, "name": name, "host": "elsewhere",
        "address": "10.0.0.1:50051", "version": "0.1.0", "started": millis_ago(millis),
        "alive_at": millis_ago(millis), "lease": 15_000_i64, "may_watch": true,
        "watch_epoch": 7_i64, "batch": Bson::Null, "index_build": false,
    }
}

#[tokio::test]
async fn every_instance_tells_who_and_where_it_is_and_what_it_holds_and_leaves_when_it_stops() {
    let serves = TestServer::start().await;
    let watches = serves.another(|config| config.watch = true).await;
    watches.watcher_is(pb::WatcherState::Watching).await;
    let instances = listed(&serves, |instances| {
        instances.iter().any(|it| it.watch_epoch.is_some()) && instances.len() == 2
    })
    .await;
    for (server, watching) in [(&serves, false), (&watches, true)] {
        let instance = named(&instances, server).unwrap();
        let address = server.address.trim_start_matches("http://");
        assert_eq!(instance.address, address, "{instance:?}");
        assert_eq!(instance.version, env!("CARGO_PKG_VERSION"), "{instance:?}");
        assert!(!instance.host.is_empty() && !instance.gone, "{instance:?}");
        assert_eq!(instance.may_watch, watching, "{instance:?}");
        assert_eq!(instance.watch_epoch.is_some(), watching, "{instance:?}");
        let (start, alive) = (instance.start_time.unwrap(), instance.alive_time.unwrap());
        assert!(start.seconds <= alive.seconds, "{instance:?}");
        assert_eq!(instance.lease.unwrap().seconds, 15, "{instance:?}");
    }
    assert_eq!(watches.instances().await, serves.instances().await);

    // Told at once, and not with the next beat five seconds later.
    serves.insert("Commande", orders(50)).await;
    let slow = pb::BatchOptions {
        max_orders_per_second: Some(1),
        ..pb::BatchOptions::default()
    };
    let (batch, _) = serves.start_batch(slow, "").await.unwrap();
    let runs = |instances: &[pb::Instance]| instances.iter().any(|it| it.batch_id == batch.id);
    listed(&serves, runs).await;
    let cancel = pb::CancelBatchRequest {
        id: batch.id.clone(),
    };
    serves.batches().cancel_batch(cancel).await.unwrap();
    listed(&serves, |instances| !runs(instances)).await;

    watches.shut_down().await;
    let left = serves.instances().await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(named(&left, &serves).is_some(), "{left:?}");
    let database = serves.database.clone();
    serves.shut_down().await;
    let heartbeats = database.collection::<Document>("archd_instances");
    assert_eq!(heartbeats.count_documents(doc! {}).await.unwrap(), 0);
}

#[tokio::test]
async fn an_instance_that_is_killed_counts_as_gone_after_its_lease_and_gives_way_to_its_successor()
{
    let server = TestServer::start().await;
    let settings = settings_on(server.database.name(), &[("HOSTNAME", "one-machine")]).await;
    let arguments = [
        "serve",
        "--listen=127.0.0.1:0",
        "--schedule=off",
        "--instance=i1",
        "--lease=3s",
    ];
    let mut first = archd(&arguments, &settings).spawn().unwrap();
    let holds = |instances: &[pb::Instance]| {
        let mut all = instances.iter();
        all.any(|it| it.name == "i1" && !it.gone && it.watch_epoch.is_some())
    };
    let listed_now = listed(&server, holds).await;
    assert_eq!(listed_now.len(), 2, "{listed_now:?}");
    let i1 = listed_now
        .iter()
        .find(|it| it.name == "i1")
        .unwrap()
        .clone();
    assert_eq!(i1.host, "one-machine");
    first.kill().await.unwrap();
    let gone = listed(&server, |all| all.iter().any(|it| it.gone)).await;
    // The living come first.
    assert_eq!(gone[1].id, i1.id, "{gone:?}");
    assert!(gone[1].watch_epoch.is_some(), "{gone:?}");

    let second = archd(&arguments, &settings).spawn().unwrap();
    let follows = listed(&server, |all| {
        all.iter().all(|it| !it.gone) && all.len() == 2
    })
    .await;
    let again = follows.iter().find(|it| it.name == "i1").unwrap();
    assert_ne!(again.id, i1.id);
    signal(&second, "TERM");
    listed(&server, |all| all.len() == 1).await;
    server.shut_down().await;
}

#[tokio::test]
async fn what_is_gone_is_forgotten_after_a_day_and_what_cannot_be_read_is_named() {
    const HOUR: i64 = 60 * 60 * 1_000;
    let server = TestServer::start().await;
    let (mut newer, mut torn) = (heartbeat("newer", 25 * HOUR), heartbeat("torn", 25 * HOUR));
    newer.insert("format", 2);
    torn.insert("alive_at", "yesterday");
    let remembered = heartbeat("remembered", 23 * HOUR);
    server
        .insert(
            "archd_instances",
            [heartbeat("forgotten", 25 * HOUR), remembered, newer, torn],
        )
        .await;
    // Each instance looks when it starts.
    let another = server.another(|_| {}).await;
    let instances = listed(&another, |all| all.iter().all(|it| it.name != "forgotten")).await;
    let remembered = &instances[2];
    assert_eq!(
        (remembered.name.as_str(), remembered.gone),
        ("remembered", true)
    );
    assert_eq!(remembered.watch_epoch, Some(7));
    let mut client =
        pb::instance_service_client::InstanceServiceClient::new(another.channel.clone());
    let answer = client.list_instances(pb::ListInstancesRequest {}).await;
    let unreadable = answer.unwrap().into_inner().unreadable;
    let names: Vec<&str> = unreadable.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        names,
        ["archd_instances/id of newer", "archd_instances/id of torn"]
    );
    assert!(unreadable[0].newer && unreadable[1].problem.contains("`alive_at`"));

    let settings = settings_on(server.database.name(), &[]).await;
    let torn = "archd_instances/id of torn";
    let (code, said, _) = run(&["state", "--set-aside", torn], &settings).await;
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains("torn: set aside") && said.contains("newer has format 2"),
        "{said}"
    );
    another.shut_down().await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_batch_of_its_own_process_is_listed_while_it_runs_and_leaves_nothing_behind() {
    let server = TestServer::start().await;
    server.insert("Commande", orders(50)).await;
    let settings = settings_on(
        server.database.name(),
        &[
            ("ARCHD_INSTANCE", "nightly"),
            ("ARCHD_MAX_ORDERS_PER_SECOND", "1"),
        ],
    )
    .await;
    let nightly = archd(&["batch"], &settings).spawn().unwrap();
    let runs = |all: &[pb::Instance]| {
        let mut all = all.iter();
        all.any(|it| it.name == "nightly" && !it.batch_id.is_empty())
    };
    let instances = listed(&server, runs).await;
    let own = instances.iter().find(|it| it.name == "nightly").unwrap();
    assert!(own.address.is_empty() && !own.may_watch, "{own:?}");
    signal(&nightly, "TERM");
    listed(&server, |all| all.len() == 1).await;

    // Nor does one that finds nothing that it could work with.
    let archive = doc! { "createIndexes": "Historique", "indexes": [
        { "key": { "date_archivage": 1 }, "name": "old", "expireAfterSeconds": 3_600 },
    ] };
    server.database.run_command(archive).await.unwrap();
    let (code, _, said) = run(&["batch"], &settings).await;
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(heartbeats(&server).await.len(), 1);
    server.shut_down().await;
}

#[tokio::test]
async fn whoever_builds_the_unique_index_says_so() {
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::start_on(&set, |_| {}).await;
    let point = "hangAfterStartingIndexBuild";
    let hang = doc! { "configureFailPoint": point, "mode": "alwaysOn" };
    set.configure_fail_point(hang).await.unwrap();
    let archive = server.collection("Historique");
    server
        .insert("Historique", [doc! { "numero_commande": "old" }])
        .await;
    archive.drop_index("numero_commande_1").await.unwrap();
    // Calls are refused meanwhile, so the document itself is looked at.
    let builds = async |wanted: bool| {
        eventually(async || {
            let heartbeats = heartbeats(&server).await;
            (heartbeats[0].get_bool("index_build").unwrap() == wanted).then_some(())
        })
        .await;
    };
    builds(true).await;
    set.clear_fail_point(point).await.unwrap();
    builds(false).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_heartbeat_is_given_again_when_it_was_removed_or_the_database_was_away() {
    let server = TestServer::start_with(|config| config.lease = Duration::from_secs(1)).await;
    let before = listed(&server, |all| all.len() == 1).await;
    let heartbeats = server.collection("archd_instances");
    heartbeats.delete_many(doc! {}).await.unwrap();
    let after = listed(&server, |all| all.len() == 1).await;
    assert_eq!(after[0].id, before[0].id);
    server.shut_down().await;
}

#[tokio::test]
async fn an_instance_says_who_it_is_also_while_its_database_is_away() {
    let server = TestServer::on("mongodb://127.0.0.1:1/", "nowhere").await;
    let mut client =
        pb::instance_service_client::InstanceServiceClient::new(server.channel.clone());
    let others = client.list_instances(pb::ListInstancesRequest {}).await;
    assert_unavailable(&others.unwrap_err(), "DATABASE_UNAVAILABLE");
    let answer = client.get_instance(pb::GetInstanceRequest {}).await;
    let own = answer.unwrap().into_inner();
    assert_eq!(own.name, server.config.instance);
    assert_eq!(own.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(format!("http://{}", own.address), server.address);
    assert_eq!(own.host, server.config.host);
    assert!(!own.id.is_empty(), "{own:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn the_instance_that_answers_is_one_of_the_list() {
    let first = TestServer::start().await;
    let second = first.another(|_| {}).await;
    let instances = listed(&first, |all| all.len() == 2).await;
    for server in [first, second] {
        let mut client =
            pb::instance_service_client::InstanceServiceClient::new(server.channel.clone());
        let answer = client.get_instance(pb::GetInstanceRequest {}).await;
        let own = answer.unwrap().into_inner();
        let listed = named(&instances, &server).unwrap();
        assert_eq!(own.id, listed.id);
        assert_eq!(own.address, listed.address);
        server.shut_down().await;
    }
}
