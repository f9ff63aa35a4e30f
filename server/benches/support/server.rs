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

/// What of a server only answers calls: no watcher, no HTTP.
pub(crate) const CALLS_ALONE: [&str; 2] = ["--watch=false", "--http=off"];

/// A server that takes calls, until it is dropped.
pub(crate) struct Server {
    /// Where it listens, as a URL.
    pub(crate) address: String,
    /// Where it answers HTTP, if it does.
    pub(crate) http: Option<String>,
    /// Its process.
    pub(crate) pid: u32,
    _process: Child,
}

/// Starts `archd serve` without its schedule and with these arguments, allowed 1,024 open files as
/// is usual, and waits until it is ready.
pub(crate) async fn serve(config: &Config, arguments: &[&str]) -> Result<Server> {
    serve_with_files(1_024, config, arguments).await
}

/// The same, allowed so many open files.
pub(crate) async fn serve_with_files(
    files: u32,
    config: &Config,
    arguments: &[&str],
) -> Result<Server> {
    let archd = env!("CARGO_BIN_EXE_archd");
    let script = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
    let mut process = Command::new("sh")
        .args(["-c", &script, archd, "serve", "--listen=127.0.0.1:0"])
        .args(["--schedule=off", "--log-format=json"])
        .args(arguments)
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
        let (mut address, mut http) = (None, None);
        loop {
            let line = log.next_line().await?.context("archd has ended")?;
            let line: Value = serde_json::from_str(&line)?;
            let message = line["message"].as_str().unwrap_or_default();
            let said = line["address"].as_str().map(str::to_owned);
            if message.contains("listens") {
                address = said;
            } else if message.contains("HTTP is answered") {
                http = said;
            } else if message.contains("the database is ready") {
                let address = address.context("archd does not say where it listens")?;
                return anyhow::Ok((format!("http://{address}"), http));
            }
        }
    };
    let starting = timeout(PATIENCE, starting).await;
    let (address, http) = starting.context("archd does not get ready")??;
    // A log that nobody reads would stop the server once its pipe is full.
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    Ok(Server {
        address,
        http,
        pid: process.id().context("archd has ended")?,
        _process: process,
    })
}
