//! Refusals: what a failed call says about the connection that it was made on, and what a
//! connection may do.

use std::time::Duration;

use bson::doc;
use mongodb::error::{Error as DriverError, ErrorKind};
use tokio::time::timeout;
use tracing::debug;

use super::connection::Link;
use crate::store::Error;

const AUTHENTICATION_FAILED: i32 = 18;
const UNAUTHORIZED: i32 = 13;

/// How a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Refusal {
    /// The connection is not, or no longer, logged in.
    LoggedOut,
    /// It is, and its user lacks a right.
    Rights,
}

/// What the database knows of a connection.
pub(in crate::store) struct Access {
    /// Whether it is logged in as anybody.
    pub(in crate::store) logged_in: bool,
    /// What that user may do.
    pub(in crate::store) privileges: Vec<String>,
}

/// Asks what the connections of a client may do; none where they get no answer.
pub(in crate::store) async fn access(link: &Link, limit: Duration) -> Option<Access> {
    let admin = link.client.database("admin");
    let ask = admin.run_command(doc! { "connectionStatus": 1, "showPrivileges": true });
    let status = match timeout(limit, ask.into_future()).await {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => {
            let error = Error::from_driver("connectionStatus", &error);
            debug!(%error, "new connections fare no better");
            return None;
        }
        Err(_) => return None,
    };
    let list = |name: &str| {
        let info = status.get_document("authInfo").cloned();
        info.and_then(|info| info.get_array(name).cloned())
            .unwrap_or_default()
    };
    let mut privileges: Vec<String> = list("authenticatedUserPrivileges")
        .iter()
        .map(ToString::to_string)
        .collect();
    privileges.sort();
    Some(Access {
        logged_in: !list("authenticatedUsers").is_empty(),
        privileges,
    })
}

/// What a failure says about the connection; none when it says nothing.
pub(in crate::store) fn refusal(error: &DriverError) -> Option<Refusal> {
    match error.kind.as_ref() {
        ErrorKind::Authentication { .. } => Some(Refusal::LoggedOut),
        ErrorKind::Command(failure) => match failure.code {
            AUTHENTICATION_FAILED => Some(Refusal::LoggedOut),
            // The database has one code for both, and tells them apart in words.
            UNAUTHORIZED if failure.message.contains("requires authentication") => {
                Some(Refusal::LoggedOut)
            }
            UNAUTHORIZED => Some(Refusal::Rights),
            _ => None,
        },
        _ => None,
    }
}
