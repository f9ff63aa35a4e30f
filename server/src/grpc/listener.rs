//! What gRPC is to a listener: how its connections are served, and how many there may be.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, codegen::Bytes};
use tower::Service;
use tracing::warn;

use super::{
    connection::{self, Connection},
    limits,
};
use crate::{
    peer::Peer,
    sockets::{Protocol, Stream, open_files},
};

/// Files beside connections: standard streams, the log, the runtime's own, names and certificates
/// that are looked up, and a caller who waits for a place.
const OTHER_FILES: usize = 48;
/// The most connections where neither the settings nor the files say less.
const MOST: usize = 10_000;
/// The fewest, however few files there are.
const LEAST: usize = 8;

/// A service, called by gRPC.
#[derive(Debug)]
pub(super) struct Grpc<S> {
    pub(super) service: S,
    /// How long a call takes at most.
    pub(super) longest_call: Duration,
}

impl<S, B> Protocol for Grpc<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Connection = Connection;

    const NAME: &str = "gRPC";
    const ALPN: &[u8] = b"h2";
    /// Empty settings, and a GOAWAY (RFC 9113, 6.8) for INADEQUATE_SECURITY with a text of 34
    /// bytes.
    const SPEAK_TLS: &[u8] = b"\0\0\0\x04\0\0\0\0\0\
        \0\0\x2a\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0cthis port speaks TLS: use https://";
    const FIRST_BYTE: Duration = limits::FIRST_REQUEST;

    fn connection(&self) -> Connection {
        Connection::new(self.longest_call)
    }

    fn serve(
        &self,
        stream: Stream,
        peer: Arc<Peer>,
        connection: Arc<Connection>,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send {
        connection::serve(stream, peer, connection, self.service.clone(), stop)
    }
}

/// How many connections the process has files for, when so many were asked for (0: as many as there
/// can be) and up to `taken` are the database's and those of HTTP. With a warning where that is
/// fewer.
pub(super) fn most_connections(asked: usize, taken: usize) -> usize {
    let files = open_files();
    let (most, fewer) = share(asked, taken, files);
    if fewer {
        warn!(
            "ARCHD_MAX_CONNECTIONS is {asked}, but with a limit of {} open files ({} of them for the database and HTTP) there can be {most} connections; raise the limit (ulimit -n, LimitNOFILE)",
            files.unwrap_or_default(),
            taken
        );
    }
    most
}

fn share(asked: usize, taken: usize, files: Option<usize>) -> (usize, bool) {
    let room = files.map_or(MOST, |files| files.saturating_sub(taken + OTHER_FILES));
    let room = room.max(LEAST);
    match asked {
        0 => (room.min(MOST), false),
        asked => (asked.min(room), asked > room),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_to_the_database() {
        let table = [
            // Asked, taken, files: connections, and whether they are fewer than asked.
            ((0, 144, Some(1_024)), (832, false)),
            ((500, 144, Some(1_024)), (500, false)),
            ((1_000, 144, Some(1_024)), (832, true)),
            ((0, 144, Some(1_000_000)), (MOST, false)),
            ((20_000, 144, Some(1_000_000)), (20_000, false)),
            ((0, 144, None), (MOST, false)),
            ((100, 500, Some(256)), (LEAST, true)),
        ];
        for ((asked, taken, files), expected) in table {
            assert_eq!(
                share(asked, taken, files),
                expected,
                "{asked} {taken} {files:?}"
            );
        }
    }
}
