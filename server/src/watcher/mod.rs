//! The watcher: the source through which an order comes at the moment it is delivered.
//!
//! One reply of the change stream is one chunk through the pipeline is one checkpoint. The place in
//! the history is ours alone to keep: after any fault the stream is opened anew from the last place
//! whose orders are all archived, never from now.
//!
//! One instance holds the watch. It reads the stream itself; or, where the stream is split into
//! partitions, it leads those that read them, of which it may be one.

mod backlog;
mod balance;
mod gap;
mod lead;
mod policy;
mod reader;
mod share;
mod stream;

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, info, info_span, warn};

use self::{
    gap::GapCloser,
    policy::Backoff,
    reader::{Reader, TURN_POLL},
    share::Share,
    stream::tell_split,
};
use crate::{
    archiver::Archiver,
    observe::monitor::Monitor,
    pipeline::Pipeline,
    store::{
        Error, Store,
        state::holds::Hold,
        watch::{lease::Lease, split::Split},
    },
};

/// Watches the orders. At most one instance on a database holds the watch, the others are on
/// standby, or read partitions of it.
#[derive(Clone, Debug)]
pub struct Watcher {
    reader: Reader,
    instance: String,
    /// Names this very process: two instances may share a name.
    owner: String,
    /// Into how many partitions this instance wants the stream split.
    partitions: u32,
}

impl Watcher {
    /// A watcher whose catch-up batches run on this archiver. `owner` names this very process,
    /// `instance` is its name. It wants the stream in one piece.
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
            reader: Reader {
                gap_closer: GapCloser::new(store.clone(), archiver, tasks, stop.clone()),
                store,
                pipeline,
                split: watch::Sender::new(Split::NONE),
                stop,
            },
            instance,
            owner,
            partitions: 1,
        }
    }

    /// The same, which wants the stream split into so many partitions.
    #[must_use]
    pub fn split_into(self, partitions: u32) -> Watcher {
        Watcher { partitions, ..self }
    }

    /// Watches until told to stop.
    pub async fn run(self, mut monitor: Monitor) {
        let span = info_span!("watcher");
        async {
            tokio::select! {
                () = self.reader.stop.cancelled() => return,
                () = monitor.ready() => {}
            }
            let share = Share::new(
                self.reader.clone(),
                self.owner.clone(),
                self.instance.clone(),
                self.reader.split.subscribe(),
            );
            tokio::join!(self.hold(), share.run());
        }
        .instrument(span)
        .await;
    }

    /// Holds the watch whenever nobody else does.
    async fn hold(&self) {
        let store = &self.reader.store;
        let (mut backoff, mut has_said) = (Backoff::default(), false);
        while !self.reader.stop.is_cancelled() {
            match self.standby(&mut has_said).await {
                Ok(None) => return,
                Ok(Some(epoch)) => {
                    info!(epoch, "this instance watches now");
                    let _held = store.note_hold(Hold::Watch(epoch));
                    self.reader.read(Lease::of_watch(epoch)).await;
                }
                // A call that the stop cut short is no fault.
                Err(_) if self.reader.stop.is_cancelled() => return,
                Err(error) => {
                    warn!(%error, "the watch can't be taken; trying again");
                    self.reader.pause(backoff.next()).await;
                }
            }
        }
    }

    /// Waits until the watch is free, and takes it; none when the server stops before. Says how many
    /// partitions this instance wants, once, and again where nobody has watched yet.
    async fn standby(&self, has_said: &mut bool) -> Result<Option<i64>, Error> {
        let store = &self.reader.store;
        while !self.reader.stop.is_cancelled() {
            match store.watcher().await? {
                Some(watcher) => tell_split(&self.reader.split, watcher.split),
                // One that was set aside took with it what had been wanted.
                None => {
                    store.make_watcher().await?;
                    *has_said = false;
                }
            }
            if !*has_said {
                let (partitions, instance) = (self.partitions, &self.instance);
                store.want_partitions(partitions, instance).await?;
                *has_said = true;
            }
            let taken = store.claim_watch(&self.owner, &self.instance).await?;
            if let Some(watcher) = taken {
                return Ok(Some(watcher.epoch));
            }
            self.reader.pause(store.beat().min(TURN_POLL * 4)).await;
        }
        Ok(None)
    }
}
