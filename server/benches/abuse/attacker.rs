//! The attacker: a process that does one thing to a server, at one rate, until it is killed.

use std::{
    future::{Future, pending},
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
    io::{copy, sink},
    net::TcpStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_stream::wrappers::IntervalStream;
use tonic::{
    Request,
    transport::{Channel, Endpoint},
};

use crate::{
    attack::{Attack, BODIES, DEADLINES, FOLLOWERS, READERS, SILENT, STREAMED, TAILS, UNREAD},
    raw::{self, Begun},
};

/// The deadline of calls that give up.
const SHORT: Duration = Duration::from_millis(30);
/// Streams on one connection: fewer than a server allows.
const STREAMS: usize = 100;
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
    }
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
        if number % STREAMS == 0 {
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
