//! Callers: where a call came from that changed a document of the server's own.

/// Where a call came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The instance that was called.
    pub instance: String,
    /// The address and port of the caller; empty when the instance can't tell.
    pub peer: String,
}
