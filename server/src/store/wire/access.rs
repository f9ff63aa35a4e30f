//! Access: what the database says that a connection may do.

use std::time::Duration;

use bson::doc;
use tokio::time::timeout;
use tracing::debug;

use super::link::Link;
use crate::store::Error;

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
