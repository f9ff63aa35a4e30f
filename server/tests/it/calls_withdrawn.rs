//! A client that withdraws all its calls at once, before the server has seen any, keeps its
//! connection, and nothing is begun for them.

use std::net::SocketAddr;

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{
    TestServer,
    frames::{CANCEL, END_HEADERS, END_STREAM, Heard, PREFACE, frame, head, kind, next},
    http::get,
    within,
};

/// As many calls as one connection may have open at once.
const CALLS: u32 = 1_024;
const TAIL: &str = "/orderarchiver.v1.EventService/TailEvents";

/// Reads frames until there is one that is so.
async fn until(connection: &mut TcpStream, so: impl Fn(&Heard) -> bool) {
    loop {
        let heard = next(connection).await.expect("the connection has ended");
        let said = String::from_utf8_lossy(&heard.payload);
        assert_ne!(heard.kind, kind::GOAWAY, "{said}");
        if so(&heard) {
            return;
        }
    }
}

/// Makes so many calls and withdraws each at once, then waits until another one is answered, which
/// goes on for as long as the connection is kept.
async fn withdraw(server: &TestServer, calls: u32) -> TcpStream {
    let address = server.address.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let mut said = PREFACE.to_vec();
    for call in 0..calls {
        let stream = 2 * call + 1;
        said.extend(frame(kind::HEADERS, END_HEADERS, stream, &head(TAIL)));
        let cancel = CANCEL.to_be_bytes();
        said.extend(frame(kind::RST_STREAM, 0, stream, &cancel));
    }
    said.extend(frame(kind::PING, 0, 0, b"answered"));
    connection.write_all(&said).await.unwrap();
    within(until(&mut connection, |heard| {
        heard.kind == kind::PING && heard.payload == b"answered"
    }))
    .await;

    let last = 2 * calls + 1;
    let call = frame(kind::HEADERS, END_HEADERS | END_STREAM, last, &head(TAIL));
    connection.write_all(&call).await.unwrap();
    within(until(&mut connection, |heard| {
        heard.kind == kind::HEADERS && heard.stream == last
    }))
    .await;
    connection
}

#[tokio::test]
async fn a_client_that_withdraws_all_its_calls_at_once_keeps_its_connection() {
    withdraw(&TestServer::start().await, CALLS).await;
}

#[tokio::test]
async fn nothing_is_begun_for_calls_that_are_withdrawn_as_soon_as_they_are_made() {
    let server = TestServer::start_with(|config| {
        config.http = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    })
    .await;
    // So few that they come together.
    let _connection = withdraw(&server, 8).await;
    let told = get(server.http.unwrap(), "/metrics").await.body;
    let tails: Vec<&str> = told
        .lines()
        .filter(|line| line.contains("rpcs_total{") && line.contains("TailEvents"))
        .filter(|line| line.contains("CANCELLED"))
        .collect();
    assert_eq!(tails, [""; 0]);
}
