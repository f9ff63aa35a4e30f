//! SIGHUP: people tell a server by it to read its files again.

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Each SIGHUP from now on. Without one of these in the process, it ends the process.
#[derive(Debug)]
pub(crate) struct Hangups {
    #[cfg(unix)]
    signals: Option<Signal>,
}

impl Hangups {
    pub(crate) fn listen() -> Hangups {
        Hangups {
            #[cfg(unix)]
            signals: signal(SignalKind::hangup()).ok(),
        }
    }

    /// Waits for the next one, for ever where the system knows none.
    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signals) = &mut self.signals
            && signals.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
