//! Memory: requests that never end and answers that nobody reads hold a bounded amount of it, for a
//! bounded time.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bson::doc;
use devkit::ReplicaSet;
use futures::future::join_all;
use http_body::Frame;
use mongodb::Database;
use order_archiver_api::v1 as pb;
use pb::{
    archive_service_client::ArchiveServiceClient, event_service_client::EventServiceClient,
    quarantine_service_client::QuarantineServiceClient, tail_events_request::Start,
};
use prost::Message;
use tokio::time::{sleep, timeout};
use tonic::{Code, Status, body::Body, codegen::Bytes, transport::Channel};

use crate::{
    child::Server,
    process::settings_on,
    support::{faults, order, within},
};

/// The most memory that `archd` may hold under each of these attacks, in MiB.
const MOST: u64 = 448;

/// A request's body that comes in parts and never ends.
struct Unfinished {
    parts: usize,
    head: Bytes,
}

impl http_body::Body for Unfinished {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let head = std::mem::take(&mut self.head);
        if !head.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        if self.parts == 0 {
            return Poll::Pending;
        }
        self.parts -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'x'; 64 * 1024])))))
    }
}

/// Calls an RPC with this body, whatever its bytes.
async fn call(channel: &Channel, path: &str, body: Body) -> Result<http::Response<Body>, String> {
    use tonic::client::GrpcService;
    let mut channel = channel.clone();
    let request = http::Request::post(format!("http://archd{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap();
    std::future::poll_fn(|cx| GrpcService::<Body>::poll_ready(&mut channel, cx))
        .await
        .map_err(|error| error.to_string())?;
    GrpcService::call(&mut channel, request)
        .await
        .map_err(|error| error.to_string())
}

async fn started(database: &Database) -> Server {
    let settings = settings_on(database.name(), &[]).await;
    Server::start(4096, &settings).await
}

async fn database() -> Database {
    ReplicaSet::shared()
        .await
        .unwrap()
        .fresh_database()
        .await
        .unwrap()
}

/// That a caller with a small request gets its answer soon.
async fn serves(server: &Server) {
    let mut client = ArchiveServiceClient::new(server.connect().await);
    let request = pb::ArchiveOrderRequest {
        numero_commande: "CMD-1".to_owned(),
    };
    let asking = timeout(Duration::from_secs(5), client.archive_order(request));
    let status = asking.await.expect("a caller was shut out").unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_never_end_hold_little_and_not_for_long() {
    let server = started(&database().await).await;
    let paths = [
        "/orderarchiver.v1.ArchiveService/ArchiveOrder",
        "/orderarchiver.v1.QuarantineService/RetryQuarantined",
        "/orderarchiver.v1.EventService/TailEvents",
        "/orderarchiver.v1.ArchiveService/ArchiveOrders",
    ];
    let channels = join_all((0..8).map(|_| server.connect())).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..512 {
        let (channel, path) = (channels[number % 8].clone(), paths[number / 8 % 4]);
        // 4 MiB less a little, as its head says.
        let mut head = vec![0];
        head.extend((4_194_304_u32 - 64).to_be_bytes());
        let body = Unfinished {
            parts: 63,
            head: head.into(),
        };
        calls.spawn(async move { call(&channel, path, Body::new(body)).await });
    }
    sleep(Duration::from_secs(4)).await;
    serves(&server).await;
    let peak = server.peak_memory();
    println!("{peak} MiB at most");
    assert!(peak < MOST, "{peak} MiB");
    // Each of them is answered, with an error, though none of them ever ends.
    let ended = timeout(Duration::from_secs(20), async {
        while let Some(call) = calls.join_next().await {
            let _ = call.unwrap();
        }
    });
    ended
        .await
        .expect("a request that never ends is waited for without an end");
    serves(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = started(&database().await).await;
    let channel = server.connect().await;
    let bodies: [&'static [u8]; 3] = [b"\0", b"\0\0\0\0\x10", b"\0\0\0\0\x10\x0a\x0eCMD"];
    join_all(bodies.map(async |head| {
        let body = Unfinished {
            parts: 0,
            head: Bytes::from_static(head),
        };
        let path = "/orderarchiver.v1.ArchiveService/GetArchivedOrder";
        let calling = timeout(
            Duration::from_secs(20),
            call(&channel, path, Body::new(body)),
        );
        let answer = calling.await.expect("it waits for ever").unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        assert_eq!(faults(&status).0, "DEADLINE");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_hold_little_and_not_for_long() {
    let database = database().await;
    let mut large = order("CMD-LARGE");
    large.insert("notes", "x".repeat(2_900_000));
    database
        .collection("Historique")
        .insert_one(large)
        .await
        .unwrap();
    let quarantined = "x".repeat(2_900_000);
    let server = started(&database).await;
    quarantine(&server, &database, quarantined).await;
    let lists: [(&str, Vec<u8>); 3] = [
        (
            "/orderarchiver.v1.ArchiveService/GetArchivedOrder",
            pb::GetArchivedOrderRequest {
                numero_commande: "CMD-LARGE".to_owned(),
            }
            .encode_to_vec(),
        ),
        (
            "/orderarchiver.v1.ArchiveService/ListArchivedOrders",
            pb::ListArchivedOrdersRequest {
                with_documents: true,
                ..Default::default()
            }
            .encode_to_vec(),
        ),
        (
            "/orderarchiver.v1.QuarantineService/ListQuarantined",
            pb::ListQuarantinedRequest {
                with_documents: true,
                ..Default::default()
            }
            .encode_to_vec(),
        ),
    ];
    let mut channels = Vec::new();
    for _ in 0..10 {
        let endpoint = Channel::from_shared(format!("http://{}", server.address)).unwrap();
        let endpoint = endpoint.initial_stream_window_size(65_535);
        channels.push(endpoint.connect().await.unwrap());
    }
    let calls = (0..400).map(|number| {
        let (path, message) = &lists[number % 3];
        let mut body = vec![0];
        body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend(message);
        let body = Unfinished {
            parts: 0,
            head: body.into(),
        };
        // A body that ends: what follows the request is nothing.
        let body = Body::new(Finished(Some(body)));
        call(&channels[number % 10], path, body)
    });
    let unread: Vec<_> = timeout(Duration::from_secs(40), join_all(calls))
        .await
        .unwrap();
    let given = unread.iter().flatten();
    let given = given.filter(|answer| Status::from_header_map(answer.headers()).is_none());
    println!("{} of 400 answers were begun", given.count());
    serves(&server).await;
    let peak = server.peak_memory();
    println!("{peak} MiB at most");
    assert!(peak < MOST, "{peak} MiB");

    // What is small is told meanwhile.
    let mut quarantine = QuarantineServiceClient::new(server.connect().await);
    let listed = quarantine.list_quarantined(pb::ListQuarantinedRequest::default());
    assert_eq!(within(listed).await.unwrap().into_inner().entries.len(), 1);

    // While none of them is read, somebody who reads gets the same large answer before long.
    let mut client =
        ArchiveServiceClient::new(server.connect().await).max_decoding_message_size(16 << 20);
    within(async {
        loop {
            let request = pb::GetArchivedOrderRequest {
                numero_commande: "CMD-LARGE".to_owned(),
            };
            match client.get_archived_order(request).await {
                Ok(answer) => {
                    let order = answer.into_inner().order.unwrap();
                    assert!(order.document_json.len() > 2_900_000);
                    return;
                }
                Err(status) => {
                    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                    assert_eq!(faults(&status).0, "LIMIT_REACHED");
                }
            }
            sleep(Duration::from_millis(500)).await;
        }
    })
    .await;
    drop(unread);
}

/// A body that ends after its head.
struct Finished(Option<Unfinished>);

impl http_body::Body for Finished {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let head = self.0.take().map(|body| body.head);
        Poll::Ready(head.map(|head| Ok(Frame::data(head))))
    }
}

/// Has an order of that much text put into quarantine: its number is no text.
async fn quarantine(server: &Server, database: &Database, text: String) {
    use pb::batch_service_client::BatchServiceClient;
    let mut bad = order(5);
    bad.insert("notes", text);
    database
        .collection("Commande")
        .insert_one(bad)
        .await
        .unwrap();
    let mut batches = BatchServiceClient::new(server.connect().await);
    let request = pb::StartBatchRequest::default();
    let batch = batches
        .start_batch(request)
        .await
        .unwrap()
        .into_inner()
        .batch
        .unwrap();
    let request = pb::WatchBatchRequest { id: batch.id };
    let states = batches.watch_batch(request).await.unwrap().into_inner();
    let batch = crate::support::last(states).await.batch.unwrap();
    assert_eq!(batch.counts.unwrap().errors, 1);
    let kept = database.collection::<bson::Document>("archd_quarantine");
    assert_eq!(kept.count_documents(doc! {}).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_without_documents_that_nobody_reads_hold_little_too() {
    let database = database().await;
    let server = started(&database).await;
    quarantine(&server, &database, String::new()).await;
    list_much_of_batches(&database).await;
    let mut channels = Vec::new();
    for _ in 0..10 {
        let endpoint = Channel::from_shared(format!("http://{}", server.address)).unwrap();
        let endpoint = endpoint.initial_stream_window_size(65_535);
        channels.push(endpoint.connect().await.unwrap());
    }
    let path = "/orderarchiver.v1.BatchService/ListBatches";
    let mut unread = Vec::new();
    for _ in 0..20 {
        let calls = channels.iter().map(|channel| {
            let body = Unfinished {
                parts: 0,
                head: Bytes::from_static(b"\0\0\0\0\0"),
            };
            call(channel, path, Body::new(Finished(Some(body))))
        });
        unread.extend(within(join_all(calls)).await);
    }
    let answers = unread.iter().flatten();
    let statuses = answers.map(|answer| Status::from_header_map(answer.headers()));
    let (refused, begun): (Vec<_>, Vec<_>) = statuses.partition(Option::is_some);
    println!("{} of 200 answers were begun", begun.len());
    assert!(!begun.is_empty());
    for status in refused.into_iter().flatten() {
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert_eq!(faults(&status).0, "LIMIT_REACHED");
    }
    serves(&server).await;
    let peak = server.peak_memory();
    println!("{peak} MiB at most");
    assert!(peak < MOST, "{peak} MiB");
}

/// Has batches of which there is as much to say as an answer carries.
async fn list_much_of_batches(database: &Database) {
    let batches = database.collection::<bson::Document>("archd_batches");
    let mut batch = batches.find_one(doc! {}).await.unwrap().unwrap();
    batch.insert("warnings", vec!["x".repeat(1_000); 500]);
    for number in 0..7 {
        batch.insert("_id", format!("b-{number}"));
        batches.insert_one(&batch).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_of_orders_with_long_ids_that_nobody_reads_hold_little_too() {
    const EVENTS: usize = 16;
    let database = database().await;
    let server = started(&database).await;
    let mut client =
        EventServiceClient::new(server.connect().await).max_decoding_message_size(16 << 20);
    let news = client.tail_events(pb::TailEventsRequest::default()).await;
    let mut news = news.unwrap().into_inner();
    let start = within(news.message()).await.unwrap().unwrap().cursor;
    let mut channels = Vec::new();
    for _ in 0..10 {
        let endpoint = Channel::from_shared(format!("http://{}", server.address)).unwrap();
        let endpoint = endpoint.initial_stream_window_size(65_535);
        channels.push(endpoint.connect().await.unwrap());
    }
    let tails = async |start: Option<Start>, count: usize| {
        let message = pb::TailEventsRequest {
            start,
            ..Default::default()
        };
        let message = message.encode_to_vec();
        let mut body = vec![0];
        body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        body.extend(message);
        let calls = (0..count).map(|number| {
            let body = Unfinished {
                parts: 0,
                head: Bytes::from(body.clone()),
            };
            let path = "/orderarchiver.v1.EventService/TailEvents";
            let body = Body::new(Finished(Some(body)));
            call(&channels[number % 10], path, body)
        });
        within(join_all(calls)).await
    };
    // Those who listen, and those who come later and begin before all of it.
    let listening = tails(None, 24).await;
    let began = std::time::Instant::now();
    let long = |number: usize| doc! { "_id": format!("{number:02}{}", "x".repeat(1_000_000)), "numero_commande": format!("LONG-{number}") };
    let archive = database.collection::<bson::Document>("Historique");
    let archived: Vec<bson::Document> = (0..EVENTS).map(long).collect();
    archive.insert_many(archived).await.unwrap();
    // Whoever comes while others read much for themselves may have to ask again.
    let mut late = Vec::new();
    while late.len() < 2 {
        let from_start = Some(Start::Cursor(start.clone()));
        let answers = tails(from_start, 1).await.into_iter();
        late.extend(answers.filter(|answer| {
            Status::from_header_map(answer.as_ref().unwrap().headers()).is_none()
        }));
    }
    println!("who comes late was let in after {:?}", began.elapsed());
    for answer in listening.iter().chain(&late) {
        let status = Status::from_header_map(answer.as_ref().unwrap().headers());
        assert!(status.is_none(), "{status:?}");
    }
    // Who reads is told all of it, once.
    let mut told = Vec::new();
    while told.len() < EVENTS {
        let message = within(news.message()).await.unwrap().unwrap();
        if let Some(pb::tail_events_response::Event::Order(order)) = message.event {
            told.push(order.numero_commande);
        }
    }
    let all: Vec<String> = (0..EVENTS).map(|number| format!("LONG-{number}")).collect();
    assert_eq!(told, all);
    println!("all was told after {:?}", began.elapsed());
    sleep(Duration::from_secs(4)).await;
    serves(&server).await;
    let peak = server.peak_memory();
    println!("{peak} MiB at most");
    assert!(peak < 400, "{peak} MiB");
    drop((listening, late));
}
