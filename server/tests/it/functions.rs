//! `archd functions` is the custom handler of an Azure Functions app: the test plays the host. One
//! call is one batch, calls at once are one batch, and what fails is a failed invocation.

use std::net::SocketAddr;

use devkit::ReplicaSet;
use order_archiver_api::v1 as pb;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    process::{archd, run, settings_on, signal},
    program::{Program, text},
    support::{
        TestServer, eventually,
        http::{Answer, get, say},
        orders, within,
    },
};

/// A handler that runs, and where it answers.
struct Handler {
    program: Program,
    address: SocketAddr,
}

impl Handler {
    /// Starts one as the host does: by its environment alone.
    async fn start(settings: &[(&str, &str)], arguments: &[&str]) -> Handler {
        let own = [
            ("FUNCTIONS_CUSTOMHANDLER_PORT", "0"),
            ("FUNCTIONS_HTTPWORKER_PORT", "0"),
            ("ARCHD_LOG_FORMAT", "json"),
        ];
        let arguments = [&["functions"], arguments].concat();
        let mut program = Program::of(&mut archd(&arguments, &[settings, &own].concat()));
        let line = program
            .says("the host of Azure Functions is answered")
            .await;
        let address: SocketAddr = text(&line, "address").parse().unwrap();
        assert!(address.ip().is_loopback(), "{address}");
        Handler { program, address }
    }

    /// Calls the function as the host does when its timer fires.
    async fn call(&self) -> (u16, Value) {
        let answer = say(self.address, call("archd-batch", &timer()).as_bytes()).await;
        let told = serde_json::from_str(&answer.body);
        (answer.status, told.unwrap_or_else(|_| panic!("{answer:?}")))
    }

    /// Tells it to stop, as the host does.
    async fn stop(self) -> Option<i32> {
        signal(&self.program.child, "TERM");
        self.program.end().await.0
    }
}

/// What the host of the source sends for a timer trigger with the binding `timer`.
fn timer() -> String {
    json!({
        "Data": { "timer": {
            "Schedule": { "AdjustForDST": true },
            "ScheduleStatus": { "Last": "2026-11-27T01:00:00Z", "Next": "2026-11-28T01:00:00Z", "LastUpdated": "2026-11-27T01:00:00Z" },
            "IsPastDue": false,
        } },
        "Metadata": { "sys": { "MethodName": "archd-batch", "UtcNow": "2026-11-27T01:00:00Z", "RandGuid": "6b1f4d8e" } },
    })
    .to_string()
}

fn call(function: &str, body: &str) -> String {
    format!(
        "POST /{function} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nUser-Agent: Azure-Functions-Host/4\r\n\
         X-Azure-Functions-HostVersion: 4.0\r\nX-Azure-Functions-InvocationId: i-1\r\n\
         Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn logs(told: &Value) -> String {
    let lines = told["Logs"].as_array().unwrap().iter();
    lines
        .map(|line| line.as_str().unwrap().to_owned() + "\n")
        .collect()
}

#[tokio::test]
async fn a_call_is_a_batch_and_is_answered_with_its_statistics() {
    let server = TestServer::start().await;
    server.insert("Commande", orders(12)).await;
    let settings = settings_on(server.database.name(), &[]).await;
    let mut handler = Handler::start(&settings, &[]).await;
    let ready = get(handler.address, "/").await;
    assert_eq!(ready.status, 200, "{ready:?}");

    let (status, told) = handler.call().await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["Outputs"], json!({}));
    assert!(told.as_object().unwrap()["ReturnValue"].is_null());
    let said = logs(&told);
    assert!(said.contains("succeeded") && said.contains("12"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
    server.archived(12).await;
    let called = handler.program.says("called").await;
    assert_eq!(text(&called, "invocation"), "i-1");
    assert_eq!(text(&called, "function"), "archd-batch");

    // The next one finds nothing to do, and that is no failure.
    let (status, told) = handler.call().await;
    assert_eq!(status, 200, "{told}");
    let batches = server.list_batches(pb::ListBatchesRequest::default()).await;
    assert_eq!(batches.batches.len(), 2, "{batches:?}");
    let bound = batches.batches[0].options.as_ref().unwrap().max_runtime;
    assert_eq!(
        bound.unwrap().seconds,
        240,
        "a batch ends before the host's patience"
    );
    assert_eq!(handler.stop().await, Some(0));
    // It leaves nothing behind.
    assert_eq!(server.instances().await.len(), 1);
    server.shut_down().await;
}

#[tokio::test]
async fn calls_at_once_join_one_batch_and_one_that_leaves_ends_none() {
    let server = TestServer::start().await;
    server.insert("Commande", orders(60)).await;
    let slow = [("ARCHD_MAX_RATE", "20")];
    let settings = settings_on(server.database.name(), &slow).await;
    let mut handler = Handler::start(&settings, &[]).await;
    // A host that hangs up when it has waited for long enough.
    let mut gone = TcpStream::connect(handler.address).await.unwrap();
    let asked = call("archd-batch", &timer());
    gone.write_all(asked.as_bytes()).await.unwrap();
    handler.program.says("called").await;
    drop(gone);
    let answers = within(async { tokio::join!(handler.call(), handler.call()) }).await;
    let (first, second) = answers;
    assert_eq!(first.0, 200, "{first:?}");
    assert_eq!(first, second);
    server.archived(60).await;
    let batches = server.list_batches(pb::ListBatchesRequest::default()).await;
    assert_eq!(batches.batches.len(), 1, "{batches:?}");
    assert_eq!(handler.stop().await, Some(0));
    server.shut_down().await;
}

#[tokio::test]
async fn a_call_follows_the_batch_that_another_instance_runs() {
    let server = TestServer::start().await;
    server.insert("Commande", orders(60)).await;
    let asked = pb::BatchOptions {
        max_runtime: Some(prost_types::Duration {
            seconds: 240,
            nanos: 0,
        }),
        max_orders_per_second: Some(20),
        ..pb::BatchOptions::default()
    };
    let (running, _) = server.start_batch(asked, "").await.unwrap();
    let settings = settings_on(server.database.name(), &[]).await;
    let handler = Handler::start(&settings, &[]).await;
    let (status, told) = handler.call().await;
    assert_eq!(status, 200, "{told}");
    assert!(logs(&told).contains(&running.id), "{told}");
    assert_eq!(handler.stop().await, Some(0));
    server.shut_down().await;
}

#[tokio::test]
async fn what_fails_is_a_failed_invocation_with_the_reason() {
    let nowhere = [("MONGODB_URI", "mongodb://127.0.0.1:1/")];
    let handler = Handler::start(&nowhere, &["--wait", "300ms"]).await;
    let (status, told) = handler.call().await;
    assert_eq!(status, 500, "{told}");
    let said = logs(&told);
    assert!(said.contains("the database can't be reached"), "{said}");
    assert!(said.contains("would have left with code 4"), "{said}");
    assert_eq!(handler.stop().await, Some(0));

    // A handler that is stopped cancels its batch, and says so to the host.
    let server = TestServer::start().await;
    server.insert("Commande", orders(500)).await;
    let slow = [("ARCHD_MAX_RATE", "5")];
    let settings = settings_on(server.database.name(), &slow).await;
    let handler = Handler::start(&settings, &[]).await;
    let stop = async {
        let runs = |all: &[pb::Instance]| all.iter().any(|it| !it.batch_id.is_empty());
        eventually(async || runs(&server.instances().await).then_some(())).await;
        signal(&handler.program.child, "TERM");
    };
    let ((status, told), ()) = within(async { tokio::join!(handler.call(), stop) }).await;
    assert_eq!(status, 500, "{told}");
    assert!(
        logs(&told).contains("would have left with code 130"),
        "{told}"
    );
    assert_eq!(handler.program.end().await.0, Some(0));
    let batches = server.list_batches(pb::ListBatchesRequest::default()).await;
    assert_eq!(batches.batches[0].state(), pb::BatchState::Cancelled);
    server.shut_down().await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_leaves_the_batch_of_another_instance_alone() {
    let server = TestServer::start().await;
    server.insert("Commande", orders(500)).await;
    // It does more than is asked here, so it is only waited for.
    let slow = pb::BatchOptions {
        max_orders_per_second: Some(1),
        ..pb::BatchOptions::default()
    };
    let (running, _) = server.start_batch(slow, "").await.unwrap();
    let settings = settings_on(server.database.name(), &[]).await;
    // And ten seconds, in which a batch of its own would save its place.
    let most = ["--wait=2s", "--max-runtime=1ms"];
    let handler = Handler::start(&settings, &most).await;
    let (status, told) = handler.call().await;
    assert_eq!(status, 500, "{told}");
    let (_, already) = server
        .start_batch(pb::BatchOptions::default(), "")
        .await
        .unwrap();
    assert!(already, "the batch goes on");
    let cancel = pb::CancelBatchRequest { id: running.id };
    server.batches().cancel_batch(cancel).await.unwrap();
    assert_eq!(handler.stop().await, Some(0));
    server.shut_down().await;
}

#[tokio::test]
async fn what_is_no_call_of_the_host_is_refused_and_runs_nothing() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let settings = settings_on(database.name(), &[]).await;
    let handler = Handler::start(&settings, &[]).await;
    let good = call("f", &timer());
    let large = "x".repeat(300 * 1024);
    let of_a_page = good.replacen("User-Agent", "Origin: https://example.com\r\nUser-Agent", 1);
    let table = [
        (call("f", "not JSON"), 400),
        (call("f", "{}"), 400),
        (call("f", "[]"), 400),
        (call("f", &large), 413),
        (call("a/b", &timer()), 404),
        (good.replacen("POST", "GET", 1), 405),
        (
            good.replacen("Host: 127.0.0.1", "Host: rebound.example", 1),
            403,
        ),
        (of_a_page, 403),
    ];
    for (request, status) in table {
        let answer: Answer = say(handler.address, request.as_bytes()).await;
        assert_eq!(answer.status, status, "{answer:?} to {}", &request[..60]);
    }
    assert_eq!(handler.stop().await, Some(0));
    let left = database.list_collection_names().await.unwrap();
    assert!(!left.iter().any(|name| name == "archd_batches"), "{left:?}");
}

#[tokio::test]
async fn a_handler_without_a_port_says_where_it_comes_from() {
    let (code, _, said) = run(&["functions"], &[]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--port <PORT>"), "{said}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, _, said) = run(&["functions", "--port", &port], &[]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("FUNCTIONS_CUSTOMHANDLER_PORT"), "{said}");
}
