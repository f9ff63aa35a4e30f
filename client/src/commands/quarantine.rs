//! `archctl quarantine`: looking after the orders that can't be archived.

mod drop;
mod list;
mod retry;
mod show;

use crate::{connect::Session, exit::Exit, fault::Fault};

/// What to do with quarantined orders.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List quarantined orders
    List(list::Args),
    /// Show one quarantined order and why it is there
    Show(show::Args),
    /// Try to archive quarantined orders again; what succeeds leaves the quarantine
    Retry(retry::Args),
    /// Drop entries and the bytes kept with them; the orders themselves are left alone
    Drop(drop::Args),
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<Exit, Fault> {
    match command {
        Command::List(args) => list::run(session, args).await,
        Command::Show(args) => show::run(session, args).await,
        Command::Retry(args) => retry::run(session, args).await,
        Command::Drop(args) => drop::run(session, args).await,
    }
}
