//! The parts of a server, wired together.

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    archiver::Archiver,
    config::Config,
    corridor::Corridor,
    desk::Desk,
    documents::Documents,
    monitor::Monitor,
    store::{Error, Store, options::Limits},
    watcher::Watcher,
};

/// Everything that works on a database. Clones are the same parts.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) monitor: Monitor,
    pub(crate) documents: Documents,
    pub(crate) corridor: Corridor,
    pub(crate) desk: Desk,
    pub(crate) archiver: Archiver,
    pub(crate) watcher: Watcher,
    /// Everything that is to be finished before the server leaves.
    pub(crate) tasks: TaskTracker,
}

impl Parts {
    /// Wires the parts. They work until `stop` is cancelled; the database need not be there yet.
    pub(crate) async fn new(config: &Config, stop: CancellationToken) -> Result<Parts, Error> {
        let store = Store::new(config).await?;
        let tasks = TaskTracker::new();
        let monitor = Monitor::start(store.clone(), &tasks, stop.clone());
        let documents = Documents::start(store.clone(), monitor.clone(), &tasks, stop.clone());
        let corridor = Corridor::new(store.clone(), config.archived_by.clone());
        let desk = Desk::open(store.clone(), corridor.clone(), &tasks, stop.clone());
        let instance = config.instance.clone();
        let archiver = Archiver::new(
            store.clone(),
            corridor.clone(),
            config.chunk_size,
            Limits::of_settings(config),
            instance.clone(),
            tasks.clone(),
            stop.clone(),
        );
        let watcher = Watcher::new(
            store.clone(),
            corridor.clone(),
            archiver.clone(),
            instance,
            tasks.clone(),
            stop,
        );
        Ok(Parts {
            store,
            monitor,
            documents,
            corridor,
            desk,
            archiver,
            watcher,
            tasks,
        })
    }

    /// Waits until everything under way is finished, then closes the connections.
    pub(crate) async fn drain(self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
    }
}
