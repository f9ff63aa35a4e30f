//! The limits on connections of both edges as a table for people, a row each: what is limited, how much of
//! it there may be, and what happens beyond.

use humantime::format_duration as time;

use super::listener::{HANDSHAKE, REFUSAL, SENT_UNREAD};
use crate::{config::table::MAX_CONNECTION_AGE, files::MOST_BYTES};

/// The rows.
pub(crate) fn rows() -> Vec<(&'static str, String, &'static str)> {
    vec![
        (
            "what is on its way to a client that has not read it",
            format!("{} KiB", SENT_UNREAD / 1_024),
            "no more is sent",
        ),
        (
            "a handshake of TLS",
            time(HANDSHAKE).to_string(),
            "the connection is closed; until the handshake is over it is the first to make way",
        ),
        (
            "the age of a connection over TLS",
            format!(
                "`{}` ({}), a tenth more or less, and no longer than its client's certificate is valid",
                MAX_CONNECTION_AGE.name, MAX_CONNECTION_AGE.default
            ),
            "it takes no more calls, and ends with the last of them",
        ),
        (
            "what is sent in plain text, until the client has read that TLS is spoken",
            format!("{} KiB, {}", REFUSAL.0 / 1_024, time(REFUSAL.1)),
            "the connection is closed",
        ),
        (
            "a file of TLS or of identities",
            format!("{} MiB", MOST_BYTES / 1_024 / 1_024),
            "it is refused, and what it held before stays in force",
        ),
    ]
}
