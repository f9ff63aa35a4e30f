//! How a deployment is to be made, where the defaults do not suit.

use anyhow::Result;

use crate::disk::Way;
use crate::{ReplicaSet, Standalone};

/// The choices for a deployment: `Options::new().nodes(3).oplog_mb(64).start().await?`.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) nodes: usize,
    pub(crate) cache_gb: f64,
    pub(crate) oplog_mb: u32,
    pub(crate) args: Vec<String>,
    pub(crate) disk: Option<&'static [Way]>,
    pub(crate) clock: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 1,
            cache_gb: 0.5,
            oplog_mb: 256,
            args: Vec::new(),
            disk: None,
            clock: false,
        }
    }
}

impl Options {
    /// One node, half a gigabyte of cache, an oplog of 256 MB.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many members the replica set has.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// The storage engine's cache for each node, in gigabytes; mongod takes no less than 0.25.
    pub fn cache_gb(mut self, cache_gb: f64) -> Self {
        self.cache_gb = cache_gb;
        self
    }

    /// The size of the oplog, in megabytes: a small one is soon rolled over.
    pub fn oplog_mb(mut self, oplog_mb: u32) -> Self {
        self.oplog_mb = oplog_mb;
        self
    }

    /// One more argument for mongod's command line.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Gives each node a small disk of its own, which [`fill_disk`](crate::Node::fill_disk) fills
    /// up. It takes the tools of util-linux, and no privilege; where they are missing, starting
    /// fails and says so.
    pub fn own_disk(mut self) -> Self {
        self.disk = Some(Way::ALL);
        self
    }

    /// Gives each node a wall clock of its own, which [`shift_clock`](crate::Node::shift_clock)
    /// sets. It takes a C compiler.
    pub fn own_clock(mut self) -> Self {
        self.clock = true;
        self
    }

    /// Starts a replica set and waits until it has a primary and every member is up.
    pub async fn start(self) -> Result<ReplicaSet> {
        ReplicaSet::with(self).await
    }

    /// Starts one mongod outside any replica set, so without change streams; `nodes` and `oplog_mb`
    /// mean nothing to it.
    pub async fn start_standalone(self) -> Result<Standalone> {
        Standalone::with(self).await
    }
}
