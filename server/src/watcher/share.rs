//! This instance's share of the partitions of a split watch: it takes those that are free, and lets
//! go of what is more than its share.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, info_span, warn};

use super::{balance::share_of, reader::Reader};
use crate::store::{
    Error,
    state::holds::{Hold, HoldNote},
    watch::{partition::HeldPartition, split::Split},
};

/// How often the partitions are looked at, at most.
const LAP: Duration = Duration::from_secs(1);

/// What one instance holds of the partitions.
pub(super) struct Share {
    reader: Reader,
    owner: String,
    instance: String,
    /// The split, whenever somebody here has read of it.
    split: watch::Receiver<Split>,
    /// The partitions that are read here, by their index.
    reading: BTreeMap<u32, Reading>,
    /// Since when this instance holds more than its share.
    surplus: Option<Instant>,
}

/// A partition that is read here.
struct Reading {
    generation: i64,
    /// Ends the reading in good order.
    let_go: CancellationToken,
    task: JoinHandle<()>,
}

impl Share {
    /// The share of the process that `owner` names, which holds nothing yet.
    pub(super) fn new(
        reader: Reader,
        owner: String,
        instance: String,
        split: watch::Receiver<Split>,
    ) -> Share {
        Share {
            reader,
            owner,
            instance,
            split,
            reading: BTreeMap::new(),
            surplus: None,
        }
    }

    /// Takes and lets go, until the server stops and all that is read here has been given back.
    pub(super) async fn run(mut self) {
        let lap = LAP.min(self.reader.store.beat());
        let stop = self.reader.stop.clone();
        // While this is there, the others count on this instance.
        let mut shares: Option<HoldNote> = None;
        let mut has_failed = false;
        loop {
            let split = *self.split.borrow_and_update();
            match self.lap(split).await {
                Ok(()) => {
                    has_failed = false;
                    let note = || self.reader.store.note_hold(Hold::Share);
                    let kept = shares.take().filter(|_| split.is_split());
                    shares = kept.or_else(|| split.is_split().then(note));
                }
                // A call that the stop cut short is no fault.
                Err(_) if stop.is_cancelled() => {}
                Err(error) => {
                    shares = None;
                    if !std::mem::replace(&mut has_failed, true) {
                        warn!(%error, "the partitions can't be shared; trying again");
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                Ok(()) = self.split.changed() => {}
                () = sleep(lap), if split.is_split() => {}
            }
        }
        drop(shares);
        for (_, reading) in std::mem::take(&mut self.reading) {
            let _ = reading.task.await;
        }
    }

    /// Looks once, and takes or lets go.
    async fn lap(&mut self, split: Split) -> Result<(), Error> {
        self.reading
            .retain(|_, reading| !reading.task.is_finished());
        if !split.is_split() {
            self.surplus = None;
            return Ok(());
        }
        let held = self.reader.store.held_partitions(split).await?;
        let share = self.share(&held).await?;
        // Those of a split before are about to end by themselves.
        let own = self.reading.values();
        let own = own.filter(|own| own.generation == split.generation);
        let own = own.filter(|own| !own.let_go.is_cancelled()).count();
        self.let_go(own.saturating_sub(share));
        let free = held.iter().filter(|held| self.is_free(held));
        let free: Vec<&HeldPartition> = free.collect();
        let mut missing = share.saturating_sub(own);
        for held in free {
            if missing == 0 || self.reader.stop.is_cancelled() {
                break;
            }
            missing -= usize::from(self.take(held, split).await?);
        }
        Ok(())
    }

    /// How many partitions are this instance's share now.
    async fn share(&self, held: &[HeldPartition]) -> Result<usize, Error> {
        let sharing = self.reader.store.sharing_instances().await?;
        let owners = || held.iter().filter_map(HeldPartition::owner_now);
        let mut holders: BTreeMap<&str, usize> = match &sharing {
            Some(sharing) => sharing.iter().map(|name| (name.as_str(), 0)).collect(),
            // Where no heartbeats are to be seen, whoever holds something is known to live.
            None => owners().map(|name| (name, 0)).collect(),
        };
        holders.entry(&self.owner).or_default();
        // What is held by somebody who is not there to take more is nobody else's either.
        let mut shared = held.len();
        for owner in owners() {
            match holders.get_mut(owner) {
                Some(held) => *held += 1,
                None => shared -= 1,
            }
        }
        let holders: Vec<(&str, usize)> = holders.into_iter().collect();
        Ok(share_of(&self.owner, shared, &holders))
    }

    fn is_free(&self, held: &HeldPartition) -> bool {
        let is_own = || held.owner.as_deref() == Some(&self.owner);
        let is_read_here = || self.reading.contains_key(&held.partition.index);
        match held.owner_now() {
            None => !is_read_here(),
            // Taken by a call of this process whose answer was lost for good.
            Some(_) => is_own() && !is_read_here(),
        }
    }

    /// Lets so many go, once they have been too many for a while: an instance that has just come may
    /// be about to leave again.
    fn let_go(&mut self, surplus: usize) {
        if surplus == 0 {
            self.surplus = None;
            return;
        }
        let since = *self.surplus.get_or_insert_with(Instant::now);
        if since.elapsed() < self.reader.store.beat() {
            return;
        }
        self.surplus = None;
        let staying = self.reading.iter().rev();
        let staying = staying.filter(|(_, reading)| !reading.let_go.is_cancelled());
        for (partition, reading) in staying.take(surplus) {
            info!(
                partition,
                "letting a partition go, for an instance with fewer"
            );
            reading.let_go.cancel();
        }
    }

    /// Takes a partition, if nobody is faster, and begins to read it.
    async fn take(&mut self, held: &HeldPartition, split: Split) -> Result<bool, Error> {
        let index = held.partition.index;
        let taken =
            self.reader
                .store
                .take_partition(held.partition, split, &self.owner, &self.instance);
        let Some(lease) = taken.await? else {
            return Ok(false);
        };
        info!(
            partition = index,
            of = split.partitions,
            epoch = lease.epoch,
            "this instance reads a partition now"
        );
        let let_go = self.reader.stop.child_token();
        let reader = self.reader.until(let_go.clone());
        let span = info_span!("partition", index);
        let task = async move {
            let _held = reader.store.note_hold(Hold::Partition(index));
            reader.read(lease).await;
        };
        let reading = Reading {
            generation: split.generation,
            let_go,
            task: tokio::spawn(task.instrument(span)),
        };
        self.reading.insert(index, reading);
        Ok(true)
    }
}
