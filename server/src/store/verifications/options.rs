//! What a verification is asked to do, and how the database keeps it.

use std::time::Duration;

use bson::{Document, doc};

use crate::{
    domain::verify::plan::{Depth, Scope},
    store::{
        jobs::limits::{LIMITS, Limits, insert_length, length_in},
        state::format::{Field, Is, may},
    },
};

const SETTLE: &str = "settle";

/// How long a verification waits before it reads a difference again, unless it is told otherwise.
pub const DEFAULT_SETTLE: Duration = Duration::from_secs(60);

/// The fields of options.
pub(super) const OPTIONS: &[Field] = &[
    may("depth", Is::Word(|name| Depth::of_name(name).is_some())),
    may("scope", Is::Word(|name| Scope::of_name(name).is_some())),
    may(SETTLE, Is::Millis),
    may("limits", Is::Fields(LIMITS)),
];

/// What a verification is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How closely it looks.
    pub depth: Depth,
    /// Which orders it looks at.
    pub scope: Scope,
    /// How long after it was first seen a difference is read again. Kept to the millisecond.
    pub settle: Duration,
    /// How gently to go about it. That of writes means nothing to it.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            depth: Depth::default(),
            scope: Scope::default(),
            settle: DEFAULT_SETTLE,
            limits: Limits::default(),
        }
    }
}

impl Options {
    /// Whether a verification with these options says what is asked with the other ones, at whatever
    /// pace.
    pub fn say_what_is_asked(&self, asked: &Options) -> bool {
        (self.depth, self.scope) == (asked.depth, asked.scope)
    }

    /// The options as a stage of an update writes them.
    pub(super) fn stage(&self) -> Document {
        // A stage refuses an empty document that is not a literal.
        let mut document = doc! {
            "depth": self.depth.name(), "scope": self.scope.name(),
            "limits": { "$literal": self.limits.document() },
        };
        insert_length(&mut document, SETTLE, Some(self.settle));
        document
    }

    /// Reads the options from a document.
    pub(super) fn of(document: &Document) -> Options {
        let word = |field| document.get_str(field).unwrap_or_default();
        Options {
            depth: Depth::of_name(word("depth")).unwrap_or_default(),
            scope: Scope::of_name(word("scope")).unwrap_or_default(),
            settle: length_in(document, SETTLE).unwrap_or(DEFAULT_SETTLE),
            limits: Limits::of(document.get_document("limits").ok()),
        }
    }
}
