//! Each call has an id, its caller's or one that is made: in the answer, in the details of an
//! error, and on the lines that the call logs.

use order_archiver_api::{REQUEST_ID, v1 as pb};
use pb::{
    archive_service_client::ArchiveServiceClient, batch_service_client::BatchServiceClient,
    event_service_client::EventServiceClient,
};
use serde_json::Value;
use tonic::{Request, Status, metadata::MetadataMap};
use tonic_types::StatusExt;

use crate::{
    faults::fresh,
    process::signal,
    program::{Program, saying},
    support::{TestServer, order, orders, within},
};

fn named<M>(id: &str, message: M) -> Request<M> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert(REQUEST_ID, id.parse().unwrap());
    request
}

fn archive_order(numero: &str) -> pb::ArchiveOrderRequest {
    pb::ArchiveOrderRequest {
        numero_commande: numero.to_owned(),
    }
}

fn id_in(metadata: &MetadataMap) -> &str {
    metadata.get(REQUEST_ID).unwrap().to_str().unwrap()
}

/// The id of a call that failed, which its metadata and its details agree on.
fn id_of_error(error: &Status) -> String {
    let info = error.get_details_request_info().unwrap();
    assert_eq!(info.request_id, id_in(error.metadata()), "{error:?}");
    info.request_id
}

#[tokio::test]
async fn an_answer_bears_the_id_of_its_call_whether_it_is_an_error_or_not() {
    let server = TestServer::start().await.with_references().await;
    server.insert("Commande", orders(1)).await;
    let mut client = server.archive();
    let answer = client.archive_order(named("mine-1", archive_order("CMD-2025-000001")));
    assert_eq!(id_in(answer.await.unwrap().metadata()), "mine-1");
    let refused = client.archive_order(named("mine-2", archive_order("")));
    let refused = refused.await.unwrap_err();
    assert_eq!(id_of_error(&refused), "mine-2");
    // All that came with the error is there beside it.
    assert_eq!(
        refused.get_details_error_info().unwrap().reason,
        "INVALID_FIELD"
    );
    assert!(refused.get_details_bad_request().is_some(), "{refused:?}");
    assert_eq!(
        refused.metadata().get("error-reason").unwrap(),
        "INVALID_FIELD"
    );

    // The transport's own refusals too: a message that is too large, and no such method.
    let large = archive_order(&"9".repeat(1 << 20));
    let refused = client.archive_order(named("mine-3", large)).await;
    assert_eq!(id_of_error(&refused.unwrap_err()), "mine-3");

    let made: Vec<String> = {
        let mut made = Vec::new();
        for given in ["", "two words", &"x".repeat(129)] {
            let answer = client.archive_order(named(given, archive_order("CMD-2025-000001")));
            made.push(id_in(answer.await.unwrap().metadata()).to_owned());
        }
        made
    };
    for id in &made {
        assert!(uuid::Uuid::parse_str(id).is_ok(), "{id}");
    }
    assert!(made[0] != made[1] && made[1] != made[2], "{made:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn a_stream_that_ends_with_an_error_bears_the_id_of_its_call() {
    let server = TestServer::start().await;
    let mut events = EventServiceClient::new(server.channel.clone());
    let request = named("tail-1", pb::TailEventsRequest::default());
    let answer = within(events.tail_events(request)).await.unwrap();
    assert_eq!(id_in(answer.metadata()), "tail-1");
    let mut news = answer.into_inner();
    within(news.message()).await.unwrap().unwrap();
    server.stop.cancel();
    let farewell = within(async {
        loop {
            if let Err(farewell) = news.message().await {
                return farewell;
            }
        }
    });
    assert_eq!(id_of_error(&farewell.await), "tail-1");
}

/// The spans of a line, from the outermost in, by their names.
fn span<'a>(line: &'a Value, name: &str) -> Option<&'a Value> {
    let spans = line["spans"].as_array()?;
    spans.iter().find(|span| span["name"] == name)
}

#[tokio::test]
async fn the_lines_of_a_call_bear_its_id_and_those_of_what_it_started_do_not() {
    let set = devkit::ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let commande = database.collection("Commande");
    // One that can't be archived: its `_id` is too long.
    let mut bad = order("BAD");
    bad.insert("_id", "x".repeat(1_100_000));
    commande.insert_many([bad, order("GOOD")]).await.unwrap();
    // The filter lets the spans of no room through by itself.
    let filter = "--log=archd=info,archd::grpc::request_id=error,archd::coalescer=error";
    let arguments = ["serve", "--schedule=off", "--watch=false", filter];
    let mut program = Program::start(&set.uri(), &database, &arguments);
    let channel = program.serves().await;
    let mut archive = ArchiveServiceClient::new(channel.clone());
    let refused = archive.archive_order(named("call-1", archive_order("BAD")));
    let refused = refused.await.unwrap_err();
    let reason = refused.get_details_error_info().unwrap().reason;
    assert_eq!(reason, "QUARANTINED", "{refused:?}");
    let mut batches = BatchServiceClient::new(channel);
    let start = pb::StartBatchRequest::default();
    batches.start_batch(named("call-2", start)).await.unwrap();
    program.says("batch ended").await;
    signal(&program.child, "TERM");
    let (_, lines) = program.end().await;

    let [told] = saying(&lines, "an order went to quarantine")[..] else {
        panic!("{lines:#?}")
    };
    let callers = span(told, "callers").unwrap_or_else(|| panic!("{told}"));
    assert_eq!(callers["request_ids"], "call-1", "{told}");
    let [asked] = saying(&lines, "a batch was asked for")[..] else {
        panic!("{lines:#?}")
    };
    let call = span(asked, "call").unwrap_or_else(|| panic!("{asked}"));
    assert_eq!(call["request_id"], "call-2", "{asked}");
    let method = "orderarchiver.v1.BatchService/StartBatch";
    assert_eq!(call["method"], method, "{asked}");
    let [ended] = saying(&lines, "batch ended")[..] else {
        panic!("{lines:#?}")
    };
    assert!(
        span(ended, "batch").is_some() && span(ended, "call").is_none(),
        "{ended}"
    );
}

#[tokio::test]
async fn archctl_says_by_which_id_the_log_tells_of_its_call() {
    let server = TestServer::start().await;
    let ended = server.archctl("archive CMD-2025-000009").await;
    let (_, id) = ended
        .stderr
        .split_once("request id: ")
        .unwrap_or_else(|| panic!("{}", ended.stderr));
    let id = id.split(',').next().unwrap();
    assert!(uuid::Uuid::parse_str(id).is_ok(), "{}", ended.stderr);
    server.shut_down().await;
}
