//! Who is at the other end of a connection, as far as the connection itself tells.

use std::{net::SocketAddr, time::SystemTime};

/// The other end of a connection. Both edges give it to every request, in its extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Where it is; behind a proxy this is the proxy.
    pub(crate) address: SocketAddr,
    /// What it identified itself by; none in plain text, and none where it showed nothing.
    #[allow(dead_code, reason = "rights are given to names")]
    pub(crate) certificate: Option<Certificate>,
}

/// A client certificate that one of the client CAs vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "rights are given to names")]
pub(crate) struct Certificate {
    /// The DNS names among its subject alternative names, as they stand there.
    pub(crate) dns: Vec<String>,
    /// The URIs among them, such as SPIFFE ids.
    pub(crate) uris: Vec<String>,
    /// The last moment at which it is valid.
    pub(crate) expires: SystemTime,
}
