//! How far a verification is and what it says, as its runner saves both.

use bson::{Document, Timestamp, doc};

use super::{
    counts::to_document,
    record::{PROGRESS_FIELD, Verification, verdict_name},
};
use crate::{
    domain::verify::{counts::Counts, plan::Scope, progress::Progress, verdict::Verdict},
    store::{
        Error, Store,
        encoding::document::{document_value, field, joined, raw},
        jobs::{
            lease::{JobEnd, Lease, Saved},
            record::State,
        },
        verify::progress,
    },
};

/// What a verification notes when it begins for the first time.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// Which orders it looks at.
    pub scope: Scope,
    /// Why it looks at all of them, although it was asked for changes.
    pub scope_reason: String,
    /// The cluster time that the changes are later than which it looks at.
    pub since: Option<Timestamp>,
    /// See [`Verification::checked_from`].
    pub checked_from: Option<Timestamp>,
}

/// How a verification ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How it has ended.
    pub state: State,
    /// Why it has no verdict, for people.
    pub message: String,
    /// What it says, and the same for people.
    pub verdict: Option<(Verdict, String)>,
    /// What it has counted.
    pub counts: Counts,
    /// What was amiss, for people.
    pub warnings: Vec<String>,
    /// The hash of its entry in the ledger; empty without a verdict.
    pub ledger_hash: String,
}

impl Store {
    /// Notes that a run of a verification has begun; one that is taken up again keeps what it noted
    /// at first.
    pub async fn begin_verification(
        &self,
        lease: &Lease,
        beginning: &Beginning,
    ) -> Result<Option<Verification>, Error> {
        // All of it is noted once, with the moment of the beginning.
        let once = |field: &str, value: bson::Bson| doc! { "$cond": [{ "$eq": [{ "$type": "$as_of" }, "missing"] }, value, format!("${field}")] };
        let time = |time: Option<Timestamp>| time.map_or("$$REMOVE".into(), bson::Bson::from);
        let reason = doc! { "$literal": &beginning.scope_reason };
        let mut noted = doc! {
            "scope": once("scope", beginning.scope.name().into()),
            "scope_reason": once("scope_reason", reason.into()),
            "since": once("since", time(beginning.since)),
            "checked_from": once("checked_from", time(beginning.checked_from)),
            "as_of": once("as_of", "$$NOW".into()),
        };
        for (name, value) in self.what_is_verified() {
            noted.insert(&name, once(&name, doc! { "$literal": value }.into()));
        }
        self.begin_job(lease, noted).await
    }

    /// What a verification is of, by the settings of this process.
    pub(super) fn what_is_verified(&self) -> Document {
        doc! {
            "orders": &self.names.orders, "archive": &self.names.archive,
            "delivered_status": &self.delivered,
        }
    }

    /// Saves how far a verification is, and tells what has been asked of it since. None when
    /// somebody else runs it now, or it has been ended.
    pub async fn save_verification(
        &self,
        lease: &Lease,
        progress: &Progress,
        moved: bool,
        throttle: &str,
    ) -> Result<Option<Verification>, Error> {
        let mut fields = doc! { "counts": to_document(&progress.counts) };
        if let Some(reason) = &progress.full_because {
            fields.insert("scope", Scope::Full.name());
            fields.insert("scope_reason", doc! { "$literal": reason });
            fields.insert("since", "$$REMOVE");
        }
        let own = progress::to_document(progress);
        let literal = field("$literal", document_value(&own));
        let own = field(PROGRESS_FIELD, document_value(&literal));
        let fields = joined(&[&raw(&fields), &own]);
        self.save_job(lease, Saved { moved, throttle }, &fields)
            .await
    }

    /// Notes that a verification has ended. False when it was not this instance's to end.
    pub async fn end_verification(&self, lease: &Lease, end: &Ended) -> Result<bool, Error> {
        let mut came_to = doc! {
            "counts": to_document(&end.counts), "ledger_hash": &end.ledger_hash,
            // Nobody goes on from there.
            PROGRESS_FIELD: "$$REMOVE",
        };
        if let Some((verdict, text)) = &end.verdict {
            came_to.insert("verdict", verdict_name(*verdict));
            came_to.insert("verdict_text", doc! { "$literal": text });
        }
        let end = JobEnd {
            state: end.state,
            message: &end.message,
            warnings: &end.warnings,
        };
        self.end_job(lease, end, came_to).await
    }
}
