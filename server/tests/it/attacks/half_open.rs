//! Half-open connections: a peer that is gone without a word, as when its machine loses its power,
//! answers no ping, and its place is free soon.

use std::time::{Duration, Instant};

use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use super::{Bystander, database, started};
use crate::support::frames::{END_HEADERS, END_STREAM, PREFACE, frame, head, kind, next};

/// How many are gone.
const GONE: usize = 100;
/// A ping after 30 s, 10 s for its answer, and what a loaded machine needs.
const SOON: Duration = Duration::from_secs(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_gone_without_a_word_is_let_go_though_a_call_is_open() {
    let mut server = started(&database().await, 1_024).await;
    let bystander = Bystander::start(&server).await;
    let start = Instant::now();
    let mut gone = Vec::new();
    for _ in 0..GONE {
        let mut peer = TcpStream::connect(server.address).await.unwrap();
        let call = head("/grpc.health.v1.Health/Watch");
        let call = frame(kind::HEADERS, END_HEADERS, 1, &call);
        let asked = frame(kind::DATA, END_STREAM, 1, &[0; 5]);
        peer.write_all(&[PREFACE, &call, &asked].concat())
            .await
            .unwrap();
        gone.push(peer);
    }
    // What they still hear, they answer nothing to.
    let left = gone
        .iter_mut()
        .map(async |peer| while next(peer).await.is_some() {});
    let left = timeout(SOON, futures::future::join_all(left)).await;
    assert!(left.is_ok(), "connections of peers that are gone are kept");
    let took = start.elapsed();
    println!("let go after {took:?}");
    assert!(
        took > Duration::from_secs(20),
        "nobody waited for their answer"
    );
    bystander.stop("half-open connections").await;
    server.stop().await;
}
