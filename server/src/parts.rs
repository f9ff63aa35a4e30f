//! The parts of a server, wired together.

use std::{net::SocketAddr, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    archiver::Archiver,
    coalescer::Coalescer,
    config::Config,
    metrics::Metrics,
    observe::{
        events::Live, heartbeat::Heartbeat, monitor::Monitor, privileges::Privileges,
        state_documents::Documents,
    },
    pipeline::Pipeline,
    progress::Progress,
    store::{Error, Store, instances::Description, jobs::limits::Limits},
    verifier::Verifier,
    watcher::Watcher,
};

/// Everything that works on a database. Clones are the same parts.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
    pub(crate) monitor: Monitor,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) documents: Documents,
    pub(crate) privileges: Privileges,
    pub(crate) pipeline: Pipeline,
    pub(crate) coalescer: Coalescer,
    pub(crate) archiver: Archiver,
    pub(crate) verifier: Verifier,
    pub(crate) watcher: Watcher,
    /// The news, read once for all who listen.
    pub(crate) live: Live,
    /// Whether the loops among these turn.
    pub(crate) progress: Progress,
    /// Cancelled when callers are to go elsewhere: as the signal to stop comes, and not yet the stop.
    pub(crate) leaving: CancellationToken,
    /// Everything that is to be finished before the server leaves.
    pub(crate) tasks: TaskTracker,
}

/// What a process is there for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// It serves callers at this address, and watches if its settings say so.
    Serve(Option<SocketAddr>),
    /// It watches, and nothing else.
    Watch,
    /// It runs one batch or one verification.
    Job,
}

/// What this process is, to the others on the database.
fn described(config: &Config, role: Role) -> Description {
    Description {
        id: uuid::Uuid::new_v4().to_string(),
        name: config.instance.clone(),
        host: config.host.clone(),
        address: match role {
            Role::Serve(address) => address.map(|address| address.to_string()),
            Role::Watch | Role::Job => None,
        },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        may_watch: match role {
            Role::Serve(_) => config.watch,
            Role::Watch => true,
            Role::Job => false,
        },
    }
}

/// How long a loop may take to turn: a few calls to the database in a row, each tried as often as it
/// may be and answered at its deadline.
fn longest_turn(config: &Config) -> Duration {
    const CALLS: u32 = 3;
    const PAUSES: Duration = Duration::from_secs(60);
    config.operation_timeout * (config.retry_attempts + 1) * CALLS + config.lease + PAUSES
}

impl Parts {
    /// Wires the parts. They work until `stop` is cancelled; the database need not be there yet.
    pub(crate) async fn new(
        config: &Config,
        role: Role,
        stop: CancellationToken,
    ) -> Result<Parts, Error> {
        // Those of a process that answers no HTTP would be asked for by nobody.
        let metrics = match (role, config.http) {
            (Role::Job, _) | (_, None) => Metrics::off(),
            (Role::Serve(_) | Role::Watch, Some(_)) => Metrics::new(),
        };
        let store = Store::new(config).await?.measured(metrics.clone());
        let own = described(config, role);
        let id = own.id.clone();
        let progress = Progress::default();
        let turning = |name| progress.of(name, longest_turn(config));
        let heartbeat = Heartbeat::start(store.clone(), own, turning("the heartbeat"));
        let tasks = TaskTracker::new();
        let own_turning = turning("the monitor of the database");
        let monitor = Monitor::start(store.clone(), &tasks, stop.clone(), own_turning);
        let documents = Documents::start(store.clone(), monitor.clone(), &tasks, stop.clone());
        let privileges = Privileges::start(store.clone(), config, &tasks, stop.clone());
        let pipeline = Pipeline::new(store.clone(), config.archived_by.clone());
        let coalescer = Coalescer::open(
            store.clone(),
            pipeline.clone(),
            &tasks,
            stop.clone(),
            turning("the coalescer"),
        );
        let instance = config.instance.clone();
        let archiver = Archiver::new(
            store.clone(),
            pipeline.clone(),
            config.chunk_size,
            Limits::of_settings(config),
            instance.clone(),
            tasks.clone(),
            stop.clone(),
        );
        let verifier = Verifier::new(
            store.clone(),
            config.chunk_size,
            Limits::of_verifications(config),
            instance.clone(),
            tasks.clone(),
            stop.clone(),
        );
        let watcher = Watcher::new(
            store.clone(),
            pipeline.clone(),
            archiver.clone(),
            id,
            instance,
            tasks.clone(),
            stop.clone(),
        )
        .split_into(config.watch_partitions);
        Ok(Parts {
            live: Live::new(store.clone(), stop.clone()),
            leaving: stop,
            store,
            metrics,
            monitor,
            heartbeat,
            documents,
            privileges,
            pipeline,
            coalescer,
            archiver,
            verifier,
            watcher,
            progress,
            tasks,
        })
    }

    /// Waits until everything under way is finished, then closes the connections.
    pub(crate) async fn drain(self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.heartbeat.leave().await;
        self.store.close().await;
    }
}
