//! The right to build the archive's unique index, and what became of the last build.
//!
//! The right is a lease by the database's clock, in a document that also keeps why the last build
//! failed. So no instance takes another one's build for an index, all of them tell the same
//! numbers, and a build that fails is tried again at a pace, by whoever comes first.

use std::time::Duration;

use bson::{Bson, DateTime, Document, doc, rawdoc};
use tokio::time::interval;
use tracing::warn;

use super::repeated::Repeated;
use crate::store::{
    Error, Store,
    encoding::document::{joined, raw},
    state::{
        expressions::{date_or, millis_or},
        format::{self, Field, Is, may},
        version::{CURRENT, FORMAT, not_newer},
    },
    wire::command::write_concern,
};

/// The `_id` of the document of the build.
pub(in crate::store) const ID: &str = "unique_index";
/// The fields of the document that says who builds, and how the last build ended.
pub(in crate::store) const BUILD: &[Field] = &[
    may("taken_by", Is::Text),
    may("lease", Is::Millis),
    may("alive_until", Is::Date),
    may("retry_at", Is::Date),
    may("failed_at", Is::Date),
    may("failed", Is::Fields(REPEATED)),
];

const REPEATED: &[Field] = &[
    may("numbers", Is::Texts),
    may("more", Is::Whole),
    may("without", Is::Whole),
];

/// Between a build that failed and the next: as long as four of them take, within these bounds.
pub(super) const PAUSES: (Duration, Duration) =
    (Duration::from_secs(5), Duration::from_secs(10 * 60));

/// The right to build.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    call: String,
}

impl Store {
    /// Does something that takes long, and keeps the lease meanwhile.
    pub(super) async fn keeping_lease<T>(&self, lease: &Lease, work: impl Future<Output = T>) -> T {
        let mut beat = interval(self.beat());
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = beat.tick() => {
                    // Should it be lost all the same, another instance begins the same build, and
                    // both wait for one end.
                    let alive = doc! { "alive_until": self.lease_end() };
                    if let Err(error) = self.change_build(lease, alive).await {
                        warn!(%error, "the lease of an index build could not be kept");
                    }
                }
            }
        }
    }

    /// Takes the right to build, if nobody has it and no build has failed just now.
    pub(super) async fn take_build(&self) -> Result<Option<Lease>, Error> {
        // When this is sent again because its answer was lost, the right may have been taken
        // already, by this very call.
        let call = uuid::Uuid::new_v4().to_string();
        // What lies further ahead than it can was set before the database's clock was set back, and
        // counts for nothing. So does what is no date.
        let is_over = |field: &str, longest: Document| {
            let until = date_or(field, DateTime::MIN);
            doc! { "$or": [
                { "$lte": [&until, "$$NOW"] }, { "$gt": [&until, { "$add": ["$$NOW", longest] }] },
            ] }
        };
        let lease = millis_or("lease", self.lease_millis());
        let free = is_over("alive_until", doc! { "$multiply": [lease, 2] });
        let due = is_over("retry_at", doc! { "$literal": millis(PAUSES.1) * 2 });
        let take = doc! { "$or": [{ "$and": [free, due] }, { "$eq": ["$taken_by", &call] }] };
        let if_taken = |value: Bson, field: &str| doc! { "$cond": [&take, value, field] };
        let set = doc! { "$set": {
            FORMAT: CURRENT,
            "taken_by": if_taken(call.as_str().into(), "$taken_by"),
            "lease": if_taken(self.lease_millis().into(), "$lease"),
            "alive_until": if_taken(self.lease_end().into(), "$alive_until"),
        } };
        let query = doc! { "_id": ID, FORMAT: not_newer() };
        let command = joined(&[
            &raw(&doc! { "findAndModify": &self.names.state, "query": query, "update": [set] }),
            &rawdoc! { "upsert": true, "new": true, "writeConcern": write_concern() },
        ]);
        let reply = match self.write_retried(&command).await {
            // Two instances made the document at once and this one was second, or a newer one wrote
            // it.
            Err(Error::Refused {
                code: DUPLICATE_KEY,
                ..
            }) => return Ok(None),
            reply => reply?,
        };
        let document = reply.get_document("value").ok();
        let taken_by = document.and_then(|document| document.get_str("taken_by").ok());
        Ok((taken_by == Some(call.as_str())).then_some(Lease { call }))
    }

    /// Until when the instance that builds need not be heard of.
    fn lease_end(&self) -> Document {
        doc! { "$add": ["$$NOW", self.lease_millis()] }
    }

    /// Notes what made a build fail, before everything is known of it.
    pub(super) async fn note_failed_build(
        &self,
        lease: &Lease,
        repeated: &Repeated,
    ) -> Result<(), Error> {
        let failed =
            doc! { "failed": { "$literal": repeated.to_document() }, "failed_at": "$$NOW" };
        self.change_build(lease, failed).await
    }

    /// Gives the right back; a build that failed is not tried again before the pause is over.
    pub(super) async fn end_build(
        &self,
        lease: &Lease,
        failed: Option<&Repeated>,
        pause: Duration,
    ) -> Result<(), Error> {
        let mut set =
            doc! { "alive_until": "$$NOW", "retry_at": { "$add": ["$$NOW", millis(pause)] } };
        match failed {
            Some(repeated) => set.insert("failed", doc! { "$literal": repeated.to_document() }),
            None => set.insert("failed", "$$REMOVE"),
        };
        self.change_build(lease, set).await
    }

    /// Changes the document of the build on behalf of whoever has the right.
    async fn change_build(&self, lease: &Lease, set: Document) -> Result<(), Error> {
        let mine = doc! { "_id": ID, FORMAT: not_newer(), "taken_by": &lease.call };
        self.update_build(mine, doc! { "$set": set }).await
    }

    /// Forgets a build that failed: the index is there.
    pub(super) async fn forget_failed_build(&self) -> Result<(), Error> {
        let failed = doc! { "_id": ID, FORMAT: not_newer(), "failed": { "$exists": true } };
        self.update_build(failed, doc! { "$unset": "failed" }).await
    }

    async fn update_build(&self, query: Document, stage: Document) -> Result<(), Error> {
        let statement = raw(&doc! { "q": query, "u": [stage] });
        let head = rawdoc! { "update": self.names.state.as_str() };
        self.write_all(head, "updates", &[statement]).await
    }

    /// What made the last build fail; none when it did not, or is not known to have.
    pub(in crate::store) async fn failed_build(&self) -> Result<Option<Repeated>, Error> {
        let find = raw(&doc! { "find": &self.names.state, "filter": { "_id": ID }, "limit": 1 });
        let rows = self.rows(&joined(&[&find, &self.read_options()])).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let build = format::read(&self.names.state, BUILD, row)?;
        Ok(build.get_document("failed").ok().map(Repeated::of))
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

pub(super) const DUPLICATE_KEY: i32 = 11000;
