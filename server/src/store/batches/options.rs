//! What a batch is asked to do, and how the database keeps it.

use std::time::Duration;

use bson::{DateTime, Document, doc};

use crate::store::{
    encoding::document::whole,
    jobs::limits::{LIMITS, Limits, insert_length, length_in},
    state::format::{Field, Is, may},
};

const MOST_RUNTIME: &str = "max_runtime";

/// The fields of options.
pub(super) const OPTIONS: &[Field] = &[
    may("limit", Is::Whole),
    may("before", Is::Date),
    may("create_indexes", Is::Flag),
    may("validate_only", Is::Flag),
    may(MOST_RUNTIME, Is::Whole),
    may("limits", Is::Fields(LIMITS)),
];

/// What a batch is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Stop after this many orders; 0 means no limit.
    pub limit: i64,
    /// Only orders with an earlier `date_commande`.
    pub before: Option<DateTime>,
    /// Make the indexes that archiving is slow without when they are missing.
    pub create_indexes: bool,
    /// Stop after this long; none means no limit. Kept to the millisecond.
    pub max_runtime: Option<Duration>,
    /// Predict the counts and write nothing.
    pub validate_only: bool,
    /// How gently to go about it, as asked at the start.
    pub limits: Limits,
}

impl Options {
    /// Whether a batch with these options does what is asked with the other ones, at whatever pace.
    pub fn do_what_is_asked(&self, asked: &Options) -> bool {
        let bounds = |options: &Options| (options.limit, options.before, options.max_runtime);
        self.validate_only == asked.validate_only
            && bounds(self) == bounds(asked)
            && (self.create_indexes || !asked.create_indexes)
    }

    /// The options as a stage of an update writes them.
    pub(in crate::store) fn stage(&self) -> Document {
        // A stage refuses an empty document that is not a literal.
        let limits = doc! { "$literal": self.limits.document() };
        let mut document = doc! {
            "limit": self.limit, "create_indexes": self.create_indexes, "validate_only": self.validate_only,
            "limits": limits,
        };
        if let Some(before) = self.before {
            document.insert("before", before);
        }
        insert_length(&mut document, MOST_RUNTIME, self.max_runtime);
        document
    }

    /// Reads the options from a document.
    pub(in crate::store) fn of(document: &Document) -> Options {
        Options {
            limit: whole(document.get("limit")),
            before: document.get_datetime("before").ok().copied(),
            create_indexes: document.get_bool("create_indexes").unwrap_or_default(),
            max_runtime: length_in(document, MOST_RUNTIME),
            validate_only: document.get_bool("validate_only").unwrap_or_default(),
            limits: Limits::of(document.get_document("limits").ok()),
        }
    }
}
