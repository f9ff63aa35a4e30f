//! Streams of orders: every request is answered, in order, however many there are and however
//! slowly the answers are read.

use std::{future::poll_fn, time::Duration};

use futures::future::join_all;
use order_archiver_api::v1 as pb;
use pb::{archive_orders_response::Answer, archive_service_client::ArchiveServiceClient};
use prost::Message;
use tokio::{net::TcpStream, sync::mpsc, task::yield_now, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::{
    child::Server,
    load::how_many,
    support::{TestServer, within},
};

/// A connection that takes in little before it is read, as most clients' do.
async fn connect(address: &str) -> Channel {
    Channel::from_shared(address.to_owned())
        .unwrap()
        .initial_stream_window_size(65_535)
        .initial_connection_window_size(65_535)
        .connect()
        .await
        .unwrap()
}

/// Requests as they come from a program that sends each as soon as it has it: a frame for each.
fn requests(count: usize, numero: fn(usize) -> String) -> ReceiverStream<pb::ArchiveOrdersRequest> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for number in 0..count {
            let request = pb::ArchiveOrdersRequest {
                numero_commande: numero(number),
            };
            if sender.send(request).await.is_err() {
                return;
            }
            yield_now().await;
        }
    });
    ReceiverStream::new(receiver)
}

fn usual(number: usize) -> String {
    format!("CMD-2025-{number:06}")
}

/// Sends `count` requests, reads the first answers this slowly and the rest as fast as they come.
async fn ask(channel: Channel, count: usize, numero: fn(usize) -> String, slow: (usize, Duration)) {
    let mut client = ArchiveServiceClient::new(channel);
    let requests = requests(count, numero);
    let mut answers = client.archive_orders(requests).await.unwrap().into_inner();
    for number in 0..count {
        let answer = within(answers.message()).await;
        let answer = answer.unwrap_or_else(|fault| panic!("after {number} answers: {fault:?}"));
        let named = match answer.expect("an answer for each request").answer.unwrap() {
            Answer::Result(result) => result.numero_commande,
            Answer::Failure(failure) => failure.numero_commande,
        };
        assert_eq!(named, numero(number));
        if number < slow.0 {
            sleep(slow.1).await;
        }
    }
    assert_eq!(within(answers.message()).await.unwrap(), None);
}

const FAST: (usize, Duration) = (0, Duration::ZERO);

/// Sends requests in a frame each, as fast as the windows allow, and reads the answers as fast as
/// they come.
async fn ask_in_frames(server: &Server, count: usize) {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let path = "/orderarchiver.v1.ArchiveService/ArchiveOrders";
    let request = http::Request::post(format!("http://{}{path}", server.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (response, mut requests) = client.send_request(request, false).unwrap();
    let sending = async move {
        for number in 0..count {
            let message = pb::ArchiveOrdersRequest {
                numero_commande: usual(number),
            };
            let mut frame = vec![0];
            frame.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
            message.encode(&mut frame).unwrap();
            requests.reserve_capacity(frame.len());
            while requests.capacity() < frame.len() {
                poll_fn(|cx| requests.poll_capacity(cx))
                    .await
                    .unwrap()
                    .unwrap();
            }
            requests
                .send_data(frame.into(), number + 1 == count)
                .unwrap();
        }
    };
    tokio::spawn(sending);
    let mut answers = within(response).await.unwrap().into_body();
    let (mut read, mut rest) = (0, Vec::new());
    while let Some(part) = within(answers.data()).await {
        let part = part.unwrap_or_else(|fault| panic!("after {read} answers: {fault}"));
        answers.flow_control().release_capacity(part.len()).unwrap();
        rest.extend_from_slice(&part);
        let mut from = 0;
        while let Some(head) = rest[from..].first_chunk::<5>() {
            let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
            if rest.len() < from + 5 + length {
                break;
            }
            from += 5 + length;
            read += 1;
        }
        rest.drain(..from);
    }
    assert_eq!(read, count);
    let trailers = answers.trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_any_length_is_answered_as_fast_as_it_is_read() {
    // A process of its own, so that its memory is what the server holds and nothing else.
    let server = Server::fresh(1024, &[]).await;
    let address = format!("http://{}", server.address);
    ask(connect(&address).await, 5_000, usual, FAST).await;
    let count = how_many("REQUESTS", 60_000);
    let (before, start) = (server.peak_memory(), std::time::Instant::now());
    ask_in_frames(&server, count).await;
    let took = start.elapsed().as_secs_f64();
    let grown = server.peak_memory() - before;
    println!(
        "{count} requests in {took:.1} s, {:.0} a second; {grown} MiB more",
        count as f64 / took
    );
    assert!(grown < 64, "{grown} MiB more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_answered_to_the_end() {
    let server = TestServer::start().await;
    let readers = [1, 5, 20].map(async |millis| {
        let slow = (800 / millis as usize, Duration::from_millis(millis));
        ask(connect(&server.address).await, 20_000, usual, slow).await;
    });
    join_all(readers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_one_connection_may_all_be_read_late() {
    let server = TestServer::start().await;
    let channel = connect(&server.address).await;
    let late = (1, Duration::from_secs(3));
    join_all((0..16).map(|_| ask(channel.clone(), 6_000, usual, late))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_smallest_requests_are_answered_too() {
    let server = TestServer::start().await;
    for numero in [|_| String::new(), |number: usize| (number % 10).to_string()] {
        let late = (1, Duration::from_secs(2));
        ask(connect(&server.address).await, 30_000, numero, late).await;
    }
}
