//! Probes: does this process live, and can it do its work.

use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Serialize;

use super::{Context, guard::MayRead};

/// What `/readyz` tells everybody.
#[derive(Debug, Serialize)]
struct Readiness {
    /// Whether the server takes calls, and can archive.
    ready: bool,
    /// Whether the server has been told to stop.
    stopping: bool,
    #[serde(flatten)]
    details: Option<Details>,
}

/// What it tells whoever may read. An archive that is not fit, as while its index is built, is told
/// of as the database is.
#[derive(Debug, Serialize)]
struct Details {
    /// `ready`, or what is wrong.
    database: String,
    /// What the watcher of the database is doing, whichever instance runs it: the name of its state
    /// as in the metrics. Absent before there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    watcher: Option<&'static str>,
    /// Documents of archd's own that can't be read.
    unreadable_documents: usize,
    /// Privileges that the database user lacks and that something stands still without.
    missing_privileges: usize,
}

/// The process runs and answers, whatever its database does.
pub(super) async fn livez() -> &'static str {
    "alive\n"
}

/// Whether it can do its work. That nobody watches does not make it unready: it is there for
/// callers all the same.
pub(super) async fn readyz(
    State(context): State<Context>,
    Extension(MayRead(may_read)): Extension<MayRead>,
) -> Response {
    let stopping = context.parts.leaving.is_cancelled();
    let database = context.parts.monitor.check();
    let ready = database.is_ok() && !stopping;
    let details = may_read.then(|| Details {
        database: match database {
            Ok(()) => "ready".to_owned(),
            Err(error) => error.to_string(),
        },
        watcher: context.parts.documents.watcher(),
        unreadable_documents: context.parts.documents.faults().len(),
        missing_privileges: context.parts.privileges.essential(),
    });
    let readiness = Readiness {
        ready,
        stopping,
        details,
    };
    let status = match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(readiness)).into_response()
}
