#![doc = include_str!("../ARCHITECTURE.md")]

pub mod domain;

pub mod store;

pub mod corridor;

pub mod archiver;

pub mod desk;

pub mod events;

pub mod stats;

pub mod seeder;

pub mod sower;

pub mod monitor;

pub(crate) mod grpc;

pub mod once;

pub mod config;

pub mod telemetry;

pub mod shutdown;

use tokio::{net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    archiver::Archiver, config::Config, corridor::Corridor, desk::Desk, monitor::Monitor,
    store::Store,
};

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database's address or options can't be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Callers can't be served.
    #[error("callers can't be served: {0}")]
    Serve(#[from] tonic::transport::Error),
}

/// Serves callers on `listener` until `stop` is cancelled: the only place that wires the parts together.
///
/// The database need not be there yet: until it is, health says NOT_SERVING and callers hear UNAVAILABLE.
/// Returns once everything under way is finished, or after the settings' grace period regardless.
pub async fn run(
    listener: TcpListener,
    config: Config,
    stop: CancellationToken,
) -> Result<(), Error> {
    let store = Store::new(&config).await?;
    let tasks = TaskTracker::new();
    let monitor = Monitor::start(store.clone(), &tasks, stop.clone());
    let corridor = Corridor::new(store.clone(), config.archived_by.clone());
    let desk = Desk::open(store.clone(), corridor.clone(), &tasks, stop.clone());
    let archiver = Archiver::new(
        store.clone(),
        corridor.clone(),
        config.chunk_size,
        config.instance.clone(),
        tasks.clone(),
        stop.clone(),
    );
    let parts = grpc::Parts {
        store: store.clone(),
        monitor,
        corridor,
        desk,
        archiver,
    };

    let serving = grpc::serve(listener, &config, parts, &tasks, stop.clone());
    tokio::pin!(serving);
    let outcome = tokio::select! {
        // Callers can't be served at all, so nothing is worth waiting for.
        outcome = &mut serving => outcome,
        () = stop.cancelled() => {
            info!(grace = ?config.shutdown_grace, "stopping");
            // One open tail or dead peer can hold the transport for ever, so what is left after the grace period is left behind.
            let drain = async {
                let outcome = serving.await;
                tasks.close();
                tasks.wait().await;
                store.close().await;
                outcome
            };
            timeout(config.shutdown_grace, drain).await.unwrap_or_else(|_| {
                warn!("the grace period is over; leaving callers behind");
                Ok(())
            })
        }
    };
    outcome.map_err(Error::from)
}
