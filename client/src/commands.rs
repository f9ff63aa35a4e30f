//! The commands of `archctl`, one a file.

pub(crate) mod archive;
pub(crate) mod batch;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod instances;
pub(crate) mod orders;
pub(crate) mod quarantine;
pub(crate) mod seed;
pub(crate) mod stats;
pub(crate) mod tail;
pub(crate) mod version;
pub(crate) mod watch;

use crate::{
    args::{Command, Globals},
    connect::Session,
    exit::Exit,
    fault::Fault,
    output::Output,
};

/// Runs one command to its end.
pub(crate) async fn run(command: Command, globals: &Globals) -> Result<Exit, Fault> {
    let session = Session::new(globals);
    match command {
        Command::Archive(args) => archive::run(&session, args).await,
        Command::Batch(command) => batch::run(&session, command).await,
        Command::Watch(command) => watch::run(&session, command).await,
        Command::Tail(args) => tail::run(&session, args).await,
        Command::Stats(args) => stats::run(&session, &args).await,
        Command::Instances(_) => instances::run(&session).await,
        Command::Orders(command) => orders::run(&session, command).await,
        Command::Quarantine(command) => quarantine::run(&session, command).await,
        Command::Seed(args) => seed::run(&session, args).await,
        Command::Version(args) => version::run(&session, &globals.endpoint, &args).await,
        Command::Config(_) => config::run(session.output, globals),
        Command::Completions(args) => completions::run(Output::new(globals.output), &args),
    }
}

/// Waits for Ctrl-C; where the system has no such thing, for ever.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The server left out what the contract promises: only a server of another release does.
fn left_out(what: &str) -> Fault {
    Fault::told(
        Exit::Failure,
        format!("the server's answer has no {what}"),
        "archctl and archd may be of different releases",
    )
}
