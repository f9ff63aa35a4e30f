//! Floods of frames.

use std::time::{Duration, Instant};

use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet, time::sleep};

use super::{Bystander, database, started};
use crate::{
    connections::serves,
    support::{
        frames::{END_HEADERS, END_STREAM, FLOODS, PREFACE, frame, head, kind, next},
        within,
    },
};

/// The most memory that `archd` may hold under any of them, in MiB.
const MOST: u64 = 192;
/// How many flood at once, half of whom hear nothing of what is answered.
const FLOODING: usize = 4;
/// How long.
const SPAN: Duration = Duration::from_millis(1_500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_floods_keeps_nobody_waiting_and_takes_little_memory() {
    let mut server = started(&database().await, 1_024).await;
    for flood in FLOODS {
        let bystander = Bystander::start(&server).await;
        let mut flooding = JoinSet::new();
        for number in 0..FLOODING {
            let address = server.address;
            flooding.spawn(async move {
                // Whoever is cut off comes back.
                loop {
                    flood
                        .until_cut(address, u32::MAX / 256, number % 2 == 0)
                        .await;
                    sleep(Duration::from_millis(1)).await;
                }
            });
        }
        let before = (server.cpu(), Instant::now());
        sleep(SPAN).await;
        let used = (server.cpu() - before.0).as_secs_f64() / before.1.elapsed().as_secs_f64();
        drop(flooding);
        bystander.stop(&format!("{flood:?}")).await;
        let peak = server.peak_memory();
        println!(
            "{flood:?}: {:.0} % of a core, {peak} MiB at most",
            used * 100.0
        );
        assert!(peak < MOST, "{flood:?}: {peak} MiB");
    }
    serves(&server, Duration::from_secs(5)).await;
    server.stop().await;
}

/// Frames that ask for nothing, as many as take some seconds at the pace at which they are read.
const MANY: u32 = 4_000;
/// How many of them are read at once, and in a second: twice as many as `docs/limits.md` says, as
/// the clock of a test is not the server's.
const AT_ONCE: u32 = 1_000;
const A_SECOND: f64 = 2_000.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_ask_for_nothing_are_read_at_a_pace_and_all_are_heard() {
    let server = started(&database().await, 1_024).await;
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    let mut said = PREFACE.to_vec();
    for number in 0..MANY {
        let number = u64::from(number).to_be_bytes();
        said.extend(frame(kind::PING, 0, 0, &number));
    }
    // A call behind them.
    let path = "/grpc.health.v1.Health/Check";
    said.extend(frame(kind::HEADERS, END_HEADERS, 1, &head(path)));
    said.extend(frame(kind::DATA, END_STREAM, 1, &[0; 5]));
    let start = Instant::now();
    peer.write_all(&said).await.unwrap();
    let (mut answered, mut sooner) = (0, 0);
    loop {
        let heard = within(next(&mut peer)).await.expect("it was cut off");
        match heard.kind {
            kind::PING => {
                assert_eq!(heard.payload, u64::from(answered).to_be_bytes());
                answered += 1;
                let allowed = f64::from(AT_ONCE) + start.elapsed().as_secs_f64() * A_SECOND;
                sooner += u32::from(f64::from(answered) > allowed);
            }
            kind::HEADERS if heard.stream == 1 => break,
            _ => {}
        }
    }
    println!("{answered} pings within {:?}", start.elapsed());
    assert_eq!((answered, sooner), (MANY, 0));
}
