//! One mongod outside any replica set: what the product must explain rather than run on.

use std::path::Path;

use anyhow::{Context, Result};
use mongodb::Client;
use tempfile::TempDir;

use crate::replica_set::launch;
use crate::{Node, Options};

/// A mongod that has neither oplog nor change streams nor transactions. Dropping it kills it and
/// removes its files.
#[derive(Debug)]
pub struct Standalone {
    node: Node,
    folder: TempDir,
}

impl Standalone {
    /// A mongod with the default [`Options`].
    pub async fn start() -> Result<Self> {
        Options::new().start_standalone().await
    }

    pub(crate) async fn with(options: Options) -> Result<Self> {
        let (folder, nodes) = launch(options.nodes(1), None).await?;
        let node = nodes.into_iter().next().context("one node was asked for")?;
        Ok(Self { node, folder })
    }

    /// The mongod itself.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The folder that holds all of its files and goes with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The connection string.
    pub fn uri(&self) -> String {
        self.node.uri()
    }

    /// A new client. It belongs to the runtime it is made on, so every test needs its own.
    pub async fn client(&self) -> Result<Client> {
        self.node.client().await
    }
}
