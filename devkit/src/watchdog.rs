//! Runs one mongod so that it cannot outlive its owner, not even one that is killed.
//!
//! A small shell script is mongod's parent and reads from a pipe that the owner alone can write to.
//! However the owner goes, the system closes the pipe; the script then kills mongod and removes the
//! folder. Nothing here belongs to an async runtime, because a shared set outlives the runtime of
//! the test that started it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, bail};
use parking_lot::Mutex;
use tokio::sync::watch;

const SCRIPT: &str = include_str!("watchdog.sh");

/// A mongod and the script that watches over it. Dropping it kills mongod and removes the folder.
#[derive(Debug)]
pub(crate) struct Watchdog {
    script: Child,
    leash: Option<ChildStdin>,
    pid: u32,
    state: ProcessState,
}

/// What the owner can see of a mongod's state, for as long as it likes.
#[derive(Debug, Clone)]
pub(crate) struct ProcessState {
    ended: watch::Receiver<bool>,
    output: Arc<Mutex<String>>,
}

impl ProcessState {
    pub(crate) fn is_over(&self) -> bool {
        *self.ended.borrow()
    }

    /// Waits until mongod has ended.
    pub(crate) async fn over(&mut self) {
        // The sender goes only after it has said that mongod has ended: both mean the same.
        let _ = self.ended.wait_for(|ended| *ended).await;
    }

    /// What mongod has said instead of logging it; complete once it has ended.
    pub(crate) fn output(&self) -> String {
        self.output.lock().clone()
    }
}

impl Watchdog {
    /// Starts the program that these words are, with its arguments; `folder` is what goes when it
    /// goes.
    pub(crate) fn spawn(folder: &Path, words: &[OsString]) -> Result<Self> {
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT, "watchdog"])
            .arg(folder)
            .args(words);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // Ctrl-C is for the owner, which may still need the database for an orderly end.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut script = command.spawn().context("`sh` cannot be started")?;
        let leash = script.stdin.take();
        let mut lines = BufReader::new(script.stdout.take().context("the watchdog has no output")?);

        let mut before = String::new();
        let pid = loop {
            let mut line = String::new();
            if lines
                .read_line(&mut line)
                .context("the watchdog's output cannot be read")?
                == 0
            {
                bail!("the watchdog ended at once: {before}");
            }
            match line.strip_prefix("watchdog: ") {
                Some(pid) => {
                    break pid
                        .trim()
                        .parse()
                        .context("the watchdog names no process")?;
                }
                None => before.push_str(&line),
            }
        };
        let output = Arc::new(Mutex::new(before));
        let (end, ended) = watch::channel(false);
        let kept = Arc::clone(&output);
        thread::spawn(move || {
            let mut rest = Vec::new();
            // An unreadable pipe tells as much as a closed one: that nothing more is to be learnt
            // from it.
            let _ = lines.read_to_end(&mut rest);
            kept.lock().push_str(&String::from_utf8_lossy(&rest));
            end.send_replace(true);
        });
        Ok(Self {
            script,
            leash,
            pid,
            state: ProcessState { ended, output },
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn state(&self) -> ProcessState {
        self.state.clone()
    }

    /// Sends mongod, if it has not ended, a signal by its name: KILL, TERM, STOP or CONT.
    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        if self.state.is_over() {
            return Ok(());
        }
        // The shell's own `kill`, because not every system has one as a program.
        let status = Command::new("sh")
            .args([
                "-c",
                r#"kill -s "$1" "$2" 2>/dev/null"#,
                "signal",
                name,
                &self.pid.to_string(),
            ])
            .status()
            .context("`sh` cannot be started")?;
        if !status.success() && !self.state.is_over() {
            bail!("mongod (process {}) could not be sent {name}", self.pid);
        }
        Ok(())
    }

    /// Lets the script kill mongod and remove the folder, without waiting for it.
    pub(crate) fn release(&mut self) {
        self.leash = None;
    }

    /// Ends the watch over a mongod that has ended, and leaves its files to the one that is started
    /// next.
    pub(crate) fn dismiss(mut self) {
        debug_assert!(
            self.state.is_over(),
            "a mongod that runs keeps its watchdog"
        );
        if let Some(leash) = &mut self.leash {
            // A script that cannot be told has ended already.
            let _ = leash.write_all(b"leave\n");
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.release();
        // Whoever drops a deployment may rely on it being gone; there is no one to tell if it
        // cannot be seen to go.
        let _ = self.script.wait();
    }
}
