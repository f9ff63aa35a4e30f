//! Who last asked the watcher to pause or to go on.

use bson::{DateTime, Document};

use crate::store::state::{
    caller::Caller,
    format::{Field, Is, may, must},
};

/// The fields of a call, in the watcher's document.
pub(super) const ASKED_BY: &[Field] = &[
    must("pause", Is::Flag),
    must("instance", Is::Text),
    must("peer", Is::Text),
    must("at", Is::Date),
    may("call", Is::Text),
];

/// A call that asked the watcher to pause or to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedBy {
    /// Whether it was to pause.
    pub pause: bool,
    /// Who called.
    pub caller: Caller,
    /// When.
    pub at: DateTime,
}

/// Reads a call from its document.
pub(super) fn asked_by_in(document: &Document) -> AskedBy {
    let text = |field| document.get_str(field).unwrap_or_default().to_owned();
    let at = document.get_datetime("at").ok().copied();
    AskedBy {
        pause: document.get_bool("pause").unwrap_or_default(),
        caller: Caller {
            instance: text("instance"),
            peer: text("peer"),
        },
        at: at.unwrap_or(DateTime::from_millis(0)),
    }
}
