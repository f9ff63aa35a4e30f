//! Instances of archd that share a database, as the processes that they are in production.

use std::{collections::BTreeSet, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use futures::TryStreamExt;
use mongodb::Database;
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::{PATIENCE, support::machine};

/// Running instances.
pub(crate) struct Fleet {
    instances: Vec<Child>,
}

impl Fleet {
    /// Starts so many, and waits until they watch, every one its share of the partitions.
    pub(crate) async fn start(
        uri: &str,
        database: &Database,
        instances: usize,
        partitions: u32,
    ) -> Result<Fleet> {
        let partitions_wanted = partitions.to_string();
        let start = |_| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_archd"));
            command
                .args(["watch", "--log=warn"])
                .env_clear()
                .env("MONGODB_URI", uri)
                .env("MONGODB_DATABASE", database.name())
                .env("ARCHD_HTTP", "off")
                .env("ARCHD_LEASE", "3s")
                .env("ARCHD_WATCH_PARTITIONS", &partitions_wanted)
                .current_dir(env!("CARGO_TARGET_TMPDIR"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .kill_on_drop(true);
            command.spawn()
        };
        let fleet = Fleet {
            instances: (0..instances).map(start).collect::<Result<_, _>>()?,
        };
        let ready = async {
            while !is_spread(database, instances, partitions).await? {
                sleep(Duration::from_millis(50)).await;
            }
            anyhow::Ok(())
        };
        let waited = timeout(PATIENCE, ready).await;
        waited.context("the instances do not share the watch")??;
        Ok(fleet)
    }

    /// The processor time of all of them so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let processes = self.instances.iter().filter_map(Child::id);
        processes.map(machine::cpu).sum()
    }

    /// Ends them in good order.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        for instance in &mut self.instances {
            let id = instance.id().context("an instance has ended")?.to_string();
            let stop = Command::new("kill").args(["-TERM", &id]).status().await?;
            ensure!(stop.success(), "an instance can't be told to stop");
            timeout(PATIENCE, instance.wait()).await??;
        }
        Ok(())
    }
}

/// Whether everything is watched, by as many instances as can have a part in it.
async fn is_spread(database: &Database, instances: usize, partitions: u32) -> Result<bool> {
    let states = database.collection::<Document>("archd_state");
    let watcher = states.find_one(doc! { "_id": "watcher" }).await?;
    let watcher = watcher.unwrap_or_default();
    if watcher.get_str("state").ok() != Some("watching") {
        return Ok(false);
    }
    if partitions == 1 {
        return Ok(true);
    }
    let Ok(split) = watcher.get_document("split") else {
        return Ok(false);
    };
    let generation = split.get_i64("generation").unwrap_or_default();
    let of_these = doc! {
        "_id": { "$regex": "^watcher-" }, "generation": generation, "state": "watching",
    };
    let read: Vec<Document> = states.find(of_these).await?.try_collect().await?;
    let owners: BTreeSet<&str> = read
        .iter()
        .filter_map(|it| it.get_str("owner").ok())
        .collect();
    let readers = instances.min(partitions as usize);
    Ok(read.len() == partitions as usize && owners.len() == readers)
}
