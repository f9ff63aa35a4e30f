//! Following jobs: however many follow one, it is read once for all of them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{mpsc, watch},
    time::{interval, timeout},
};
use tonic::Status;

use super::{Told, none, now};
use crate::{
    grpc::{call::Calls, status},
    store::Store,
};

/// How often a job that is followed is looked at. Whichever instance runs it, the database knows
/// how far it is.
const FOLLOWED_JOB_POLL: Duration = Duration::from_millis(200);

/// The latest state of a job, or why it can't be followed; none before it was first looked at.
type Latest<M> = Option<Result<M, Status>>;

/// The states of the jobs that somebody follows, by the ids of these.
type States<M> = HashMap<String, watch::Sender<Latest<M>>>;

/// The jobs of a kind that somebody follows. Clones are the same ones.
#[derive(Clone)]
pub(crate) struct Followed<J: Told> {
    calls: Calls,
    store: Store,
    jobs: Arc<Mutex<States<J::Message>>>,
}

impl<J: Told> Followed<J> {
    pub(crate) fn new(calls: Calls, store: Store) -> Followed<J> {
        Followed {
            calls,
            store,
            jobs: Arc::default(),
        }
    }

    /// The states of a job from now on, once the first of them is there.
    pub(crate) async fn states(
        &self,
        id: &str,
    ) -> Result<watch::Receiver<Latest<J::Message>>, Status> {
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

    fn subscribe(&self, id: &str) -> watch::Receiver<Latest<J::Message>> {
        let mut jobs = self.jobs();
        if let Some(states) = jobs.get(id) {
            return states.subscribe();
        }
        let (sender, receiver) = watch::channel(None);
        jobs.insert(id.to_owned(), sender.clone());
        tokio::spawn(self.clone().read(id.to_owned(), sender));
        receiver
    }

    fn jobs(&self) -> MutexGuard<'_, States<J::Message>> {
        self.jobs.lock()
    }

    /// Tells the states of a job to all who follow it, until it ends or nobody does.
    async fn read(self, id: String, states: watch::Sender<Latest<J::Message>>) {
        let mut look = interval(FOLLOWED_JOB_POLL);
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
                Ok(_) => known
                    .as_ref()
                    .is_some_and(|job: &J| job.head().state.is_final()),
                Err(_) => true,
            };
            // Whoever comes once this is locked either hears of the state or makes a new reader.
            let mut jobs = self.jobs();
            if let Some(state) = state.transpose() {
                states.send_replace(Some(state));
            }
            if is_last || states.receiver_count() == 0 {
                jobs.remove(&id);
                return;
            }
        }
    }

    /// The state of a job if it has another one than is known.
    async fn look(&self, id: &str, known: &mut Option<J>) -> Result<Option<J::Message>, Status> {
        self.calls.check()?;
        let found = self.store.job::<J>(id).await;
        let job = found
            .map_err(|error| status::of_error(&error))?
            .ok_or_else(|| none::<J>(id))?;
        if known.as_ref() == Some(&job) {
            return Ok(None);
        }
        *known = Some(job.clone());
        Ok(Some(job.in_brief(now(&self.store).await?)))
    }
}

/// Tells a caller each state of a job, as `answer` puts it, until the last one, or until it leaves
/// them unread for so long.
pub(crate) async fn tell<M: Clone + Send + Sync, R>(
    mut states: watch::Receiver<Latest<M>>,
    answer: impl Fn(M) -> R,
    caller: mpsc::Sender<Result<R, Status>>,
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
            match timeout(patience, caller.send(state.map(&answer))).await {
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
        let state = || Some(Ok(()));
        let (states, following) = watch::channel(state());
        let (sender, mut read) = mpsc::channel(2);
        let telling = tokio::spawn(tell(following, |()| (), sender, Duration::from_millis(50)));
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
