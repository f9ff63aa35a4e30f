//! Metrics tell the truth: what this instance did, and what is of the whole database.

use std::{
    collections::BTreeSet,
    env, fs,
    io::Write,
    net::SocketAddr,
    process::{Command, Stdio},
};

use archd::metrics::{
    docs,
    names::{ALL, Metric, Of},
};
use bson::doc;
use order_archiver_api::v1 as pb;

use crate::{
    prometheus,
    support::{
        TestServer, eventually,
        http::{Answer, get},
        order, orders, within,
    },
};

const PREFIX: &str = "order_archiver_";

/// With HTTP on a port of its own.
fn answering(config: &mut archd::config::Config) {
    config.http = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
}

/// What `/metrics` says now.
async fn scrape(server: &TestServer) -> String {
    let Answer { status, body, .. } = get(server.http.unwrap(), "/metrics").await;
    assert_eq!(status, 200, "{body}");
    body
}

/// The value of a series, by its name without the prefix, and its labels.
fn value(text: &str, series: &str) -> Option<f64> {
    let series = format!("{PREFIX}{series} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&series));
    line.map(|value| value.parse().unwrap())
}

/// Scrapes until these series have these values.
async fn shows(server: &TestServer, wanted: &[(&str, f64)]) {
    let mut text = String::new();
    let seen = eventually(async || {
        text = scrape(server).await;
        let is_so = |(series, wanted): &(&str, f64)| value(&text, series) == Some(*wanted);
        wanted.iter().all(is_so).then_some(())
    });
    if tokio::time::timeout(std::time::Duration::from_secs(30), seen)
        .await
        .is_err()
    {
        panic!("{wanted:?} is not shown by {text}");
    }
}

#[tokio::test]
async fn what_became_of_orders_is_told_by_source_and_fate_and_begins_anew_with_the_process() {
    let server = TestServer::start_with(answering)
        .await
        .with_references()
        .await;
    let other = server.another(answering).await;
    server.insert("Commande", orders(3)).await;
    let mut waiting = order("CMD-9");
    waiting.insert("status", "en_cours");
    let mut nameless = order("");
    nameless.remove("numero_commande");
    server.insert("Commande", [waiting, nameless]).await;
    for _ in 0..2 {
        server.archive_order("CMD-2025-000001").await.unwrap();
    }
    server.archive_order("CMD-9").await.unwrap_err();
    server.run_batch().await;
    let archive = "service=\"orderarchiver.v1.ArchiveService\",method=\"ArchiveOrder\"";
    let done = [
        (
            "orders_total{source=\"rpc\",fate=\"archived\"}".to_owned(),
            1.0,
        ),
        (
            "orders_total{source=\"rpc\",fate=\"duplicate\"}".to_owned(),
            1.0,
        ),
        (
            "orders_total{source=\"rpc\",fate=\"not_delivered\"}".to_owned(),
            1.0,
        ),
        (
            "orders_total{source=\"batch\",fate=\"archived\"}".to_owned(),
            2.0,
        ),
        (
            "orders_total{source=\"batch\",fate=\"quarantined\"}".to_owned(),
            1.0,
        ),
        (
            "orders_total{source=\"watch\",fate=\"archived\"}".to_owned(),
            0.0,
        ),
        (
            "archive_latency_seconds_count{source=\"rpc\"}".to_owned(),
            1.0,
        ),
        (format!("rpcs_total{{{archive},code=\"OK\"}}"), 2.0),
        (
            format!("rpcs_total{{{archive},code=\"FAILED_PRECONDITION\"}}"),
            1.0,
        ),
        (format!("rpc_duration_seconds_count{{{archive}}}"), 3.0),
    ];
    let done = done
        .each_ref()
        .map(|(series, value)| (series.as_str(), *value));
    shows(&server, &done).await;
    let of_database = [
        ("lifetime_orders{fate=\"archived\"}", 3.0),
        ("lifetime_orders{fate=\"quarantined\"}", 1.0),
        ("last_hour_orders{fate=\"archived\"}", 3.0),
        ("archive_orders", 3.0),
        ("quarantine_orders", 1.0),
        ("batch_orders{fate=\"found\"}", 4.0),
        ("batch_orders{fate=\"error\"}", 1.0),
        ("batch_state{state=\"succeeded\"}", 1.0),
        ("batch_running", 0.0),
        ("verification_running", 0.0),
        ("instances", 2.0),
        ("database_up", 1.0),
    ];
    // The same from an instance that did nothing of it.
    for server in [&server, &other] {
        shows(server, &of_database).await;
    }
    let text = scrape(&other).await;
    assert_eq!(value(&text, done[0].0), Some(0.0), "{text}");
    assert!(value(&text, "batch_last_success_timestamp_seconds") > Some(1e9));
    assert!(value(&text, "quarantine_oldest_age_seconds") < Some(120.0));
    assert_eq!(value(&text, "watcher_watched"), None, "nobody ever watched");

    let again = server.second(answering).await;
    let text = scrape(&again).await;
    assert_eq!(value(&text, done[0].0), Some(0.0), "{text}");
    shows(&again, &of_database[..5]).await;
}

#[tokio::test]
async fn what_the_watcher_does_is_told() {
    let server = TestServer::start_with(|config| {
        answering(config);
        config.watch = true;
    })
    .await;
    shows(
        &server,
        &[
            ("watcher_state{state=\"watching\"}", 1.0),
            ("watcher_watched", 1.0),
        ],
    )
    .await;
    server.insert("Commande", [order("CMD-1")]).await;
    shows(
        &server,
        &[
            ("orders_total{source=\"watch\",fate=\"archived\"}", 1.0),
            ("archive_latency_seconds_count{source=\"watch\"}", 1.0),
            (
                "archive_latency_seconds_bucket{source=\"watch\",le=\"30\"}",
                1.0,
            ),
            (
                "chunk_step_duration_seconds_count{source=\"watch\",step=\"write\"}",
                1.0,
            ),
            ("holds_watch", 1.0),
            ("watcher_gap_open", 0.0),
        ],
    )
    .await;
    let text = scrape(&server).await;
    for series in [
        "watcher_lag_seconds",
        "oplog_headroom_seconds",
        "oplog_window_seconds",
    ] {
        assert!(value(&text, series).is_some(), "{series}: {text}");
    }
    server.pause_watcher().await;
    shows(
        &server,
        &[
            ("watcher_state{state=\"paused\"}", 1.0),
            ("watcher_state{state=\"watching\"}", 0.0),
            ("watcher_watched", 0.0),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_of_a_database_that_is_away_is_not_told_and_readyz_says_so() {
    let server = TestServer::on_with("mongodb://127.0.0.1:1/", "away", answering).await;
    let http = server.http.unwrap();
    let text = within(scrape(&server)).await;
    assert_eq!(value(&text, "database_up"), Some(0.0), "{text}");
    for metric in ALL.iter().filter(|metric| metric.of == Of::Database) {
        assert!(!text.contains(metric.name), "{}", metric.name);
    }
    let answer = get(http, "/readyz").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    let readiness: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(readiness["ready"], false);
    assert_ne!(readiness["database"], "ready");
    assert_eq!(get(http, "/livez").await.status, 200, "the process lives");
}

#[tokio::test]
async fn readyz_says_what_there_is_to_know() {
    let server = TestServer::start_with(answering).await;
    let answer = get(server.http.unwrap(), "/readyz").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let readiness: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let expected = serde_json::json!({
        "ready": true, "database": "ready", "unreadable_documents": 0, "missing_privileges": 0, "stopping": false,
    });
    assert_eq!(readiness, expected);
    // An archive that keeps no number unique takes nothing.
    let archive = server.database.collection::<bson::Document>("Historique");
    archive.drop().await.unwrap();
    let same = [
        doc! { "numero_commande": "1" },
        doc! { "numero_commande": "1" },
    ];
    archive.insert_many(same).await.unwrap();
    server.archive_order("CMD-1").await.unwrap_err();
    let unready = eventually(async || {
        let answer = get(server.http.unwrap(), "/readyz").await;
        (answer.status == 503).then_some(answer)
    });
    assert!(unready.await.body.contains("Historique"));
}

#[tokio::test]
async fn promtool_finds_nothing_amiss_with_any_of_them() {
    let server = TestServer::start_with(|config| {
        answering(config);
        config.watch = true;
        config.schedule = archd::config::Config::load(
            &Default::default(),
            &Default::default(),
            &Default::default(),
        )
        .unwrap()
        .schedule;
    })
    .await;
    server.insert("Commande", orders(3)).await;
    server.run_batch().await;
    server.verify_with(pb::VerificationOptions::default()).await;
    shows(&server, &[("verification_verified", 1.0)]).await;
    let text = scrape(&server).await;
    let named = |metric: &&Metric| text.contains(&format!("# HELP {} ", metric.name));
    let missing: Vec<&str> = ALL
        .iter()
        .filter(|metric| !named(metric))
        .map(|metric| metric.name)
        .collect();
    // What there is only while something goes on, or with TLS.
    let absent = [
        "order_archiver_certificate_expires_timestamp_seconds",
        "order_archiver_watch_partition_lag_seconds",
        "order_archiver_watcher_waiting_orders",
        "order_archiver_batch_progress_ratio",
    ];
    assert_eq!(missing, absent);
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let told: Vec<&str> = types.map(|line| line.split(' ').next().unwrap()).collect();
    let once: BTreeSet<&str> = told.iter().copied().collect();
    assert_eq!(told.len(), once.len(), "each is told once");
    let known: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
    assert!(once.is_subset(&known), "{once:?}");

    if !prometheus::can_be_had() {
        return;
    }
    let promtool = tokio::task::spawn_blocking(prometheus::programs)
        .await
        .unwrap();
    let mut check = Command::new(promtool.join("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = check.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = check.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_document_of_the_metrics_is_up_to_date() {
    const BEGIN: &str =
        "<!-- The tables are written by UPDATE_DOCS=1 cargo test --workspace -- metrics -->\n";
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let kept = fs::read_to_string(file).unwrap();
    let (own, _) = kept.split_once(BEGIN).expect("the tables have a place");
    let text = format!("{own}{BEGIN}\n{}", docs::markdown_tables());
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(file, &text).unwrap();
    } else {
        assert_eq!(
            kept, text,
            "UPDATE_DOCS=1 cargo test --workspace -- metrics"
        );
    }
}
