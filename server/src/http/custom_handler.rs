//! The custom handler of Azure Functions: what the host asks, and what it is answered. Each call of a
//! function is one piece of work, whoever does it.
//!
//! The contract is the host's (<https://learn.microsoft.com/azure/azure-functions/functions-custom-handlers>):
//! `GET /` until it is answered, then `POST /<function>` with the trigger's data as JSON; an answer
//! beyond 2xx is a failed invocation.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_TYPE, HOST, ORIGIN},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};
use tower_http::catch_panic::CatchPanicLayer;

use super::{after_a_panic, guard::Hosts, listener::Http1};
use crate::{
    metrics::{Metrics, names},
    sockets::{Entrance, Listener},
};

/// The most connections: the host has one, and a person may look beside it.
pub(super) const MOST: usize = 16;
/// The largest call, in bytes. A timer's takes a few hundred.
pub(super) const CALL: usize = 256 * 1024;
/// How long a call may take to arrive.
pub(super) const ARRIVAL: Duration = Duration::from_secs(10);
/// The header that tells one invocation from another.
const INVOCATION: &str = "x-azure-functions-invocationid";

/// A call of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// The name of the function.
    pub(crate) function: String,
    /// The host's id of the invocation; empty where it gives none.
    pub(crate) id: String,
    /// Whether the timer should have fired earlier, as after a night in which the app was down.
    pub(crate) is_past_due: bool,
}

/// What came of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invoked {
    /// Whether it did what it is there for.
    pub(crate) succeeded: bool,
    /// What the function's log is to say, a line each.
    pub(crate) logs: Vec<String>,
}

/// What calls are answered with.
#[derive(Clone)]
struct Handler<F> {
    invoke: F,
    /// The calls that are being answered.
    calls: TaskTracker,
}

/// Answers on a socket of this machine until `stop` is cancelled and what is under way is answered.
pub(crate) async fn serve<F, R>(socket: TcpListener, invoke: F, stop: CancellationToken)
where
    F: Fn(Invocation) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Invoked> + Send + 'static,
{
    let calls = TaskTracker::new();
    let handler = Handler {
        invoke,
        calls: calls.clone(),
    };
    let router = Router::new()
        .route("/", get(ready))
        .route("/{function}", post(call::<F, R>))
        .with_state(handler)
        .layer(CatchPanicLayer::custom(after_a_panic))
        .layer(middleware::from_fn(guard));
    let counted = Metrics::off().gauge(&names::CONNECTIONS, &["http"]);
    let listener = Listener::new(socket, Entrance::default(), MOST, counted);
    let closing = CancellationToken::new();
    let answered = async {
        stop.cancelled().await;
        calls.close();
        calls.wait().await;
        closing.cancel();
    };
    let serving = listener.serve(Http1(router), closing.clone());
    futures::join!(answered, serving);
}

/// Any answer tells the host that calls may come.
async fn ready() -> &'static str {
    "ready\n"
}

async fn call<F, R>(
    State(handler): State<Handler<F>>,
    Path(function): Path<String>,
    request: Request,
) -> Response
where
    F: Fn(Invocation) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Invoked> + Send + 'static,
{
    let _under_way: TaskTrackerToken = handler.calls.token();
    let invocation = match invocation(function, request).await {
        Ok(invocation) => invocation,
        Err(refusal) => return refusal.into_response(),
    };
    let Invoked { succeeded, logs } = (handler.invoke)(invocation).await;
    let status = match succeeded {
        true => StatusCode::OK,
        false => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let answer = json!({ "Outputs": {}, "Logs": logs, "ReturnValue": null });
    let json = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, json)], answer.to_string()).into_response()
}

/// Reads a call, or says what is wrong with it.
async fn invocation(
    function: String,
    request: Request,
) -> Result<Invocation, (StatusCode, String)> {
    let id = request.headers().get(INVOCATION);
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
    let id = id.to_owned();
    let body = match timeout(ARRIVAL, to_bytes(request.into_body(), CALL)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let text =
                format!("a call has at most {CALL} bytes, and this one has more or broke off\n");
            return Err((StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        Err(_) => {
            let text = format!("a call has to be there within {ARRIVAL:?}\n");
            return Err((StatusCode::REQUEST_TIMEOUT, text));
        }
    };
    let call: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(data) = call["Data"].as_object() else {
        let text = "a call is a JSON object with the trigger's data in `Data`, as the host of Azure Functions sends it\n";
        return Err((StatusCode::BAD_REQUEST, text.to_owned()));
    };
    // The binding may have any name.
    let is_past_due = data.values().any(is_past_due);
    Ok(Invocation {
        function,
        id,
        is_past_due,
    })
}

/// Whether a binding is a timer that is late. Hosts hand it over as a document, older ones as text
/// that holds one.
fn is_past_due(binding: &Value) -> bool {
    let parsed = binding.as_str().map(serde_json::from_str::<Value>);
    let binding = match &parsed {
        Some(Ok(inner)) => inner,
        _ => binding,
    };
    let late = binding
        .get("IsPastDue")
        .or_else(|| binding.get("isPastDue"));
    late.and_then(Value::as_bool).unwrap_or_default()
}

/// Lets the host in. A page in a browser on this machine would say which site it is of, or call this
/// machine by another name than its own.
async fn guard(request: Request<Body>, next: Next) -> Response {
    let named = request.uri().authority().map(|named| named.as_str());
    let header = request.headers().get(HOST);
    let host = named.or_else(|| header.and_then(|host| host.to_str().ok()));
    let is_ours = host.is_none_or(|host| Hosts::new(Vec::new()).have(host));
    if !is_ours || request.headers().contains_key(ORIGIN) {
        let text = "only the host of Azure Functions on this machine is answered here\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_is_late_by_whatever_name_and_in_whatever_form() {
        for (binding, late) in [
            (json!({ "Schedule": {}, "IsPastDue": true }), true),
            (json!({ "isPastDue": true }), true),
            (json!(r#"{"IsPastDue":true}"#), true),
            (json!({ "IsPastDue": false }), false),
            (json!({ "IsPastDue": "true" }), false),
            (json!("IsPastDue"), false),
            (json!(null), false),
        ] {
            assert_eq!(is_past_due(&binding), late, "{binding}");
        }
    }
}
