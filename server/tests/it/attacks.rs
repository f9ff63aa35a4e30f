//! Attacks on the port of gRPC, beside which others are served: what floods it is heard at a pace or
//! cut off, and nothing takes much memory, or breaks a handler.

mod deep;
mod floods;
mod garbage;
mod half_open;
mod streams;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use devkit::ReplicaSet;
use mongodb::Database;
use order_archiver_api::v1 as pb;
use pb::archive_service_client::ArchiveServiceClient;
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    child::Server,
    process::settings_on,
    support::{orders, within},
};

/// Longest that somebody else may wait for an answer meanwhile: a loaded machine needs some of it.
const ANSWERED: Duration = Duration::from_secs(10);
/// How many orders there are to ask for.
const ORDERS: usize = 2_000;

/// A database with orders that callers can have archived.
async fn database() -> Database {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let documents: Vec<_> = orders(ORDERS).collect();
    let live = database.collection("Commande");
    live.insert_many(documents).await.unwrap();
    database
}

async fn started(database: &Database, files: u32) -> Server {
    let settings = settings_on(database.name(), &[]).await;
    Server::start(files, &settings).await
}

/// Somebody who has one order after the other archived by connections of their own, and never waits
/// long.
struct Bystander {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<(usize, Duration)>,
}

impl Bystander {
    async fn start(server: &Server) -> Bystander {
        let mut client = ArchiveServiceClient::new(server.connect().await);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let asking = tokio::spawn(async move {
            let (mut answered, mut longest) = (0, Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) {
                let numero_commande = format!("CMD-2025-{:06}", answered % ORDERS + 1);
                let asked = Instant::now();
                let request = pb::ArchiveOrderRequest { numero_commande };
                let answer = timeout(ANSWERED, client.archive_order(request)).await;
                let answer = answer.unwrap_or_else(|_| panic!("no answer after {answered}"));
                answer.unwrap_or_else(|status| panic!("after {answered}: {status:?}"));
                answered += 1;
                longest = longest.max(asked.elapsed());
            }
            (answered, longest)
        });
        Bystander { stop, asking }
    }

    /// How many answers there were; one at least.
    async fn stop(self, beside: &str) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let (answered, longest) = within(self.asking).await.unwrap();
        println!("{beside}: {answered} orders meanwhile, each within {longest:?}");
        assert!(answered > 0, "{beside}");
        answered
    }
}
