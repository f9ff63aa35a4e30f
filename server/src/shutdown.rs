//! How the process ends: the signal to stop, and the codes that it returns.

use std::{io, process, thread};

use tokio::runtime;
use tokio_util::sync::CancellationToken;

use crate::terminal::flush_log;

/// What a process returns that did what it was asked for.
pub const SUCCESS: u8 = 0;
/// What a process returns that could not do what it was asked for.
pub const FAILURE: u8 = 1;
/// What a process returns that was started with bad settings or usage.
pub const BAD_SETTINGS: u8 = 2;
/// What a process returns whose batch or verification ended FAILED.
pub(crate) const JOB_FAILED: u8 = 3;
/// What a process returns that could not reach the database.
pub const DATABASE_UNAVAILABLE: u8 = 4;
/// What a process returns that found something that keeps archd from its work.
pub(crate) const CHECK_FAILED: u8 = 5;
/// What a process returns the books of whose batch did not balance.
pub(crate) const UNBALANCED: u8 = 8;
/// What a process returns whose verification says NOT VERIFIED.
pub(crate) const NOT_VERIFIED: u8 = 9;
/// What a process returns that was interrupted: 128 and the number of SIGINT, as shells count.
pub(crate) const INTERRUPTED: u8 = 130;

/// A token that the first SIGINT (Ctrl-C) or SIGTERM cancels, on Windows the first event that asks a
/// program to end. A second one ends the process at once, whatever it is doing.
///
/// # Errors
///
/// When the system refuses to tell us about signals.
pub fn signal() -> io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let first = token.clone();
    // A runtime of its own hears the second signal even when the server's is busy or is being shut
    // down.
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _context = runtime.enter();
        Signals::listen()?
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                signals.next().await;
                first.cancel();
                signals.next().await;
            });
            flush_log();
            process::exit(INTERRUPTED.into());
        })?;
    Ok(token)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Whatever ends a program with a console there: Ctrl-C, Ctrl-Break, its window that is closed, the
/// machine that shuts down. That somebody logs off is none of it: all services hear of that.
#[cfg(windows)]
struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
    terminate: tokio::signal::windows::CtrlBreak,
    close: tokio::signal::windows::CtrlClose,
    shutdown: tokio::signal::windows::CtrlShutdown,
}

#[cfg(windows)]
impl Signals {
    fn listen() -> io::Result<Signals> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
        Ok(Signals {
            interrupt: ctrl_c()?,
            terminate: ctrl_break()?,
            close: ctrl_close()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.close.recv() => {}
            _ = self.shutdown.recv() => {}
        }
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{
        env,
        io::{BufRead, BufReader, Write},
        process::{Command, Stdio},
    };

    use super::*;

    const CHILD: &str = "ARCHD_TEST_SHUTDOWN_CHILD";

    /// The process that is signalled: this very test, started again by the one below. Without its
    /// variable it has nothing to do.
    #[test]
    fn child() {
        if env::var_os(CHILD).is_none() {
            return;
        }
        let token = signal().unwrap();
        writeln!(io::stderr(), "listening").unwrap();
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(token.cancelled());
        writeln!(io::stderr(), "cancelled").unwrap();
        // Busy for ever, as a server is that hangs while it stops.
        loop {
            thread::park();
        }
    }

    #[test]
    fn the_first_signal_cancels_and_the_second_ends_the_process() {
        for names in [["INT", "INT"], ["TERM", "TERM"], ["TERM", "INT"]] {
            let mut child = Command::new(env::current_exe().unwrap())
                .args(["--exact", "shutdown::tests::child", "--nocapture"])
                .env(CHILD, "1")
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
            for (line, name) in ["listening", "cancelled"].into_iter().zip(names) {
                assert_eq!(said.next().unwrap().unwrap(), line);
                let kill = Command::new("kill")
                    .args([format!("-{name}"), child.id().to_string()])
                    .status()
                    .unwrap();
                assert!(kill.success());
            }
            assert_eq!(child.wait().unwrap().code(), Some(INTERRUPTED.into()));
        }
    }
}
