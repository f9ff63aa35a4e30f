//! Text from a database that holds anything, made safe for a terminal.

use order_archiver_api::v1::UnreadableDocument;

pub(crate) use order_archiver_api::{
    progress::words,
    text::{cut, one_line, tame, tame_json},
};

/// A document that the server can't read, on one line.
pub(crate) fn left_out(document: &UnreadableDocument) -> String {
    format!("Left out: {}", one_line(&document.problem))
}

/// Whose call it was: where it came from, and the instance that was called.
pub(crate) fn by_whom(peer: &str, instance: &str) -> String {
    match peer {
        "" => format!("through {instance}"),
        peer => format!("by {peer} through {instance}"),
    }
}
