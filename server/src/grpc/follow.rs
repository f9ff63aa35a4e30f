//! Following batches: however many follow one, it is read once for all of them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bson::DateTime;
use order_archiver_api::v1 as pb;
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{mpsc, watch},
    time::{interval, timeout},
};
use tonic::Status;

use super::{call::Calls, status};
use crate::{
    convert,
    store::{Store, batches::record::Batch},
};

/// How often a batch that is followed is looked at. Whichever instance runs it, the database knows
/// how far it is.
const FOLLOWED_BATCH_POLL: Duration = Duration::from_millis(200);

/// The latest state of a batch, or why it can't be followed; none before it was first looked at.
type Latest = Option<Result<pb::WatchBatchResponse, Status>>;

/// The batches that somebody follows. Clones are the same ones.
#[derive(Clone)]
pub(crate) struct Followed {
    calls: Calls,
    store: Store,
    batches: Arc<Mutex<HashMap<String, watch::Sender<Latest>>>>,
}

impl Followed {
    pub(crate) fn new(calls: Calls, store: Store) -> Followed {
        Followed {
            calls,
            store,
            batches: Arc::default(),
        }
    }

    /// The states of a batch from now on, once the first of them is there.
    pub(crate) async fn states(&self, id: &str) -> Result<watch::Receiver<Latest>, Status> {
        let mut states = self.subscribe(id);
        let first = states.wait_for(Option::is_some).await;
        match first.as_deref() {
            Ok(Some(Err(status))) => return Err(status.clone()),
            Ok(_) => {}
            Err(_) => return Err(status::stopping()),
        }
        drop(first);
        states.mark_changed();
        Ok(states)
    }

    fn subscribe(&self, id: &str) -> watch::Receiver<Latest> {
        let mut batches = self.batches();
        if let Some(states) = batches.get(id) {
            return states.subscribe();
        }
        let (sender, receiver) = watch::channel(None);
        batches.insert(id.to_owned(), sender.clone());
        tokio::spawn(self.clone().read(id.to_owned(), sender));
        receiver
    }

    fn batches(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Latest>>> {
        self.batches.lock()
    }

    /// Tells the states of a batch to all who follow it, until it ends or nobody does.
    async fn read(self, id: String, states: watch::Sender<Latest>) {
        let mut look = interval(FOLLOWED_BATCH_POLL);
        let mut known = None;
        loop {
            let state = tokio::select! {
                () = self.calls.stop.cancelled() => Err(status::stopping()),
                state = async {
                    look.tick().await;
                    self.look(&id, &mut known).await
                } => state,
            };
            let is_last = match &state {
                Ok(_) => known.as_ref().is_some_and(|batch| batch.state.is_final()),
                Err(_) => true,
            };
            // Whoever comes once this is locked either hears of the state or makes a new reader.
            let mut batches = self.batches();
            if let Some(state) = state.transpose() {
                states.send_replace(Some(state));
            }
            if is_last || states.receiver_count() == 0 {
                batches.remove(&id);
                return;
            }
        }
    }

    /// The state of a batch if it has another one than is known.
    async fn look(
        &self,
        id: &str,
        known: &mut Option<Batch>,
    ) -> Result<Option<pb::WatchBatchResponse>, Status> {
        self.calls.check()?;
        let found = self.store.batch(id).await;
        let batch = found
            .map_err(|error| status::of_error(&error))?
            .ok_or_else(|| status::no_batch(id))?;
        if known.as_ref() == Some(&batch) {
            return Ok(None);
        }
        *known = Some(batch.clone());
        let message = convert::batch(batch.with_few_near_misses(), now(&self.store).await?);
        Ok(Some(pb::WatchBatchResponse {
            batch: Some(message),
        }))
    }
}

/// What time it is by the database's clock.
pub(super) async fn now(store: &Store) -> Result<DateTime, Status> {
    let deployment = store.deployment().await;
    deployment
        .map(|deployment| deployment.now)
        .map_err(|error| status::of_error(&error))
}

/// Tells a caller each state of a batch until the last one, or until it leaves them unread for so
/// long.
pub(crate) async fn tell(
    mut states: watch::Receiver<Latest>,
    caller: mpsc::Sender<Result<pb::WatchBatchResponse, Status>>,
    patience: Duration,
) {
    // A place for the reason of an early end: when it is needed there is no other.
    let Ok(last_place) = caller.clone().reserve_owned().await else {
        return;
    };
    loop {
        let changed = tokio::select! {
            () = caller.closed() => return,
            changed = states.changed() => changed,
        };
        if changed.is_err() {
            // The reader has ended, and its last state has been told.
            return;
        }
        let state = states.borrow_and_update().clone();
        if let Some(state) = state {
            let is_last = state.is_err();
            match timeout(patience, caller.send(state)).await {
                Ok(Ok(())) if !is_last => {}
                Ok(_) => return,
                Err(_) => {
                    last_place.send(Err(status::not_read(patience)));
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_does_not_read_is_told_so_and_left() {
        let state = || Some(Ok(pb::WatchBatchResponse::default()));
        let (states, following) = watch::channel(state());
        let (sender, mut read) = mpsc::channel(2);
        let telling = tokio::spawn(tell(following, sender, Duration::from_millis(50)));
        for _ in 0..100 {
            states.send_replace(state());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(telling.is_finished());
        assert!(read.recv().await.is_some_and(|state| state.is_ok()));
        let end = read.recv().await.and_then(Result::err);
        assert_eq!(
            end.map(|end| end.code()),
            Some(tonic::Code::ResourceExhausted)
        );
        assert!(read.recv().await.is_none());
    }
}
