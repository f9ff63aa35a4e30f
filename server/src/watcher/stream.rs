//! One run of the stream: replies in, chunks through the pipeline, checkpoints out.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use bson::{DateTime, RawDocumentBuf, Timestamp};
use futures::{StreamExt, stream::FuturesOrdered};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, interval},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{Instrument, error, info, warn};

use super::{
    backlog::{Backlog, made},
    gap::CatchingUp,
    policy::Backoff,
};
use crate::{
    bytes::{
        checkpoint::{Checkpoint, Identity, seal, time_of},
        raw::{self, Value, ValueRef},
    },
    domain::partition::Partition,
    pipeline::{Outcome, Passed, Pipeline, PipelineReport, Since, Source, shown_ids},
    store::{
        Error, Store,
        encoding::ext_json,
        gone::Gone,
        orders::{
            deliveries::{delivers, order_of, stages},
            gather::Selection,
        },
        state::snapshot::document,
        watch::{
            lease::{Heartbeat, Lease},
            partition::Holding,
            record::State,
            split::Split,
        },
        wire::changes::{Reply, Scope, Start},
    },
};

/// How often the watcher looks whether it is to pause, and saves its place if that has moved.
pub(super) const TICK: Duration = Duration::from_millis(500);

/// How a run of the stream ended without a fault.
pub(super) enum Ending {
    /// Go on with another run: after a pause, or where the collection's own life ended.
    Again,
    /// Another instance has taken the watch.
    Lost,
    /// The stream is split anew: what was read is no partition any more.
    Replaced,
    /// The server is stopping.
    Stopping,
}

/// Why a run of the stream ended, and the moment up to which everything is archived.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) moment: Option<Timestamp>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure {
            error,
            moment: None,
        }
    }
}

/// Changes on their way through the pipeline.
struct Chunk {
    /// The place behind them.
    place: RawDocumentBuf,
    /// When the last of them was made.
    last: Option<DateTime>,
    archiving: AbortOnDropHandle<Result<PipelineReport, Error>>,
}

impl Chunk {
    /// The same, and what became of its orders.
    async fn archived(mut self) -> Result<(Chunk, PipelineReport), Error> {
        let archived = (&mut self.archiving).await;
        let report =
            archived.map_err(|_| Error::Unusable("archiving a chunk panicked".to_owned()))??;
        Ok((self, report))
    }
}

/// How far a run of the stream is.
struct StreamProgress {
    /// What the watcher is doing until the stream is open.
    opening: State,
    /// Everything before it is archived.
    place: Option<RawDocumentBuf>,
    time: Option<Timestamp>,
    saved: Option<RawDocumentBuf>,
    last_event: Option<DateTime>,
    signed: Instant,
    /// The renaming for which the watcher is to pause by itself.
    renaming: Option<Renaming>,
}

/// That the orders were renamed away.
struct Renaming {
    at: Timestamp,
    why: String,
}

/// What a run of the stream works with.
pub(super) struct Stream<'w> {
    pub(super) store: &'w Store,
    pub(super) pipeline: &'w Pipeline,
    /// What is read, and under which right.
    pub(super) lease: &'w Lease,
    /// What its checkpoints belong to.
    pub(super) identity: &'w Identity,
    pub(super) stop: &'w CancellationToken,
    /// Tells into how many partitions the stream is split.
    pub(super) split: &'w watch::Sender<Split>,
    /// The latest renaming of the orders for which the watcher has paused.
    pub(super) renamed_at: Option<Timestamp>,
}

impl Stream<'_> {
    /// Reads replies and archives their orders until there is a fault or a reason to end.
    pub(super) async fn run(
        &self,
        start: Start,
        known: Option<Timestamp>,
        catching_up: &CatchingUp,
        backoff: &mut Backoff,
    ) -> Result<Ending, Failure> {
        let mut progress = StreamProgress {
            opening: match backoff.is_needed() {
                true => State::Retrying,
                false => State::Starting,
            },
            place: None,
            time: known,
            saved: None,
            last_event: None,
            // Whoever comes here has just signed for it, and most streams open before the next time.
            signed: Instant::now(),
            renaming: None,
        };
        let ending = self
            .follow(start, catching_up, &mut progress, backoff)
            .await;
        // What is archived is worth saving, whatever ended this run; but never a place after a
        // renaming that nobody was told of.
        if let (Ok(_), Some(renaming)) = (&ending, &progress.renaming) {
            let Renaming { at, why } = renaming;
            error!("{why}");
            self.store.pause_for_renaming(*at, why).await?;
        }
        let saved = self.beat(&mut progress, None, catching_up, true).await;
        match ending {
            Ok(Ending::Stopping) => saved.map(|()| Ending::Stopping).or(Ok(Ending::Stopping)),
            Ok(ending) => Ok(ending),
            Err(error) => Err(Failure {
                error,
                moment: progress.time,
            }),
        }
    }

    async fn follow(
        &self,
        start: Start,
        catching_up: &CatchingUp,
        progress: &mut StreamProgress,
        backoff: &mut Backoff,
    ) -> Result<Ending, Error> {
        let opening = backoff.opening(self.store.operation_timeout());
        let (mut replies, _reader) = read(self.store.clone(), self.lease.partition, start, opening);
        let mut chunks: FuturesOrdered<_> = FuturesOrdered::new();
        // When the first change of each was made.
        let mut waiting: VecDeque<Option<DateTime>> = VecDeque::new();
        let mut backlog = Backlog::default();
        let mut tick = interval(TICK.min(self.store.beat()));
        let (mut ended, mut fault) = (false, None);
        loop {
            tokio::select! {
                biased;
                Some(archived) = chunks.next(), if !chunks.is_empty() => {
                    let (chunk, report): (Chunk, PipelineReport) = archived?;
                    tell_moved_on(&report.passed);
                    self.note_gone(&report.gone).await;
                    waiting.pop_front();
                    progress.last_event = chunk.last.or(progress.last_event);
                    progress.time = time_of(&chunk.place).or(progress.time);
                    // The first reply is that of the opening; a stream that never gets further has
                    // not recovered.
                    if progress.place.replace(chunk.place).is_some() {
                        backoff.reset();
                    }
                }
                reply = replies.recv(), if backlog.has_room() && !ended => {
                    let reply = reply.unwrap_or_else(|| Err(Error::Unavailable("the stream ended".to_owned())));
                    match reply.and_then(|reply| Ok((self.look_for_an_end(&reply, progress)?, reply))) {
                        Ok((end, reply)) => {
                            ended = end;
                            backlog.push(reply);
                        }
                        // What was read before is archived first: a stream that breaks after every
                        // reply gets on all the same.
                        Err(error) => (fault, ended) = (Some(error), true),
                    }
                }
                _ = tick.tick() => {
                    let oldest = waiting.front().copied().flatten().or(backlog.oldest());
                    self.beat(progress, oldest, catching_up, false).await?;
                    match self.store.holding(self.lease).await? {
                        Holding::Goes(watcher, _) => {
                            tell_split(self.split, watcher.split);
                            let is_to_be_split = self.lease.partition.is_whole()
                                && (watcher.is_to_be_split() || watcher.split.is_split());
                            ended |= watcher.paused || is_to_be_split;
                        }
                        Holding::Lost => return Ok(Ending::Lost),
                        Holding::Replaced => return Ok(Ending::Replaced),
                    }
                }
                () = self.stop.cancelled(), if !ended => ended = true,
            }
            while let Some(reply) = backlog.next_chunk(chunks.len()) {
                waiting.push_back(reply.changes.first().and_then(made));
                chunks.push_back(self.chunk(reply).archived());
            }
            if ended && chunks.is_empty() && backlog.is_empty() {
                if let Some(error) = fault {
                    return Err(error);
                }
                return Ok(if self.stop.is_cancelled() {
                    Ending::Stopping
                } else {
                    Ending::Again
                });
            }
        }
    }

    /// Sends the orders of a reply through the pipeline.
    fn chunk(&self, reply: Reply) -> Chunk {
        let [delivered, numbered] = orders_of(&reply);
        let since = self.since(&reply);
        let pipeline = self.pipeline.clone();
        let archiving = async move {
            let mut report = PipelineReport::default();
            for selection in [Selection::Ids(delivered), Selection::Candidates(numbered)] {
                report += pipeline
                    .archive_all(selection, Source::Watch, &since)
                    .await?;
            }
            Ok(report)
        };
        let archiving = tokio::spawn(archiving.in_current_span());
        Chunk {
            last: reply.changes.last().and_then(made),
            place: reply.position,
            archiving: AbortOnDropHandle::new(archiving),
        }
    }

    /// Since when the orders of a reply wait: since their first delivery in it, or the first change
    /// of their number where that is all there is.
    fn since(&self, reply: &Reply) -> Since {
        let now = Instant::now();
        let mut since = HashMap::new();
        for delivered in [false, true] {
            // Backwards, so that the first change of an order is what stays.
            let changes = reply.changes.iter().rev();
            for change in changes.filter(|change| delivers(change) == Some(delivered)) {
                let waited = made(change).and_then(|made| self.store.time_since(made));
                let moment = waited.and_then(|waited| now.checked_sub(waited));
                if let (Some(id), Some(moment)) = (order_of(change), moment) {
                    since.insert(id.to_owned(), moment);
                }
            }
        }
        Since::Changed(since)
    }

    /// Tells everyone of orders that were gone before they were read.
    async fn note_gone(&self, gone: &[Value]) {
        if gone.is_empty() {
            return;
        }
        let gone = Gone {
            orders: i64::try_from(gone.len()).unwrap_or(i64::MAX),
            ids: shown_ids(gone),
        };
        // Counted they are already, and the log has named them.
        if let Err(error) = self.store.note_gone(&gone).await {
            warn!(%error, "no event could be made of orders that were gone before they were read");
        }
    }

    /// Notices when the collection's life ends; a renamed one is not followed blindly. An error
    /// when another collection is given its name: orders were delivered there that this history
    /// does not tell of.
    fn look_for_an_end(&self, reply: &Reply, progress: &mut StreamProgress) -> Result<bool, Error> {
        let orders = self.store.names().orders.as_str();
        let mut ended = false;
        for change in &reply.changes {
            match raw::find(change, "operationType").and_then(ValueRef::as_str) {
                // The first partition tells of it, and pauses all of them.
                Some("rename") => {
                    let to = raw::find(change, "to").unwrap_or(ValueRef::NULL);
                    let name = to.elements().find(|element| element.key == b"coll");
                    if name.and_then(|name| name.value.as_str()) == Some(orders) {
                        return Err(Error::Unusable(format!(
                            "another collection was renamed to {orders}"
                        )));
                    }
                    let token = raw::find(change, "_id").and_then(document);
                    let at = token.as_deref().and_then(time_of);
                    let at = at.or(time_of(&reply.position)).ok_or_else(|| {
                        Error::Unusable("the renaming has no time in the history".to_owned())
                    })?;
                    // A stream that is split anew begins at a time, and may meet it once more.
                    let is_told = self.renamed_at.is_some_and(|told| at <= told);
                    if is_told || !self.lease.partition.is_first() {
                        continue;
                    }
                    let why = format!(
                        "{orders} was renamed, so the watcher has paused; give the orders their name back, or set ARCHD_COLLECTION_ORDERS, then resume it",
                    );
                    progress.renaming = Some(Renaming { at, why });
                }
                Some("drop" | "dropDatabase") if self.lease.partition.is_first() => {
                    warn!("{orders} was dropped; going on with what is put under its name next")
                }
                Some("invalidate") => ended = true,
                _ => {}
            }
        }
        Ok(ended)
    }

    /// Saves the place if it has moved, or gives a heartbeat when it is time.
    async fn beat(
        &self,
        progress: &mut StreamProgress,
        waiting_since: Option<DateTime>,
        catching_up: &CatchingUp,
        last: bool,
    ) -> Result<(), Error> {
        let moved = progress.place.is_some() && progress.place != progress.saved;
        let due = progress.signed.elapsed() >= self.store.beat();
        if !(moved || due && !last) {
            return Ok(());
        }
        let sealed = match (&progress.place, progress.time) {
            (Some(position), Some(time)) if moved => Some(seal(
                &Checkpoint {
                    position: position.clone(),
                    time,
                },
                self.identity,
            )),
            _ => None,
        };
        let state = if progress.renaming.is_some() {
            State::Paused
        } else if progress.place.is_none() {
            progress.opening
        } else if catching_up.is_done() {
            State::Watching
        } else {
            State::CatchingUp
        };
        let trouble = catching_up.take_trouble();
        let why = progress.renaming.as_ref();
        let why = why.map(|renaming| renaming.why.as_str());
        let heartbeat = Heartbeat {
            state,
            last_error: why.unwrap_or(&trouble),
            checkpoint: sealed.as_deref(),
            last_event: progress.last_event,
            waiting_since,
        };
        if self.store.keep_watch(self.lease, &heartbeat).await? {
            progress.saved = progress.place.clone();
            progress.signed = Instant::now();
        }
        Ok(())
    }
}

/// Tells those who share the partitions how many there are, if that is news.
pub(super) fn tell_split(told: &watch::Sender<Split>, split: Split) {
    told.send_if_modified(|known| std::mem::replace(known, split) != split);
}

/// The `_id`s of the orders that a reply delivers, and of those that it only numbers; each once.
fn orders_of(reply: &Reply) -> [Vec<Value>; 2] {
    let mut seen = HashSet::new();
    let mut of = |delivered: bool| {
        let changes = reply.changes.iter();
        let changes = changes.filter(|change| delivers(change) == Some(delivered));
        let ids = changes.filter_map(|change| order_of(change));
        let new = ids.filter(|id| seen.insert(*id));
        new.map(ValueRef::to_owned).collect()
    };
    [of(true), of(false)]
}

/// Opens the stream, which may take so long, and reads replies in a task of its own, so that a
/// deadline on one is not begun anew whenever something else happens.
fn read(
    store: Store,
    partition: Partition,
    start: Start,
    opening: Duration,
) -> (mpsc::Receiver<Result<Reply, Error>>, AbortOnDropHandle<()>) {
    let (sender, replies) = mpsc::channel(1);
    let reader: JoinHandle<()> = tokio::spawn(async move {
        let orders = Scope::Collection(&store.names().orders);
        let stages = stages(store.delivered(), partition);
        let mut changes = match store.changes_by(orders, &start, stages, opening).await {
            Ok(changes) => changes,
            Err(error) => {
                let _ = sender.send(Err(error)).await;
                return;
            }
        };
        loop {
            let reply = changes.next().await;
            let failed = reply.is_err();
            if sender.send(reply).await.is_err() || failed {
                return;
            }
        }
    });
    (replies, AbortOnDropHandle::new(reader))
}

/// Orders that were delivered when they changed, and are not any more now that they are read.
fn tell_moved_on(passed: &[Passed]) {
    for passed in passed {
        if let Outcome::NotDelivered { status, .. } = &passed.outcome {
            info!(
                order = ext_json::shown(passed.id.as_ref(), 64),
                status, "an order is no longer delivered by the time it was read"
            );
        }
    }
}
