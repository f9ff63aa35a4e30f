//! What the service manager is told, as systemd understands it (`sd_notify`): that archd is ready,
//! how it is, that it stops, and, as long as its loops turn, that it lives.
//!
//! It is ready once it serves, whether the database is there or not: a service manager that waited
//! for the database would start archd over and over for as long as MongoDB is down.

use std::{
    env,
    sync::mpsc::{SyncSender, sync_channel},
    thread,
    time::Duration,
};

use tokio::{
    select,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{domain::text::cut, hangups::Hangups, observe::monitor::Monitor, progress::Progress};

/// The variable by which the service manager says where it listens.
const SOCKET: &str = "NOTIFY_SOCKET";
/// How often the status is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How many times the watchdog is fed in its time.
const FEEDINGS: u32 = 3;
/// The longest status, in bytes.
const LONGEST_STATUS: usize = 200;
/// Messages that may wait for a service manager that does not take them.
const WAITING: usize = 8;

/// Tells the service manager how this process is, if there is one, until the process has ended.
/// `role` says in a few words what it does.
pub(crate) async fn supervise(
    role: String,
    progress: Progress,
    monitor: Monitor,
    stop: CancellationToken,
) {
    if env::var_os(SOCKET).is_none() {
        return;
    }
    // Reloading is SIGHUP, also where there is no file to be read again: it must not end the process.
    let _reloads = Hangups::listen();
    match Manager::open() {
        Ok(manager) => {
            let watchdog = watchdog();
            info!(?watchdog, "the service manager is told how archd is");
            tell(&manager, watchdog, &role, &progress, &monitor, &stop).await;
        }
        Err(error) => warn!(%error, "the service manager can't be told how archd is"),
    }
}

async fn tell(
    manager: &Manager,
    watchdog: Option<Duration>,
    role: &str,
    progress: &Progress,
    monitor: &Monitor,
    stop: &CancellationToken,
) {
    let mut told = status(role, monitor);
    manager.tell(format!("READY=1\nSTATUS={told}"));
    let pause = watchdog.map_or(LOOK, |within| (within / FEEDINGS).min(LOOK));
    let mut looks = interval(pause.max(Duration::from_millis(1)));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_stuck, mut stops) = (false, false);
    loop {
        select! {
            () = stop.cancelled(), if !stops => {
                stops = true;
                manager.tell("STOPPING=1\nSTATUS=finishes what is under way".to_owned());
            }
            _ = looks.tick() => {}
        }
        match progress.stuck() {
            None => {
                is_stuck = false;
                if watchdog.is_some() {
                    manager.tell("WATCHDOG=1".to_owned());
                }
            }
            Some(name) if !is_stuck => {
                is_stuck = true;
                error!(
                    "{name} has stopped: the service manager is not told any more that archd lives, and may start it anew"
                );
            }
            Some(_) => {}
        }
        let now = status(role, monitor);
        if !stops && now != told {
            manager.tell(format!("STATUS={now}"));
            told = now;
        }
    }
}

/// A line on how this process is.
fn status(role: &str, monitor: &Monitor) -> String {
    let database = match monitor.check() {
        Ok(()) => "the database is ready".to_owned(),
        Err(error) => error.to_string(),
    };
    let status = format!("{role}; {database}").replace(char::is_control, " ");
    cut(&status, LONGEST_STATUS)
}

/// The way to the service manager. One that does not take messages holds nothing up: those that
/// find no room are left out, as the next one says the same.
struct Manager(SyncSender<String>);

impl Manager {
    fn open() -> std::io::Result<Manager> {
        let (sender, messages) = sync_channel::<String>(WAITING);
        let thread = thread::Builder::new().name("supervisor".to_owned());
        thread.spawn(move || {
            let mut failed = false;
            for message in messages {
                match (send(&message), failed) {
                    (Err(error), false) => {
                        failed = true;
                        warn!(%error, "the service manager could not be told how archd is; trying again with the next news");
                    }
                    (outcome, _) => failed = outcome.is_err(),
                }
            }
        })?;
        Ok(Manager(sender))
    }

    fn tell(&self, message: String) {
        let _ = self.0.try_send(message);
    }
}

#[cfg(unix)]
fn send(message: &str) -> std::io::Result<()> {
    sd_notify::notify(&[sd_notify::NotifyState::Custom(message)])
}

#[cfg(unix)]
fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// There is no such service manager here.
#[cfg(not(unix))]
fn send(_: &str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn watchdog() -> Option<Duration> {
    None
}
