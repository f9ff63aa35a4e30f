//! `archctl batch`: archiving everything that is delivered, and following it.

mod cancel;
mod job;
mod list;
mod show;
mod start;
mod tune;
mod watch;

use crate::{connect::Session, exit::Exit, fault::Fault};

/// What to do with batches.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Start a batch; when one is running already, it is that one
    Start(start::Args),
    /// List batches, the latest first
    List(list::Args),
    /// Show one batch
    Show(show::Args),
    /// Change the limits of a batch while it runs
    Tune(tune::Args),
    /// Follow one batch until it ends
    Watch(watch::Args),
    /// Ask a batch to stop; what it has archived stays archived
    Cancel(cancel::Args),
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<Exit, Fault> {
    match command {
        Command::Start(args) => start::run(session, args).await,
        Command::List(args) => list::run(session, args).await,
        Command::Show(args) => show::run(session, args).await,
        Command::Tune(args) => tune::run(session, args).await,
        Command::Watch(args) => watch::run(session, &args).await,
        Command::Cancel(args) => cancel::run(session, args).await,
    }
}
