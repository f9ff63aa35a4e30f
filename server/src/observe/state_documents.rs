//! Documents: looks now and then at those of the server's own that others depend on, and tells when
//! one can't be worked with, and when nobody watches.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, info, warn};

use crate::{
    observe::monitor::Monitor,
    store::{
        Error, Store,
        state::fault::Fault,
        watch::record::{State, Watcher},
    },
};

/// How often they are looked at.
const DOCUMENTS_POLL: Duration = Duration::from_secs(5);
/// How often what is still wrong is told again.
const REMINDER: Duration = Duration::from_secs(10 * 60);

/// What is wrong with the documents that others depend on. Clones share what they know.
#[derive(Clone, Debug)]
pub(crate) struct Documents {
    seen: watch::Receiver<Seen>,
}

/// What there is to tell.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    faults: Vec<Fault>,
    /// What the watcher is doing; none before there was one.
    watcher: Option<State>,
    /// Whether there is a watcher that is paused, or that no instance runs.
    is_unwatched: bool,
}

impl Documents {
    /// Begins to look, until `stop` is cancelled.
    pub(crate) fn start(
        store: Store,
        monitor: Monitor,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Documents {
        let (sender, seen) = watch::channel(Seen::default());
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = look_after(&store, monitor, &sender) => {}
            }
        });
        Documents { seen }
    }

    /// What is wrong now.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        self.seen.borrow().faults.clone()
    }

    /// Whether nobody archives orders as they are delivered, although an instance once did.
    pub(crate) fn is_unwatched(&self) -> bool {
        self.seen.borrow().is_unwatched
    }

    /// The name of what the watcher was doing a moment ago; none before there was one.
    pub(crate) fn watcher(&self) -> Option<&'static str> {
        self.seen.borrow().watcher.map(State::name)
    }

    /// Waits until something else is wrong than before; for ever once the server stops.
    pub(crate) async fn changed(&mut self) {
        if self.seen.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

async fn look_after(store: &Store, mut monitor: Monitor, sender: &watch::Sender<Seen>) {
    let mut told = Instant::now();
    let mut unwatched_before = false;
    loop {
        monitor.ready().await;
        match look(store).await {
            Ok((faults, watcher)) => {
                let Seen {
                    faults: known,
                    is_unwatched: was_unwatched,
                    ..
                } = sender.borrow().clone();
                let remind = told.elapsed() > REMINDER;
                if remind {
                    told = Instant::now();
                }
                for fault in faults
                    .iter()
                    .filter(|fault| remind || !known.contains(fault))
                {
                    error!("{fault}");
                }
                for fault in known.iter().filter(|fault| !faults.contains(fault)) {
                    info!(
                        document = fault.name(),
                        "can be worked with again, or is gone"
                    );
                }
                // Seen once, an instance may just be starting, or taking over from another one.
                let unwatched = watcher.as_ref().is_some_and(|it| !it.is_watched());
                let is_unwatched = unwatched && unwatched_before;
                unwatched_before = unwatched;
                let state = watcher.as_ref().map(Watcher::state_now);
                if let Some(watcher) = watcher.filter(|_| is_unwatched != was_unwatched) {
                    tell(&watcher, is_unwatched);
                }
                let seen = Seen {
                    faults,
                    watcher: state,
                    is_unwatched,
                };
                sender.send_if_modified(|before| {
                    let news = *before != seen;
                    *before = seen;
                    news
                });
            }
            // The monitor tells of a database that is away.
            Err(error) => debug!(%error, "the server's own documents can't be looked at"),
        }
        sleep(DOCUMENTS_POLL).await;
    }
}

/// What is wrong with the documents, and the watcher if there is one that can be read.
async fn look(store: &Store) -> Result<(Vec<Fault>, Option<Watcher>), Error> {
    let faults = store.blocking_faults().await?;
    let watcher = Error::passing_by(store.watcher().await)?;
    Ok((faults, watcher))
}

/// Says that nobody watches, or that somebody does again.
fn tell(watcher: &Watcher, is_unwatched: bool) {
    if is_unwatched {
        warn!(
            state = watcher.state_now().name(),
            instance = watcher.instance,
            "no order is archived as it is delivered; `archctl watch status` says since when"
        );
    } else {
        info!("orders are archived as they are delivered again");
    }
}
