//! Ctrl-C, and the other signals to end.

/// Waits for Ctrl-C; where the system has no such thing, for ever.
pub(crate) async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Hears the signals that end a program, from this call on, whatever it has done to its terminal
/// until it waits for them.
#[cfg(unix)]
pub(crate) fn told_to_end() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
        SignalKind::quit(),
    ];
    let signals = kinds.into_iter().filter_map(|kind| signal(kind).ok());
    let mut signals: Vec<_> = signals.collect();
    async move {
        let waits = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
        match waits.len() {
            0 => std::future::pending().await,
            _ => drop(futures::future::select_all(waits).await),
        }
    }
}

/// Hears what ends a program.
#[cfg(not(unix))]
pub(crate) fn told_to_end() -> impl Future<Output = ()> {
    interrupted()
}
