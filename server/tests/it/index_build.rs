//! An archive whose unique index is not finished takes no order, whoever builds it and however that
//! ends.

use std::time::Duration;

use bson::{Document, doc};
use devkit::ReplicaSet;
use futures::future::join_all;
use mongodb::{Database, IndexModel, options::IndexOptions};
use order_archiver_api::v1 as pb;
use tokio::time::{Instant, sleep};
use tonic::Status;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    check::check,
    process::archd,
    support::{
        TestServer, assert_unavailable, assert_unusable, eventually, faults, order, orders, tally,
        within,
    },
};

/// The fail point that stops every index build after it has begun.
const HANG: &str = "hangAfterStartingIndexBuild";

async fn hang(set: &ReplicaSet) {
    let hang = doc! { "configureFailPoint": HANG, "mode": "alwaysOn" };
    set.configure_fail_point(hang).await.unwrap();
}

/// An archive of before, without a unique index.
async fn archive(database: &Database, numbers: impl IntoIterator<Item = String>) {
    let documents = numbers
        .into_iter()
        .map(|numero| doc! { "numero_commande": numero });
    let documents: Vec<Document> = documents.collect();
    let archive = database.collection("Historique");
    archive.insert_many(documents).await.unwrap();
}

fn old(count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(|number| format!("CMD-2020-{number:06}"))
}

/// Pairs of orders with one number each.
async fn pairs(server: &TestServer, name: &str, count: usize) -> Vec<String> {
    let numbers: Vec<String> = (1..=count).map(|n| format!("CMD-{name}-{n:04}")).collect();
    let both = numbers.iter().chain(&numbers);
    server
        .insert("Commande", both.map(|numero| order(numero.as_str())))
        .await;
    numbers
}

/// How many of these numbers the archive holds more than once.
async fn doubled(database: &Database, numbers: &[String]) -> usize {
    let archive = database.collection::<Document>("Historique");
    let mut doubled = 0;
    for numero in numbers {
        let same = archive.count_documents(doc! { "numero_commande": numero });
        doubled += usize::from(same.await.unwrap() > 1);
    }
    doubled
}

async fn is_healthy(server: &TestServer) -> bool {
    let request = HealthCheckRequest::default();
    let mut health = HealthClient::new(server.channel.clone());
    let serving = tonic_health::ServingStatus::Serving as i32;
    health.check(request).await.unwrap().into_inner().status == serving
}

/// What a caller hears, once it is about the archive.
async fn refusal(server: &TestServer, words: &[&str]) -> Status {
    eventually(async || {
        let status = server.archive_order("CMD-2025-000001").await.err()?;
        let message = status.message();
        words
            .iter()
            .all(|word| message.contains(word))
            .then_some(status)
    })
    .await
}

/// Asks all servers for every number until the test says stop; health must never say SERVING.
async fn ask_in_vain(servers: &[TestServer], numbers: &[String], until: Instant) {
    while Instant::now() < until {
        for numero in numbers {
            join_all(servers.iter().map(|server| async {
                assert!(!is_healthy(server).await, "while it can't archive");
                let answer = server.archive_order(numero).await;
                let reason = faults(&answer.unwrap_err()).0;
                let reasons = ["DATABASE_UNAVAILABLE", "DATABASE_UNUSABLE"];
                assert!(reasons.contains(&reason.as_str()), "{reason}");
            }))
            .await;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Asks all servers at once for every number.
async fn ask_all(servers: &[TestServer], numbers: &[String]) {
    let pairs = numbers
        .iter()
        .flat_map(|numero| servers.iter().map(move |server| (server, numero)));
    // Of each pair one is archived, and the other one goes to quarantine.
    let ask = async |(server, numero): (&TestServer, &String)| server.archive_order(numero).await;
    let _ = join_all(pairs.map(ask)).await;
}

#[tokio::test]
async fn a_batch_waits_for_an_index_that_is_being_built_and_ends_all_the_same_when_its_time_is_over()
 {
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::start_on(&set, |_| {}).await;
    server.insert("Commande", orders(400)).await;
    let options = pb::BatchOptions {
        max_orders_per_second: Some(20),
        max_runtime: Some(prost_types::Duration {
            seconds: 8,
            nanos: 0,
        }),
        ..Default::default()
    };
    let (batch, _) = server.start_batch(options, "").await.unwrap();
    server.batch_under_way(&batch.id).await;
    hang(&set).await;
    let drop = doc! { "dropIndexes": "Historique", "index": "*" };
    server.database.run_command(drop).await.unwrap();
    refusal(&server, &["is being built"]).await;
    // What can be read is told meanwhile.
    let ended = server.batch_end(&batch.id).await;
    assert_eq!(
        (ended.state(), ended.stop_reason()),
        (pb::BatchState::Succeeded, pb::BatchStopReason::MaxRuntime),
        "{ended:?}"
    );
    let archived = server.all("Historique").await.len() as i64;
    assert_eq!(tally(ended.counts), [archived, archived, 0, 0]);
    let status = server.start_batch(pb::BatchOptions::default(), "").await;
    assert_unavailable(&status.unwrap_err(), "DATABASE_UNAVAILABLE");
    set.clear_fail_point(HANG).await.unwrap();
    server.ready().await;
    let rest = server.run_batch().await;
    assert_eq!(tally(rest.counts), [400, 400 - archived, archived, 0]);
}

#[tokio::test]
async fn an_index_that_is_still_being_built_counts_as_not_ready() {
    let set = ReplicaSet::start().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    archive(&database, old(300)).await;
    hang(&set).await;
    let server = TestServer::on(&set.uri(), database.name()).await;
    let numbers = pairs(&server, "2025", 2).await;
    let status = refusal(
        &server,
        &["is being built", "300 of 300 documents read (100 %)"],
    )
    .await;
    assert_unavailable(&status, "DATABASE_UNAVAILABLE");
    let until = Instant::now() + Duration::from_secs(3);
    ask_in_vain(std::slice::from_ref(&server), &numbers, until).await;

    let checked = check(&set.uri(), database.name()).await;
    checked.assert_is("unique index", 5, "failed");
    for word in ["still being built", "300 of 300"] {
        assert!(
            checked.found("unique index").contains(word),
            "{}",
            checked.text
        );
    }

    set.clear_fail_point(HANG).await.unwrap();
    server.ready().await;
    for numero in &numbers {
        // One of the two is archived, the other one is in quarantine.
        let _ = server.archive_order(numero).await;
    }
    assert_eq!(server.archived(302).await.len(), 302);
    assert_eq!(doubled(&database, &numbers).await, 0);
}

#[tokio::test]
async fn an_index_that_somebody_else_builds_is_waited_for_as_well() {
    let set = ReplicaSet::start().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    archive(&database, old(100)).await;
    hang(&set).await;
    let by_hand = IndexModel::builder()
        .keys(doc! { "numero_commande": 1 })
        .options(
            IndexOptions::builder()
                .unique(true)
                .name("by_hand".to_owned())
                .build(),
        )
        .build();
    let archived = database.collection::<Document>("Historique");
    let building = tokio::spawn(async move { archived.create_index(by_hand).await });
    let server = TestServer::on(&set.uri(), database.name()).await;
    refusal(&server, &["is being built"]).await;
    let numbers = pairs(&server, "2025", 1).await;
    let until = Instant::now() + Duration::from_secs(1);
    ask_in_vain(std::slice::from_ref(&server), &numbers, until).await;
    set.clear_fail_point(HANG).await.unwrap();
    within(building).await.unwrap().unwrap();
    server.ready().await;
    let archive = database.collection::<Document>("Historique");
    let names = archive.list_index_names().await.unwrap();
    assert_eq!(names, ["_id_", "by_hand"]);
}

/// A build of two million documents takes as long as this one: until the test lets it end.
#[tokio::test]
async fn of_two_instances_one_builds_and_the_other_waits() {
    let set = ReplicaSet::start().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    archive(&database, old(2_000)).await;
    hang(&set).await;
    let servers = [
        TestServer::on(&set.uri(), database.name()).await,
        TestServer::on(&set.uri(), database.name()).await,
    ];
    let numbers = pairs(&servers[0], "2025", 20).await;
    for server in &servers {
        refusal(server, &["is being built", "of 2000"]).await;
    }
    let until = Instant::now() + Duration::from_secs(3);
    ask_in_vain(&servers, &numbers[..2], until).await;
    let builders = doc! { "currentOp": true, "command.createIndexes": "Historique", "client": { "$exists": true } };
    let builders = set.nodes()[0].admin(builders).await.unwrap();
    assert_eq!(builders.get_array("inprog").unwrap().len(), 1, "{builders}");
    set.clear_fail_point(HANG).await.unwrap();
    for server in &servers {
        server.ready().await;
    }
    ask_all(&servers, &numbers).await;
    assert_eq!(servers[0].archived(2_020).await.len(), 2_020);
    assert_eq!(doubled(&database, &numbers).await, 0);
}

#[tokio::test]
async fn an_archive_with_a_double_takes_nothing_from_any_instance_until_it_is_mended() {
    let set = ReplicaSet::start().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    archive(&database, old(20_000).chain(old(2))).await;
    let servers = [
        TestServer::on(&set.uri(), database.name()).await,
        TestServer::on(&set.uri(), database.name()).await,
    ];
    let numbers = pairs(&servers[0], "2025", 50).await;
    for server in &servers {
        let words = ["CMD-2020-000001", "CMD-2020-000002", "nothing is archived"];
        let status = refusal(server, &words).await;
        assert_unusable(&status);
    }
    // Long enough for both to try it again.
    let until = Instant::now() + Duration::from_secs(12);
    ask_in_vain(&servers, &numbers, until).await;
    assert_eq!(doubled(&database, &numbers).await, 0);
    let archived = database.collection::<Document>("Historique");
    assert_eq!(archived.count_documents(doc! {}).await.unwrap(), 20_002);

    for numero in old(2) {
        let one = archived.delete_one(doc! { "numero_commande": numero });
        one.await.unwrap();
    }
    for server in &servers {
        server.ready().await;
    }
    ask_all(&servers, &numbers).await;
    assert_eq!(doubled(&database, &numbers).await, 0);
    assert_eq!(archived.count_documents(doc! {}).await.unwrap(), 20_050);
}

#[tokio::test]
async fn the_numbers_are_told_also_where_finding_them_takes_longer_than_a_call_may() {
    let set = ReplicaSet::start().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    archive(&database, old(3_000).chain(old(1))).await;
    // Finding the numbers takes three seconds here, and a call may take one.
    let slow = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": {
        "failCommands": ["aggregate"], "appName": "archd", "blockConnection": true, "blockTimeMS": 3_000,
    } };
    set.configure_fail_point(slow).await.unwrap();
    let server = TestServer::on_with(&set.uri(), database.name(), |config| {
        config.operation_timeout = Duration::from_secs(1);
    })
    .await;
    refusal(&server, &["\"CMD-2020-000001\"", "more than once"]).await;
    let kept = eventually(async || {
        let states = database.collection::<Document>("archd_state");
        let build = states.find_one(doc! { "_id": "unique_index" });
        let build = build.await.unwrap()?;
        build.contains_key("retry_at").then_some(build)
    })
    .await;
    assert_eq!(kept.get_i32("format").unwrap(), 1, "{kept}");
    let failed = kept.get_document("failed").unwrap();
    let numbers = failed.get_array("numbers").unwrap();
    assert_eq!(numbers, &["\"CMD-2020-000001\"".into()], "{kept}");
    assert!(!is_healthy(&server).await);
}

#[tokio::test]
async fn the_log_tells_how_far_a_build_is_and_does_not_repeat_itself() {
    let set = ReplicaSet::start().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    archive(&database, old(100)).await;
    hang(&set).await;
    let uri = set.uri();
    let settings = [
        ("MONGODB_URI", uri.as_str()),
        ("MONGODB_DATABASE", database.name()),
    ];
    let server = archd(&["--listen=127.0.0.1:0", "--log-format=json"], &settings).spawn();
    let mut server = server.unwrap();
    sleep(Duration::from_secs(8)).await;
    server.start_kill().unwrap();
    let output = within(server.wait_with_output()).await.unwrap();
    set.clear_fail_point(HANG).await.unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    let told = log.lines().filter(|line| line.contains("is being built"));
    let told = told.count();
    assert!((1..=2).contains(&told), "{told} times in 8 s:\n{log}");
}
