//! Where an order stands, by its number: what ExplainOrder says of it, as JSON.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header::RETRY_AFTER};
use order_archiver_api::{json::to_json, v1 as pb};
use tokio::{sync::Semaphore, time::timeout};

use super::Context;
use crate::{
    explain::Explaining,
    store::{Error, Store},
};

/// The longest number that is looked for, in bytes.
pub(super) const LONGEST: usize = 256;
/// Orders that are looked for at once: each may be held in memory, with its archived document.
pub(super) const AT_ONCE: usize = 2;
/// How long an answer may take, the wait for its turn included.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Whose turn it is. Clones share their turns.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Turns {
        Turns(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// Answers with what is known of an order.
pub(super) async fn order(State(context): State<Context>, Path(numero): Path<String>) -> Response {
    if numero.is_empty() || numero.len() > LONGEST {
        let text = format!("a number has from 1 to {LONGEST} bytes\n");
        return (StatusCode::BAD_REQUEST, text).into_response();
    }
    let answer = timeout(PATIENCE, explained(&context, &numero)).await;
    match answer.unwrap_or(Err(Error::Timeout(PATIENCE))) {
        Ok(Some(answer)) => match to_json(&answer) {
            Ok(answer) => Json(answer).into_response(),
            Err(error) => failed(&Error::Unusable(error.to_string())),
        },
        Ok(None) => {
            let text = format!("nothing is known of {numero}\n");
            (StatusCode::NOT_FOUND, text).into_response()
        }
        Err(error) => failed(&error),
    }
}

async fn explained(
    context: &Context,
    numero: &str,
) -> Result<Option<pb::ExplainOrderResponse>, Error> {
    context.parts.monitor.check_reads()?;
    let closed = |_| Error::Unavailable("the server is stopping".to_owned());
    let turn = context.turns.0.clone().acquire_owned();
    let turn = turn.await.map_err(closed)?;
    // The turn lasts until the database has answered, whoever waits for that.
    let store: Store = context.parts.store.for_callers().keeping(turn);
    let mut explaining = Explaining::begin(&store, numero).await?;
    explaining.answer(&store, context.schedule.as_ref()).await
}

fn failed(error: &Error) -> Response {
    let text = format!("{error}\n");
    match error.is_transient() {
        true => {
            let soon = [(RETRY_AFTER, "2")];
            (StatusCode::SERVICE_UNAVAILABLE, soon, text).into_response()
        }
        false => (StatusCode::INTERNAL_SERVER_ERROR, text).into_response(),
    }
}
