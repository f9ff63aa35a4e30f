//! Waiting: how many delivered orders nobody archives while the watcher is paused or gone.
//!
//! They are counted in the history, from the watcher's position on: what the collections hold does
//! not tell, because orders are deleted from the archive and from the live collection. The count is
//! bounded in time, made once at a time for all callers of an instance, and kept for a while.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use bson::{RawDocument, Timestamp};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout_at},
};
use tracing::debug;

use super::record::Watcher;
use crate::{
    bytes::{
        checkpoint::{Validated, time_of, validate},
        raw::{self, Value, ValueRef},
    },
    domain::partition::Partition,
    store::{
        Error, Store,
        orders::deliveries::{delivers, order_of, stages},
        wire::changes::{Changes, Replies, Reply, Scope, Start},
    },
};

/// How long a count may take.
const LIMIT: Duration = Duration::from_secs(1);
/// How long one is good for.
const FRESH: Duration = Duration::from_secs(10);
/// How long the database waits at the end of the history before it answers that there is no more.
const PATIENCE: Duration = Duration::from_millis(50);
/// Changes in one reply at most.
const MOST_CHANGES: u32 = 2_000;

/// Orders that were delivered behind the watcher's position and are not in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// So many.
    Exactly(i64),
    /// So many or more: the time was over.
    AtLeast(i64),
    /// Nobody can tell, because of this.
    Unknown(String),
}

/// The latest count of an instance. Clones share it.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Counted(Arc<Mutex<Option<Count>>>);

#[derive(Debug)]
struct Count {
    waiting: Waiting,
    /// Where it was counted from.
    position: Option<Timestamp>,
    good_until: Instant,
}

impl Store {
    pub(in crate::store) async fn waiting(&self, watcher: &Watcher) -> Waiting {
        let mut latest = self.counted.0.clone().lock_owned().await;
        if let Some(count) = &*latest
            && count.position == watcher.position
            && count.good_until > Instant::now()
        {
            return count.waiting.clone();
        }
        // In a task of its own, because the count is everybody's: whoever asked may leave.
        let (store, watcher) = (self.clone(), watcher.clone());
        let counting = tokio::spawn(async move {
            let (waiting, answered) = store.count_waiting(&watcher).await;
            let good_for = match answered {
                true => FRESH,
                // The call that was not waited for may go on for so long: one at a time is enough.
                false => FRESH.max(store.policy.operation_timeout * 2),
            };
            *latest = Some(Count {
                waiting: waiting.clone(),
                position: watcher.position,
                good_until: Instant::now() + good_for,
            });
            waiting
        });
        let broke_off = |_| Waiting::Unknown("the count broke off".to_owned());
        counting.await.unwrap_or_else(broke_off)
    }

    /// Counts until the time is over. The flag says whether every call was answered by then.
    async fn count_waiting(&self, watcher: &Watcher) -> (Waiting, bool) {
        let end = Instant::now() + LIMIT;
        let mut tally = Tally::default();
        match timeout_at(end, self.read_waiting(watcher, &mut tally)).await {
            Err(_) if tally.begun => (Waiting::AtLeast(tally.orders), false),
            Err(_) => {
                let why = "the database did not find the watcher's position in its history in time";
                (Waiting::Unknown(why.to_owned()), false)
            }
            Ok(Ok(())) => (Waiting::Exactly(tally.orders), true),
            Ok(Err(Unknown(why))) => (Waiting::Unknown(why), true),
        }
    }

    async fn read_waiting(&self, watcher: &Watcher, tally: &mut Tally) -> Result<(), Unknown> {
        let (mut changes, majority) = self.deliveries_behind(watcher).await?;
        *tally = Tally::begun();
        loop {
            let reply = changes.next().await?;
            let is_last = time_of(&reply.position).is_none_or(|time| time >= majority);
            let new = tally.new_in(&reply);
            tally.orders += self.not_archived(&new).await?;
            if reply.changes.iter().any(|change| ends_stream(change)) {
                // The collection was dropped or renamed, and its orders with it; another one may
                // follow under its name.
                *tally = Tally::begun();
                changes = self.deliveries(&Start::After(reply.position)).await?;
            } else if is_last {
                return Ok(());
            }
        }
    }

    /// The deliveries behind the watcher's position, and the latest write that a majority holds.
    pub(in crate::store) async fn deliveries_behind(
        &self,
        watcher: &Watcher,
    ) -> Result<(Changes, Timestamp), Unknown> {
        let now = self.hello().await?;
        let (Some(latest), Some(majority)) = (now.latest, now.majority) else {
            return Err(Error::ReplicaSetRequired.into());
        };
        let stored = watcher.checkpoint.as_ref().map(Value::as_ref);
        let start = match validate(stored, &self.checkpoint_identity(Partition::WHOLE), latest) {
            Validated::Place(checkpoint) => Start::After(checkpoint.position),
            Validated::Time(time) => Start::At(time),
            Validated::Nothing => {
                return Err(Unknown("the watcher has no position yet".to_owned()));
            }
            Validated::Bad(why) => return Err(Unknown(why.to_owned())),
        };
        Ok((self.deliveries(&start).await?, majority))
    }

    async fn deliveries(&self, start: &Start) -> Result<Changes, Error> {
        let orders = Scope::Collection(&self.names.orders);
        let stages = stages(&self.delivered, Partition::WHOLE);
        let replies = Replies {
            patience: PATIENCE,
            most: MOST_CHANGES,
            opening: self.policy.operation_timeout,
            limit: self.policy.operation_timeout,
        };
        self.changes_in(replies, orders, start, stages).await
    }

    /// How many of these orders the archive does not hold, by their `_id`s.
    async fn not_archived(&self, ids: &[Value]) -> Result<i64, Error> {
        let archived = self.ids_in_archive(ids).await?;
        let missing = ids.iter().filter(|id| !archived.contains(*id));
        Ok(i64::try_from(missing.count()).unwrap_or(i64::MAX))
    }
}

/// Why orders behind the watcher's position can't be counted.
pub(in crate::store) struct Unknown(pub(in crate::store) String);

impl From<Error> for Unknown {
    fn from(error: Error) -> Unknown {
        debug!(%error, "the orders that wait can't be counted");
        Unknown(match error {
            Error::HistoryLost => "the history no longer reaches back to the watcher's position; \
                                   when an instance watches again, a catch-up batch archives them"
                .to_owned(),
            error => error.to_string(),
        })
    }
}

/// What has been counted so far.
#[derive(Default)]
struct Tally {
    /// Whether the position was found.
    begun: bool,
    orders: i64,
    /// The orders that were met, each by a hash of its `_id`, which can be long.
    met: HashSet<u64>,
    hasher: RandomState,
}

/// Whether the stream ends with this change, as the collection does.
pub(in crate::store) fn ends_stream(change: &RawDocument) -> bool {
    raw::find(change, "operationType").and_then(ValueRef::as_str) == Some("invalidate")
}

impl Tally {
    fn begun() -> Tally {
        Tally {
            begun: true,
            ..Tally::default()
        }
    }

    /// The orders that a reply delivers and none before it did.
    fn new_in(&mut self, reply: &Reply) -> Vec<Value> {
        let changes = reply.changes.iter();
        let delivered = changes.filter(|change| delivers(change) == Some(true));
        let ids = delivered.filter_map(|change| order_of(change));
        let new = ids.filter(|id| self.met.insert(self.hasher.hash_one(id)));
        new.map(ValueRef::to_owned).collect()
    }
}
