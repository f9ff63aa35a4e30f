//! Sockets: how both edges take connections in, in plain text or over TLS, and how many files the
//! system gives the process for them.

mod certificate;
mod credentials;
#[cfg(test)]
pub(crate) mod limits;
mod listener;
mod stream;
mod tls;

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};
use tracing::warn;

pub(crate) use self::credentials::BadTlsFile;
#[cfg(any(test, fuzzing))]
pub(crate) use self::credentials::fuzz;
pub(crate) use self::{
    listener::{Connection, Entrance, Listener, MOST_DISPENSABLE, Protocol},
    stream::Stream,
    tls::Tls,
};
use crate::log_limit::LogLimit;

/// The pauses after connections that could not be taken in.
const FAULT_PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// How often the log tells of the same trouble.
const LOG_PAUSE: Duration = Duration::from_secs(10);

/// A socket that connections arrive at.
#[derive(Debug)]
struct Socket {
    socket: TcpListener,
    faults: LogLimit,
}

impl Socket {
    fn new(socket: TcpListener) -> Socket {
        Socket {
            socket,
            faults: LogLimit::new(1, LOG_PAUSE),
        }
    }

    /// The next connection, and where it comes from. A fault, as when the process has no file left,
    /// is followed by a pause: the same caller still waits.
    async fn accept(&self) -> (TcpStream, SocketAddr) {
        let mut pause = FAULT_PAUSES.0;
        loop {
            match self.socket.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_of_the_caller(&error) => {}
                Err(error) => {
                    if let Some(left_out) = self.faults.admit(Instant::now()) {
                        warn!(%error, times = left_out + 1, "connections can't be taken in");
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(FAULT_PAUSES.1);
                }
            }
        }
    }
}

/// A fault of the one connection that would have been next; there may be others behind it.
fn is_of_the_caller(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// How many files the process may have open; none where the system sets no limit.
#[cfg(unix)]
pub(crate) fn open_files() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    usize::try_from(limit).ok()
}

#[cfg(not(unix))]
pub(crate) fn open_files() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_who_has_left_is_no_reason_to_pause() {
        for code in [103, 104, 111, 4] {
            assert!(
                is_of_the_caller(&io::Error::from_raw_os_error(code)),
                "{code}"
            );
        }
        // EMFILE, ENFILE, ENOBUFS, ENOMEM: the next try fails as well.
        for code in [24, 23, 105, 12] {
            assert!(
                !is_of_the_caller(&io::Error::from_raw_os_error(code)),
                "{code}"
            );
        }
    }
}
