//! The attacker: a process that does one thing to a server, at one rate, until it is killed.

use std::{
    future::{Future, pending},
    net::SocketAddr,
    time::Duration,
};

use anyhow::Result;
use futures::StreamExt;
use order_archiver_api::v1 as pb;
use pb::{
    archive_service_client::ArchiveServiceClient, batch_service_client::BatchServiceClient,
    event_service_client::EventServiceClient,
};
use tokio::{
    io::{AsyncWriteExt, copy, sink},
    net::TcpStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_stream::wrappers::IntervalStream;
use tonic::{
    Request,
    codec::CompressionEncoding::Gzip,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::{
    attack::{
        Attack, BODIES, BOMBS, DEADLINES, FLOODS, FOLLOWERS, HALF_OPEN, READERS, SILENT, STREAMED,
        STREAMS, TAILS, UNREAD, WITHDRAWN,
    },
    frames::{END_HEADERS, END_STREAM, Flood, PREFACE, frame, head, kind},
    raw::{self, Begun},
};

/// The deadline of calls that give up.
const SHORT: Duration = Duration::from_millis(30);
/// Streams on one connection: fewer than a server allows.
const OF_A_CONNECTION: usize = 100;
/// And as many as it allows, nearly.
const MANY: usize = 1_000;
/// How long an attack that was cut off waits until it begins anew.
const PAUSE: Duration = Duration::from_millis(100);

/// Whom to attack, and how.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    pub(crate) attack: Attack,
    /// The server, as a URL.
    pub(crate) address: String,
    /// A batch that runs.
    pub(crate) batch: String,
}

/// Attacks until it is killed.
pub(crate) async fn attack(arguments: Arguments) -> Result<()> {
    let Arguments {
        attack,
        address,
        batch,
    } = arguments;
    match attack {
        Attack::Deadlines => {
            let client = ArchiveServiceClient::new(connect(&address).await?);
            at_rate(DEADLINES, async |_| {
                let mut client = client.clone();
                let mut request = Request::new(pb::GetArchivedOrderRequest {
                    numero_commande: "CMD-UNKNOWN".to_owned(),
                });
                request.set_timeout(SHORT);
                // The answer is not even waited for as long as was said.
                move || async move { drop(timeout(SHORT, client.get_archived_order(request)).await) }
            })
            .await
        }
        Attack::Followers => {
            let client = BatchServiceClient::new(connect(&address).await?);
            at_rate(FOLLOWERS, async |_| {
                let mut client = client.clone();
                let request = pb::WatchBatchRequest { id: batch.clone() };
                move || async move { drop(timeout(SHORT, client.watch_batch(request)).await) }
            })
            .await
        }
        Attack::Tails => {
            let client = EventServiceClient::new(connect(&address).await?);
            let mut readers = JoinSet::new();
            for _ in 0..READERS {
                let mut client = client.clone();
                readers.spawn(async move {
                    let request = pb::TailEventsRequest::default();
                    if let Ok(events) = client.tail_events(request).await {
                        let mut events = events.into_inner();
                        while let Ok(Some(_)) = events.message().await {}
                    }
                });
            }
            at_rate(TAILS, async |_| {
                let mut client = client.clone();
                move || async move {
                    let request = pb::TailEventsRequest::default();
                    drop(timeout(SHORT, client.tail_events(request)).await);
                }
            })
            .await
        }
        Attack::Stream => loop {
            let mut client = ArchiveServiceClient::new(connect(&address).await?);
            let mut tick = interval(Duration::from_secs(1) / STREAMED);
            tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let requests = IntervalStream::new(tick).map(|_| pb::ArchiveOrdersRequest {
                numero_commande: "CMD-UNKNOWN".to_owned(),
            });
            if let Ok(answers) = client.archive_orders(requests).await {
                let mut answers = answers.into_inner();
                while let Ok(Some(_)) = answers.message().await {}
            }
            sleep(PAUSE).await;
        },
        Attack::Silent => {
            let host = address.trim_start_matches("http://");
            let mut connections = JoinSet::new();
            for _ in 0..SILENT {
                let host = host.to_owned();
                connections.spawn(async move {
                    loop {
                        if let Ok(mut connection) = TcpStream::connect(&host).await {
                            // Whatever the server says, until it has had enough.
                            let _ = copy(&mut connection, &mut sink()).await;
                        }
                        sleep(PAUSE).await;
                    }
                });
            }
            pending().await
        }
        Attack::Bodies => {
            hold(&address, BODIES, "ArchiveService/ArchiveOrder", || {
                Begun::unfinished(4 * 1024 * 1024)
            })
            .await
        }
        Attack::Unread => {
            let request = pb::ListArchivedOrdersRequest {
                page_size: 1_000,
                with_documents: true,
                ..Default::default()
            };
            hold(
                &address,
                UNREAD,
                "ArchiveService/ListArchivedOrders",
                || Begun::whole(&request),
            )
            .await
        }
        Attack::Streams => {
            let mut held = JoinSet::new();
            for _ in 0..STREAMS / MANY {
                let health = HealthClient::new(connect(&address).await?);
                for _ in 0..MANY {
                    let mut health = health.clone();
                    held.spawn(async move {
                        if let Ok(told) = health.watch(HealthCheckRequest::default()).await {
                            let mut told = told.into_inner();
                            while let Ok(Some(_)) = told.message().await {}
                        }
                    });
                }
            }
            pending().await
        }
        Attack::Withdrawn => {
            let mut clients = Vec::new();
            for _ in 0..FLOODS {
                clients.push(ArchiveServiceClient::new(connect(&address).await?));
            }
            at_rate(WITHDRAWN, async |number| {
                let mut client = clients[number as usize % clients.len()].clone();
                let numero_commande = format!("CMD-UNKNOWN-{number}");
                let request = pb::ArchiveOrderRequest { numero_commande };
                let patience = Duration::from_micros(number % 20 * 100);
                move || async move { drop(timeout(patience, client.archive_order(request)).await) }
            })
            .await
        }
        Attack::Resets => flood(&address, Flood::Resets).await,
        Attack::Continuations => flood(&address, Flood::Continuations).await,
        Attack::Settings => flood(&address, Flood::Settings).await,
        Attack::Pings => flood(&address, Flood::Pings).await,
        Attack::Heads => flood(&address, Flood::Heads).await,
        Attack::Garbage => flood(&address, Flood::Garbage).await,
        Attack::Bombs => {
            let client = ArchiveServiceClient::new(connect(&address).await?).send_compressed(Gzip);
            let numero_commande = "x".repeat(48 << 20);
            at_rate(BOMBS, async |_| {
                let mut client = client.clone();
                let numero_commande = numero_commande.clone();
                let request = pb::ArchiveOrderRequest { numero_commande };
                move || async move { drop(client.archive_order(request).await) }
            })
            .await
        }
        Attack::HalfOpen => {
            let host = address.trim_start_matches("http://");
            let call = head("/grpc.health.v1.Health/Watch");
            let call = frame(kind::HEADERS, END_HEADERS, 1, &call);
            let asked = frame(kind::DATA, END_STREAM, 1, &[0; 5]);
            let said = [PREFACE, &call, &asked].concat();
            let mut gone = Vec::new();
            for _ in 0..HALF_OPEN {
                let mut peer = TcpStream::connect(host).await?;
                peer.write_all(&said).await?;
                gone.push(peer);
            }
            pending().await
        }
    }
}

/// Floods by several connections; one that is cut off comes back.
async fn flood(address: &str, flood: Flood) -> Result<()> {
    let address: SocketAddr = address.trim_start_matches("http://").parse()?;
    let mut flooding = JoinSet::new();
    for _ in 0..FLOODS {
        flooding.spawn(async move {
            loop {
                flood.until_cut(address, u32::MAX / 256, false).await;
                sleep(Duration::from_millis(1)).await;
            }
        });
    }
    pending().await
}

async fn connect(address: &str) -> Result<Channel> {
    Ok(Endpoint::from_shared(address.to_owned())?.connect().await?)
}

/// Makes so many calls a second, for ever.
async fn at_rate<C, F>(rate: u32, mut call: impl AsyncFnMut(u64) -> C) -> Result<()>
where
    C: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut tick = interval(Duration::from_secs(1) / rate);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0.. {
        tick.tick().await;
        let call = call(number).await;
        tokio::spawn(call());
    }
    Ok(())
}

/// Holds so many calls of a method open, and reads nothing of their answers.
async fn hold(
    address: &str,
    calls: usize,
    method: &'static str,
    body: impl Fn() -> Begun,
) -> Result<()> {
    let mut held = JoinSet::new();
    let mut channel = connect(address).await?;
    for number in 1..=calls {
        if number % OF_A_CONNECTION == 0 {
            channel = connect(address).await?;
        }
        let (mut channel, address) = (channel.clone(), address.to_owned());
        let body = body();
        held.spawn(async move {
            let answer = raw::call(&mut channel, &address, method, body).await;
            let _unread = answer;
            pending::<()>().await;
        });
    }
    pending().await
}
