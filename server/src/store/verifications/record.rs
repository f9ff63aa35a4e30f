//! The record of a verification: its fields in the database, and a verification as it is read from
//! them.

use bson::{DateTime, Document, RawDocument, Timestamp, doc};

use super::{
    counts::{COUNTS, from_document, to_document},
    options::{OPTIONS, Options},
};
use crate::{
    bytes::raw,
    domain::verify::{counts::Counts, plan::Scope, progress::Progress, verdict::Verdict},
    store::{
        jobs::{
            self, Job,
            record::{COMMON, Head, name_in, text, value_in},
        },
        state::{
            format::{Field, Is, both, may},
            snapshot::{self, News},
        },
        verify::progress,
    },
};

/// The fields of a verification, all but how far it is.
pub(in crate::store) const VERIFICATION: &[Field] =
    &both::<{ COMMON.len() + OWN.len() }>(COMMON, OWN);
/// All fields of a verification.
pub(in crate::store) const WHOLE_VERIFICATION: &[Field] =
    &both::<{ VERIFICATION.len() + PRIVATE.len() }>(VERIFICATION, PRIVATE);

const OWN: &[Field] = &[
    may("options", Is::Fields(OPTIONS)),
    may("scope", Is::Word(|name| Scope::of_name(name).is_some())),
    may("scope_reason", Is::Text),
    may("counts", Is::Fields(COUNTS)),
    may(
        "verdict",
        Is::Word(|name| value_in(&VERDICTS, name).is_some()),
    ),
    may("verdict_text", Is::Text),
    may("as_of", Is::Date),
    may("checked_from", Is::Timestamp),
    may("since", Is::Timestamp),
    may("ledger_hash", Is::Text),
    may("orders", Is::Text),
    may("archive", Is::Text),
    may("delivered_status", Is::Text),
];

const PRIVATE: &[Field] = &[may(PROGRESS_FIELD, Is::Fields(progress::PROGRESS))];

/// The field of how far a verification is.
pub(super) const PROGRESS_FIELD: &str = "progress";

const VERDICTS: [(Verdict, &str); 2] = [
    (Verdict::Verified, "verified"),
    (Verdict::NotVerified, "not_verified"),
];

/// The name of a verdict in the database.
pub(super) fn verdict_name(verdict: Verdict) -> &'static str {
    name_in(&VERDICTS, verdict)
}

/// A verification.
#[derive(Clone, Debug, PartialEq)]
pub struct Verification {
    /// What every job has.
    pub head: Head,
    /// What it was asked to do.
    pub options: Options,
    /// Which orders it looks at.
    pub scope: Scope,
    /// Why it looks at all, although it was asked for changes; empty otherwise.
    pub scope_reason: String,
    /// What it has counted so far, or in the end.
    pub counts: Counts,
    /// What it says, once it has ended with a verdict.
    pub verdict: Option<Verdict>,
    /// The same for people.
    pub verdict_text: String,
    /// The moment that the verdict is of.
    pub as_of: Option<DateTime>,
    /// A cluster time from which on a later verification has to look at changes, if the verdict is
    /// good; none on a standalone mongod.
    pub checked_from: Option<Timestamp>,
    /// Where it looks at changes, the cluster time that these are later than.
    pub since: Option<Timestamp>,
    /// The hash of its entry in the ledger; empty without a verdict.
    pub ledger_hash: String,
}

impl Job for Verification {
    const KIND: &'static jobs::Kind = &jobs::Kind {
        name: "verification",
        collection: |names| &names.verifications,
        fields: VERIFICATION,
        private: PRIVATE,
        started: News::VerificationStarted,
        progress: News::VerificationProgress,
        finished: News::VerificationFinished,
    };
    type Options = Options;
    type Progress = Progress;

    fn head(&self) -> &Head {
        &self.head
    }

    fn read(head: Head, fields: &Document) -> Verification {
        let document = |name| fields.get_document(name).ok();
        let options = document("options").map(Options::of).unwrap_or_default();
        let time = |name| fields.get_timestamp(name).ok();
        Verification {
            head,
            scope: Scope::of_name(&text(fields, "scope")).unwrap_or(options.scope),
            options,
            scope_reason: text(fields, "scope_reason"),
            counts: document("counts").map(from_document).unwrap_or_default(),
            verdict: value_in(&VERDICTS, &text(fields, "verdict")),
            verdict_text: text(fields, "verdict_text"),
            as_of: fields.get_datetime("as_of").ok().copied(),
            checked_from: time("checked_from"),
            since: time("since"),
            ledger_hash: text(fields, "ledger_hash"),
        }
    }

    fn progress(&self, document: &RawDocument) -> Progress {
        let saved = raw::find(document, PROGRESS_FIELD).and_then(snapshot::document);
        saved.map_or_else(Progress::default, |saved| progress::of_document(&saved))
    }

    fn new_document(options: &Options) -> Document {
        doc! { "options": options.stage(), "counts": to_document(&Counts::default()) }
    }
}
