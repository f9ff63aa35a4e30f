//! Faults: what is wrong with a document of the server's own that can't be worked with.

use std::fmt;

use super::version::CURRENT;
use crate::{
    bytes::raw::Value,
    domain::text::{cut, escaped},
    store::encoding::ext_json,
};

/// A document of the server's own that can't be worked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The collection that it lies in.
    pub collection: String,
    /// Its `_id`.
    pub id: Value,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A newer version of the server wrote it, in this format. It is not at fault, and is left
    /// alone.
    Newer(i64),
    /// A field is not what it must be.
    Field {
        /// Its name; the names of the documents around it come first, each with a dot.
        path: String,
        /// What it is.
        found: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
}

impl Fault {
    /// What `archd state` calls the document: its collection, a slash and its `_id`, as Extended
    /// JSON unless that is a text, cut to 1,024 bytes.
    pub fn name(&self) -> String {
        const LONGEST_ID: usize = 1_024;
        let id = self.id.as_ref();
        let id = match id.as_str() {
            Some(text) => cut(text, LONGEST_ID),
            None => ext_json::shown(id, LONGEST_ID),
        };
        format!("{}/{id}", self.collection)
    }

    /// Whether a newer version of the server wrote the document.
    pub fn is_newer(&self) -> bool {
        matches!(self.problem, Problem::Newer(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An `_id` may hold a line break, and a line of the log is one line.
        let name = escaped(&self.name());
        match &self.problem {
            Problem::Newer(format) => write!(
                f,
                "{name} has format {format} and this archd knows formats up to {CURRENT}, so it is left alone; run the newer archd that wrote it"
            ),
            Problem::Field {
                path,
                found,
                wanted,
            } => write!(
                f,
                "{name} can't be read: its field `{path}` is {found} and must be {wanted}; correct it, or set the document aside with `archd state --set-aside`"
            ),
        }
    }
}

impl std::error::Error for Fault {}
