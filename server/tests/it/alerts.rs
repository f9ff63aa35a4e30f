//! The alerts and the dashboard name what there is: the rules pass their own tests, each alert has
//! its section in the runbook, and each query is answered by a real Prometheus.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use archd::{
    config::Config,
    metrics::names::{ALL, Kind},
};
use order_archiver_api::v1 as pb;
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::{
    install::python_packages,
    prometheus::{self, Prometheus},
    support::{TestServer, eventually, order, orders, program, within},
};

const OPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../ops");
const RULES: &str = "prometheus/alerts.yml";
const DASHBOARD: &str = "grafana/order-archiver.json";
const RUNBOOK: &str = "../docs/runbook.md";
/// Where the link of an alert leads to.
const LINK: &str = "docs/runbook.md#";
const REQUIREMENTS: &str = include_str!("../grafana/requirements.txt");
const ADVICE: &str = "the types of Grafana need Python: on Debian, `apt-get install python3 python3-venv python3-pip`; on macOS, `brew install python`";

fn path(file: &str) -> PathBuf {
    Path::new(OPS).join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap()
}

/// What stands behind this at the beginning of a line.
fn after<'a>(text: &'a str, beginning: &str) -> Vec<&'a str> {
    let lines = text.lines().map(str::trim_start);
    lines
        .filter_map(|line| line.strip_prefix(beginning))
        .collect()
}

/// What the panels of the dashboard ask for.
fn queries() -> Vec<String> {
    let dashboard: serde_json::Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let queries = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    queries.collect()
}

/// A query with what somebody chose in the dashboard.
fn with_variables(query: &str) -> String {
    let query = query
        .replace("$__rate_interval", "1m")
        .replace("$job", "archd")
        .replace("$instance", ".+");
    assert!(!query.contains('$'), "{query}");
    query
}

fn promtool(arguments: &[&str]) -> Output {
    let mut promtool = Command::new(prometheus::programs().join("promtool"));
    promtool.args(arguments).current_dir(path("prometheus"));
    promtool.output().unwrap()
}

#[test]
fn each_alert_is_quiet_just_before_its_threshold_fires_and_clears() {
    if !prometheus::can_be_had() {
        return;
    }
    for arguments in [
        &["check", "config", "prometheus.yml"][..],
        &["check", "rules", "alerts.yml"],
        &["test", "rules", "alerts.test.yml", "alerts.days.test.yml"],
    ] {
        let Output {
            status,
            stdout,
            stderr,
        } = promtool(arguments);
        let said = String::from_utf8([stdout, stderr].concat()).unwrap();
        assert!(status.success(), "promtool {arguments:?}: {said}");
    }
    let tests = read("prometheus/alerts.test.yml") + &read("prometheus/alerts.days.test.yml");
    for alert in after(&read(RULES), "- alert: ") {
        let tested = format!("alertname: {alert}\n        exp_alerts:");
        assert!(
            tests.contains(&format!("{tested}\n")),
            "{alert} never fires"
        );
        assert!(
            tests.contains(&format!("{tested} []")),
            "{alert} is never quiet"
        );
    }
}

#[test]
fn each_alert_leads_to_its_section_of_the_runbook_and_each_section_has_its_alert() {
    let (rules, runbook) = (read(RULES), read(RUNBOOK));
    let alerts = after(&rules, "- alert: ");
    assert!(alerts.len() > 20, "{alerts:?}");
    assert_eq!(alerts, after(&runbook, "## "));
    let anchors: Vec<String> = alerts.iter().map(|alert| alert.to_lowercase()).collect();
    let links = after(&rules, "runbook_url: ");
    let links: Vec<&str> = links
        .iter()
        .map(|link| link.strip_prefix(LINK).unwrap())
        .collect();
    assert_eq!(links, anchors);
    for required in ["severity: ", "summary: "] {
        assert_eq!(after(&rules, required).len(), alerts.len(), "{required}");
    }
    for part in ["**Means**", "**Look**", "**Mend**"] {
        assert_eq!(runbook.matches(part).count(), alerts.len(), "{part}");
    }
}

#[test]
fn every_command_of_the_runbook_is_one() {
    let runbook = read(RUNBOOK);
    let of_blocks = runbook.split("```sh\n").skip(1);
    let of_blocks = of_blocks.flat_map(|block| block.split("```").next().unwrap().lines());
    let of_text = runbook.split('`').skip(1).step_by(2);
    let commands: BTreeSet<Vec<&str>> = of_blocks
        .chain(of_text)
        .map(|command| command.split(" #").next().unwrap())
        .flat_map(|command| command.split('|'))
        .map(|command| command.split_whitespace().collect::<Vec<&str>>())
        .map(|mut words| {
            if words.first() == Some(&"xargs") {
                words.remove(0);
            }
            words
        })
        .filter(|words| words.len() > 1 && ["archctl", "archd"].contains(&words[0]))
        .collect();
    assert!(commands.len() > 30, "{commands:?}");
    for command in commands {
        let mut asked = Command::new(program(command[0]));
        // What stands before it is judged first, and nothing is done.
        let asked = asked.args(&command[1..]).arg("--help").output().unwrap();
        let said = String::from_utf8_lossy(&asked.stderr);
        assert!(asked.status.success(), "{command:?}: {said}");
    }
}

#[test]
fn every_metric_that_alerts_and_dashboard_name_is_one() {
    let known: BTreeSet<String> = ALL
        .iter()
        .flat_map(|metric| match metric.kind {
            Kind::Histogram(_) => ["_bucket", "_sum", "_count"]
                .map(|part| format!("{}{part}", metric.name))
                .to_vec(),
            Kind::Counter | Kind::Gauge => vec![metric.name.to_owned()],
        })
        .collect();
    for file in [RULES, DASHBOARD] {
        let text = read(file);
        let words = text.split(|symbol: char| !symbol.is_ascii_alphanumeric() && symbol != '_');
        let named: BTreeSet<&str> = words
            .filter(|word| word.starts_with("order_archiver_"))
            .collect();
        assert!(named.len() > 20, "{named:?}");
        for name in named {
            assert!(known.contains(name), "{file} names {name}");
        }
    }
}

#[tokio::test]
async fn the_dashboard_is_of_the_types_that_grafana_publishes() {
    let packages = || python_packages("grafana", REQUIREMENTS, ADVICE);
    let folder = tokio::task::spawn_blocking(packages).await;
    let mut round_trip =
        tokio::process::Command::new(folder.unwrap().unwrap().join("venv/bin/python"))
            .arg("-B")
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/grafana/round_trip.py"
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
    let mut input = round_trip.stdin.take().unwrap();
    input.write_all(read(DASHBOARD).as_bytes()).await.unwrap();
    drop(input);
    let output = within(round_trip.wait_with_output()).await.unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboard_is_answered_by_a_prometheus_that_scrapes_archd() {
    if !prometheus::can_be_had() {
        return;
    }
    let server = TestServer::start_with(|config| {
        config.http = Some(([127, 0, 0, 1], 0).into());
        config.watch = true;
        let nothing = Config::load(
            &Default::default(),
            &Default::default(),
            &Default::default(),
        );
        config.schedule = nothing.unwrap().schedule;
    })
    .await
    .with_references()
    .await;
    server.watcher_is(pb::WatcherState::Watching).await;
    let prometheus = Prometheus::of(server.http.unwrap(), &path(RULES)).await;
    server.insert("Commande", orders(3)).await;
    server.run_batch().await;
    server.verify_with(pb::VerificationOptions::default()).await;
    let mut nameless = order("");
    nameless.remove("numero_commande");
    server.insert("Commande", [nameless]).await;

    let mut waiting = queries();
    assert!(waiting.len() > 50, "{waiting:?}");
    waiting.push("ALERTS{alertname=\"OrderArchiverErrors\", alertstate=\"firing\"}".to_owned());
    let mut round = 0;
    let answered = eventually(async || {
        // What is told by the minute needs something that happens in it.
        round += 1;
        let numero = format!("CMD-{round}");
        server.insert("Commande", [order(numero.as_str())]).await;
        server.archive_order(&numero).await.unwrap();
        server.archive_order("CMD-NOBODY").await.unwrap_err();
        let mut unanswered = Vec::new();
        for query in &waiting {
            if !prometheus.answers(&with_variables(query)).await {
                unanswered.push(query.clone());
            }
        }
        waiting = unanswered;
        waiting.is_empty().then_some(())
    });
    if timeout(Duration::from_secs(55), answered).await.is_err() {
        panic!("nothing answers {waiting:#?}");
    }
    server.shut_down().await;
}
