//! A client that withdraws all its calls at once, before the server has seen any, keeps its
//! connection.

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{
    TestServer,
    frames::{CANCEL, END_HEADERS, END_STREAM, Heard, PREFACE, frame, head, kind, next},
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

#[tokio::test]
async fn a_client_that_withdraws_all_its_calls_at_once_keeps_its_connection() {
    let server = TestServer::start().await;
    let address = server.address.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let mut said = PREFACE.to_vec();
    for call in 0..CALLS {
        said.extend(frame(kind::HEADERS, END_HEADERS, 2 * call + 1, &head(TAIL)));
        said.extend(frame(
            kind::RST_STREAM,
            0,
            2 * call + 1,
            &CANCEL.to_be_bytes(),
        ));
    }
    said.extend(frame(kind::PING, 0, 0, b"answered"));
    connection.write_all(&said).await.unwrap();
    within(until(&mut connection, |heard| {
        heard.kind == kind::PING && heard.payload == b"answered"
    }))
    .await;

    let last = 2 * CALLS + 1;
    let call = frame(kind::HEADERS, END_HEADERS | END_STREAM, last, &head(TAIL));
    connection.write_all(&call).await.unwrap();
    within(until(&mut connection, |heard| {
        heard.kind == kind::HEADERS && heard.stream == last
    }))
    .await;
}
