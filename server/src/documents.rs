//! Documents: looks now and then at those of the server's own that others depend on, and tells when one can't be worked with.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, error, info};

use crate::{
    monitor::Monitor,
    store::{Store, format::Fault},
};

/// How often they are looked at.
const GLANCE: Duration = Duration::from_secs(5);
/// How often what is still wrong is told again.
const REMINDER: Duration = Duration::from_secs(10 * 60);

/// What is wrong with the documents that others depend on. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Documents {
    faults: watch::Receiver<Vec<Fault>>,
}

impl Documents {
    /// Begins to look, until `stop` is cancelled.
    pub fn start(
        store: Store,
        monitor: Monitor,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Documents {
        let (sender, faults) = watch::channel(Vec::new());
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = look_after(&store, monitor, &sender) => {}
            }
        });
        Documents { faults }
    }

    /// What is wrong now.
    pub fn faults(&self) -> Vec<Fault> {
        self.faults.borrow().clone()
    }

    /// Waits until something else is wrong than before; for ever once the server stops.
    pub async fn changed(&mut self) {
        if self.faults.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

async fn look_after(store: &Store, mut monitor: Monitor, sender: &watch::Sender<Vec<Fault>>) {
    let mut told = Instant::now();
    loop {
        monitor.ready().await;
        match store.blocking_faults().await {
            Ok(faults) => {
                let known = sender.borrow().clone();
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
                if known != faults {
                    sender.send_replace(faults);
                }
            }
            // The monitor tells of a database that is away.
            Err(error) => debug!(%error, "the server's own documents can't be looked at"),
        }
        sleep(GLANCE).await;
    }
}
