#![doc = include_str!("../ARCHITECTURE.md")]
// That a future may move between threads is proved down to the last type of the TLS library inside
// the driver.
#![recursion_limit = "256"]

pub mod access;
pub mod archiver;
pub mod bytes;
pub mod check;
pub mod coalescer;
pub mod config;
mod convert;
pub mod domain;
pub(crate) mod explain;
mod files;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub(crate) mod grpc;
mod hangups;
pub(crate) mod http;
pub mod jobs;
#[cfg(test)]
mod limits_document;
mod log_limit;
mod log_queue;
pub mod metrics;
pub(crate) mod observe;
pub mod once;
mod parts;
mod peer;
pub mod pipeline;
pub(crate) mod privileges;
mod progress;
pub mod repair;
mod schedule;
pub mod seed;
pub mod service;
pub mod shutdown;
mod sockets;
pub mod store;
mod supervisor;
pub mod telemetry;
pub mod terminal;
pub mod verifier;
pub mod watcher;

use std::time::Duration;

use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{info, warn};

use crate::{
    access::Access,
    config::Config,
    http::Http,
    metrics::names,
    observe::heartbeat::Heartbeat,
    parts::{Parts, Role},
    sockets::{BadTlsFile, Entrance, Tls},
    store::jobs::limits::Limits,
};

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database's address or options can't be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The file that says who may do what can't be gone by.
    #[error("{name}: {0}", name = config::table::AUTH_FILE.name)]
    Access(#[from] access::BadFile),
    /// A file of TLS can't be gone by.
    #[error(transparent)]
    Tls(#[from] BadTlsFile),
}

/// Serves callers on `listener` until `leaving` is cancelled and the settings' delay is over, and
/// answers HTTP on `http` if that is given: the only place that wires the parts together.
///
/// The database need not be there yet: until it is, health says NOT_SERVING and callers hear
/// UNAVAILABLE. Returns once everything under way is finished, or after the settings' grace period
/// regardless.
pub async fn run(
    listener: TcpListener,
    http: Option<TcpListener>,
    config: Config,
    leaving: CancellationToken,
) -> Result<(), Error> {
    let stop = delayed(&leaving, config.shutdown_delay);
    let access = access_by(&config, &stop)?;
    let entrance = entrance(&config)?;
    let role = Role::Serve(listener.local_addr().ok());
    let mut parts = Parts::new(&config, role, stop.clone()).await?;
    parts.leaving = leaving.clone();
    keep_current(&entrance, &parts, &stop);
    let heartbeat = parts.heartbeat.clone();
    let address = listener
        .local_addr()
        .map_or(config.listen, |address| address);
    let _supervised = supervised(&parts, format!("serves gRPC on {address}"), &leaving);
    jobs::care_for_orphans(&parts.archiver);
    jobs::care_for_orphans(&parts.verifier);
    if config.watch {
        parts
            .tasks
            .spawn(parts.watcher.clone().run(parts.monitor.clone()));
    }
    if let Some(due) = config.schedule.clone() {
        let verify = config.verify.then(|| schedule::Verify {
            verifier: parts.verifier.clone(),
            full_every: config.verify_full_every,
            limits: Limits::of_verifications(&config),
        });
        let runner = schedule::Runner {
            due,
            catch_up: config.schedule_catch_up,
            limits: Limits::of_settings(&config),
            archiver: parts.archiver.clone(),
            verify,
            store: parts.store.clone(),
            tasks: parts.tasks.clone(),
            stop: stop.clone(),
        };
        parts.tasks.spawn(runner.run());
    }
    let others = http.as_ref().map_or(0, |_| http::most_connections());
    let http = http.map(|socket| {
        Http::open(
            socket,
            entrance.clone(),
            &config,
            config.schedule.clone(),
            parts.clone(),
            access.clone(),
            stop.clone(),
        )
    });
    let serving = grpc::serve(
        listener,
        entrance,
        others,
        &config,
        parts.clone(),
        access,
        stop.clone(),
    );
    tokio::pin!(serving);
    // Without callers, serving ends as soon as the server is told to stop: the rest is finished all
    // the same.
    let served = tokio::select! {
        () = &mut serving => true,
        () = stop.cancelled() => false,
    };
    // One open tail or dead peer can hold the transport for ever, so what is left after the grace
    // period is left behind.
    let drain = async {
        if !served {
            serving.await;
        }
        parts.drain().await;
        close(http).await;
    };
    within_grace(&config, drain, &heartbeat).await;
    Ok(())
}

/// Watches until `stop` is cancelled, and serves nobody but those who ask HTTP on `http` if that is
/// given.
pub async fn watch(
    http: Option<TcpListener>,
    config: Config,
    stop: CancellationToken,
) -> Result<(), Error> {
    let access = access_by(&config, &stop)?;
    let entrance = entrance(&config)?;
    let parts = Parts::new(&config, Role::Watch, stop.clone()).await?;
    keep_current(&entrance, &parts, &stop);
    let heartbeat = parts.heartbeat.clone();
    let _supervised = supervised(&parts, "watches".to_owned(), &stop);
    jobs::care_for_orphans(&parts.archiver);
    jobs::care_for_orphans(&parts.verifier);
    parts
        .tasks
        .spawn(parts.watcher.clone().run(parts.monitor.clone()));
    let http = http.map(|socket| {
        Http::open(
            socket,
            entrance,
            &config,
            None,
            parts.clone(),
            access,
            stop.clone(),
        )
    });
    stop.cancelled().await;
    let drain = async {
        parts.drain().await;
        close(http).await;
    };
    within_grace(&config, drain, &heartbeat).await;
    Ok(())
}

/// Cancelled so long after `leaving` is.
fn delayed(leaving: &CancellationToken, delay: Duration) -> CancellationToken {
    if delay.is_zero() {
        return leaving.clone();
    }
    let (leaving, stop) = (leaving.clone(), CancellationToken::new());
    let cancelled = stop.clone();
    tokio::spawn(async move {
        leaving.cancelled().await;
        info!(?delay, "callers are sent elsewhere before the stop");
        sleep(delay).await;
        cancelled.cancel();
    });
    stop
}

/// Who may do what, as the settings say.
fn access_by(config: &Config, stop: &CancellationToken) -> Result<Access, access::BadFile> {
    match &config.auth_file {
        Some(path) => Access::by_file(path, stop.clone()),
        None => Ok(Access::open()),
    }
}

/// What every connection goes through, as the settings say.
fn entrance(config: &Config) -> Result<Entrance, BadTlsFile> {
    Ok(Entrance {
        tls: config.tls.as_ref().map(Tls::open).transpose()?,
        most_age: config.max_connection_age,
    })
}

/// Has what connections begin with follow its files.
fn keep_current(entrance: &Entrance, parts: &Parts, stop: &CancellationToken) {
    if let Some(tls) = &entrance.tls {
        let expires = parts.metrics.gauge(&names::CERTIFICATE_EXPIRES, &[]);
        tls.keep_current(expires, stop.clone());
    }
}

/// Closes the HTTP port, if it is open.
async fn close(http: Option<Http>) {
    if let Some(http) = http {
        http.close().await;
    }
}

/// Tells the service manager how this process is, until what is returned is dropped.
fn supervised(parts: &Parts, role: String, stop: &CancellationToken) -> AbortOnDropHandle<()> {
    let (progress, monitor) = (parts.progress.clone(), parts.monitor.clone());
    let telling = supervisor::supervise(role, progress, monitor, stop.clone());
    AbortOnDropHandle::new(tokio::spawn(telling))
}

/// Waits for work to be finished, but not longer than the settings allow.
async fn within_grace(config: &Config, work: impl Future<Output = ()>, heartbeat: &Heartbeat) {
    info!(grace = ?config.shutdown_grace, "stopping");
    if timeout(config.shutdown_grace, work).await.is_err() {
        warn!("the grace period is over; leaving what is not finished behind");
        // Whoever holds on to this process, it stops because it was told to.
        heartbeat.leave().await;
    }
}
