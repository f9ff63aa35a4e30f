//! `archctl orders`: reading the archive.

mod list;
mod show;

use crate::{connect::Session, exit::Exit, fault::Fault};

/// What to read.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List archived orders, the highest number first
    List(list::Args),
    /// Show one archived order and what is missing in it
    Show(show::Args),
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<Exit, Fault> {
    match command {
        Command::List(args) => list::run(session, args).await,
        Command::Show(args) => show::run(session, args).await,
    }
}
