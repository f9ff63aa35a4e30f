//! Building the archive's unique index: by one instance on behalf of all, in a task that nobody drops.
//!
//! The right to build is a lease by the database's clock, in a document that also keeps why the last build failed. So no
//! instance takes another one's build for an index, all of them tell the same numbers, and a build that fails is tried again at
//! a pace, by whoever comes first.

use crate::store::{
    Error, Store,
    encoding::document::{joined, raw, whole},
    instances::Hold,
    state::format::{self, CURRENT, FORMAT, Field, Is, date_or, may, millis_or, not_newer},
    wire::{command::write_concern, long_call::Failure},
};
use std::time::Duration;

use bson::{Bson, DateTime, Document, doc, rawdoc};
use mongodb::options::ReadPreference;
use tokio::time::{Instant, interval, timeout};
use tracing::{error, info, warn};

use super::{
    look::{Archive, being_built},
    looks::IN_A_LINE,
    repeated::Repeated,
    unique_index::{self, Guard},
};

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

/// How long one build is waited for. The database goes on with it all the same, and looks see it.
const BUILD_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the numbers that hinder a build are looked for.
const SEARCH_LIMIT: Duration = Duration::from_secs(60 * 60);
/// How long whoever starts a build waits for its end before it only tells of it: most archives are young and small then.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Between a build that failed and the next: as long as four of them take, within these bounds.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10 * 60));
const DUPLICATE_KEY: i32 = 11000;

/// The right to build.
#[derive(Clone, Debug)]
struct Lease {
    call: String,
}

impl Store {
    /// Makes sure that the archive keeps numbers unique: one that was dropped would come back without its index.
    ///
    /// Fails with [`Error::NotReady`] while the index is being built, however long that takes, and with
    /// [`Error::ArchiveUnfit`] while the archive is no collection that keeps orders, or holds one number twice.
    pub async fn prepare_archive(&self) -> Result<(), Error> {
        let archive = self.retry(|| self.look()).await?;
        let name = &self.names.archive;
        if let Some(unfit) = archive.unfit() {
            let mends = unfit.mends(self.database_name(), name).join("; ");
            return Err(Error::ArchiveUnfit(format!(
                "{}; mend: {mends}",
                unfit.sentence(name)
            )));
        }
        if self.looks.is_news_that_it_validates(archive.validates()) {
            warn!(
                "{name} has a validator: orders that it refuses go to quarantine; `archd check` tells how to drop it"
            );
        }
        match archive.guard() {
            Guard::Kept | Guard::Hidden(_) => {
                self.looks.note_kept();
                self.forget_failed_build().await
            }
            Guard::Hindered(index) => {
                let mend = unique_index::drop(self.database_name(), name, &index);
                let sentence = unique_index::hindered(name, &index);
                Err(Error::ArchiveUnfit(format!("{sentence}; mend: {mend}")))
            }
            // Whatever made the last build fail, this one is under way.
            Guard::Building => Err(self.not_ready(being_built(name)).await),
            Guard::Missing => self.build_index(&archive).await,
        }
    }

    /// Builds the unique index, unless another instance does, or the last build failed only just now.
    async fn build_index(&self, archive: &Archive) -> Result<(), Error> {
        let name = &self.names.archive;
        let Some(lease) = self.take_build().await? else {
            let reason = format!(
                "{name} has no unique index yet, one is being made, and nothing is archived before it is finished"
            );
            return Err(self.unfinished(reason).await?);
        };
        let build = self
            .clone()
            .build(lease, unique_index::wanted(&archive.indexes));
        match timeout(AT_ONCE, tokio::spawn(build)).await {
            Ok(ended) => ended.unwrap_or_else(|_| {
                Err(Error::Unavailable(
                    "the build of an index broke off".to_owned(),
                ))
            }),
            Err(_) => Err(self.not_ready(being_built(name)).await),
        }
    }

    /// Why the archive has no finished index: a build that failed, or one that is under way.
    async fn unfinished(&self, reason: String) -> Result<Error, Error> {
        match self.failed_build().await? {
            Some(repeated) => Ok(Error::ArchiveUnfit(self.told(&repeated))),
            None => Ok(self.not_ready(reason).await),
        }
    }

    /// That the index is being built, and how far that is.
    async fn not_ready(&self, reason: String) -> Error {
        let progress = self.build_progress().await;
        Error::NotReady {
            reason: self.with_doubles(reason),
            progress: progress
                .map(|progress| format!(": {progress}"))
                .unwrap_or_default(),
        }
    }

    /// What people are told of an archive that holds numbers more than once.
    fn told(&self, repeated: &Repeated) -> String {
        let name = &self.names.archive;
        let mends = repeated.mends(self.database_name(), name).join("; ");
        self.with_doubles(format!("{}; mend: {mends}", repeated.sentence(name)))
    }

    /// Adds the numbers that this instance has archived twice since the index was last there.
    fn with_doubles(&self, reason: String) -> String {
        const SHOWN: usize = 20;
        let doubled = self.looks.doubled();
        if doubled.is_empty() {
            return reason;
        }
        let shown = doubled[..doubled.len().min(SHOWN)].join(", ");
        format!(
            "{reason}; archived twice while it was gone: {} numbers, for example {shown}",
            doubled.len()
        )
    }

    /// Builds the index to the end, good or bad, and keeps the lease meanwhile.
    async fn build(self, lease: Lease, index: Document) -> Result<(), Error> {
        let name = &self.names.archive;
        let _held = self.note_hold(Hold::IndexBuild);
        let begun = Instant::now();
        let create = raw(&doc! {
            "createIndexes": name, "indexes": [index], "writeConcern": { "w": "majority" },
        });
        let failure = match self
            .keeping_lease(&lease, self.run_within(BUILD_LIMIT, create))
            .await
        {
            Ok(()) => {
                info!(collection = name, took = ?begun.elapsed(), "the unique index is there");
                return self.end_build(&lease, None, Duration::ZERO).await;
            }
            Err(failure) => failure,
        };
        let Failure { error, refused_key } = failure;
        if !matches!(
            error,
            Error::Refused {
                code: DUPLICATE_KEY,
                ..
            }
        ) {
            // Whoever has started the build does not wait for it any more.
            if begun.elapsed() > AT_ONCE {
                warn!(%error, "the unique index could not be made; trying again");
            }
            self.end_build(&lease, None, Duration::ZERO).await?;
            return Err(error);
        }
        // One number is known at once, and finding all of them takes as long again.
        let one = refused_key.map_or_else(Repeated::default, |key| Repeated::one(&key));
        self.note_failed_build(&lease, &one).await?;
        let found = self
            .keeping_lease(&lease, self.repeated(SEARCH_LIMIT))
            .await;
        let repeated = match found {
            Ok(found) if !found.is_empty() => found,
            // Somebody has mended it meanwhile; the next build shows.
            Ok(_) => one,
            Err(error) => {
                warn!(%error, "the numbers that the archive holds more than once could not all be found");
                one
            }
        };
        if self.looks.is_news_that_it_repeats(&repeated) {
            for numbers in repeated.numbers.chunks(IN_A_LINE) {
                error!(
                    numbers = numbers.join(", "),
                    "the archive holds these numbers more than once"
                );
            }
        }
        let pause = (begun.elapsed() * 4).clamp(PAUSES.0, PAUSES.1);
        self.end_build(&lease, Some(&repeated), pause).await?;
        Err(Error::ArchiveUnfit(self.told(&repeated)))
    }

    /// Does something that takes long, and keeps the lease meanwhile.
    async fn keeping_lease<T>(&self, lease: &Lease, work: impl Future<Output = T>) -> T {
        let mut beat = interval(self.beat());
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = beat.tick() => {
                    // Should it be lost all the same, another instance begins the same build, and both wait for one end.
                    let alive = doc! { "alive_until": self.lease_end() };
                    if let Err(error) = self.change_build(lease, alive).await {
                        warn!(%error, "the lease of an index build could not be kept");
                    }
                }
            }
        }
    }

    /// Takes the right to build, if nobody has it and no build has failed just now.
    async fn take_build(&self) -> Result<Option<Lease>, Error> {
        // When this is sent again because its answer was lost, the right may have been taken already, by this very call.
        let call = uuid::Uuid::new_v4().to_string();
        // What lies further ahead than it can was set before the database's clock was set back, and counts for nothing.
        // So does what is no date.
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
            // Two instances made the document at once and this one was second, or a newer one wrote it.
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
    async fn note_failed_build(&self, lease: &Lease, repeated: &Repeated) -> Result<(), Error> {
        let failed =
            doc! { "failed": { "$literal": repeated.to_document() }, "failed_at": "$$NOW" };
        self.change_build(lease, failed).await
    }

    /// Gives the right back; a build that failed is not tried again before the pause is over.
    async fn end_build(
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
    async fn forget_failed_build(&self) -> Result<(), Error> {
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

    /// How far the database is with the build; none without the privilege to see it, or where it says nothing.
    pub(in crate::store) async fn build_progress(&self) -> Option<String> {
        let namespace = format!("{}.{}", self.database_name(), self.names.archive);
        let builds = doc! { "ns": namespace, "msg": { "$regex": "^Index Build" }, "progress.total": { "$gt": 0 } };
        let command = raw(&doc! {
            "aggregate": 1, "cursor": {}, "maxTimeMS": self.max_time(),
            "pipeline": [{ "$currentOp": { "allUsers": true } }, { "$match": builds }, { "$project": { "msg": 1, "progress": 1 } }],
        });
        let primary = ReadPreference::Primary;
        let reply = self.run_on("admin", command, primary).await.ok()?;
        let rows = reply
            .get_document("cursor")
            .ok()?
            .get_array("firstBatch")
            .ok()?;
        progress_in(rows.first()?.as_document()?)
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Reads how far a build is from what the database says of it.
fn progress_in(operation: &Document) -> Option<String> {
    let message = operation.get_str("msg").ok()?;
    let progress = operation.get_document("progress").ok()?;
    let (done, total) = (whole(progress.get("done")), whole(progress.get("total")));
    let step = [
        ("scanning collection", "documents read"),
        ("inserting keys", "keys put into the index"),
        ("draining", "later writes taken in"),
    ];
    let step = step.iter().find(|(word, _)| message.contains(word));
    let what = step.map_or("done", |(_, what)| what);
    let percent = done.saturating_mul(100).checked_div(total)?;
    Some(format!("{done} of {total} {what} ({percent} %)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_of_a_build_is_told_in_documents_and_percent() {
        // As MongoDB 6.0.5 says it.
        let says = |message: &str, done: i32, total: i64| {
            progress_in(&doc! { "msg": message, "progress": { "done": done, "total": total } })
        };
        let scanning =
            "Index Build: scanning collection Index Build: scanning collection: 820000/2000000 41%";
        assert_eq!(
            says(scanning, 820_000, 2_000_000).as_deref(),
            Some("820000 of 2000000 documents read (41 %)")
        );
        let inserting = "Index Build: inserting keys from external sorter into index Index Build: inserting keys from external sorter into index: 5/10 50%";
        assert_eq!(
            says(inserting, 5, 10).as_deref(),
            Some("5 of 10 keys put into the index (50 %)")
        );
        assert_eq!(
            says("Index Build", 1, 2).as_deref(),
            Some("1 of 2 done (50 %)")
        );
        assert_eq!(says("Index Build", 0, 0), None);
        assert_eq!(progress_in(&doc! {}), None);
    }
}
