//! The latest verifications: the one that a verification of changes goes on from, and the one that
//! statistics tell of.

use bson::{Document, doc};

use super::record::{Verification, verdict_name};
use crate::{
    domain::verify::{
        plan::{Depth, Scope},
        verdict::Verdict,
    },
    store::{
        Error, Store,
        encoding::document::{joined, raw},
        jobs::record::{BY_TIME, State},
        state::fault::Fault,
    },
};

impl Store {
    /// The latest verification that ended VERIFIED and looked this closely, whatever it looked at.
    /// A verification of names looks as closely at orders as one of content.
    pub async fn latest_verified(&self, depth: Depth) -> Result<Option<Verification>, Error> {
        let as_close = [Depth::Presence, Depth::Content, Depth::References]
            .into_iter()
            .filter(|other| *other >= depth.min(Depth::Content))
            .map(Depth::name);
        let as_close: Vec<&str> = as_close.collect();
        let filter = self.of_the_same(doc! {
            "verdict": verdict_name(Verdict::Verified), "options.depth": { "$in": as_close },
            "checked_from": { "$type": "timestamp" },
        });
        // One that can't be read is none to go on from: another one, or all orders, will do.
        self.latest_of(filter)
            .await
            .map(|found| found.and_then(Result::ok))
    }

    /// The latest verification that looked at everything and has a verdict, if it began so many
    /// milliseconds ago at most.
    pub async fn full_verification_within(&self, millis: i64) -> Result<bool, Error> {
        let recent = doc! { "$gte": ["$started", { "$subtract": ["$$NOW", millis] }] };
        let filter = self.of_the_same(doc! {
            "verdict": { "$exists": true }, "scope": Scope::Full.name(),
            "options.depth": { "$ne": Depth::Presence.name() }, "$expr": recent,
        });
        Ok(self.latest_of(filter).await?.is_some())
    }

    /// Whether a verification of everything that was asked for after this one says NOT VERIFIED.
    pub async fn failed_full_since(&self, before: &Verification) -> Result<bool, Error> {
        let filter = self.of_the_same(doc! {
            "verdict": verdict_name(Verdict::NotVerified), "scope": Scope::Full.name(),
            "created": { "$gt": before.head.created },
        });
        Ok(self.latest_of(filter).await?.is_some())
    }

    /// The latest verification that looked at every byte of everything and found nothing altered or
    /// damaged, not even acknowledged.
    pub async fn latest_sound(&self) -> Result<Option<String>, Error> {
        let filter = self.of_the_same(doc! {
            "verdict": { "$exists": true }, "scope": Scope::Full.name(),
            "options.depth": { "$ne": Depth::Presence.name() },
            "counts.altered": 0, "counts.damaged": 0, "counts.acknowledged": 0,
        });
        let found = self.latest_of(filter).await?;
        Ok(found.and_then(Result::ok).map(|sound| sound.head.id))
    }

    /// The same filter, for verifications of the orders and the archive of today: with other
    /// settings there are others.
    fn of_the_same(&self, mut filter: Document) -> Document {
        filter.extend(self.what_is_verified());
        filter
    }

    /// The latest verification that has ended, or what is wrong with it. One that was cancelled says
    /// nothing, so it takes nothing from what the one before it has said.
    pub async fn latest_ended(&self) -> Result<Option<Result<Verification, Fault>>, Error> {
        let cancelled = State::Cancelled.name();
        self.latest_of(doc! { "ended": { "$type": "date" }, "state": { "$ne": cancelled } })
            .await
    }

    async fn latest_of(
        &self,
        filter: Document,
    ) -> Result<Option<Result<Verification, Fault>>, Error> {
        let find = doc! {
            "find": &self.names.verifications, "filter": filter, "limit": 1,
            "sort": { "created": -1, "_id": -1 }, "hint": BY_TIME, "projection": { "progress": 0 },
        };
        let find = joined(&[&raw(&find), &self.read_options()]);
        let rows = self.rows(&find).await?;
        match rows.first().map(|row| self.job_of(row)) {
            None => Ok(None),
            Some(Ok(found)) => Ok(Some(Ok(found))),
            Some(Err(Error::State(fault))) => Ok(Some(Err(*fault))),
            Some(Err(error)) => Err(error),
        }
    }
}
