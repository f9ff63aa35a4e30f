//! The figures for all time and of a window count an order when its fate changes, and no order
//! waits for them.

use std::time::{Duration, Instant};

use bson::{DateTime, Document, doc};
use futures::{TryStreamExt, future::join_all};
use order_archiver_api::v1 as pb;
use pb::archive_service_client::ArchiveServiceClient;

use crate::{
    child::Server,
    faults::FailPoints,
    process::settings_on,
    support::{TestServer, eventually, order, orders, tally, within},
};

/// How often the figures are written, and within which time they have been.
const INTERVAL: Duration = Duration::from_millis(250);
const WRITTEN: Duration = Duration::from_secs(1);

/// The figures for all time, once those of the window are the same and both balance.
async fn figures(server: &TestServer) -> pb::OrderCounts {
    let counts = eventually(async || {
        let request = pb::GetStatsRequest::default();
        let stats = server.stats().get_stats(request).await.unwrap();
        let stats = stats.into_inner();
        (stats.lifetime == stats.window).then_some(stats.lifetime)
    })
    .await;
    tally(counts);
    counts.unwrap()
}

/// What became of orders: of those that were found in their old place nothing has.
fn fates(archived: i64, incomplete: i64, errors: i64) -> pb::OrderCounts {
    pb::OrderCounts {
        found: archived + errors,
        archived,
        duplicates: 0,
        incomplete,
        errors,
        gone: 0,
    }
}

fn numero(at: usize) -> String {
    format!("CMD-2025-{at:06}")
}

#[tokio::test]
async fn a_batch_that_finds_nothing_new_adds_nothing_to_the_figures() {
    let server = TestServer::start().await;
    let other = server.another(|_| {}).await;
    server.insert("Commande", orders(5)).await;
    server.insert("Commande", [order(7)]).await;
    for (archived, duplicates) in [(5, 0), (0, 5), (0, 5)] {
        let batch = server.run_batch().await;
        assert_eq!(tally(batch.counts), [6, archived, duplicates, 1]);
        assert_eq!(figures(&server).await, fates(5, 5, 1));
        assert_eq!(figures(&other).await, fates(5, 5, 1));
    }
    let answer = server.archive_order(&numero(1)).await.unwrap();
    assert_eq!(answer.outcome(), pb::ArchiveOutcome::Duplicate);
    assert_eq!(figures(&server).await, fates(5, 5, 1));
}

#[tokio::test]
async fn an_order_is_counted_each_time_its_fate_changes() {
    let server = TestServer::start().await.with_references().await;
    let mut twin = order("CMD-1");
    twin.insert("_id", 1);
    server.insert("Commande", [order("CMD-1"), twin]).await;
    for _ in 0..2 {
        // Of two orders with one number one is archived, the other can't be.
        server.archive_order("CMD-1").await.unwrap_err();
        assert_eq!(figures(&server).await, fates(1, 0, 1));
    }
    let ids = async || {
        let request = pb::ListQuarantinedRequest::default();
        let listed = server.quarantine().list_quarantined(request).await;
        let entries = listed.unwrap().into_inner().entries.into_iter();
        entries.map(|entry| entry.id).collect::<Vec<_>>()
    };
    let retry = async || {
        let request = pb::RetryQuarantinedRequest { ids: ids().await };
        let retried = server.quarantine().retry_quarantined(request).await;
        retried.unwrap();
    };
    retry().await;
    assert_eq!(figures(&server).await, fates(1, 0, 1), "it is still there");
    let number = doc! { "$set": { "numero_commande": "CMD-2" } };
    let commande = server.collection("Commande");
    commande
        .update_one(doc! { "_id": 1 }, number)
        .await
        .unwrap();
    retry().await;
    assert_eq!(figures(&server).await, fates(2, 0, 1));

    server.insert("Commande", [order(7)]).await;
    server.run_batch().await;
    assert_eq!(figures(&server).await, fates(2, 0, 2));
    let request = pb::DropQuarantinedRequest { ids: ids().await };
    server.quarantine().drop_quarantined(request).await.unwrap();
    server.run_batch().await;
    assert_eq!(figures(&server).await, fates(2, 0, 3), "it came again");
}

#[tokio::test]
async fn a_call_waits_for_one_write_and_its_count_for_nobody() {
    const CALLS: usize = 100;
    let server = TestServer::start().await.with_references().await;
    server.insert("Commande", orders(CALLS + 1)).await;
    server.archive_order(&numero(CALLS + 1)).await.unwrap();
    figures(&server).await;
    // The profile is short: without a filter it would forget the first calls before the last.
    let writes = doc! { "appName": "archd", "$or": [
        { "op": { "$in": ["insert", "update", "remove"] } }, { "command.findAndModify": { "$exists": true } },
    ] };
    let profile = |level: i32| {
        let profile = doc! { "profile": level, "filter": &writes };
        server.database.run_command(profile)
    };
    profile(1).await.unwrap();
    let began = Instant::now();
    for at in 1..=CALLS {
        server.archive_order(&numero(at)).await.unwrap();
    }
    let took = began.elapsed();
    profile(0).await.unwrap();
    let entries = server.collection("system.profile").find(doc! {}).await;
    let entries: Vec<Document> = entries.unwrap().try_collect().await.unwrap();
    let database = server.database.name();
    let count = |op: &str, collection: &str| {
        let namespace = format!("{database}.{collection}");
        let same = |entry: &&Document| {
            entry.get_str("op").is_ok_and(|own| own == op)
                && entry.get_str("ns").is_ok_and(|own| own == namespace)
        };
        entries.iter().filter(same).count()
    };
    let (inserts, updates) = (
        count("insert", "Historique"),
        count("update", "archd_counters"),
    );
    assert_eq!(inserts, CALLS);
    let others: Vec<_> = entries
        .iter()
        .map(|entry| (entry.get("op"), entry.get("ns")))
        .collect();
    assert_eq!(inserts + updates, entries.len(), "{others:?}");
    let most = 2 * (took.as_millis() / INTERVAL.as_millis() + 2) as usize;
    assert!(updates <= most, "{updates} updates of counters in {took:?}");
    assert_eq!(figures(&server).await.archived, CALLS as i64 + 1);
}

#[tokio::test]
async fn orders_are_answered_for_while_no_counter_can_be_written() {
    const CALLS: usize = 20;
    const BLOCKED: Duration = Duration::from_secs(8);
    let points = FailPoints::turn().await;
    let server = TestServer::start_on(points.set, |_| {}).await;
    let server = server.with_references().await;
    server.insert("Commande", orders(CALLS)).await;
    let blocks = doc! { "blockConnection": true, "blockTimeMS": BLOCKED.as_millis() as i64 };
    points.fail(&["update"], "alwaysOn", blocks).await;
    let began = Instant::now();
    for at in 1..=CALLS {
        server.archive_order(&numero(at)).await.unwrap();
    }
    let took = began.elapsed();
    // Whoever asks for the figures is not kept for long either.
    let answered = tokio::time::timeout(BLOCKED / 2, figures(&server)).await;
    points.mend().await;
    assert!(took < BLOCKED, "{took:?}");
    answered.expect("the figures waited for a counter");
    let all = fates(CALLS as i64, 0, 0);
    eventually(async || (figures(&server).await == all).then_some(())).await;
}

#[tokio::test]
async fn a_count_whose_answer_is_lost_is_counted_once() {
    let points = FailPoints::turn().await;
    let server = TestServer::start_on(points.set, |_| {}).await;
    let server = server.with_references().await;
    let unconfirmed = doc! { "writeConcernError": { "code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting for replication timed out" } };
    for round in 1..=2 {
        server
            .insert("Commande", [order(format!("CMD-{round}"))])
            .await;
        let twice = doc! { "times": 2 };
        points.fail(&["update"], twice, unconfirmed.clone()).await;
        server.archive_order(&format!("CMD-{round}")).await.unwrap();
        let archived = async || {
            let counts = figures(&server).await;
            (counts.archived >= round).then_some(counts)
        };
        assert_eq!(eventually(archived).await, fates(round, 0, 0));
    }

    let entries = format!("{}.archd_quarantine", server.database.name());
    let mut lost = unconfirmed;
    lost.insert("namespace", entries);
    server.insert("Commande", [order(7)]).await;
    points.fail(&["update"], "alwaysOn", lost).await;
    let there = eventually(async || {
        let entries = server.all("archd_quarantine").await;
        (!entries.is_empty()).then_some(())
    });
    let (batch, ()) = tokio::join!(server.run_batch(), async {
        there.await;
        points.mend().await;
    });
    assert_eq!(tally(batch.counts), [3, 0, 2, 1], "{batch:?}");
    let counted = async || (figures(&server).await == fates(2, 0, 1)).then_some(());
    eventually(counted).await;
}

#[tokio::test]
async fn of_the_figures_of_an_older_archd_those_are_kept_that_meant_the_same() {
    let server = TestServer::start().await.with_references().await;
    let minute = DateTime::from_millis(DateTime::now().timestamp_millis() / 60_000 * 60_000);
    let counted = doc! {
        "found": 1_000_i64, "archived": 30_i64, "duplicates": 950_i64, "incomplete": 10_i64, "errors": 20_i64,
        "gone": 2_i64, "format": 1,
    };
    let of = |id: Document, more: Document| {
        let mut counter = doc! { "_id": id };
        counter.extend(counted.clone());
        counter.extend(more);
        counter
    };
    let counters = [
        of(
            doc! { "door": "batch", "minute": "all" },
            doc! { "since": minute },
        ),
        of(
            doc! { "door": "batch", "minute": minute },
            doc! { "minute": minute },
        ),
    ];
    server.insert("archd_counters", counters).await;
    let kept = pb::OrderCounts {
        gone: 2,
        ..fates(30, 10, 0)
    };
    assert_eq!(figures(&server).await, kept);
    server.insert("Commande", orders(1)).await;
    server.insert("Commande", [order(7)]).await;
    assert_eq!(tally(server.run_batch().await.counts), [2, 1, 0, 1]);
    let more = pb::OrderCounts {
        gone: 2,
        ..fates(31, 10, 1)
    };
    assert_eq!(figures(&server).await, more);
}

#[tokio::test]
async fn a_server_that_stops_has_written_all_that_it_counted() {
    let server = TestServer::start().await.with_references().await;
    let other = server.another(|_| {}).await;
    for round in 1..=5 {
        let last = server.second(|_| {}).await;
        let numbers: Vec<String> = (1..=20).map(|at| format!("CMD-{round}-{at}")).collect();
        server.insert("Commande", numbers.iter().map(order)).await;
        let answers = join_all(numbers.iter().map(|number| last.archive_order(number)));
        assert!(answers.await.iter().all(Result::is_ok));
        last.shut_down().await;
        assert_eq!(figures(&other).await, fates(20 * round, 0, 0));
    }
}

#[tokio::test]
async fn a_server_that_is_killed_loses_no_more_than_the_last_moment_of_its_figures() {
    let reader = TestServer::start().await.with_references().await;
    let settings = settings_on(reader.database.name(), &[]).await;
    let mut killed = Server::start(256, &settings).await;
    let mut calls = ArchiveServiceClient::new(killed.connect().await);
    let mut answered = Vec::new();
    let began = Instant::now();
    while began.elapsed() < WRITTEN * 2 {
        let numero_commande = numero(answered.len());
        reader.insert("Commande", [order(&numero_commande)]).await;
        let request = pb::ArchiveOrderRequest { numero_commande };
        within(calls.archive_order(request)).await.unwrap();
        answered.push(Instant::now());
    }
    killed.kill().await;
    let end = Instant::now();
    let old = answered.iter().filter(|at| end - **at >= WRITTEN).count();
    let counts = figures(&reader).await;
    println!(
        "{} of {} orders are counted",
        counts.archived,
        answered.len()
    );
    assert!(
        old > 0 && counts.archived >= old as i64,
        "{old}: {counts:?}"
    );
    assert!(counts.archived <= answered.len() as i64, "{counts:?}");
}
