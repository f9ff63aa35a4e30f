//! The figures of the whole database, read out of it, so that every instance gives the same ones.

use std::time::Duration;

use bson::DateTime;

use crate::{
    domain::near_miss::NearMisses,
    store::{
        Error, Store,
        batches::record::Batch,
        counters::{record::Sums, series::Point},
        state::{fault::Fault, place::Place},
        unwatched::Unwatched,
        verifications::record::Verification,
        watch::record::Watcher,
    },
};

/// The figures.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stats {
    /// The counters: of this instance up to now, of the others up to a moment ago.
    pub sums: Sums,
    /// Orders in the archive.
    pub archive_size: i64,
    /// Orders in quarantine.
    pub quarantine_size: i64,
    /// The latest batch.
    pub last_batch: Option<Batch>,
    /// The latest verification that has ended.
    pub last_verification: Option<Verification>,
    /// How far the watcher is behind, see
    /// [`Watcher::lag`](crate::store::watch::record::Watcher::lag); none while no instance watches.
    pub watcher_lag: Option<Duration>,
    /// The watcher, or what is wrong with its document; none when nobody has ever watched.
    pub watcher: Result<Option<Watcher>, Box<Fault>>,
    /// What to know of it while no instance watches.
    pub unwatched: Option<Unwatched>,
    /// Statuses that only look delivered, if they were asked for.
    pub near_misses: NearMisses,
    /// The figures of the window step by step, if they were asked for.
    pub series: Vec<Point>,
    /// What can't be read of the documents behind the figures.
    pub faults: Vec<Fault>,
    /// When the figures were read, by the database's clock.
    pub read: DateTime,
}

/// Which figures to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// How long the window is that ends now.
    pub window: Duration,
    /// In steps of which length the window's figures are wanted, whole minutes.
    pub step: Option<Duration>,
    /// Whether to look for near misses.
    pub near_misses: bool,
}

/// Reads the figures.
pub(crate) async fn read(store: &Store, wanted: Wanted) -> Result<Stats, Error> {
    store.freshen_counts().await;
    let deployment = store.deployment().await?;
    let read = deployment.now;
    let window = i64::try_from(wanted.window.as_millis()).unwrap_or(i64::MAX);
    let from = DateTime::from_millis(read.timestamp_millis().saturating_sub(window));
    let names = store.names();
    let near_misses = async {
        if wanted.near_misses {
            store.near_misses().await
        } else {
            Ok(NearMisses::default())
        }
    };
    let series = async {
        match wanted.step {
            Some(step) => store.counter_series(from, read, step).await,
            None => Ok(Vec::new()),
        }
    };
    let (mut faults, latest) = (Vec::new(), Place::default());
    let (mut sums, archive_size, quarantine_size, batches, verified, watcher, near_misses, series) =
        futures::try_join!(
            store.counter_sums(from),
            store.collection_size(&names.archive),
            store.collection_size(&names.quarantine),
            store.jobs::<Batch>(&[], &latest, 1),
            store.latest_ended(),
            async { readable(store.watcher().await) },
            near_misses,
            series,
        )?;
    faults.append(&mut sums.faults);
    let last_batch = batches.and_then(|mut batches| batches.pop());
    let last_batch = readable_or_told(last_batch, &mut faults);
    let last_verification = readable_or_told(verified, &mut faults);
    faults.extend(watcher.as_ref().err().map(|fault| (**fault).clone()));
    let known = watcher.as_ref().ok().and_then(Option::as_ref);
    let unwatched = match known {
        Some(watcher) => store.unwatched(watcher).await?,
        None => None,
    };
    Ok(Stats {
        sums,
        archive_size,
        quarantine_size,
        last_batch,
        last_verification,
        series,
        faults,
        watcher_lag: known.and_then(|known| known.lag(deployment.majority)),
        watcher,
        unwatched,
        near_misses,
        read,
    })
}

/// A document that can be read; what is wrong with one that can't be goes to the others' faults.
fn readable_or_told<T>(found: Option<Result<T, Fault>>, faults: &mut Vec<Fault>) -> Option<T> {
    match found? {
        Ok(found) => Some(found),
        Err(fault) => {
            faults.push(fault);
            None
        }
    }
}

/// A document, or what is wrong with it.
fn readable<T>(outcome: Result<T, Error>) -> Result<Result<T, Box<Fault>>, Error> {
    match outcome {
        Ok(document) => Ok(Ok(document)),
        Err(Error::State(fault)) => Ok(Err(fault)),
        Err(error) => Err(error),
    }
}

impl Stats {
    /// Orders archived an hour, over the window or since counting began, whichever is shorter.
    pub(crate) fn archived_per_hour(&self, window: Duration) -> f64 {
        let counting = self.sums.since.map_or(0, |since| {
            self.read.timestamp_millis() - since.timestamp_millis()
        });
        let hours = (window.as_secs_f64() / 3_600.0).min(counting as f64 / 3_600_000.0);
        if hours > 0.0 {
            self.sums.window.archived as f64 / hours
        } else {
            0.0
        }
    }
}
