//! Ctrl-C.

/// Waits for Ctrl-C; where the system has no such thing, for ever.
pub(crate) async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
