//! Ctrl-C, and the other signals to end.

/// Waits for Ctrl-C; where the system has no such thing, for ever.
pub(crate) async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits for a signal that ends a program, whatever it has done to its terminal.
#[cfg(unix)]
pub(crate) async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = async |kind| match signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::hangup()) => {}
        () = wait(SignalKind::quit()) => {}
    }
}

/// Waits for a signal that ends a program, whatever it has done to its terminal.
#[cfg(not(unix))]
pub(crate) async fn told_to_end() {
    interrupted().await;
}
