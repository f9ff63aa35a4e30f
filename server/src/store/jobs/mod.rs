//! Jobs: long work that one instance at a time does on a database, as the database keeps it. Batches
//! and verifications are jobs; what is here is what all kinds have in common.
//!
//! A job is asked for, taken up by an instance under a lease, begun, saved again and again with how
//! far it is, and ended. An instance that stops or dies leaves it to another one, which goes on from
//! what was saved. Of each kind at most one is active.

use std::fmt;

use bson::{Document, RawDocument};

use self::record::Head;
use super::{
    Names,
    state::{format::Field, snapshot::News},
};

mod change;
pub mod ids;
pub mod lease;
pub mod limits;
mod list;
pub mod record;
mod requests;

/// A kind of job.
pub struct Kind {
    /// What one is called.
    pub name: &'static str,
    /// The collection of its documents.
    pub(in crate::store) collection: fn(&Names) -> &str,
    /// The fields of a document that are checked, and shown to readers of the news.
    pub(in crate::store) fields: &'static [Field],
    /// Other fields, which only whoever runs the job reads. They may be large, or hold text that is
    /// not UTF-8.
    pub(in crate::store) private: &'static [Field],
    /// What it is to readers of the news that one has begun.
    pub started: News,
    /// What its progress is to them.
    pub progress: News,
    /// What its end is to them.
    pub finished: News,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A job as it is read from the database.
pub trait Job: Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// Its kind.
    const KIND: &'static Kind;
    /// What it is asked to do.
    type Options: Clone + PartialEq + Send + Sync;
    /// How far it is: what a later run goes on from.
    type Progress: Clone + Send + Sync;

    /// What every job has.
    fn head(&self) -> &Head;

    /// Reads a job from its fields, which have been checked.
    fn read(head: Head, fields: &Document) -> Self;

    /// Reads how far a job is from its whole document, whose fields have been checked.
    fn progress(&self, document: &RawDocument) -> Self::Progress;

    /// What the document of a new job holds besides what every job's does, as a stage of an update
    /// writes it.
    fn new_document(options: &Self::Options) -> Document;

    /// What a list reads of the documents otherwise than whole, as fields of a projection.
    fn read_in_lists() -> Document {
        Document::new()
    }

    /// The job as a list shows it, whose document was read so.
    fn in_list(self, _document: &RawDocument) -> Self {
        self
    }
}
