//! `archctl verify`: whether every delivered order is archived exactly once, unaltered, and what to
//! do about those that are not.

mod acknowledge;
mod acknowledgements;
mod cancel;
mod class;
mod differences;
mod job;
mod ledger;
mod list;
mod repair;
mod show;
mod start;
mod watch;

use crate::{connect::Session, exit::Exit, fault::Fault};

// `args_conflicts_with_subcommands` would also refuse the global options before a subcommand.
#[derive(clap::Args, Debug)]
#[command(after_long_help = start::EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    start: start::Options,

    #[command(subcommand)]
    command: Option<Command>,
}

/// What else to do with verifications.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List verifications, the latest first
    List(list::Args),
    /// Show one verification, its verdict first
    Show(show::Args),
    /// Follow one verification until it ends
    Watch(watch::Args),
    /// Ask a verification to stop; it has no verdict then
    Cancel(cancel::Args),
    /// List the differences that a verification found
    Differences(differences::Args),
    /// Note that somebody has looked into the differences of an order, and why they may stay
    Acknowledge(acknowledge::Args),
    /// List what was acknowledged, by whom and why, the latest first
    Acknowledgements(acknowledgements::Args),
    /// Repair differences, and tell of each what became of it
    Repair(repair::Args),
    /// Check the whole ledger of verifications, and show its newest entries
    Ledger(ledger::Args),
}

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let Some(command) = args.command else {
        return start::run(session, args.start).await;
    };
    if args.start != start::Options::default() {
        return Err(Fault::told(
            Exit::Usage,
            "options that start a verification stand beside another command",
            "`archctl verify` with these options starts one; leave them out of everything else",
        ));
    }
    match command {
        Command::List(args) => list::run(session, args).await,
        Command::Show(args) => show::run(session, args).await,
        Command::Watch(args) => watch::run(session, &args).await,
        Command::Cancel(args) => cancel::run(session, args).await,
        Command::Differences(args) => differences::run(session, args).await,
        Command::Acknowledge(args) => acknowledge::run(session, args).await,
        Command::Acknowledgements(args) => acknowledgements::run(session, &args).await,
        Command::Repair(args) => repair::run(session, args).await,
        Command::Ledger(args) => ledger::run(session, args).await,
    }
}
