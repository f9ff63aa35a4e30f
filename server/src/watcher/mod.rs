//! The watcher: the source through which an order comes at the moment it is delivered.
//!
//! One reply of the change stream is one chunk through the pipeline is one checkpoint. The place in
//! the history is ours alone to keep: after any fault the stream is opened anew from the last place
//! whose orders are all archived, never from now.

mod gap;
mod policy;
mod stream;

use std::time::Duration;

use bson::Timestamp;
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, error, info, info_span, warn};

use self::{
    gap::GapCloser,
    policy::{Backoff, Next, after},
    stream::{Ending, Failure, Stream},
};
use crate::{
    archiver::Archiver,
    bytes::checkpoint::{Checkpoint, Identity, Validated, seal, time_of, validate},
    observe::monitor::Monitor,
    pipeline::Pipeline,
    store::{
        Error, Store,
        orders::deliveries::stages,
        state::holds::Hold,
        watch::{gap::Gap, lease::Heartbeat, record::State},
        wire::changes::{Scope, Start},
    },
};

/// How often a paused or standby instance looks whether it is its turn.
const TURN_POLL: Duration = Duration::from_millis(500);

/// Watches the orders. At most one instance on a database does, the others are on standby.
#[derive(Clone, Debug)]
pub struct Watcher {
    store: Store,
    pipeline: Pipeline,
    gap_closer: GapCloser,
    instance: String,
    /// Names this very process: two instances may share a name.
    owner: String,
    identity: Identity,
    stop: CancellationToken,
}

impl Watcher {
    /// A watcher whose catch-up batches run on this archiver. `owner` names this very process,
    /// `instance` is its name.
    pub fn new(
        store: Store,
        pipeline: Pipeline,
        archiver: Archiver,
        owner: String,
        instance: String,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Watcher {
        Watcher {
            identity: store.checkpoint_identity(),
            gap_closer: GapCloser::new(store.clone(), archiver, tasks, stop.clone()),
            store,
            pipeline,
            instance,
            owner,
            stop,
        }
    }

    /// Watches until told to stop.
    pub async fn run(self, mut monitor: Monitor) {
        let span = info_span!("watcher");
        async {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = monitor.ready() => {}
            }
            let mut backoff = Backoff::default();
            while !self.stop.is_cancelled() {
                match self.standby().await {
                    Ok(None) => return,
                    Ok(Some(epoch)) => {
                        info!(epoch, "this instance watches now");
                        let _held = self.store.note_hold(Hold::Watch(epoch));
                        self.watch(epoch).await;
                    }
                    // A call that the stop cut short is no fault.
                    Err(_) if self.stop.is_cancelled() => return,
                    Err(error) => {
                        warn!(%error, "the watch can't be taken; trying again");
                        self.pause(backoff.next()).await;
                    }
                }
            }
        }
        .instrument(span)
        .await;
    }

    /// Waits until the watch is free, and takes it; none when the server stops before.
    async fn standby(&self) -> Result<Option<i64>, Error> {
        while !self.stop.is_cancelled() {
            if let Some(watcher) = self.store.take_watch(&self.owner, &self.instance).await? {
                return Ok(Some(watcher.epoch));
            }
            self.pause(self.store.beat().min(TURN_POLL * 4)).await;
        }
        Ok(None)
    }

    /// Watches until the watch is lost or the server stops, through any fault.
    async fn watch(&self, epoch: i64) {
        let mut backoff = Backoff::default();
        let mut from_moment = None;
        loop {
            let ending = self.run_once(epoch, from_moment.take(), &mut backoff).await;
            let fault = match ending {
                Ok(Ending::Again) => continue,
                Ok(Ending::Lost) => {
                    warn!("another instance has taken the watch");
                    return;
                }
                Ok(Ending::Stopping) => {
                    if let Err(error) = self.store.leave_watch(epoch, State::Stopped).await {
                        warn!(%error, "the watch could not be given back; another instance takes it after a while");
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
                    if let Err(error) = self.start_over(epoch, fault.moment, &told).await {
                        warn!(%error, "no new starting point yet; trying again");
                    }
                }
                Next::Unsupported => {
                    error!(error = %told, "the watcher can't work here; batches do")
                }
            }
            let heartbeat = Heartbeat {
                state,
                last_error: &told,
                checkpoint: None,
                last_event: None,
                waiting_since: None,
            };
            // While the database is away there is nobody to tell.
            if let Ok(false) = self.store.keep_watch(epoch, &heartbeat).await {
                return;
            }
            self.pause(if next == Next::Unsupported {
                Backoff::LONGEST
            } else {
                backoff.next()
            })
            .await;
            if self.stop.is_cancelled() {
                let _ = self.store.leave_watch(epoch, State::Stopped).await;
                return;
            }
        }
    }

    /// From a starting point to the next fault.
    async fn run_once(
        &self,
        epoch: i64,
        moment: Option<Timestamp>,
        backoff: &mut Backoff,
    ) -> Result<Ending, Failure> {
        let watcher = match self.store.watcher().await? {
            Some(watcher) if watcher.epoch == epoch => watcher,
            _ => return Ok(Ending::Lost),
        };
        if self.stop.is_cancelled() {
            return Ok(Ending::Stopping);
        }
        if watcher.paused {
            let heartbeat = Heartbeat {
                state: State::Paused,
                last_error: "",
                checkpoint: None,
                last_event: None,
                waiting_since: None,
            };
            if !self.store.keep_watch(epoch, &heartbeat).await? {
                return Ok(Ending::Lost);
            }
            self.pause(TURN_POLL).await;
            return Ok(Ending::Again);
        }
        // Not what a majority holds: right after an election the new primary has everything that a
        // place can stand for, and does not know yet that a majority has it too.
        let now = self
            .store
            .hello()
            .await?
            .latest
            .ok_or(Error::ReplicaSetRequired)?;
        let stored = watcher
            .checkpoint
            .as_ref()
            .map(|checkpoint| checkpoint.as_ref());
        let (start, known) = match validate(stored, &self.identity, now) {
            Validated::Place(checkpoint) => match moment {
                Some(moment) => (Start::At(moment), Some(moment)),
                None => (Start::After(checkpoint.position), Some(checkpoint.time)),
            },
            Validated::Time(time) => {
                info!("the stream's filter has changed; starting at the moment of the last place");
                (Start::At(time), Some(time))
            }
            Validated::Nothing => {
                info!("there is no starting point yet; taking one, then catching up");
                self.start_over(epoch, None, "first start").await?;
                return Ok(Ending::Again);
            }
            Validated::Bad(why) => {
                error!("{why}; taking a new starting point, then catching up");
                self.start_over(epoch, watcher.position, why).await?;
                return Ok(Ending::Again);
            }
        };
        let catching_up = self.gap_closer.spawn(epoch, watcher.gap.clone());
        let stream = Stream {
            store: &self.store,
            pipeline: &self.pipeline,
            identity: &self.identity,
            stop: &self.stop,
        };
        stream.run(epoch, start, known, &catching_up, backoff).await
    }

    /// Takes a new starting point and opens a gap before it; the catch-up batch reads only after
    /// both are saved. A gap that is still open becomes part of the new one.
    async fn start_over(
        &self,
        epoch: i64,
        from: Option<Timestamp>,
        cause: &str,
    ) -> Result<(), Error> {
        let mut changes = self
            .store
            .changes(
                Scope::Collection(&self.store.names().orders),
                &Start::Now,
                stages(self.store.delivered()),
            )
            .await?;
        let position = changes.next().await?.position;
        let time = time_of(&position).ok_or_else(|| {
            Error::Unusable("the database's place in its history has no time".to_owned())
        })?;
        let open = self.store.watcher().await?.and_then(|watcher| watcher.gap);
        let gap = Gap {
            from: open.map_or(from, |open| open.from),
            to: time,
            batch_id: String::new(),
            cause: cause.to_owned(),
        };
        let sealed = seal(&Checkpoint { position, time }, &self.identity);
        self.store.open_gap(epoch, &sealed, &gap).await?;
        warn!(cause, "gap opened");
        Ok(())
    }

    async fn pause(&self, length: Duration) {
        tokio::select! {
            () = sleep(length) => {}
            () = self.stop.cancelled() => {}
        }
    }
}
