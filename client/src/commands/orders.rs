//! `archctl orders`: reading the archive, and where an order stands.

mod export;
mod filter;
mod list;
mod show;
mod why;

use crate::{connect::Session, exit::Exit, fault::Fault};

/// What to read.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List archived orders, the highest number first
    List(list::Args),
    /// Show one archived order and what is missing in it
    Show(show::Args),
    /// Say where one order stands, why, and what to do
    Why(why::Args),
    /// Write archived orders to standard output, however many, one a line
    Export(export::Args),
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<Exit, Fault> {
    match command {
        Command::List(args) => list::run(session, args).await,
        Command::Show(args) => show::run(session, args).await,
        Command::Why(args) => why::run(session, args).await,
        Command::Export(args) => export::run(session, args).await,
    }
}
