//! Throw-away MongoDB deployments for tests, benches and the demo: found or installed, started in
//! seconds, gone with their owner.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let set = devkit::ReplicaSet::shared().await?;
//! let database = set.fresh_database().await?;
//! database.collection("Commandes").insert_one(bson::doc! { "status": "livrée" }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! - [`ReplicaSet`] and [`Standalone`] are what a test holds; [`Options`] is how they are made
//!   otherwise than by default.
//! - [`Node`] is one mongod of theirs: kill it, freeze it, restart it, make it fail, fill its disk,
//!   set its clock.
//! - [`relay`] stands between a client and a server, and spoils what passes.
//! - [`certificates`] makes certificate authorities, and certificates of theirs.
//! - [`locate`] finds the mongod program, and installs one where there is none.
//!
//! Every mongod is a real one, listens on 127.0.0.1 alone, and is killed together with its files
//! when its owner drops it, ends, or is killed itself.

pub mod audit;
pub mod certificates;
mod clock;
mod disk;
mod hello;
mod install;
mod launch;
mod mongod;
mod node;
mod options;
pub mod relay;
mod replica_set;
mod standalone;
pub mod tamper;
mod version;
mod wait;
mod watchdog;

pub use mongod::{Sources, locate};
pub use node::Node;
pub use options::Options;
pub use replica_set::ReplicaSet;
pub use standalone::Standalone;
