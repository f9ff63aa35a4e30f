//! A replica set of one or more nodes, ready to be written to.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use futures::future::{join_all, try_join_all};
use mongodb::error::ErrorKind;
use mongodb::{Client, Database};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::hello::Hello;
use crate::launch::Launch;
use crate::wait::until;
use crate::{Node, Options, mongod, node};

/// The name of every set, as each has its own ports.
const NAME: &str = "rs";
/// How long a set may take from its initiation to its first primary, or from the loss of a primary
/// to the next.
const ELECTION_LIMIT: Duration = Duration::from_secs(60);
/// The error code of a set that has its configuration already, which is all that an initiation
/// wants.
const ALREADY_INITIALIZED: i32 = 23;

static SHARED: OnceCell<ReplicaSet> = OnceCell::const_new();
static DATABASES: AtomicUsize = AtomicUsize::new(1);

/// A replica set on 127.0.0.1. Dropping it kills its nodes and removes their files; so does the end
/// of its owner, of any kind.
#[derive(Debug)]
pub struct ReplicaSet {
    nodes: Vec<Node>,
    folder: TempDir,
}

impl ReplicaSet {
    /// A set of one node, with the default [`Options`].
    pub async fn start() -> Result<Self> {
        Options::new().start().await
    }

    /// A set of several nodes, with the default [`Options`].
    pub async fn start_nodes(nodes: usize) -> Result<Self> {
        Options::new().nodes(nodes).start().await
    }

    /// The one-node set that everything in this process can share, each test in a database of its
    /// own. It ends with the process.
    ///
    /// A test that kills, freezes or configures a node belongs on a set of its own.
    pub async fn shared() -> Result<&'static Self> {
        SHARED.get_or_try_init(Self::start).await
    }

    pub(crate) async fn with(options: Options) -> Result<Self> {
        ensure!(options.nodes > 0, "a replica set has one node at least");
        let (folder, nodes) = launch(options, Some(NAME)).await?;
        let set = Self { nodes, folder };
        set.initiate()
            .await
            .context("the replica set could not be initiated")?;
        Ok(set)
    }

    /// Every node, primary or not, running or not; always in the same order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The folder that holds all of the set's files and goes with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The connection string: a direct one for a single node, else one that finds the primary.
    pub fn uri(&self) -> String {
        match self.nodes.as_slice() {
            [node] => node.uri(),
            nodes => {
                let hosts: Vec<_> = nodes.iter().map(Node::address).collect();
                format!("mongodb://{}/?replicaSet={NAME}", hosts.join(","))
            }
        }
    }

    /// A new client of the set. It belongs to the runtime it is made on, so every test needs its
    /// own.
    pub async fn client(&self) -> Result<Client> {
        node::client(&self.uri()).await
    }

    /// A database name that nothing in this process has been given before.
    pub fn fresh_database_name(&self) -> String {
        format!("fresh_{}", DATABASES.fetch_add(1, Ordering::Relaxed))
    }

    /// A database of a [fresh name](Self::fresh_database_name), with a [client](Self::client) of
    /// its own.
    pub async fn fresh_database(&self) -> Result<Database> {
        Ok(self.client().await?.database(&self.fresh_database_name()))
    }

    /// The node that takes writes, waiting through an election if need be. Frozen and ended nodes
    /// are not asked.
    pub async fn primary(&self) -> Result<&Node> {
        let clients = self.clients().await?;
        until(ELECTION_LIMIT, "a primary", async || {
            let hellos = self.hellos(&clients).await.into_iter().zip(&self.nodes);
            let primaries = hellos
                .filter_map(|(hello, node)| Some((hello?, node)))
                .filter(|(hello, _)| hello.is_primary());
            Ok(primaries
                .max_by_key(|(hello, _)| hello.election())
                .map(|(_, node)| node))
        })
        .await
    }

    /// [Configures a fail point](Node::configure_fail_point) on the present primary.
    pub async fn configure_fail_point(&self, command: Document) -> Result<()> {
        self.primary().await?.configure_fail_point(command).await
    }

    /// Switches the fail point off on every node that answers.
    pub async fn clear_fail_point(&self, name: &str) -> Result<()> {
        let nodes = self.nodes.iter().filter(|node| node.answers());
        try_join_all(nodes.map(|node| node.clear_fail_point(name)))
            .await
            .map(drop)
    }

    async fn initiate(&self) -> Result<()> {
        let members = self
            .nodes
            .iter()
            .zip(0..)
            .map(|(node, id): (_, i32)| doc! { "_id": id, "host": node.address() });
        let config = doc! {
            "_id": NAME,
            "members": members.collect::<Vec<_>>(),
            // A test that kills the primary waits for this long; the server's own choice is 10
            // seconds.
            "settings": { "electionTimeoutMillis": 3000, "heartbeatIntervalMillis": 500 },
        };
        let clients = self.clients().await?;
        let first = clients[0].database("admin");
        match first
            .run_command(doc! { "replSetInitiate": config })
            .await
            .map_err(|error| *error.kind)
        {
            Err(ErrorKind::Command(error)) if error.code == ALREADY_INITIALIZED => {}
            outcome => drop(outcome?),
        }
        until(
            ELECTION_LIMIT,
            "the first primary and every other member",
            async || {
                let hellos = self.hellos(&clients).await;
                if !hellos
                    .iter()
                    .all(|hello| hello.as_ref().is_some_and(Hello::is_up))
                {
                    return Ok(None);
                }
                if hellos.iter().flatten().any(Hello::is_primary) {
                    return Ok(Some(()));
                }
                // A node that is alone elects itself at once, and two elections at a time would be
                // in each other's way.
                if self.nodes.len() > 1 {
                    // Sooner than the election timeout would. After a refusal it is asked again.
                    let _ = first.run_command(doc! { "replSetStepUp": 1 }).await;
                }
                Ok(None)
            },
        )
        .await
    }

    async fn clients(&self) -> Result<Vec<Client>> {
        try_join_all(self.nodes.iter().map(Node::client)).await
    }

    async fn hellos(&self, clients: &[Client]) -> Vec<Option<Hello>> {
        let asked = self.nodes.iter().zip(clients);
        join_all(asked.map(async |(node, client)| {
            if node.answers() {
                Hello::ask(client).await
            } else {
                None
            }
        }))
        .await
    }
}

impl Drop for ReplicaSet {
    fn drop(&mut self) {
        // All at once; the drop of each node then waits for its end.
        self.nodes.iter().for_each(Node::release);
    }
}

/// Starts the mongods of a deployment side by side, in a folder of their own.
pub(crate) async fn launch(
    options: Options,
    set: Option<&'static str>,
) -> Result<(TempDir, Vec<Node>)> {
    let program = tokio::task::spawn_blocking(mongod::locate)
        .await
        .context("the search for a mongod broke off")??;
    let folder = tempfile::Builder::new()
        .prefix("order-archiver-mongod-")
        .tempdir()
        .context("there is no temporary folder")?;
    let alone = options.nodes == 1;
    let nodes = (1..=options.nodes).map(|number| {
        let launch = Launch::new(program.clone(), folder.path(), number, set, options.clone());
        async move { Node::start(launch?, alone).await }
    });
    let nodes = try_join_all(nodes).await?;
    Ok((folder, nodes))
}
