//! `archctl watch`: looking at the watcher, and steering it.

mod pause;
mod resume;
mod status;

use order_archiver_api::v1::Watcher;

use super::left_out;
use crate::{connect::Session, exit::Exit, fault::Fault, render};

/// What to do with the watcher.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show what the watcher does, how far it is, and how far behind
    Status(status::Args),
    /// Pause the watcher; it stays paused over a restart
    Pause(pause::Args),
    /// Let the watcher go on from where it was
    Resume(resume::Args),
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<Exit, Fault> {
    match command {
        Command::Status(_) => status::run(session).await,
        Command::Pause(_) => pause::run(session).await,
        Command::Resume(_) => resume::run(session).await,
    }
}

/// Prints the watcher; whatever its state, the question was answered.
fn show(session: &Session, watcher: Option<Watcher>) -> Result<Exit, Fault> {
    let watcher = watcher.ok_or_else(|| left_out("watcher"))?;
    session.output.one(&watcher, render::watcher::card)?;
    Ok(Exit::Done)
}
