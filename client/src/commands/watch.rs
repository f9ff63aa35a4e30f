//! `archctl watch`: looking at the watcher, and steering it.

mod answer;
mod pause;
mod resume;
mod status;

use crate::{connect::Session, exit::Exit, fault::Fault};

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
