//! How soon an order is archived after its status changes, and how fast a burst drains, beside a
//! plain watcher and the floor.
//!
//! `cargo bench --bench watch` measures and prints what [REPORT.md](../REPORT.md) shows; options
//! follow `--`, and `--help` names them. Under `cargo test` it makes one short round to show that
//! it still works. Every contender is seen by the same observer, a change stream on the archive,
//! which shows only what a majority holds.

#![allow(missing_docs, reason = "a bench has no readers of its documentation")]
#![allow(clippy::print_stdout, reason = "the figures are its data")]

#[path = "../peers"]
mod peers {
    pub(crate) mod enriched;
    pub(crate) mod watchers;
}
#[path = "../support"]
#[allow(dead_code, reason = "the benches share it, and each uses a part")]
mod support {
    pub(crate) mod ground;
    pub(crate) mod machine;
    pub(crate) mod verdict;
}

mod burst;
mod observer;
mod options;
mod stage;
mod steady;

use std::time::Duration;

use anyhow::Result;
use bson::doc;
use options::Part;

/// Longest that one measurement may take.
const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::main]
async fn main() -> Result<()> {
    let size = options::read();
    let set = devkit::ReplicaSet::start().await?;
    let version = set.nodes()[0].admin(doc! { "buildInfo": 1 }).await?;
    println!(
        "{}, {} shared by mongod {} (one node), archd, the bench and the observer",
        chrono::Utc::now().date_naive(),
        support::machine::size()?,
        version.get_str("version")?,
    );
    if size.only.contains(&Part::Steady) {
        steady::measure(&set, &size).await?;
    }
    if size.only.contains(&Part::Burst) {
        burst::measure(&set, &size).await?;
    }
    Ok(())
}
