//! A client that withdraws all its calls at once, before the server has seen any, keeps its
//! connection.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    connections::PREFACE,
    support::{TestServer, within},
};

/// As many calls as one connection may have open at once.
const CALLS: u32 = 1_024;
/// The types of frames (RFC 9113, section 6).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Why a stream is reset (section 7).
const CANCEL: u32 = 8;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A field of a head whose name stands in the table of HPACK (RFC 7541, appendix A) before place
/// 15.
fn field(name: u8, value: &[u8]) -> Vec<u8> {
    let mut field = vec![name, u8::try_from(value.len()).unwrap()];
    field.extend(value);
    field
}

/// The head of a call: POST, http, and the path.
fn head() -> Vec<u8> {
    let mut head = vec![0x83, 0x86];
    head.extend(field(1, b"localhost"));
    head.extend(field(4, b"/orderarchiver.v1.EventService/TailEvents"));
    head
}

/// Reads frames until there is one of that kind that is so, of its stream and what it carries.
async fn until(connection: &mut TcpStream, kind: u8, so: impl Fn(u32, &[u8]) -> bool) {
    loop {
        let mut head = [0; 9];
        connection.read_exact(&mut head).await.unwrap();
        let [a, b, c, this, _, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        connection.read_exact(&mut payload).await.unwrap();
        assert_ne!(this, GOAWAY, "{}", String::from_utf8_lossy(&payload));
        if this == kind && so(u32::from_be_bytes(stream), &payload) {
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
        said.extend(frame(HEADERS, END_HEADERS, 2 * call + 1, &head()));
        said.extend(frame(RST_STREAM, 0, 2 * call + 1, &CANCEL.to_be_bytes()));
    }
    said.extend(frame(PING, 0, 0, b"answered"));
    connection.write_all(&said).await.unwrap();
    within(until(&mut connection, PING, |_, payload| {
        payload == b"answered"
    }))
    .await;

    let next = 2 * CALLS + 1;
    let call = frame(HEADERS, END_HEADERS | END_STREAM, next, &head());
    connection.write_all(&call).await.unwrap();
    within(until(&mut connection, HEADERS, |stream, _| stream == next)).await;
}
