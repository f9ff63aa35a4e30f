//! Whoever is removed from the file is gone at once: streams end, connections leave, and nobody
//! else notices.

use order_archiver_api::v1 as pb;
use tokio::{net::TcpStream, sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Status, Streaming,
    codegen::{Bytes, http},
    transport::Channel,
};

use super::{Identities, line, of};
use crate::support::{TestServer, eventually, faults, within};

async fn connect(server: &TestServer) -> Channel {
    let endpoint = Channel::from_shared(server.address.clone()).unwrap();
    within(endpoint.connect()).await.unwrap()
}

/// The news from now on, once the first message is there.
async fn news(channel: &Channel, name: &str) -> Streaming<pb::TailEventsResponse> {
    let mut client = pb::event_service_client::EventServiceClient::new(channel.clone());
    let request = of(name, pb::TailEventsRequest::default());
    let mut news = within(client.tail_events(request))
        .await
        .unwrap()
        .into_inner();
    within(news.message()).await.unwrap().unwrap();
    news
}

async fn end<M>(stream: &mut Streaming<M>) -> Status {
    within(async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a clean end says nothing of the removal"),
                Err(status) => return status,
            }
        }
    })
    .await
}

fn assert_removed(status: &Status) {
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert_eq!(faults(status).0, "UNAUTHENTICATED", "{status:?}");
    assert!(status.message().contains("no longer known"), "{status:?}");
}

#[tokio::test]
async fn streams_of_the_removed_end_and_those_of_others_go_on() {
    let [stays, leaves] = [line("stays", "operate"), line("leaves", "operate")];
    let identities = Identities::new(&[stays.clone(), leaves]);
    let server = identities.server().await;
    let (own, shared) = (connect(&server).await, connect(&server).await);
    let mut ends = news(&own, "leaves").await;
    let mut ends_too = news(&shared, "leaves").await;
    let mut goes_on = news(&server.channel, "stays").await;
    // A stream of requests, which waits for the next.
    let (_asking, requests) = mpsc::channel(1);
    let mut archive = pb::archive_service_client::ArchiveServiceClient::new(own.clone());
    let orders = of("leaves", ReceiverStream::new(requests));
    let mut orders = within(archive.archive_orders(orders))
        .await
        .unwrap()
        .into_inner();

    identities.rewrite(&[stays]);
    assert_removed(&end(&mut ends).await);
    assert_removed(&end(&mut ends_too).await);
    assert_removed(&end(&mut orders).await);
    let mut stats = pb::stats_service_client::StatsServiceClient::new(own);
    eventually(async || {
        let again = stats
            .get_stats(of("leaves", pb::GetStatsRequest::default()))
            .await;
        (again.unwrap_err().code() == Code::Unauthenticated).then_some(())
    })
    .await;
    // What happens next, the other is told of on the stream that it has.
    let batches = pb::batch_service_client::BatchServiceClient::new(server.channel.clone());
    let started = { batches }
        .start_batch(of("stays", pb::StartBatchRequest::default()))
        .await;
    started.unwrap();
    within(async { while goes_on.message().await.unwrap().unwrap().event.is_none() {} }).await;
}

#[tokio::test]
async fn who_loses_a_right_loses_what_it_was_for() {
    let identities = Identities::new(&[line("somebody", "read,archive")]);
    let server = identities.server().await;
    let mut read = news(&server.channel, "somebody").await;
    identities.rewrite(&[line("somebody", "archive")]);
    assert_removed(&end(&mut read).await);
    let mut stats = pb::stats_service_client::StatsServiceClient::new(connect(&server).await);
    let read = stats
        .get_stats(of("somebody", pb::GetStatsRequest::default()))
        .await;
    assert_eq!(read.unwrap_err().code(), Code::PermissionDenied);
}

/// A connection of somebody's, on which a call has begun whose request is still to come.
async fn begun(
    server: &TestServer,
    name: &str,
    method: &str,
) -> (
    JoinHandle<Result<(), h2::Error>>,
    h2::client::ResponseFuture,
    h2::SendStream<Bytes>,
) {
    let socket = TcpStream::connect(server.address.trim_start_matches("http://")).await;
    let (mut client, connection) = h2::client::handshake(socket.unwrap()).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::post(format!("{}/orderarchiver.v1.{method}", server.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", super::token(name)));
    let (answer, body) = client
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    (connection, answer, body)
}

#[tokio::test]
async fn a_request_that_comes_after_the_removal_is_refused() {
    let [stays, leaves] = [line("stays", "operate"), line("leaves", "operate")];
    let identities = Identities::new(&[stays.clone(), leaves]);
    let server = identities.server().await;
    let (_connection, answer, mut body) = begun(&server, "leaves", "BatchService/StartBatch").await;
    // The server has heard its head once it has answered what came after it.
    let mut stats = pb::stats_service_client::StatsServiceClient::new(connect(&server).await);
    let mut ask = async |name| {
        let asked = stats.get_stats(of(name, pb::GetStatsRequest::default()));
        asked.await
    };
    ask("leaves").await.unwrap();
    identities.rewrite(&[stays]);
    eventually(async || {
        let again = ask("leaves").await;
        (again.is_err_and(|refused| refused.code() == Code::Unauthenticated)).then_some(())
    })
    .await;
    body.send_data(vec![0; 5].into(), true).unwrap();
    let answer = within(answer).await.unwrap();
    assert_eq!(answer.headers().get("grpc-status").unwrap(), "16");
    assert!(server.all("archd_batches").await.is_empty());
}

#[tokio::test]
async fn an_idle_connection_of_the_removed_is_closed() {
    let [stays, leaves] = [line("stays", "read"), line("leaves", "read")];
    let identities = Identities::new(&[stays.clone(), leaves]);
    let server = identities.server().await;
    let (mut connection, answer, mut body) =
        begun(&server, "leaves", "StatsService/GetStats").await;
    body.send_data(vec![0; 5].into(), true).unwrap();
    let answer = within(answer).await.unwrap();
    assert_eq!(answer.headers().get("grpc-status"), None, "{answer:?}");
    drop((answer, body));
    assert!(!connection.is_finished());
    identities.rewrite(&[stays]);
    within(&mut connection).await.unwrap().unwrap();
}
