//! `archd serve` as the process that it is in production.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result};
use archd::config::Config;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// Longest that a server may take until it serves.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that takes calls, until it is dropped.
pub(crate) struct Server {
    /// Where it listens, as a URL.
    pub(crate) address: String,
    /// Its process.
    pub(crate) pid: u32,
    _process: Child,
}

/// Starts `archd serve` without its watcher and its schedule, allowed 1,024 open files as is usual,
/// and waits until it is ready.
pub(crate) async fn serve(config: &Config) -> Result<Server> {
    let archd = env!("CARGO_BIN_EXE_archd");
    let mut process = Command::new("sh")
        .args(["-c", "ulimit -n 1024; exec \"$0\" \"$@\"", archd])
        .args(["serve", "--listen=127.0.0.1:0", "--watch=false"])
        .args(["--schedule=off", "--http=off", "--log-format=json"])
        .env_clear()
        .env("MONGODB_URI", config.mongodb_uri.expose())
        .env("MONGODB_DATABASE", &config.database)
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let log = process.stderr.take().context("archd has no log")?;
    let mut log = BufReader::new(log).lines();
    let starting = async {
        let mut address = None;
        loop {
            let line = log.next_line().await?.context("archd has ended")?;
            let line: Value = serde_json::from_str(&line)?;
            let message = line["message"].as_str().unwrap_or_default();
            if message.contains("listens") {
                let said = line["address"].as_str();
                address = said.map(|address| format!("http://{address}"));
            }
            if message.contains("the database is ready") {
                return anyhow::Ok(address.context("archd does not say where it listens")?);
            }
        }
    };
    let address = timeout(PATIENCE, starting).await;
    let address = address.context("archd does not get ready")??;
    // A log that nobody reads would stop the server once its pipe is full.
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    Ok(Server {
        address,
        pid: process.id().context("archd has ended")?,
        _process: process,
    })
}
