//! Building the archive's unique index: by one instance on behalf of all, in a task that nobody
//! drops.

use std::time::Duration;

use bson::{Document, doc};
use tokio::time::{Instant, timeout};
use tracing::{error, info, warn};

use super::{
    build_lease::{DUPLICATE_KEY, Lease, PAUSES},
    doubles::IN_A_LINE,
    look::{Archive, being_built},
    repeated::Repeated,
    unique_index::{self, Guard},
};
use crate::store::{
    Error, Store, encoding::document::raw, state::holds::Hold, wire::long_call::Failure,
};

/// How long one build is waited for. The database goes on with it all the same, and looks see it.
const BUILD_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the numbers that hinder a build are looked for.
const SEARCH_LIMIT: Duration = Duration::from_secs(60 * 60);
/// How long whoever starts a build waits for its end before it only tells of it: most archives are
/// young and small then.
const AT_ONCE: Duration = Duration::from_secs(1);

impl Store {
    /// Makes sure that the archive keeps numbers unique: one that was dropped would come back
    /// without its index.
    ///
    /// Fails with [`Error::NotReady`] while the index is being built, however long that takes, and
    /// with [`Error::ArchiveUnfit`] while the archive is no collection that keeps orders, or holds
    /// one number twice.
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

    /// Builds the unique index, unless another instance does, or the last build failed only just
    /// now.
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
}
