//! The program itself: what it prints, where, and the code that it leaves with.

use std::{
    process::{Output, Stdio},
    sync::OnceLock,
    time::Duration,
};

use devkit::ReplicaSet;
use order_archiver_api::v1 as pb;
use pb::{archive_service_client::ArchiveServiceClient, event_service_client::EventServiceClient};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpStream,
    process::{Child, ChildStderr, Command},
    time::timeout,
};

use crate::support::{TestServer, assert_unavailable, orders, within};

/// `archd` with these arguments and settings, and none of this process's own. It answers no HTTP
/// unless the settings say so: its port can be one program's only.
pub(crate) fn archd(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_archd"));
    command
        .args(arguments)
        .env_clear()
        .env("ARCHD_HTTP", "off")
        .envs(settings.iter().copied())
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The settings of a program that works on a database of the shared mongod, and these.
pub(crate) async fn settings_on<'a>(
    database: &'a str,
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    static URI: OnceLock<String> = OnceLock::new();
    let set = ReplicaSet::shared().await.unwrap();
    let uri = URI.get_or_init(|| set.uri());
    let own = [
        ("MONGODB_URI", uri.as_str()),
        ("MONGODB_DATABASE", database),
    ];
    [&own, more].concat()
}

/// Sends a program a signal by its name.
pub(crate) fn signal(program: &Child, name: &str) {
    let id = program.id().expect("it runs").to_string();
    let kill = ["-c", r#"kill -s "$1" "$2""#, "signal", name, &id];
    let status = std::process::Command::new("sh").args(kill).status();
    assert!(status.unwrap().success());
}

/// Runs it to its end: the code, standard output, standard error.
pub(crate) async fn run(
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = within(archd(arguments, settings).output()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[tokio::test]
async fn a_batch_prints_its_statistics_and_nothing_else() {
    let server = TestServer::start().await;
    server.insert("Commande", orders(12)).await;
    let settings = settings_on(server.database.name(), &[]).await;
    let (code, stdout, stderr) = run(&["batch", "--limit", "10"], &settings).await;
    assert_eq!(code, Some(0), "{stderr}");
    for text in [
        "10",
        "succeeded",
        "warning: Client has no index on id_client",
    ] {
        assert!(stdout.contains(text), "{text} is not in\n{stdout}");
    }
    assert!(stderr.contains("batch ended") && !stdout.contains("batch ended"));

    let (code, stdout, stderr) = run(&["batch", "--output", "json"], &settings).await;
    assert_eq!(code, Some(0), "{stderr}");
    let figures: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let expected = [
        ("found", 12),
        ("archived", 2),
        ("duplicates", 10),
        ("incomplete", 2),
        ("errors", 0),
    ];
    for (name, count) in expected {
        assert_eq!(figures[name], count, "{name}");
    }
    assert_eq!(figures["state"], "BATCH_STATE_SUCCEEDED");
}

#[tokio::test]
async fn a_failure_has_its_code_and_its_reason() {
    let nobody = ("MONGODB_URI", "mongodb://127.0.0.1:1/");
    let (code, stdout, stderr) = run(&["batch", "--wait", "500ms"], &[nobody]).await;
    assert_eq!((code, stdout.as_str()), (Some(4), ""), "{stderr}");
    assert!(stderr.contains("the database can't be reached"), "{stderr}");

    let bad = [
        ("ARCHD_LISTEN", "here"),
        ("ARCHD_CHUNK_SIZE", "0"),
        ("MONGODB_URI", "postgres://x"),
    ];
    for command in ["serve", "batch", "check"] {
        let (code, stdout, stderr) = run(&[command], &bad).await;
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        for (name, _) in bad {
            assert!(stderr.contains(name), "{name} is not in\n{stderr}");
        }
    }
}

#[tokio::test]
async fn a_pool_that_is_too_small_is_refused_or_warned_of_with_the_figure_it_needs() {
    let uri = ReplicaSet::shared().await.unwrap().uri();
    for (size, partitions, expected, needs) in [
        ("1", "1", 1, "75"),
        ("3", "1", 1, "75"),
        ("4", "1", 0, "75"),
        ("74", "1", 0, "75"),
        // A stream for each partition.
        ("6", "4", 1, "78"),
        ("77", "4", 0, "78"),
    ] {
        let uri = format!("{uri}&maxPoolSize={size}");
        let settings = [
            ("MONGODB_URI", uri.as_str()),
            ("MONGODB_DATABASE", "pool"),
            ("ARCHD_WATCH_PARTITIONS", partitions),
        ];
        let (code, _, stderr) = run(&["batch", "--wait", "10s"], &settings).await;
        assert_eq!(code, Some(expected), "{stderr}");
        let figure = format!("maxPoolSize in MONGODB_URI is {size}");
        assert!(stderr.contains(&figure), "{stderr}");
        let needs = format!("make it at least {needs},");
        assert!(stderr.contains(&needs), "{stderr}");
    }
    let uri = format!("{uri}&maxPoolSize=75");
    let settings = [("MONGODB_URI", uri.as_str()), ("MONGODB_DATABASE", "pool")];
    let (code, _, stderr) = run(&["batch", "--wait", "10s"], &settings).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stderr.contains("maxPoolSize"), "{stderr}");
}

#[tokio::test]
async fn a_server_leaves_on_sigterm_whoever_still_holds_on_to_it() {
    let arguments = [
        "--listen=127.0.0.1:0",
        "--shutdown-grace=3s",
        "--log-format=json",
    ];
    let settings = settings_on("held", &[]).await;
    let mut server = archd(&arguments, &settings).spawn().unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines();
    let mut said = async |word: &str| {
        within(async {
            loop {
                let line = log.next_line().await.unwrap().expect(word);
                let line: serde_json::Value = serde_json::from_str(&line).unwrap();
                if line["message"].as_str().unwrap_or_default().contains(word) {
                    return line;
                }
            }
        })
        .await
    };
    let line = said("listens").await;
    let address = line["address"].as_str().unwrap().to_owned();
    said("the database is ready").await;

    // A peer that never says a word nor hears one, and a reader.
    let _frozen = TcpStream::connect(&address).await.unwrap();
    let mut client = EventServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    let stream = client.tail_events(pb::TailEventsRequest::default()).await;
    let mut news = stream.unwrap().into_inner();
    within(news.message()).await.unwrap().unwrap();

    signal(&server, "TERM");
    let farewell = within(async {
        loop {
            // What the watcher does meanwhile is told too.
            if let Err(farewell) = news.message().await {
                return farewell;
            }
        }
    });
    assert_unavailable(&farewell.await, "STOPPING");
    // Well after its three seconds of grace, and well before the twenty that it has by default.
    let status = tokio::time::timeout(std::time::Duration::from_secs(15), server.wait()).await;
    assert_eq!(status.expect("it does not leave").unwrap().code(), Some(0));
}

/// An `archd` that says much, up to the moment from which nobody reads its log.
async fn unread(database: &str) -> (Child, BufReader<ChildStderr>, String) {
    let settings = settings_on(
        database,
        &[
            ("ARCHD_LISTEN", "127.0.0.1:0"),
            ("ARCHD_LOG", "trace,mongodb=warn"),
            ("ARCHD_LOG_FORMAT", "json"),
            ("ARCHD_WATCH", "false"),
            ("ARCHD_SCHEDULE", "off"),
        ],
    )
    .await;
    let mut server = archd(&["serve"], &settings).spawn().unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let mut address = None;
    let ready = within(async {
        loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).await.unwrap() > 0, "it ended");
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            let message = line["message"].as_str().unwrap_or_default();
            if message.contains("listens") {
                address = line["address"].as_str().map(str::to_owned);
            } else if message.contains("the database is ready") {
                return address.take().unwrap();
            }
        }
    });
    let address = format!("http://{}", ready.await);
    (server, log, address)
}

/// Has so many orders archived over a connection, from this number on.
async fn archive(address: &str, from: usize, count: usize) {
    let mut client = ArchiveServiceClient::connect(address.to_owned())
        .await
        .unwrap();
    for number in from..from + count {
        let numero_commande = format!("CMD-2025-{number:06}");
        let request = pb::ArchiveOrderRequest { numero_commande };
        let answer = timeout(Duration::from_secs(20), client.archive_order(request)).await;
        let answer = answer.expect("it waits for somebody to read its log");
        let result = answer.unwrap().into_inner().result.unwrap();
        assert_eq!(result.outcome(), pb::ArchiveOutcome::Archived);
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_nothing_up_and_says_later_how_much_it_lacks() {
    const ORDERS: usize = 400;
    let database = ReplicaSet::shared().await.unwrap().fresh_database().await;
    let database = database.unwrap();
    let commande = database.collection::<bson::Document>("Commande");
    commande.insert_many(orders(ORDERS + 1)).await.unwrap();
    let (mut server, mut log, address) = unread(database.name()).await;
    archive(&address, 1, ORDERS).await;

    // Read again, it tells what was kept, then how much was not, then what comes.
    let mut lines = Vec::new();
    let lacking = within(async {
        loop {
            let mut line = String::new();
            log.read_line(&mut line).await.unwrap();
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            if let Some(lines) = line["left_out"].as_u64() {
                return lines;
            }
            lines.push(line);
        }
    });
    let lacking = lacking.await;
    println!("{} lines were kept, {lacking} left out", lines.len());
    assert!(lacking > 0);
    let reading = tokio::spawn(async move {
        let mut rest = String::new();
        log.read_to_string(&mut rest).await.unwrap();
        rest
    });
    archive(&address, ORDERS + 1, 1).await;
    signal(&server, "TERM");
    assert_eq!(within(server.wait()).await.unwrap().code(), Some(0));
    let rest = within(reading).await.unwrap();
    let rest: Vec<serde_json::Value> = rest
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let said = |words: &str| {
        let mut lines = rest.iter();
        lines.any(|line| {
            line["message"]
                .as_str()
                .is_some_and(|it| it.contains(words))
        })
    };
    assert!(said("announced") && said("stopping"), "{rest:#?}");
}

#[tokio::test]
async fn a_program_whose_log_nobody_reads_leaves_when_it_is_told_to() {
    const ORDERS: usize = 400;
    let database = ReplicaSet::shared().await.unwrap().fresh_database().await;
    let database = database.unwrap();
    let commande = database.collection::<bson::Document>("Commande");
    commande.insert_many(orders(ORDERS)).await.unwrap();
    let (mut server, log, address) = unread(database.name()).await;
    archive(&address, 1, ORDERS).await;
    signal(&server, "TERM");
    let left = timeout(Duration::from_secs(20), server.wait()).await;
    let status = left.expect("it waits for somebody to read its log");
    assert_eq!(status.unwrap().code(), Some(0));
    drop(log);
}
