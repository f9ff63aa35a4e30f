//! The edge that speaks HTTP: for probes, for Prometheus and for people with a browser. The only
//! code that knows axum. It reads, and changes nothing.

mod guard;
mod listener;
mod probes;

use axum::{
    Router,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower_http::catch_panic::CatchPanicLayer;

pub(crate) use self::listener::most_connections;
use self::{guard::Hosts, listener::Listener};
use crate::{config::Config, parts::Parts};

/// The open port, until it is closed or dropped.
#[derive(Debug)]
pub(crate) struct Http {
    serving: JoinHandle<()>,
    closing: DropGuard,
}

/// What answers are made of.
#[derive(Clone, Debug)]
struct Context {
    #[expect(dead_code, reason = "what is asked of it follows")]
    parts: Parts,
    /// Cancelled when the server is told to stop.
    #[expect(dead_code, reason = "what is asked of it follows")]
    stop: CancellationToken,
}

impl Http {
    /// Begins to answer. It goes on when the server is told to stop, so that probes hear how that
    /// goes; what would never end by itself ends with `stop`.
    pub(crate) fn open(
        socket: TcpListener,
        config: &Config,
        parts: Parts,
        stop: CancellationToken,
    ) -> Http {
        let hosts = Hosts::new(config.http_hosts.clone());
        let router = routes(Context { parts, stop }, hosts);
        let closing = CancellationToken::new();
        let listener = Listener::new(socket, most_connections());
        Http {
            serving: tokio::spawn(listener.serve(router, closing.clone())),
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

fn routes(context: Context, hosts: Hosts) -> Router {
    Router::new()
        .route("/livez", get(probes::livez))
        .fallback(nothing_here)
        .with_state(context)
        .layer(CatchPanicLayer::custom(after_a_panic))
        .layer(from_fn_with_state(hosts, guard::guard))
}

async fn nothing_here() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "there is nothing here; try /livez\n")
}

fn after_a_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("an answer panicked; this is a fault of the server, please report it");
    let text = "this is a fault of archd, whose log says more; please report it\n";
    (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
}
