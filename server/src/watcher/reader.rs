//! Reading the stream, or one partition of it, through any fault, for as long as the lease on it
//! lasts.

use std::time::Duration;

use bson::Timestamp;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    gap::{CatchingUp, GapCloser},
    policy::{Backoff, Next, after},
    stream::{Ending, Failure, Stream, tell_split},
};
use crate::{
    bytes::{
        checkpoint::{Checkpoint, Validated, seal, time_of, validate},
        raw::Value,
    },
    domain::partition::Partition,
    pipeline::Pipeline,
    store::{
        Error, Store,
        orders::deliveries::stages,
        state::snapshot::document,
        watch::{
            gap::Gap,
            lease::{Heartbeat, Lease},
            partition::Holding,
            record::{State, Watcher},
            split::Split,
        },
        wire::changes::{Scope, Start},
    },
};

/// How often a paused or standby instance looks whether it is its turn.
pub(super) const TURN_POLL: Duration = Duration::from_millis(500);

/// Reads what it is given a lease on.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) store: Store,
    pub(super) pipeline: Pipeline,
    pub(super) gap_closer: GapCloser,
    /// Tells into how many partitions the stream is split.
    pub(super) split: watch::Sender<Split>,
    pub(super) stop: CancellationToken,
}

impl Reader {
    /// The same, which stops when this says so.
    pub(super) fn until(&self, stop: CancellationToken) -> Reader {
        Reader {
            stop,
            ..self.clone()
        }
    }

    /// Reads until the lease is lost or the server stops, through any fault.
    pub(super) async fn read(&self, lease: Lease) {
        let mut backoff = Backoff::default();
        let mut from_moment = None;
        loop {
            let ending = self.run_once(lease, from_moment.take(), &mut backoff).await;
            let fault = match ending {
                Ok(Ending::Again) => continue,
                Ok(Ending::Lost) => {
                    warn!(
                        "the {} is no longer held here: another instance has taken it, or its document was set aside",
                        what(lease)
                    );
                    return;
                }
                Ok(Ending::Replaced) => {
                    info!("the stream is split anew");
                    return;
                }
                Ok(Ending::Stopping) => {
                    if let Err(error) = self.store.leave_watch(&lease, State::Stopped).await {
                        warn!(%error, "the {} could not be given back; another instance takes it after a while", what(lease));
                    }
                    return;
                }
                Err(fault) => fault,
            };
            let next = after(&fault.error);
            let state = if next == Next::Unsupported {
                State::Unsupported
            } else {
                State::Retrying
            };
            backoff.heed(&fault.error);
            let told = fault.error.to_string();
            match next {
                Next::Reopen => {
                    warn!(error = %told, "the watcher lost its stream; opening it again from the last place")
                }
                Next::FromMoment => {
                    warn!(error = %told, "the last place can't be followed; starting at its moment instead");
                    from_moment = fault.moment;
                }
                Next::StartOver => {
                    error!(error = %told, "the history has a gap; taking a new starting point, then catching up");
                    let starting = match lease.partition.is_whole() {
                        true => self.start_over(lease, fault.moment, &told).await,
                        // Of one partition alone there is no catching up: the instance that leads
                        // starts over, for all of them at once.
                        false => self.store.note_lost(&lease, &told).await.map(drop),
                    };
                    if let Err(error) = starting {
                        warn!(%error, "no new starting point yet; trying again");
                    }
                }
                Next::Unsupported => {
                    error!(error = %told, "the watcher can't work here; batches do")
                }
            }
            // While the database is away there is nobody to tell.
            let heartbeat = Heartbeat::bare(state, &told);
            if let Ok(false) = self.store.keep_watch(&lease, &heartbeat).await {
                return;
            }
            self.pause(if next == Next::Unsupported {
                Backoff::LONGEST
            } else {
                backoff.next()
            })
            .await;
            if self.stop.is_cancelled() {
                let _ = self.store.leave_watch(&lease, State::Stopped).await;
                return;
            }
        }
    }

    /// What has become of a lease; tells of the split that was read on the way.
    pub(super) async fn holding(&self, lease: &Lease) -> Result<Holding, Error> {
        let holding = self.store.holding(lease).await?;
        if let Holding::Goes(watcher, _) = &holding {
            tell_split(&self.split, watcher.split);
        }
        Ok(holding)
    }

    /// The latest write. Not what a majority holds: right after an election the new primary has
    /// everything that a place can stand for, and does not know yet that a majority has it too.
    pub(super) async fn now(&self) -> Result<Timestamp, Error> {
        let hello = self.store.hello().await?;
        hello.latest.ok_or(Error::ReplicaSetRequired)
    }

    /// From a starting point to the next fault.
    async fn run_once(
        &self,
        lease: Lease,
        moment: Option<Timestamp>,
        backoff: &mut Backoff,
    ) -> Result<Ending, Failure> {
        let (watcher, held) = match self.holding(&lease).await? {
            Holding::Goes(watcher, held) => (watcher, held),
            Holding::Lost => return Ok(Ending::Lost),
            Holding::Replaced => return Ok(Ending::Replaced),
        };
        if self.stop.is_cancelled() {
            return Ok(Ending::Stopping);
        }
        let is_whole = lease.partition.is_whole();
        let is_split = is_whole && (watcher.split.is_split() || watcher.is_to_be_split());
        if watcher.paused && !is_split {
            return self.stay_paused(&lease).await;
        }
        if held.as_ref().is_some_and(|it| it.state == State::Paused) && !watcher.paused {
            // A pause that is asked for from now on waits for this partition again.
            let heartbeat = Heartbeat::bare(State::Starting, "");
            if !self.store.keep_watch(&lease, &heartbeat).await? {
                return Ok(Ending::Lost);
            }
        }
        let now = self.now().await?;
        let identity = self.store.checkpoint_identity(lease.partition);
        let (checkpoint, position) = match &held {
            // An archd that knows of no partitions has read on alone.
            Some(held) if held.position < watcher.position => (&None, None),
            Some(held) => (&held.checkpoint, held.position),
            None => (&watcher.checkpoint, watcher.position),
        };
        let stored = checkpoint.as_ref().map(Value::as_ref);
        let (start, known) = match validate(stored, &identity, now) {
            Validated::Place(checkpoint) => match moment {
                Some(moment) => (Start::At(moment), Some(moment)),
                None => (Start::After(checkpoint.position), Some(checkpoint.time)),
            },
            Validated::Time(time) => {
                if !is_split {
                    info!(
                        "the last place was saved for another filter: the number of partitions or ARCHD_DELIVERED_STATUS has changed; starting at its moment"
                    );
                }
                (Start::At(time), Some(time))
            }
            Validated::Nothing if !is_whole => {
                let time = self.beginning(&watcher, now)?;
                (Start::At(time), Some(time))
            }
            Validated::Nothing | Validated::Bad(_) if watcher.paused => {
                return self.stay_paused(&lease).await;
            }
            Validated::Nothing => {
                info!("there is no starting point yet; taking one, then catching up");
                self.start_over(lease, None, "first start").await?;
                return Ok(Ending::Again);
            }
            Validated::Bad(why) if !is_whole => {
                error!("{why}; a new starting point is to be taken");
                return Err(Failure {
                    error: unusable(why),
                    moment: position,
                });
            }
            Validated::Bad(why) => {
                error!("{why}; taking a new starting point, then catching up");
                self.start_over(lease, position, why).await?;
                return Ok(Ending::Again);
            }
        };
        if is_split && !watcher.split.is_split() {
            return self.split_first(lease, &watcher, now).await;
        }
        let catching_up = match is_whole {
            // Nothing is caught up with during a pause.
            true => {
                let gap = watcher.gap.clone().filter(|_| !watcher.paused);
                self.gap_closer.spawn(lease, gap)
            }
            false => CatchingUp::none(),
        };
        if is_split {
            return self.lead(lease, &watcher, &catching_up, backoff).await;
        }
        let stream = Stream {
            store: &self.store,
            pipeline: &self.pipeline,
            lease: &lease,
            identity: &identity,
            stop: &self.stop,
            split: &self.split,
            renamed_at: watcher.renamed_at,
        };
        stream.run(start, known, &catching_up, backoff).await
    }

    /// Tells that nothing is read, and looks again after a moment.
    async fn stay_paused(&self, lease: &Lease) -> Result<Ending, Failure> {
        let heartbeat = Heartbeat::bare(State::Paused, "");
        if !self.store.keep_watch(lease, &heartbeat).await? {
            return Ok(Ending::Lost);
        }
        self.pause(TURN_POLL).await;
        Ok(Ending::Again)
    }

    /// Splits a stream that was read by one: the place where that one has stopped is known to be
    /// good.
    async fn split_first(
        &self,
        lease: Lease,
        watcher: &Watcher,
        now: Timestamp,
    ) -> Result<Ending, Failure> {
        let wanted = watcher.partitions_wanted();
        let next = watcher.split.followed_by(wanted, now.time);
        let place = watcher.checkpoint.as_ref().map(Value::as_ref);
        let place = place
            .and_then(document)
            .ok_or_else(|| unusable(NO_BEGINNING))?;
        if !self.store.split_watch(&lease, next, &place).await? {
            return Ok(Ending::Lost);
        }
        info!(before = 1, partitions = wanted, "the stream is split anew");
        Ok(Ending::Again)
    }

    /// Where a partition begins that has no checkpoint of its own: everything before is archived.
    fn beginning(&self, watcher: &Watcher, now: Timestamp) -> Result<Timestamp, Error> {
        let stored = watcher.checkpoint.as_ref().map(Value::as_ref);
        let identity = self.store.checkpoint_identity(Partition::WHOLE);
        match validate(stored, &identity, now) {
            Validated::Place(checkpoint) => Ok(checkpoint.time),
            Validated::Time(time) => Ok(time),
            // A split is saved with a place where it begins, so somebody has changed that since.
            Validated::Nothing => Err(unusable(NO_BEGINNING)),
            Validated::Bad(why) => Err(unusable(why)),
        }
    }

    /// Takes a new starting point and opens a gap before it; the catch-up batch reads only after
    /// both are saved. A gap that is still open becomes part of the new one.
    pub(super) async fn start_over(
        &self,
        lease: Lease,
        from: Option<Timestamp>,
        cause: &str,
    ) -> Result<(), Error> {
        let mut changes = self
            .store
            .changes(
                Scope::Collection(&self.store.names().orders),
                &Start::Now,
                stages(self.store.delivered(), Partition::WHOLE),
            )
            .await?;
        let position = changes.next().await?.position;
        let time = time_of(&position).ok_or_else(|| {
            Error::Unusable("the database's place in its history has no time".to_owned())
        })?;
        let watcher = self.store.watcher().await?;
        // Partitions begin anew, in a split of their own; of the number that is wanted by now.
        let split = watcher.as_ref().and_then(|watcher| {
            let is_split = watcher.split.is_split() || watcher.is_to_be_split();
            let next = watcher
                .split
                .followed_by(watcher.partitions_wanted(), time.time);
            is_split.then_some(next)
        });
        let open = watcher.and_then(|watcher| watcher.gap);
        let gap = Gap {
            from: open.map_or(from, |open| open.from),
            to: time,
            batch_id: String::new(),
            cause: cause.to_owned(),
        };
        let identity = self.store.checkpoint_identity(Partition::WHOLE);
        let sealed = seal(&Checkpoint { position, time }, &identity);
        self.store.open_gap(&lease, &sealed, &gap, split).await?;
        warn!(cause, "gap opened");
        Ok(())
    }

    pub(super) async fn pause(&self, length: Duration) {
        tokio::select! {
            () = sleep(length) => {}
            () = self.stop.cancelled() => {}
        }
    }
}

/// What a lease is on, for the log.
fn what(lease: Lease) -> &'static str {
    match lease.partition.is_whole() {
        true => "watch",
        false => "partition",
    }
}

const NO_BEGINNING: &str = "the watch has no starting point";

/// That a place can't be followed.
fn unusable(why: &str) -> Error {
    Error::Unusable(why.to_owned())
}
