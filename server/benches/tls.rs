//! What mutual TLS and a file of identities cost `archd`: its CPU time for a call of `ArchiveOrder`
//! on connections that are kept, by turns with plain text and nobody asked.
//!
//! `cargo bench --bench tls` measures and prints what [REPORT.md](REPORT.md) shows; options follow
//! `--`, and `--help` names them. Under `cargo test` it makes one short round to show that it still
//! works.

#![allow(missing_docs, reason = "a bench has no readers of its documentation")]
#![allow(clippy::print_stdout, reason = "the figures are its data")]

#[path = "support"]
#[allow(dead_code, reason = "the benches share it, and each uses a part")]
mod support {
    pub(crate) mod ground;
    pub(crate) mod honest;
    pub(crate) mod machine;
    pub(crate) mod server;
    pub(crate) mod verdict;
}

use std::{env, path::Path, time::Duration};

use anyhow::{Context, Result};
use archd::seed::Plan;
use clap::{Parser, builder::RangedU64ValueParser};
use devkit::{
    ReplicaSet,
    certificates::{Authority, Issued, Subject, file},
};
use futures::{StreamExt, TryStreamExt, stream};
use order_archiver_api::v1::{ArchiveOrderRequest, archive_service_client::ArchiveServiceClient};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::support::{
    ground, honest, machine,
    server::{self, CALLS_ALONE, Server},
    verdict::{at_most, each, median},
};

/// A call may cost so much more with mutual TLS.
const AIM: f64 = 0.10;
/// Connections that the calls are spread over.
const CONNECTIONS: usize = 8;
/// Calls under way at a time.
const AT_ONCE: usize = 32;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the client is known by.
const CALLER: &str = "caller.internal";

/// Measures what mutual TLS costs.
#[derive(Parser)]
struct Size {
    /// Calls in one measurement
    #[arg(long, default_value_t = 20_000, value_parser = RangedU64ValueParser::<usize>::new().range(100..=1_000_000))]
    orders: usize,
    /// Pairs of measurements; the median counts
    #[arg(long, default_value_t = 9, value_parser = RangedU64ValueParser::<usize>::new().range(1..=100))]
    rounds: usize,
    /// What cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Who vouches for whom, and the files of it.
struct Pki {
    folder: tempfile::TempDir,
    authority: Authority,
    client: Issued,
}

impl Pki {
    fn new() -> Result<Pki> {
        let authority = Authority::new("authority")?;
        let pki = Pki {
            folder: tempfile::tempdir()?,
            client: authority.issue(Subject::client("a caller").dns(CALLER)?)?,
            authority,
        };
        let server = pki.authority.issue(Subject::server(&["localhost"])?)?;
        server.write(pki.path(), "server")?;
        file(pki.path(), "ca.pem", &pki.authority.pem())?;
        file(pki.path(), "identities", &format!("san {CALLER} archive\n"))?;
        Ok(pki)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The arguments of a server that goes by these files.
    fn arguments(&self) -> Vec<String> {
        let files = [
            ("tls-cert", "server.pem"),
            ("tls-key", "server.key"),
            ("tls-client-ca", "ca.pem"),
            ("auth-file", "identities"),
        ];
        let argument = |(flag, name)| format!("--{flag}={}", self.path().join(name).display());
        files.map(argument).to_vec()
    }

    /// Where a client finds the server, and what it shows there.
    fn endpoint(&self, server: &Server) -> Result<Endpoint> {
        let (_, port) = server.address.rsplit_once(':').context("no port")?;
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.authority.pem()))
            .identity(Identity::from_pem(
                &self.client.certificate,
                &self.client.key,
            ));
        Ok(Endpoint::from_shared(format!("https://localhost:{port}"))?.tls_config(tls)?)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let measured = env::args().any(|argument| ["--bench", "--help"].contains(&argument.as_str()));
    let size = match measured {
        true => Size::parse(),
        false => Size::parse_from(["tls", "--orders=200", "--rounds=1"]),
    };
    println!(
        "{}, {} pairs of {} calls on {CONNECTIONS} connections, {AT_ONCE} at a time\n",
        machine::size()?,
        size.rounds,
        size.orders
    );
    let set = ReplicaSet::start().await?;
    let pki = Pki::new()?;
    let (mut plain, mut mutual) = (Vec::new(), Vec::new());
    for round in 0..size.rounds {
        // Who comes first alternates too.
        for is_mutual in [round % 2 == 0, round % 2 != 0] {
            let pki = is_mutual.then_some(&pki);
            let cost = measure(&set, size.orders, pki).await?;
            match is_mutual {
                true => mutual.push(cost),
                false => plain.push(cost),
            }
        }
    }
    let pairs = mutual.iter().zip(&plain);
    let more: Vec<f64> = pairs.map(|(mutual, plain)| mutual / plain - 1.0).collect();
    let (least, most) = more
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), it| {
            (least.min(*it), most.max(*it))
        });
    println!("- plain text: {:.1} µs of `archd` a call", median(&plain));
    println!(
        "- mutual TLS and identities: {:.1} µs; of the pairs the least {:+.1} %, the most {:+.1} %",
        median(&mutual),
        least * 100.0,
        most * 100.0
    );
    at_most("more, by the median of the pairs", median(&more), AIM);
    Ok(())
}

/// The microseconds of CPU time that a call took.
async fn measure(set: &ReplicaSet, orders: usize, pki: Option<&Pki>) -> Result<f64> {
    let plan = Plan::for_orders(u32::try_from(orders)?);
    let ground = ground::seeded(set, plan).await?;
    let numbers = honest::orders(&ground.database, 0, orders).await?;
    let files = pki.map(Pki::arguments).unwrap_or_default();
    let files = files.iter().map(String::as_str);
    let arguments: Vec<&str> = CALLS_ALONE.into_iter().chain(files).collect();
    let server = server::serve(&ground.config, &arguments).await?;
    let endpoint = match pki {
        Some(pki) => pki.endpoint(&server)?,
        None => Endpoint::from_shared(server.address.clone())?,
    };
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let channel: Channel = endpoint.clone().timeout(PATIENCE).connect().await?;
        clients.push(ArchiveServiceClient::new(channel));
    }
    let before = machine::cpu(server.pid)?;
    let calls = numbers
        .into_iter()
        .enumerate()
        .map(|(at, numero_commande)| {
            let mut client = clients[at % CONNECTIONS].clone();
            async move {
                let request = ArchiveOrderRequest { numero_commande };
                client.archive_order(request).await.map(drop)
            }
        });
    let calls = stream::iter(calls).buffer_unordered(AT_ONCE);
    calls.try_collect::<Vec<()>>().await?;
    let cost = each(machine::cpu(server.pid)? - before, orders);
    drop(server);
    ground.database.drop().await?;
    ground.store.close().await;
    Ok(cost)
}
