//! The limits on callers of gRPC as a table for people, a row each: what is limited, how much of it
//! there may be, and what happens beyond.

use humantime::format_duration as time;

use super::*;
use crate::{
    config::table::{MAX_CONNECTIONS, MAX_TAIL_READERS, REQUEST_TIMEOUT},
    grpc::audit::NOTED_BESIDE,
};

const EXHAUSTED: &str = "`RESOURCE_EXHAUSTED`, to be tried again";
const TOO_LARGE: &str = "`RESOURCE_EXHAUSTED`";
const CLOSED: &str = "its connection is closed";

/// A row of the table.
pub(crate) type Row = (&'static str, String, &'static str);

/// A number as people read it: in thousands, or in units of 1,024 bytes.
fn many(number: usize) -> String {
    match number {
        1_000.. => format!("{},{:03}", number / 1_000, number % 1_000),
        _ => number.to_string(),
    }
}

fn bytes(number: usize) -> String {
    match number {
        _ if number.is_multiple_of(MIB) => format!("{} MiB", number / MIB),
        _ => format!("{} KiB", number / KIB),
    }
}

/// The part on connections.
pub(crate) fn connections() -> Vec<Row> {
    vec![
        (
            "connections",
            format!(
                "`{}`: up to 10,000, and fewer than the files that the process may open",
                MAX_CONNECTIONS.name
            ),
            "the one that is least in use makes way; if all are in use, the next one waits",
        ),
        (
            "a connection without a request",
            time(FIRST_REQUEST).to_string(),
            "it is closed",
        ),
        (
            "a peer that answers no ping",
            format!(
                "asked every {}, {} for the answer",
                time(PING_INTERVAL),
                time(PING_TIMEOUT)
            ),
            CLOSED,
        ),
        (
            "frames that ask for nothing (pings, settings, priorities, windows, empty or unknown ones)",
            format!(
                "{} a second, and {IDLE_FRAMES_FOR_AN_ANSWER} for each frame of an answer; {IDLE_FRAMES} ahead of that; a call that is withdrawn counts as {IDLE_FRAMES_FOR_A_RESET}",
                many(IDLE_FRAMES_A_SECOND as usize)
            ),
            "they are read no faster, and soon the peer can't send any more",
        ),
        (
            "calls of a connection",
            many(CALLS_OF_A_CONNECTION as usize),
            "the client waits, as HTTP/2 has it",
        ),
        (
            "calls of a connection that are withdrawn before the server has seen them",
            many(WITHDRAWN),
            CLOSED,
        ),
        (
            "calls of a connection that are reset for what the peer did wrong",
            many(ERRED),
            CLOSED,
        ),
        ("a frame", bytes(FRAME as usize), CLOSED),
        (
            "header fields of a request, unpacked",
            bytes(HEADERS as usize),
            "HTTP status 431",
        ),
        (
            "header fields that a connection keeps, to name them in short",
            bytes(HEADER_TABLE as usize),
            "they are forgotten",
        ),
        (
            "a request on its way that has not been read",
            format!(
                "{} of a call, {} of a connection",
                bytes(STREAM_WINDOW as usize),
                bytes(CONNECTION_WINDOW as usize)
            ),
            "the client waits, as HTTP/2 has it",
        ),
    ]
}

/// The part on calls and requests.
pub(crate) fn requests() -> Vec<Row> {
    vec![
        (
            "calls in all",
            many(CALLS),
            "`RESOURCE_EXHAUSTED`, to be tried again; the first eight of a connection are served all the same",
        ),
        (
            "a call that is no stream",
            format!(
                "`{}` ({}), or the caller's deadline",
                REQUEST_TIMEOUT.name, REQUEST_TIMEOUT.default
            ),
            "`DEADLINE_EXCEEDED`",
        ),
        (
            "calls that need the right to operate and have not been noted in the audit log",
            many(NOTED_BESIDE),
            EXHAUSTED,
        ),
        ("a request", bytes(REQUEST), TOO_LARGE),
        (
            "a request with a list of ids",
            bytes(LONG_REQUEST),
            TOO_LARGE,
        ),
        ("a request with a cursor", bytes(CURSOR_REQUEST), TOO_LARGE),
        (
            "a request that gzip has packed",
            format!(
                "the same when it is unpacked; counted as {} times its size while it arrives",
                many(UNPACKED)
            ),
            "`RESOURCE_EXHAUSTED`, and no more of it is unpacked",
        ),
        (
            "requests that have not been answered, heads and bodies, in all",
            format!(
                "{}, beside the first {} of each",
                bytes(REQUESTS),
                bytes(SMALL_REQUEST)
            ),
            EXHAUSTED,
        ),
        (
            "a request that does not arrive",
            time(ARRIVAL).to_string(),
            "`DEADLINE_EXCEEDED`",
        ),
        (
            "looks through the database's history for one order, in all",
            many(HISTORY_LOOKS),
            EXHAUSTED,
        ),
    ]
}

/// The part on streams and answers.
pub(crate) fn streams() -> Vec<Row> {
    vec![
        (
            "streams of requests",
            format!("{REQUEST_STREAMS_OF_A_CONNECTION} of a connection, {REQUEST_STREAMS} in all"),
            EXHAUSTED,
        ),
        (
            "streams of reflection in all",
            many(REFLECTION_STREAMS),
            EXHAUSTED,
        ),
        (
            "callers who follow the health of services, in all",
            many(HEALTH_WATCHES),
            "`RESOURCE_EXHAUSTED`, to be tried again; the first eight calls of a connection are served all the same",
        ),
        (
            "readers of events",
            format!("`{}` ({})", MAX_TAIL_READERS.name, MAX_TAIL_READERS.default),
            EXHAUSTED,
        ),
        (
            "a stream of orders on which nothing is asked or under way",
            time(STREAM_IDLE).to_string(),
            "`DEADLINE_EXCEEDED`",
        ),
        (
            "orders of a stream that have been read and wait for their turn",
            bytes(STREAM_QUEUE),
            "the client waits, as HTTP/2 has it",
        ),
        (
            "a stream of orders of which no answer is read",
            time(STREAM_UNREAD).to_string(),
            CLOSED,
        ),
        (
            "any other stream of answers that is not read",
            time(SLOWEST).to_string(),
            EXHAUSTED,
        ),
        (
            "a message of news that has not been sent",
            format!("one over {} for each reader", bytes(LARGE_NEWS)),
            "it is not held meanwhile, but read once more",
        ),
        (
            "an answer",
            "3 MiB of documents, and less than the 4 MiB that clients take".to_owned(),
            "a page ends, a field is left out",
        ),
        (
            "answers that have not been sent, in all",
            format!(
                "{} of those up to {}, {} of larger ones, none of those up to {}",
                bytes(SMALL_ANSWERS),
                bytes(SMALL_ANSWER),
                bytes(LARGE_ANSWERS),
                bytes(TINY_ANSWER)
            ),
            "`RESOURCE_EXHAUSTED`, to be tried again; for documents after a wait",
        ),
        (
            "the wait for room for documents",
            time(ROOM_PATIENCE).to_string(),
            EXHAUSTED,
        ),
        (
            "an answer of which nothing is read",
            time(READING).to_string(),
            CLOSED,
        ),
        (
            "an answer in the buffers of its call",
            bytes(SEND_BUFFER),
            "it is made no faster than it is read",
        ),
    ]
}
