//! `archd` as the process that it is in production, watched from outside.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{platform::Platform, support::machine};

/// How often memory is looked at.
const GLANCE: Duration = Duration::from_millis(20);
/// Longest that a server may take until it serves, and a batch until it ends.
const PATIENCE: Duration = Duration::from_secs(900);

/// A batch that has succeeded.
pub(crate) struct Batch {
    /// Orders that it archived.
    pub(crate) archived: u64,
    /// Orders that it found archived.
    pub(crate) duplicates: u64,
    /// What it says of itself.
    pub(crate) duration: Duration,
    /// The memory that it held, in MiB, at each glance.
    pub(crate) memory: Vec<f64>,
    /// The most that it ever held.
    pub(crate) peak: f64,
}

/// Runs `archd batch` to its end.
pub(crate) async fn batch(platform: &Platform) -> Result<Batch> {
    let mut child = archd(platform, &["batch", "--output=json", "--log=warn"])
        .stdout(Stdio::piped())
        .spawn()?;
    let process = child.id().context("archd has ended at once")?;
    let (mut memory, mut peak) = (Vec::new(), 0.0);
    let mut glance = interval(GLANCE);
    glance.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watching = async {
        loop {
            tokio::select! {
                ended = child.wait() => return ended,
                _ = glance.tick() => if let Some(held) = machine::memory(process) {
                    memory.push(held.resident);
                    peak = held.peak;
                },
            }
        }
    };
    let ended = timeout(PATIENCE, watching).await;
    let ended = ended.context("the batch does not end")??;
    ensure!(ended.success(), "archd batch ended with {ended}");
    let said: Value = serde_json::from_slice(&child.wait_with_output().await?.stdout)?;
    let count = |name: &str| {
        said[name]
            .as_u64()
            .with_context(|| format!("no {name} in {said}"))
    };
    ensure!(count("errors")? == 0, "{said}");
    let seconds = said["duration_seconds"].as_f64();
    Ok(Batch {
        archived: count("archived")?,
        duplicates: count("duplicates")?,
        duration: Duration::from_secs_f64(seconds.context("a batch without a duration")?),
        memory,
        peak,
    })
}

/// Starts a batch with these limits; its statistics are of no interest.
pub(crate) fn limited(platform: &Platform, limits: &[&str]) -> Result<Child> {
    let arguments = [&["batch", "--log=warn"], limits].concat();
    Ok(archd(platform, &arguments).stdout(Stdio::null()).spawn()?)
}

/// A server that takes calls, until it is dropped.
pub(crate) struct Server {
    /// Where it listens, as a URL.
    pub(crate) address: String,
    /// Its process.
    pub(crate) pid: u32,
    _process: Child,
}

/// Starts `archd serve` without its watcher and its schedule, and waits until it is ready.
pub(crate) async fn serve(platform: &Platform) -> Result<Server> {
    let arguments = [
        "serve",
        "--listen=127.0.0.1:0",
        "--watch=false",
        "--schedule=off",
        "--log-format=json",
    ];
    let mut process = archd(platform, &arguments).stderr(Stdio::piped()).spawn()?;
    let log = process.stderr.take().context("archd has no log")?;
    let mut log = BufReader::new(log).lines();
    let starting = async {
        let mut address = None;
        loop {
            let line = log.next_line().await?.context("archd has ended")?;
            let line: Value = serde_json::from_str(&line)?;
            let message = line["message"].as_str().unwrap_or_default();
            if message.contains("listens") {
                address = line["address"]
                    .as_str()
                    .map(|address| format!("http://{address}"));
            }
            if message.contains("the database is ready") {
                return anyhow::Ok(address.context("archd does not say where it listens")?);
            }
        }
    };
    let address = timeout(PATIENCE, starting)
        .await
        .context("archd does not get ready")??;
    // A log that nobody reads would stop the server once its pipe is full.
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    Ok(Server {
        address,
        pid: process.id().context("archd has ended")?,
        _process: process,
    })
}

fn archd(platform: &Platform, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_archd"));
    command
        .args(arguments)
        .env_clear()
        .env("MONGODB_URI", platform.config.mongodb_uri.expose())
        .env("MONGODB_DATABASE", platform.database.name())
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}
