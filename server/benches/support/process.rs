//! `archd` commands as the processes that they are in production, watched from outside.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::{
    process::{Child, Command},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{machine, platform::Platform};

/// How often memory is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Longest that a batch may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// A command that has ended.
pub(crate) struct Finished {
    /// What it printed.
    pub(crate) said: Value,
    /// Its exit code.
    pub(crate) code: Option<i32>,
    /// The memory that it held, in MiB, at each look.
    pub(crate) memory: Vec<f64>,
    /// The most that it ever held.
    pub(crate) peak: f64,
}

/// A batch that has succeeded.
pub(crate) struct Batch {
    /// Orders that it archived.
    pub(crate) archived: u64,
    /// Orders that it found archived.
    pub(crate) duplicates: u64,
    /// What it says of itself.
    pub(crate) duration: Duration,
    /// The memory that it held, in MiB, at each look.
    pub(crate) memory: Vec<f64>,
    /// The most that it ever held.
    pub(crate) peak: f64,
}

/// Runs `archd batch` to its end.
pub(crate) async fn batch(platform: &Platform) -> Result<Batch> {
    let ended = run(platform, &["batch", "--output=json", "--log=warn"]).await?;
    let said = &ended.said;
    ensure!(
        ended.code == Some(0),
        "archd batch ended with {:?}",
        ended.code
    );
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
        memory: ended.memory,
        peak: ended.peak,
    })
}

/// Runs a command that answers with JSON to its end.
pub(crate) async fn run(platform: &Platform, arguments: &[&str]) -> Result<Finished> {
    let mut child = archd(platform, arguments).stdout(Stdio::piped()).spawn()?;
    let process = child.id().context("archd has ended at once")?;
    let (mut memory, mut peak) = (Vec::new(), 0.0);
    let mut look = interval(POLL_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watching = async {
        loop {
            tokio::select! {
                ended = child.wait() => return ended,
                _ = look.tick() => if let Some(held) = machine::memory(process) {
                    memory.push(held.resident);
                    peak = held.peak;
                },
            }
        }
    };
    let ended = timeout(PATIENCE, watching).await;
    let ended = ended.with_context(|| format!("archd {arguments:?} does not end"))??;
    let said = child.wait_with_output().await?.stdout;
    let said = serde_json::from_slice(&said);
    Ok(Finished {
        said: said.with_context(|| format!("archd {arguments:?} ended with {ended}"))?,
        code: ended.code(),
        memory,
        peak,
    })
}

/// Starts a command with these limits; what it prints is of no interest.
pub(crate) fn limited(platform: &Platform, command: &str, limits: &[&str]) -> Result<Child> {
    let arguments = [&[command, "--log=warn"], limits].concat();
    Ok(archd(platform, &arguments).stdout(Stdio::null()).spawn()?)
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
