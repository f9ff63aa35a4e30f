//! Permits: how many calls may be under way to each server, and how many of them may be callers'.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use mongodb::{
    ServerType,
    event::sdam::SdamEvent,
    options::{ReadPreference, ServerAddress},
};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Connections of a pool where the URI does not say how many. To this and to the bounds below each
/// partition of the watch beyond the first adds one: its stream holds a connection nearly all the
/// time, while what it archives waits its turn beside the others'.
pub(super) const POOL: u32 = 100;
/// As many calls as the server may have under way at one time for what is few by itself: the
/// watcher's stream and that of the news, a question to the database, heartbeats of the instance,
/// of a batch and for the watch, a look at the archive, and five finds for each of four pages of a
/// batch, of eight chunks of the watcher and of one of the orders that callers archive. Callers who
/// read come on top.
pub(super) const FULL_POOL: u32 = 75;
/// With fewer connections the server would starve itself: the two streams hold one each, and the
/// heartbeats may not wait for them.
pub(super) const LEAST_POOL: u32 = 4;
/// One of so many connections is for callers, of whom there may be any number. The rest is left to
/// what must not wait for them, and is listed at [`FULL_POOL`].
const CALLERS_SHARE: usize = 4;

/// On whose behalf a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Behalf {
    /// The server's own work, which is bounded by itself.
    Work,
    /// Callers, of whom there may be any number.
    Callers,
}

/// The permits of a client: as many for each server as it has connections to it. So calls that hang
/// on a frozen primary hold up none to its successor.
pub(in crate::store) struct Permits {
    size: usize,
    members: watch::Receiver<Members>,
    servers: Mutex<HashMap<Server, Share>>,
    waiting: AtomicUsize,
}

/// The members of the set, as the driver sees them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::store) struct Members {
    /// None also where several take writes, as the routers of a sharded cluster do.
    primary: Option<ServerAddress>,
    secondaries: HashSet<ServerAddress>,
}

/// Who is to answer a call, as far as that is known beforehand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Server {
    /// This primary.
    Primary(ServerAddress),
    /// Whoever becomes the primary, or any router of a sharded cluster.
    Unknown,
    /// A secondary.
    Secondary,
}

/// The permits of one server.
#[derive(Clone)]
struct Share {
    all: Arc<Semaphore>,
    callers: Arc<Semaphore>,
}

/// The right to make a call, for as long as it is held.
pub(in crate::store) struct Permit {
    _call: OwnedSemaphorePermit,
    _caller: Option<OwnedSemaphorePermit>,
}

impl Permits {
    /// The permits of a client with so many connections to each of these members.
    pub(in crate::store) fn new(size: usize, members: watch::Receiver<Members>) -> Permits {
        Permits {
            size,
            members,
            servers: Mutex::default(),
            waiting: AtomicUsize::default(),
        }
    }

    /// How many calls are under way.
    pub(super) fn in_use(&self) -> usize {
        let servers = self.servers.lock();
        let shares = servers.values();
        shares
            .map(|share| self.size - share.all.available_permits())
            .sum()
    }

    /// How many calls wait for the right to begin.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The secondaries that the driver sees now.
    pub(in crate::store) fn secondaries(&self) -> HashSet<ServerAddress> {
        self.members.borrow().secondaries.clone()
    }

    /// Waits for the right to call such a member of the set. Whoever leaves meanwhile leaves no
    /// trace.
    pub(super) async fn permit(&self, member: &ReadPreference, behalf: Behalf) -> Permit {
        let mut members = self.members.clone();
        let _waits = Waits::new(&self.waiting);
        loop {
            let server = match member {
                ReadPreference::Secondary { .. } | ReadPreference::SecondaryPreferred { .. } => {
                    Server::Secondary
                }
                _ => match &members.borrow_and_update().primary {
                    Some(address) => Server::Primary(address.clone()),
                    None => Server::Unknown,
                },
            };
            let share = self.share(server);
            tokio::select! {
                biased;
                permit = share.take(behalf) => return permit,
                // The calls before this one may hang on a primary that has been succeeded.
                Ok(()) = members.changed() => {}
            }
        }
    }

    fn share(&self, server: Server) -> Share {
        let mut servers = self.servers.lock();
        let share = servers.entry(server).or_insert_with(|| Share {
            all: Arc::new(Semaphore::new(self.size)),
            callers: Arc::new(Semaphore::new((self.size / CALLERS_SHARE).max(1))),
        });
        share.clone()
    }
}

/// One who waits, until this is dropped.
struct Waits<'a>(&'a AtomicUsize);

impl Waits<'_> {
    fn new(waiting: &AtomicUsize) -> Waits<'_> {
        waiting.fetch_add(1, Ordering::Relaxed);
        Waits(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Share {
    async fn take(&self, behalf: Behalf) -> Permit {
        let caller = match behalf {
            Behalf::Work => None,
            Behalf::Callers => Some(acquired(&self.callers).await),
        };
        Permit {
            _call: acquired(&self.all).await,
            _caller: caller,
        }
    }
}

async fn acquired(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    let permit = semaphore.clone().acquire_owned().await;
    permit.expect("the semaphore is never closed")
}

impl Members {
    /// The members that an event of the driver tells of, if it does.
    pub(in crate::store) fn of(event: &SdamEvent) -> Option<Members> {
        let SdamEvent::TopologyDescriptionChanged(change) = event else {
            return None;
        };
        let servers = change.new_description.servers();
        let of_kind = |kinds: &[ServerType]| -> HashSet<ServerAddress> {
            let servers = servers.iter();
            let wanted = servers.filter(|(_, server)| kinds.contains(&server.server_type()));
            wanted.map(|(address, _)| (*address).clone()).collect()
        };
        let mut primaries = of_kind(&[
            ServerType::RsPrimary,
            ServerType::Standalone,
            ServerType::Mongos,
        ])
        .into_iter();
        Some(Members {
            primary: primaries.next().filter(|_| primaries.next().is_none()),
            secondaries: of_kind(&[ServerType::RsSecondary]),
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const PRIMARY: ReadPreference = ReadPreference::Primary;

    fn address(port: u16) -> ServerAddress {
        ServerAddress::Tcp {
            host: "127.0.0.1".to_owned(),
            port: Some(port),
        }
    }

    fn with_primary(port: u16) -> Members {
        Members {
            primary: Some(address(port)),
            ..Members::default()
        }
    }

    #[test]
    fn callers_get_a_quarter_of_the_permits_and_the_others_all_that_is_left() {
        for (size, callers) in [(100, 25), (8, 2), (5, 1), (1, 1)] {
            let (_tell, members) = watch::channel(with_primary(1));
            let permits = Permits::new(size, members);
            let take = |behalf| permits.permit(&PRIMARY, behalf).now_or_never();
            let count = |behalf| std::iter::from_fn(move || take(behalf)).collect::<Vec<_>>();
            let taken = count(Behalf::Callers);
            assert_eq!(taken.len(), callers, "{size}");
            assert_eq!(count(Behalf::Work).len(), size - callers, "{size}");
            drop(taken);
            assert_eq!(
                count(Behalf::Work).len(),
                size,
                "{size}: they are given back"
            );
        }
    }

    #[tokio::test]
    async fn who_waits_for_a_primary_changes_over_to_its_successor() {
        let (tell, members) = watch::channel(with_primary(1));
        let permits = Permits::new(1, members);
        let _hangs = permits.permit(&PRIMARY, Behalf::Work).await;
        let mut waiting = Box::pin(permits.permit(&PRIMARY, Behalf::Work));
        assert!((&mut waiting).now_or_never().is_none());
        let secondary = ReadPreference::SecondaryPreferred { options: None };
        let elsewhere = permits.permit(&secondary, Behalf::Work).now_or_never();
        assert!(elsewhere.is_some(), "a secondary has its own");

        tell.send_replace(with_primary(2));
        let _successor = waiting.await;
        // Nobody is known to be the primary, and then the first one is again.
        tell.send_replace(Members::default());
        assert!(
            permits
                .permit(&PRIMARY, Behalf::Work)
                .now_or_never()
                .is_some()
        );
        tell.send_replace(with_primary(1));
        assert!(
            permits
                .permit(&PRIMARY, Behalf::Work)
                .now_or_never()
                .is_none()
        );
    }
}
