//! Whoever is removed from the file is gone at once: streams end, connections leave, and nobody
//! else notices.

use order_archiver_api::v1 as pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

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

#[tokio::test]
async fn an_idle_connection_of_the_removed_is_closed() {
    let [stays, leaves] = [line("stays", "read"), line("leaves", "read")];
    let identities = Identities::new(&[stays.clone(), leaves]);
    let server = identities.server().await;
    let socket = tokio::net::TcpStream::connect(server.address.trim_start_matches("http://")).await;
    let (mut client, connection) = h2::client::handshake(socket.unwrap()).await.unwrap();
    let mut connection = tokio::spawn(connection);
    let request = tonic::codegen::http::Request::post(format!(
        "{}/orderarchiver.v1.StatsService/GetStats",
        server.address
    ));
    let request = request
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header(
            "authorization",
            format!("Bearer {}", super::token("leaves")),
        );
    let (answer, mut body) = client
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    body.send_data(vec![0; 5].into(), true).unwrap();
    let answer = within(answer).await.unwrap();
    assert_eq!(answer.headers().get("grpc-status"), None, "{answer:?}");
    drop((answer, body));
    assert!(!connection.is_finished());
    identities.rewrite(&[stays]);
    within(&mut connection).await.unwrap().unwrap();
}
