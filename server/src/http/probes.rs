//! Probes: is this process alive.

/// The process runs and answers, whatever its database does.
pub(super) async fn livez() -> &'static str {
    "alive\n"
}
