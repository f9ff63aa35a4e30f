//! The figures that Prometheus is told of the whole database: read when they are asked for, once
//! for all who ask within a few seconds, and never waited for for long.

use std::{sync::Arc, time::Duration};

use bson::{DateTime, Timestamp};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tracing::debug;

use super::{
    monitor::Monitor,
    stats::{self, Stats, Wanted},
};
use crate::{
    domain::verify::plan::Depth,
    store::{
        Error, Store, state::place::Place, verifications::record::Verification,
        watch::partition::HeldPartition,
    },
};

/// For how long figures are good.
const FRESH: Duration = Duration::from_secs(5);
/// How long they may take to be read: scrapers wait for 10 s.
const PATIENCE: Duration = Duration::from_secs(4);
/// The window of the figures that are of a window.
const WINDOW: Duration = Duration::from_secs(60 * 60);

/// The figures of a moment.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Those of the statistics, with a window of an hour.
    pub(crate) stats: Stats,
    /// When the first of the orders in quarantine was put there.
    pub(crate) oldest_quarantined: Option<DateTime>,
    /// When the latest batch ended that succeeded and was no dry run.
    pub(crate) batch_succeeded: Option<DateTime>,
    /// Whether a verification is active.
    pub(crate) verifies: bool,
    /// When the latest verification ended that compared the orders' fields and says VERIFIED.
    pub(crate) verified: Option<DateTime>,
    /// The oldest moment of the history; none where that is not to be known.
    pub(crate) oldest_history: Option<Timestamp>,
    /// The latest write.
    pub(crate) latest_write: Option<Timestamp>,
    /// How many instances live; none without the privilege to see them.
    pub(crate) instances: Option<usize>,
    /// How far each partition of a split watch is behind, by its index; of those that are read.
    pub(crate) partition_lags: Vec<(u32, Duration)>,
}

/// The latest figures. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Latest {
    store: Store,
    monitor: Monitor,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// When reading them was last tried.
    tried: Option<Instant>,
    figures: Option<Arc<Figures>>,
    /// When they were last read.
    read: Option<Instant>,
}

impl Latest {
    pub(crate) fn new(store: &Store, monitor: Monitor) -> Latest {
        Latest {
            // Any number of scrapers shares what is the callers'.
            store: store.for_callers(),
            monitor,
            known: Arc::default(),
        }
    }

    /// The figures, none while they can't be read, and how long ago they were last read.
    pub(crate) async fn get(&self) -> (Option<Arc<Figures>>, Option<Duration>) {
        let mut known = self.known.lock().await;
        if known.tried.is_none_or(|tried| tried.elapsed() >= FRESH) {
            known.figures = self.read().await.map(Arc::new);
            let now = Instant::now();
            known.tried = Some(now);
            if known.figures.is_some() {
                known.read = Some(now);
            }
        }
        let age = known.read.map(|read| read.elapsed());
        (known.figures.clone(), age)
    }

    async fn read(&self) -> Option<Figures> {
        self.monitor.check_reads().ok()?;
        let outcome = match timeout(PATIENCE, read(&self.store)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Timeout(PATIENCE)),
        };
        outcome
            .inspect_err(|error| debug!(%error, "the figures of the database can't be read"))
            .ok()
    }
}

async fn read(store: &Store) -> Result<Figures, Error> {
    let wanted = Wanted {
        window: WINDOW,
        step: None,
        near_misses: false,
    };
    let latest = Place::default();
    let instances = async {
        match store.instances().await {
            Err(Error::Denied { .. }) => Ok(None),
            instances => {
                let living = instances?.0.into_iter().flatten();
                Ok(Some(living.filter(|instance| !instance.gone).count()))
            }
        }
    };
    let (
        stats,
        oldest_quarantined,
        batch_succeeded,
        verifications,
        verified,
        deployment,
        instances,
    ) = futures::try_join!(
        stats::read(store, wanted),
        store.oldest_quarantined(),
        store.batch_succeeded(),
        store.jobs::<Verification>(&[], &latest, 1),
        store.latest_verified(Depth::Content),
        store.deployment(),
        instances,
    )?;
    let watcher = stats.watcher.as_ref().ok().and_then(Option::as_ref);
    let split = watcher.map(|watcher| watcher.split);
    let partitions = match split.filter(|split| split.is_split()) {
        Some(split) => Error::passing_by(store.held_partitions(split).await.map(Some))?,
        None => None,
    };
    let lag = |held: &HeldPartition| Some((held.partition.index, held.lag(deployment.majority)?));
    let partition_lags = partitions.iter().flatten().filter_map(lag).collect();
    let mut verifications = verifications.into_iter().flatten().flatten();
    let verifies = verifications.next();
    Ok(Figures {
        stats,
        oldest_quarantined,
        batch_succeeded,
        verifies: verifies.is_some_and(|latest: Verification| !latest.head.state.is_final()),
        verified: verified.and_then(|verification| verification.head.ended),
        oldest_history: store.oldest_history().await,
        latest_write: deployment.latest,
        instances,
        partition_lags,
    })
}
