//! The command line of a mongod, and the wait until it listens.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow};

use crate::Options;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::wait::until;
use crate::watchdog::{ProcessState, Watchdog};

/// How long a mongod may take from its start until it listens, on a machine that is busy compiling.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Everything but the port that it takes to start one mongod, and to start it again.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    /// The folder of the whole deployment, which goes with it.
    pub(crate) folder: PathBuf,
    /// This node's own folder in it.
    pub(crate) home: PathBuf,
    /// The name of the replica set, for a member of one.
    pub(crate) set: Option<&'static str>,
    pub(crate) options: Options,
    /// Its own, if the options ask for one.
    pub(crate) disk: Option<Disk>,
    pub(crate) clock: Option<Clock>,
}

/// Why a mongod does not listen.
pub(crate) enum Failure {
    /// Another process has taken the port in the meantime.
    PortTaken,
    Other(Error),
}

impl Launch {
    /// Prepares a node of the deployment in this folder.
    pub(crate) fn new(
        program: PathBuf,
        folder: &Path,
        number: usize,
        set: Option<&'static str>,
        options: Options,
    ) -> Result<Launch> {
        let home = folder.join(format!("node-{number}"));
        let data = data(&home);
        fs::create_dir_all(&data)
            .with_context(|| format!("`{}` cannot be made", data.display()))?;
        let disk = options
            .disk
            .map(|ways| Disk::new(&data, ways))
            .transpose()?;
        let clock = options.clock.then(|| Clock::new(&home)).transpose()?;
        Ok(Launch {
            program,
            folder: folder.to_owned(),
            home,
            set,
            options,
            disk,
            clock,
        })
    }

    /// Starts mongod on the port; the log goes to a file of its own for each start.
    pub(crate) fn spawn(&self, port: u16, log: &Path) -> Result<Watchdog> {
        let mut words: Vec<OsString> = Vec::new();
        words.extend(self.disk.iter().flat_map(Disk::prefix));
        words.extend(self.clock.iter().flat_map(Clock::prefix));
        words.push(self.program.clone().into());
        words.extend(self.arguments(port, &data(&self.home), log));
        Watchdog::spawn(&self.folder, &words)
            .with_context(|| format!("`{}` cannot be started", self.program.display()))
    }

    fn arguments(&self, port: u16, data: &Path, log: &Path) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec![
            "--dbpath".into(),
            data.into(),
            "--logpath".into(),
            log.into(),
            "--quiet".into(),
        ];
        let mut add = |name: &str, value: String| args.extend([name.into(), value.into()]);
        add("--bind_ip", Ipv4Addr::LOCALHOST.to_string());
        add("--port", port.to_string());
        add("--wiredTigerCacheSizeGB", self.options.cache_gb.to_string());
        // Fail points are test commands.
        add("--setParameter", "enableTestCommands=1".to_owned());
        add(
            "--setParameter",
            "diagnosticDataCollectionEnabled=false".to_owned(),
        );
        // A node that is asked to end would otherwise let its clients look for another one for 15
        // seconds.
        add(
            "--setParameter",
            "shutdownTimeoutMillisForSignaledShutdown=100".to_owned(),
        );
        if let Some(set) = self.set {
            add("--replSet", set.to_owned());
            add("--oplogSize", self.options.oplog_mb.to_string());
        }
        // Its socket would lie in the common temporary folder and outlive a kill.
        args.push("--nounixsocket".into());
        if self.disk.is_some() {
            args.extend(Disk::arguments().map(OsString::from));
        }
        args.extend(self.options.args.iter().map(OsString::from));
        args
    }

    /// Waits until mongod listens. Its own log says so; an answering port might be another
    /// process's.
    pub(crate) async fn listening(&self, state: &ProcessState, log: &Path) -> Result<(), Failure> {
        let read = || fs::read_to_string(log).unwrap_or_default();
        let outcome = until(START_LIMIT, "mongod to listen", async || {
            // The order matters: of a mongod that has ended the whole log is there to be read.
            let over = state.is_over();
            let text = read();
            Ok(match over {
                true => Some(Err(text)),
                false => text.contains("Waiting for connections").then_some(Ok(())),
            })
        });
        match outcome.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(text)) if text.contains("Address already in use") => Err(Failure::PortTaken),
            Ok(Err(text)) => {
                let said = state.output() + &tail(&text);
                Err(Failure::Other(anyhow!(
                    "mongod ended instead of listening; the end of what it said:\n{said}"
                )))
            }
            Err(late) => Err(Failure::Other(
                late.context(format!("the end of mongod's log:\n{}", tail(&read()))),
            )),
        }
    }
}

/// Where a node keeps its data.
fn data(home: &Path) -> PathBuf {
    home.join("data")
}

/// A port that is free now; that it stays so until mongod binds it is likely, not certain.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    Ok(listener
        .local_addr()
        .context("there is no free port")?
        .port())
}

/// The last lines of a log, where the reason is.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
