//! Versions: of this program, and of the server that answers.

use order_archiver_api::v1::GetInstanceResponse;

use super::grid;
use crate::values::Address;

/// The client's version, and the server's where it answered.
pub(crate) fn card(
    client: &str,
    endpoint: &Address,
    server: Option<&GetInstanceResponse>,
) -> String {
    let mut fields = vec![("Client", format!("archctl {client}"))];
    if let Some(server) = server {
        fields.extend([
            ("Server", format!("archd {}", server.version)),
            ("Endpoint", endpoint.to_string()),
            ("Instance", server.name.clone()),
        ]);
        if !server.host.is_empty() {
            fields.push(("Host", server.host.clone()));
        }
    }
    grid::card(fields)
}
