//! Spans arrive at a real collector: a call's in the trace of its caller, with a link to what is
//! done for several calls together, whose chunk has its five steps; and nothing of a person.

use std::{
    collections::{HashMap, HashSet},
    fs,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::Result;
use bson::doc;
use order_archiver_api::{REQUEST_ID, v1 as pb};
use pb::archive_service_client::ArchiveServiceClient;
use tokio::{net::TcpStream, process::Child};
use tonic::Request;

use crate::{
    faults::fresh,
    install::{python_packages, run},
    process::signal,
    program::{PEOPLE, Program, text},
    support::{PATIENCE, eventually, order, orders, within},
};

const REQUIREMENTS: &str = include_str!("../collector/requirements.txt");
const ADVICE: &str = "the collector needs Python: on Debian, `apt-get install python3 python3-venv python3-pip`; on macOS, `brew install python`";

/// The steps of a chunk.
const STEPS: [&str; 5] = ["gather", "judge", "enrich", "write", "record"];

/// The folder that holds the collector.
fn program() -> Result<PathBuf> {
    let folder = python_packages("collector", REQUIREMENTS, ADVICE)?;
    let find =
        "import pathlib, rotel; print(pathlib.Path(rotel.__file__).with_name('rotel-agent'))";
    let python = folder.join("venv/bin/python");
    let path = run(Command::new(python).args(["-c", find]), ADVICE)?;
    Ok(path.trim_end().into())
}

/// A running collector, which prints every span.
pub(crate) struct Collector {
    folder: tempfile::TempDir,
    pub(crate) address: String,
    _program: Child,
}

impl Collector {
    pub(crate) async fn start() -> Collector {
        let program = tokio::task::spawn_blocking(program).await.unwrap().unwrap();
        let folder = tempfile::tempdir().unwrap();
        // It takes no port of the system's choice, so ones that were free a moment ago have to do:
        // at an address where nobody else asks for any.
        let here = match cfg!(target_os = "linux") {
            true => Ipv4Addr::new(127, 99, 1, 1),
            false => Ipv4Addr::LOCALHOST,
        };
        let free = [(); 2].map(|()| TcpListener::bind((here, 0)).unwrap());
        let [grpc, http] = free.map(|free| free.local_addr().unwrap().to_string());
        let mut collector = tokio::process::Command::new(program);
        collector
            .args(["start", "--exporter", "blackhole"])
            .args(["--otlp-grpc-endpoint", &grpc, "--otlp-http-endpoint", &http])
            .args(["--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .stdout(fs::File::create(folder.path().join("spans")).unwrap())
            .stderr(Stdio::null())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let collector = collector.spawn().unwrap();
        eventually(async || TcpStream::connect(&grpc).await.ok()).await;
        Collector {
            address: format!("http://{grpc}"),
            _program: collector,
            folder,
        }
    }

    /// All that it has printed.
    pub(crate) fn printed(&self) -> String {
        fs::read_to_string(self.folder.path().join("spans")).unwrap()
    }
}

/// A span as the collector prints it.
#[derive(Clone, Debug, Default)]
struct Span {
    trace: String,
    parent: String,
    id: String,
    name: String,
    kind: String,
    links: Vec<String>,
    attributes: HashMap<String, String>,
}

fn spans(printed: &str) -> Vec<Span> {
    let blocks = printed.split("\nSpan #").skip(1);
    blocks
        .map(|block| {
            let mut span = Span::default();
            let mut in_links = false;
            // The next resource begins with attributes of its own.
            let block = block.split("ResourceSpans #").next().unwrap();
            for line in block.lines() {
                in_links |= line == "Links:";
                let line = line.trim().trim_start_matches("-> ");
                let Some((name, value)) = line.split_once(':') else {
                    continue;
                };
                let value = value.trim().to_owned();
                match name.trim() {
                    "ID" if in_links => span.links.push(value),
                    _ if in_links => {}
                    "Trace ID" => span.trace = value,
                    "Parent ID" => span.parent = value,
                    "ID" => span.id = value,
                    "Name" => span.name = value,
                    "Kind" => span.kind = value,
                    name => {
                        span.attributes.insert(name.to_owned(), value);
                    }
                }
            }
            span
        })
        .collect()
}

fn is_call(span: &&Span) -> bool {
    span.name.ends_with("ArchiveService/ArchiveOrder")
}

/// The first call, as soon as it is known how it ended.
fn first_call(spans: &[Span]) -> Option<&Span> {
    let of = |span: &Span, name: &str| span.attributes.get(name).cloned().unwrap_or_default();
    let mut calls = spans.iter().filter(is_call);
    calls.find(|span| {
        of(span, "request_id").contains("call-1") && !of(span, "rpc.grpc.status_code").is_empty()
    })
}

/// The spans right below one.
fn below<'s>(spans: &'s [Span], id: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.parent == id).collect()
}

/// Whether all is there that the test looks at: both calls with what they link to, and of the first
/// one the steps of its chunk.
fn is_whole(spans: &[Span]) -> bool {
    let known: HashSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    let has_links = |call: &&Span| {
        let mut links = call.links.iter();
        !call.links.is_empty() && links.all(|link| known.contains(link.as_str()))
    };
    let calls = spans.iter().filter(is_call).filter(has_links).count();
    let chunks = first_call(spans).into_iter().flat_map(|call| &call.links);
    let mut chunks = chunks.flat_map(|callers| below(spans, callers));
    let has_steps = |chunk: &Span| {
        let steps = below(spans, &chunk.id);
        let is_there = |name: &str| steps.iter().any(|step| step.name == name);
        STEPS.into_iter().all(is_there)
    };
    calls == 2 && chunks.any(has_steps)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_a_span_that_links_to_its_chunk_whose_steps_are_spans() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const CALLER: &str = "00f067aa0ba902b7";
    let collector = Collector::start().await;
    let set = devkit::ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let client =
        doc! { "id_client": 1, "nom_client": "Zoé Martin", "email_client": "zoe@example.fr" };
    database
        .collection("Client")
        .insert_one(client)
        .await
        .unwrap();
    let commande = database.collection("Commande");
    commande.insert_many(orders(3)).await.unwrap();
    let mut bad = order("BAD");
    bad.insert("_id", "x".repeat(1_100_000));
    bad.insert("adresse", "3 rue des Lilas");
    commande.insert_one(bad).await.unwrap();
    let to = format!("--otlp-endpoint={}", collector.address);
    let arguments = [
        "serve",
        "--schedule=off",
        "--watch=false",
        &to,
        "--log-format=ecs",
    ];
    let mut program = Program::start(&set.uri(), &database, &arguments);
    let line = program.says("listens").await;
    let address = format!("http://{}", text(&line["labels"], "address"));
    program.says("the database is ready").await;
    let mut archive = within(ArchiveServiceClient::connect(address))
        .await
        .unwrap();
    for (numero, id) in [("CMD-2025-000001", "call-1"), ("BAD", "call-2")] {
        let mut request = Request::new(pb::ArchiveOrderRequest {
            numero_commande: numero.to_owned(),
        });
        let traceparent = format!("00-{TRACE}-{CALLER}-01");
        let metadata = request.metadata_mut();
        metadata.insert("traceparent", traceparent.parse().unwrap());
        metadata.insert(REQUEST_ID, id.parse().unwrap());
        let _ = archive.archive_order(request).await;
    }
    drop(archive);
    // Before it is told to stop: from then on it waits for the collector only a little. The collector
    // prints one span after the other, those that a call links to perhaps after it.
    let mut last = Vec::new();
    let waiting = eventually(async || {
        last = spans(&collector.printed());
        is_whole(&last).then_some(())
    });
    let waited = tokio::time::timeout(PATIENCE * 3 / 4, waiting).await;
    waited.unwrap_or_else(|_| panic!("{last:#?}"));
    let spans = last;
    signal(&program.child, "TERM");
    let (code, lines) = program.end().await;
    assert_eq!(code, Some(0), "{lines:#?}");

    let call = first_call(&spans).unwrap();
    assert_eq!(
        (call.trace.as_str(), call.parent.as_str()),
        (TRACE, CALLER),
        "{call:?}"
    );
    assert_eq!(call.kind, "SPAN_KIND_SERVER", "{call:?}");
    assert!(
        call.attributes["rpc.grpc.status_code"].contains('0'),
        "{call:?}"
    );
    let named = |id: &str| spans.iter().find(|span| span.id == id);
    let [link] = &call.links[..] else {
        panic!("{call:?}")
    };
    let callers = named(link).unwrap_or_else(|| panic!("{spans:#?}"));
    assert_eq!(callers.name, "callers");
    assert!(
        callers.trace != TRACE && callers.parent.is_empty(),
        "{callers:?}"
    );
    let [chunk] = below(&spans, &callers.id)[..] else {
        panic!("{spans:#?}")
    };
    assert_eq!(chunk.name, "chunk");
    let steps: HashSet<&str> = below(&spans, &chunk.id)
        .iter()
        .map(|span| span.name.as_str())
        .collect();
    assert_eq!(steps, STEPS.into_iter().collect());

    // What the log says in a call is found by its trace.
    let refused = lines
        .iter()
        .filter(|line| line["message"] == "an order went to quarantine");
    let traces: Vec<&str> = refused.map(|line| text(line, "trace.id")).collect();
    let known: HashSet<&str> = spans.iter().map(|span| span.trace.as_str()).collect();
    assert!(
        traces.len() == 1 && known.contains(traces[0]),
        "{traces:?} {known:?}"
    );

    let printed = collector.printed();
    for canary in PEOPLE {
        assert!(!printed.contains(canary), "{canary}: {printed}");
    }
}

#[tokio::test]
async fn a_collector_that_is_away_is_told_once_and_holds_nothing_up() {
    let set = devkit::ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    database
        .collection("Commande")
        .insert_many(orders(50))
        .await
        .unwrap();
    let arguments = [
        "batch",
        "--otlp-endpoint=http://127.0.0.1:1",
        "--chunk-size=5",
    ];
    let (code, lines) = Program::start(&set.uri(), &database, &arguments)
        .end()
        .await;
    assert_eq!(code, Some(0), "{lines:#?}");
    let told = crate::program::saying(&lines, "spans can't be sent to the collector");
    assert_eq!(told.len(), 1, "{lines:#?}");
}
