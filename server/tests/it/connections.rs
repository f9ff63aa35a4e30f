//! Connections: those that say nothing shut nobody out, whatever they leave unsaid, and cost next
//! to nothing.

use std::time::{Duration, Instant};

use devkit::{ReplicaSet, relay::Relay};
use futures::future::join_all;
use order_archiver_api::v1 as pb;
use pb::{archive_service_client::ArchiveServiceClient, stats_service_client::StatsServiceClient};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{interval, sleep, timeout},
};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use crate::{
    child::Server,
    support::{frames::PREFACE, within},
};

/// How long a caller may take to be answered while others crowd in: half of the time after which the
/// server lets go of whoever asks for nothing, and which one who is shut out would wait for.
const ANSWERED: Duration = Duration::from_secs(5);

/// A peer that keeps its connection and does no more than this.
#[derive(Clone, Copy, Debug)]
enum Peer {
    Silent,
    HalfAPreface,
    PrefaceAlone,
    Dripping,
    TlsHello,
}

const PEERS: [Peer; 5] = [
    Peer::Silent,
    Peer::HalfAPreface,
    Peer::PrefaceAlone,
    Peer::Dripping,
    Peer::TlsHello,
];

impl Peer {
    /// Connects, and does so until the server closes the connection.
    async fn until_closed(self, server: &Server) {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (mut reading, mut writing) = stream.into_split();
        let saying = async {
            let said: &[u8] = match self {
                Peer::Silent | Peer::Dripping => b"",
                Peer::HalfAPreface => &PREFACE[..12],
                Peer::PrefaceAlone => PREFACE,
                // A record of a handshake, as a client that speaks TLS begins.
                Peer::TlsHello => b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 and so on",
            };
            let _ = writing.write_all(said).await;
            if matches!(self, Peer::Dripping) {
                let mut pause = interval(Duration::from_secs(1));
                for byte in PREFACE {
                    pause.tick().await;
                    if writing.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                }
            }
            std::future::pending::<()>().await;
        };
        let mut heard = [0; 1024];
        let hearing = async { while reading.read(&mut heard).await.is_ok_and(|read| read > 0) {} };
        tokio::select! {
            () = saying => {}
            () = hearing => {}
        }
    }
}

/// That a caller who comes now is answered within a time.
pub(crate) async fn serves(server: &Server, limit: Duration) {
    let start = Instant::now();
    let asking = async {
        let endpoint = Channel::from_shared(format!("http://{}", server.address)).unwrap();
        let channel = endpoint.connect().await.unwrap();
        let request = pb::ArchiveOrderRequest {
            numero_commande: "CMD-1".to_owned(),
        };
        let status = ArchiveServiceClient::new(channel)
            .archive_order(request)
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{status:?}");
    };
    timeout(limit, asking).await.expect("a caller was shut out");
    println!("served after {:?}", start.elapsed());
}

#[tokio::test]
async fn a_crowd_that_only_listens_shuts_nobody_out() {
    const PLACES: usize = 40;
    let server = Server::fresh(1024, &[("ARCHD_MAX_CONNECTIONS", &PLACES.to_string())]).await;
    let mut listening = Vec::new();
    for _ in 0..PLACES {
        let endpoint = Channel::from_shared(format!("http://{}", server.address)).unwrap();
        let mut health = HealthClient::new(endpoint.connect().await.unwrap());
        let request = HealthCheckRequest::default();
        let mut told = health.watch(request).await.unwrap().into_inner();
        within(told.message()).await.unwrap().unwrap();
        listening.push((health, told));
    }
    for _ in 0..5 {
        serves(&server, ANSWERED).await;
    }
    drop(listening);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_says_nothing_shuts_nobody_out() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
    let settings = [
        ("MONGODB_URI", relay.uri()),
        ("MONGODB_DATABASE", database.name().to_owned()),
    ];
    let settings = settings
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let server = Server::start(1024, &settings).await;
    let mut crowd = tokio::task::JoinSet::new();
    let address = server.address;
    let mut come = |number: usize| {
        crowd.spawn(async move {
            let mut stream = TcpStream::connect(address).await;
            if let Ok(stream) = &mut stream
                && number.is_multiple_of(2)
            {
                let _ = stream.write_all(PREFACE).await;
            }
            std::future::pending::<()>().await;
        });
    };
    (0..1_100).for_each(&mut come);
    // They keep coming while callers connect, a hundred a second.
    let calls = async {
        for _ in 0..10 {
            serves(&server, ANSWERED).await;
            sleep(Duration::from_millis(200)).await;
        }
    };
    let coming = async {
        let mut pause = interval(Duration::from_millis(10));
        for number in 0.. {
            pause.tick().await;
            come(number);
        }
    };
    tokio::select! {
        () = calls => {}
        () = coming => {}
    }

    let before = server.cpu();
    sleep(Duration::from_secs(3)).await;
    let used = server.cpu() - before;
    println!("{used:?} of processor time in 3 s");
    assert!(used < Duration::from_millis(450), "{used:?} in 3 s");

    // Its connections to the database break, and it has to open others.
    relay.cut();
    serves_again(&server).await;
    drop(crowd);
    serves(&server, ANSWERED).await;
}

/// That the database is found again soon.
async fn serves_again(server: &Server) {
    let asking = async {
        let channel = server.connect().await;
        let mut stats = StatsServiceClient::new(channel);
        while stats
            .get_stats(pb::GetStatsRequest::default())
            .await
            .is_err()
        {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(15), asking)
        .await
        .expect("the database stayed away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_makes_no_request_in_time_is_let_go() {
    let server = Server::fresh(1024, &[]).await;
    let peers = PEERS.map(async |peer| {
        let closed = timeout(Duration::from_secs(20), peer.until_closed(&server)).await;
        assert!(closed.is_ok(), "{peer:?} was left alone");
    });
    join_all(peers).await;
}

/// Whether a call met the end of its connection before the server knew of it.
fn crosses_a_farewell(status: &tonic::Status) -> bool {
    let said = format!("{status:?}");
    said.contains("NO_ERROR") || said.contains("connection closed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_waits_before_its_first_call_is_answered() {
    let server = Server::fresh(1024, &[]).await;
    let clients = (0..40).map(async |client| {
        let mut stats = StatsServiceClient::new(server.connect().await);
        // From before the server lets go of connections without a request to after it.
        sleep(Duration::from_millis(9_000 + client * 50)).await;
        for _ in 0..2 {
            let mut answer = within(stats.get_stats(pb::GetStatsRequest::default())).await;
            // A call that crosses the server's farewell was not begun, as that says, and other
            // clients send it again by themselves.
            if answer.as_ref().is_err_and(crosses_a_farewell) {
                answer = within(stats.get_stats(pb::GetStatsRequest::default())).await;
            }
            assert!(answer.is_ok(), "{answer:?}");
        }
    });
    join_all(clients).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_for_nothing_or_only_listens_holds_up_no_stop() {
    let mut server = Server::fresh(1024, &[]).await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    let mut greeting = TcpStream::connect(server.address).await.unwrap();
    greeting.write_all(PREFACE).await.unwrap();
    let health = HealthClient::new(server.connect().await)
        .watch(HealthCheckRequest::default())
        .await;
    let mut health = health.unwrap().into_inner();
    let reflection = ServerReflectionClient::new(server.connect().await)
        .server_reflection_info(futures::stream::pending())
        .await;
    let mut reflection = reflection.unwrap().into_inner();
    let start = Instant::now();
    server.stop().await;
    let took = start.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    let ended = within(async { while let Ok(Some(_)) = health.message().await {} });
    ended.await;
    assert!(reflection.message().await.is_err());
    drop((silent, greeting));
}
