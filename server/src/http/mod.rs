//! The edge that speaks HTTP: for probes, for Prometheus and for people with a browser. The only
//! code that knows axum. It reads, and changes nothing; but `custom_handler` is asked for work.

pub(crate) mod custom_handler;
mod events;
mod guard;
#[cfg(test)]
pub(crate) mod limits;
mod listener;
mod metrics;
mod order;
mod page;
mod probes;
mod recent;
mod snapshots;
mod unread;

use std::time::Duration;

use axum::{
    Router,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use tokio::{net::TcpListener, task::JoinHandle, time::interval};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use self::listener::most_connections;
use self::{
    events::Readers,
    guard::{Guard, Hosts},
    listener::Http1,
    metrics::Instance,
    order::Turns,
    snapshots::Snapshots,
};
use crate::{
    access::Access,
    config::Config,
    domain::schedule::Schedule,
    metrics::{Metrics, names},
    observe::figures::Latest,
    parts::Parts,
    sockets::{Entrance, Listener},
};

/// How often observations are added up.
const UPKEEP: Duration = Duration::from_secs(5);

/// The open port, until it is closed or dropped.
#[derive(Debug)]
pub(crate) struct Http {
    serving: JoinHandle<()>,
    closing: DropGuard,
}

/// What answers are made of.
#[derive(Clone)]
struct Context {
    parts: Parts,
    figures: Latest,
    instance: Instance,
    /// When this instance starts batches by itself.
    schedule: Option<Schedule>,
    snapshots: Snapshots,
    /// Of events.
    readers: Readers,
    /// Of those who look for orders.
    turns: Turns,
    /// Cancelled when the server is told to stop.
    stop: CancellationToken,
}

impl Http {
    /// Begins to answer. It goes on when the server is told to stop, so that probes hear how that
    /// goes; what would never end by itself ends with `stop`.
    pub(crate) fn open(
        socket: TcpListener,
        entrance: Entrance,
        config: &Config,
        schedule: Option<Schedule>,
        parts: Parts,
        access: Access,
        stop: CancellationToken,
    ) -> Http {
        let guard = Guard {
            hosts: Hosts::new(config.http_hosts.clone()),
            access,
        };
        let closing = CancellationToken::new();
        let connections = parts.metrics.gauge(&names::CONNECTIONS, &["http"]);
        let most = most_connections();
        let listener = Listener::new(socket, entrance, most, connections);
        tokio::spawn(keep_up(parts.metrics.clone(), closing.clone()));
        let instance = config.instance.clone();
        let context = Context {
            snapshots: Snapshots::new(parts.clone(), instance, schedule.clone(), stop.clone()),
            readers: Readers::of(most),
            turns: Turns::default(),
            figures: Latest::new(&parts.store, parts.monitor.clone()),
            instance: Instance::new(&parts.metrics),
            parts,
            schedule,
            stop,
        };
        let router = routes(context, guard);
        Http {
            serving: tokio::spawn(listener.serve(Http1(router), closing.clone())),
            closing: closing.drop_guard(),
        }
    }

    /// Answers what has been asked, and closes the port.
    pub(crate) async fn close(self) {
        drop(self.closing);
        // It panics in no other way than by a fault of this program, which is told where it happens.
        let _ = self.serving.await;
    }
}

/// Adds up what has been observed, whether anybody asks for it or not.
async fn keep_up(metrics: Metrics, closing: CancellationToken) {
    let mut upkeep = interval(UPKEEP);
    while closing.run_until_cancelled(upkeep.tick()).await.is_some() {
        metrics.upkeep();
    }
}

fn routes(context: Context, guard: Guard) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/page/{name}", get(page::part))
        .route("/events", get(events::events))
        .route("/orders/{numero}", get(order::order))
        .route("/livez", get(probes::livez))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(metrics::metrics))
        .fallback(nothing_here)
        .with_state(context)
        .layer(CatchPanicLayer::custom(after_a_panic))
        .layer(from_fn_with_state(guard, guard::guard))
}

async fn nothing_here() -> (StatusCode, &'static str) {
    (
        StatusCode::NOT_FOUND,
        "there is nothing here; there are /, /events, /orders/{numero}, /livez, /readyz and /metrics\n",
    )
}

fn after_a_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("an answer panicked; this is a fault of the server, please report it");
    let text = "this is a fault of archd, whose log says more; please report it\n";
    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}
