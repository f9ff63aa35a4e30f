//! Waits for a database that can be looked at.

use std::{convert::Infallible, future::pending, time::Duration};

use tokio::time::{sleep, timeout};
use tracing::info;

use crate::store::{Error, Inspector, deployment::inspector::Server};

/// How long a database may take to answer before people are told that it is waited for.
const AT_ONCE: Duration = Duration::from_millis(500);
/// The pause before a database that is away is asked again.
const PAUSE: Duration = Duration::from_millis(250);

/// Waits for a server that takes writes, and in the end is content with any.
pub(super) async fn reach(inspector: &Inspector, wait: Duration) -> Result<Server, Error> {
    let mut latest = Err(Error::Timeout(wait));
    let settled = timeout(wait, async {
        loop {
            match inspector.server().await {
                Ok(server) if server.writable => return Ok(server),
                Err(error) => match inspector.explain(error).await {
                    error if error.is_transient() => latest = Err(error),
                    error => return Err(error),
                },
                answer => latest = answer,
            }
            sleep(PAUSE).await;
        }
    });
    let settled = tokio::select! {
        settled = settled => settled,
        never = say_what_is_waited_for(wait) => match never {},
    };
    settled.unwrap_or(latest)
}

/// Tells people what takes so long, unless that is over at once.
async fn say_what_is_waited_for(wait: Duration) -> Infallible {
    sleep(AT_ONCE).await;
    info!(?wait, "waiting for a database that takes writes");
    pending().await
}
