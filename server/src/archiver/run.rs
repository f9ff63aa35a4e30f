//! One run of a batch: a reader pages through the orders, several pages are archived at once, and
//! their counts and the place behind them are saved together, in the order of the pages.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bson::DateTime;
use futures::{Stream, StreamExt};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{Instrument, warn};

use super::{
    Archiver, End, Ending,
    dry_run::DryRun,
    log,
    page::{Met, archive_page},
    page_reader::{IDS_FOR_ONE, PageReader, PageSource, Pages},
    stamps::{Entry, Stamps},
};
use crate::{
    bytes::raw::Value,
    domain::{
        near_miss::NearMisses,
        order::{LARGEST_CHUNK, LONGEST_ID},
    },
    jobs::{REMINDER, Throttle},
    log_limit::LogLimit,
    store::{
        Error,
        batches::{
            options::Options,
            progress::Progress,
            record::{Batch, StopReason},
        },
        jobs::{lease::TakenUp, record::State},
        orders::{pages::Page, references::ReferenceCache},
    },
};

/// Pages that are archived at once: while the database writes one, others are read, joined and
/// enriched.
const PAGES: usize = 4;
/// How often the batch is saved while no page is done: so it hears in time what is asked of it.
const TICK: Duration = Duration::from_secs(1);

/// A run of a batch.
pub(super) struct Run {
    archiver: Archiver,
    taken: TakenUp<Batch>,
    options: Options,
    source: Arc<PageSource>,
    /// Where nothing is to be written.
    dry_run: Option<DryRun>,
    /// What the orders of the latest pages refer to.
    cache: Arc<ReferenceCache>,
    /// Statuses that only look delivered, among the orders of the pages.
    near_misses: Mutex<NearMisses>,
    kept: Mutex<Kept>,
    /// Cancelled once no more pages are begun.
    ends: CancellationToken,
    /// How often the log tells how far the batch is.
    telling: LogLimit,
}

/// What of this run can be saved. An `_id` that is too long to be saved as a position is no place
/// to go on from: until a page ends at another one, the batch is saved as it was before, and a
/// later run meets the same orders again.
#[derive(Default)]
struct Kept {
    progress: Progress,
    /// Pages that are counted, and not in `progress` yet.
    pages_after: usize,
}

/// A page that has been archived.
struct Done {
    met: Met,
    /// How many orders it held, delivered or not.
    orders: usize,
    next: Option<Value>,
}

impl Run {
    pub(super) fn new(archiver: &Archiver, taken: TakenUp<Batch>) -> Run {
        // So many orders can have been under way, whatever the chunks of that instance; others that
        // were delivered since may lie between them.
        let reach = 2 * (PAGES + 1) * IDS_FOR_ONE * LARGEST_CHUNK as usize;
        let stamps = Stamps::new(now(), taken.progress.stamps.clone(), reach);
        // What slows a batch down is how long its own inserts take.
        let archiver = archiver.timed_apart();
        let store = &archiver.store;
        let dry = taken.job.options.validate_only;
        let telling = LogLimit::new(1, REMINDER);
        // Not at the beginning.
        telling.admit(Instant::now());
        Run {
            options: taken.job.options.clone(),
            source: Arc::new(PageSource::new(
                archiver.clone(),
                Throttle::new(store.clone(), archiver.limits, taken.job.limits),
                stamps,
                taken.job.options.before,
            )),
            dry_run: dry.then(|| DryRun::new(store.order_reader())),
            archiver,
            cache: Arc::default(),
            near_misses: Mutex::default(),
            kept: Mutex::new(Kept {
                progress: taken.progress.clone(),
                pages_after: 0,
            }),
            ends: CancellationToken::new(),
            telling,
            taken,
        }
    }

    /// Archives from where the batch was left until no order is left or there is a reason to stop.
    pub(super) async fn archive_all(
        self: Arc<Self>,
        progress: &mut Progress,
    ) -> Result<Ending, Error> {
        let begun = self.begin().await?;
        let Some(begun) = begun else {
            return Ok(Ending::Lost);
        };
        if let Some(ending) = self.asked_to_stop(&begun) {
            return Ok(ending);
        }
        let deadline = self.deadline(&begun);
        loop {
            let budget = match self.options.limit {
                0 => usize::MAX,
                limit => usize::try_from(limit - progress.counts.found).unwrap_or(0),
            };
            if budget == 0 {
                return Ok(ended(State::Succeeded, StopReason::Limit));
            }
            if progress.exhausted {
                return Ok(ended(State::Succeeded, StopReason::Exhausted));
            }
            if let Some(ending) = self.archive_up_to(budget, deadline, progress).await? {
                return Ok(ending);
            }
        }
    }

    /// Notes that the batch runs, and what it will meet.
    async fn begin(&self) -> Result<Option<Batch>, Error> {
        let (archiver, store) = (&self.archiver, &self.archiver.store);
        if self.options.create_indexes {
            archiver
                .runner
                .patiently(|| store.create_absent_indexes())
                .await?;
        }
        let mut warnings = archiver.runner.patiently(|| store.index_warnings()).await?;
        warnings.extend(archiver.runner.patiently(|| store.view_warnings()).await?);
        for warning in &warnings {
            warn!("{warning}");
        }
        if let Some(index) = archiver.runner.patiently(|| store.paging_index()).await? {
            self.source.use_index(index);
        }
        let lease = &self.taken.lease;
        let begun = archiver
            .runner
            .patiently(|| store.begin_batch(lease, &warnings))
            .await?;
        match begun {
            None => Ok(None),
            Some(_) => self.save().await,
        }
    }

    /// When the batch has run for as long as it may, over all its runs.
    fn deadline(&self, batch: &Batch) -> Option<Instant> {
        let most = self.options.max_runtime?;
        let started = batch
            .head
            .started
            .unwrap_or(batch.head.updated)
            .timestamp_millis();
        let ran = u64::try_from(batch.head.updated.timestamp_millis() - started).unwrap_or(0);
        Some(Instant::now() + most.saturating_sub(Duration::from_millis(ran)))
    }

    /// Archives at most so many orders. None when it did, or when no order was left.
    async fn archive_up_to(
        self: &Arc<Self>,
        budget: usize,
        deadline: Option<Instant>,
        progress: &mut Progress,
    ) -> Result<Option<Ending>, Error> {
        let (pages, reader) =
            PageReader::new(&self.source, progress.position.clone(), budget).start();
        let mut done = self.archive(pages);
        let mut tick = interval_at(Instant::now() + TICK, TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut fault = None;
        let ending = loop {
            tokio::select! {
                pages = done.next() => match pages {
                    None => break None,
                    Some(pages) => {
                        self.account_all(pages, progress, &mut fault);
                        if fault.is_some() {
                            break None;
                        }
                    }
                },
                _ = tick.tick() => {}
                () = self.archiver.runner.stop().cancelled() => break Some(Ending::Released),
                () = reached(deadline) => break Some(ended(State::Succeeded, StopReason::MaxRuntime)),
            }
            if !progress.counts.balance() {
                let message = "found is not archived + duplicates + errors; this is a fault of the server, please report it".to_owned();
                break Some(Ending::Job(super::failed(StopReason::Unbalanced, message)));
            }
            let Some(batch) = self.save().await? else {
                return Ok(Some(Ending::Lost));
            };
            if self.telling.admit(Instant::now()).is_some() {
                log::progress(&batch);
            }
            if let Some(ending) = self.asked_to_stop(&batch) {
                break Some(ending);
            }
        };
        // What is under way is finished and counted, whatever ended the reading; but an archive
        // without its index is not waited for.
        drop(reader);
        if ending.is_some() {
            self.ends.cancel();
        }
        let mut saved = true;
        while let Some(pages) = done.next().await {
            saved = false;
            self.account_all(pages, progress, &mut fault);
        }
        match fault {
            Some(Error::NotReady { .. }) if ending.is_some() => Ok(ending),
            Some(error) => Err(error),
            None if saved => Ok(ending),
            None => Ok(match self.save().await? {
                None => Some(Ending::Lost),
                Some(_) => ending,
            }),
        }
    }

    /// Archives pages, several at once; they come out in their order, together those that are done
    /// together: saving takes as long for one of them as for all.
    fn archive(
        self: &Arc<Self>,
        pages: Pages,
    ) -> impl Stream<Item = Vec<Result<Done, Error>>> + Unpin {
        let archiving = |page: Result<(Page, bool), Error>| {
            let run = self.clone();
            let page = page.map(|(page, doubtful)| {
                let entry = self.source.stamps().begin_page(page.orders.len(), doubtful);
                (page, entry)
            });
            let task = async move {
                let (page, entry) = page?;
                run.archive_page(page, entry).await
            };
            let task = AbortOnDropHandle::new(tokio::spawn(task.in_current_span()));
            async move {
                task.await.map_err(|_| Error::Unusable("a page could not be archived because of a fault of the server; please report it".to_owned()))?
            }
        };
        Box::pin(pages.map(archiving).buffered(PAGES).ready_chunks(PAGES))
    }

    async fn archive_page(&self, page: Page, entry: Entry) -> Result<Done, Error> {
        let Entry {
            stamp,
            mut doubtful,
        } = entry;
        let known = self.source.stamps().in_use();
        let met = self
            .archiver
            .runner
            .patiently(|| {
                // What an earlier try has archived bears this page's stamp, and counts as archived
                // by it.
                let stamps = if std::mem::replace(&mut doubtful, true) {
                    &known[..]
                } else {
                    &[]
                };
                let page = &page;
                async move {
                    let met = match &self.dry_run {
                        Some(dry_run) => dry_run.page(page, &self.cache).await,
                        None => {
                            archive_page(&self.archiver, page, stamp, stamps, &self.cache).await
                        }
                    };
                    match met {
                        Err(error @ Error::NotReady { .. }) if self.ends.is_cancelled() => {
                            Ok(Err(error))
                        }
                        met => met.map(Ok),
                    }
                }
            })
            .await??;
        let counts = met.counts;
        self.source.note_archived(counts.found, counts.duplicates);
        Ok(Done {
            met,
            orders: page.orders.len(),
            next: page.next,
        })
    }

    /// Accounts for pages up to the first fault; behind it orders are counted, and nobody goes on
    /// from there.
    fn account_all(
        &self,
        pages: Vec<Result<Done, Error>>,
        progress: &mut Progress,
        fault: &mut Option<Error>,
    ) {
        for page in pages {
            match page {
                Ok(page) if fault.is_none() => self.account(page, progress),
                Ok(page) => progress.counts += page.met.counts,
                Err(error) => *fault = fault.take().or(Some(error)),
            }
        }
    }

    fn account(&self, page: Done, progress: &mut Progress) {
        self.source.throttle.done(page.orders);
        progress.counts += page.met.counts;
        self.near_misses().absorb(page.met.near_misses);
        progress.moved = true;
        progress.exhausted = page.next.is_none();
        progress.position = page.next.or(progress.position.take());
        let mut kept = self.kept();
        kept.pages_after += 1;
        let long = |position: &Value| position.bytes.len() > LONGEST_ID;
        if progress.position.as_ref().is_some_and(long) {
            if !progress.exhausted {
                return;
            }
            // Nobody goes on from there.
            progress.position = kept.progress.position.take();
        }
        for _ in 0..std::mem::take(&mut kept.pages_after) {
            self.source.stamps().end_page();
        }
        kept.progress = progress.clone();
    }

    /// Saves how far the batch is, with a new stamp for the pages to come. None when it is not this
    /// instance's any more.
    async fn save(&self) -> Result<Option<Batch>, Error> {
        let (next, stamps) = self.source.stamps().next(now());
        let progress = Progress {
            stamps,
            throttle: self.source.throttle.reason(),
            ..self.kept().progress.clone()
        };
        let (store, lease) = (&self.archiver.store, &self.taken.lease);
        let progress = &progress;
        let saved = self
            .archiver
            .runner
            .patiently(|| store.save_batch(lease, progress))
            .await?;
        self.source.stamps().saved(next);
        if let Some(batch) = &saved {
            self.source.throttle.tune(batch.limits);
        }
        Ok(saved)
    }

    fn asked_to_stop(&self, batch: &Batch) -> Option<Ending> {
        (batch.head.state == State::Cancelling)
            .then(|| ended(State::Cancelled, StopReason::Cancelled))
    }

    /// Statuses that only look delivered, among the orders that this run has met.
    pub(super) fn near_misses(&self) -> MutexGuard<'_, NearMisses> {
        self.near_misses.lock()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock()
    }
}

fn ended(state: State, reason: StopReason) -> Ending {
    Ending::Job(End {
        state,
        reason,
        message: String::new(),
    })
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn now() -> DateTime {
    DateTime::from_system_time(SystemTime::now())
}
