//! The command line: the commands, and running one.

use std::env;

use clap::{
    CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::{OsStr, Resettable},
};

use crate::{
    commands::{
        archive, auth, batch, completions, config, health, instances, man, orders, quarantine,
        seed, stats, status, tail, top, verify, version, watch,
    },
    connect::Session,
    exit::{self, Exit},
    fault::Fault,
    globals::{Globals, Origins},
    tls, token,
};

/// Talks to Order Archiver: archives delivered orders, follows batches, and reads the archive.
#[derive(Debug, Parser)]
#[command(
    name = "archctl",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = exit::HELP,
    after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP),
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Reads the command line and the environment, in which an empty variable counts as none.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let mut command = Self::command().mut_args(|arg| {
            let is_empty = |name| env::var_os(name).is_some_and(|value| value.is_empty());
            match arg.get_env().is_some_and(is_empty) {
                true => arg.env(Resettable::<OsStr>::Reset),
                false => arg,
            }
        });
        let matches = command.try_get_matches_from_mut(env::args_os())?;
        let mut cli =
            Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        cli.globals.origins = Origins::of(&matches);
        Ok(cli)
    }
}

const EXAMPLES: &str = "\
Examples:
  archctl archive CMD-2025-000001
  archctl batch start --wait
  archctl verify
  archctl status
  archctl stats --output json | jq .lifetime.archived
  archctl --endpoint archive.internal:50051 tail";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Archive delivered orders by their number
    Archive(archive::Args),
    /// Archive every delivered order that is not archived yet
    #[command(subcommand, arg_required_else_help = true)]
    Batch(batch::Command),
    /// Prove that every delivered order is archived exactly once, unaltered, or name what is not
    Verify(verify::Args),
    /// Look at the watcher, which archives orders as they are delivered, and steer it
    #[command(subcommand, arg_required_else_help = true)]
    Watch(watch::Command),
    /// Say in one line whether every delivered order is archived, and in the exit code
    Status(status::Args),
    /// Watch figures, watcher, batches, quarantine and events on one screen
    Top(top::Args),
    /// Follow what happens, on every instance, as it happens
    Tail(tail::Args),
    /// Show the figures of the whole database
    Stats(stats::Args),
    /// Say whether archd can do its work, for probes and scripts
    Health(health::Args),
    /// List the processes of archd that share the database, and what each of them holds
    Instances(instances::Args),
    /// Read the archive, and say where an order stands
    #[command(subcommand, arg_required_else_help = true)]
    Orders(orders::Command),
    /// Look after the orders that can't be archived
    #[command(subcommand, arg_required_else_help = true)]
    Quarantine(quarantine::Command),
    /// Fill a simulation with believable French orders
    Seed(seed::Args),
    /// Show the versions of archctl and of the server
    Version(version::Args),
    /// Show which settings are in force, and where each comes from
    Config(config::Args),
    /// Make what callers identify themselves by
    #[command(subcommand, arg_required_else_help = true)]
    Auth(auth::Command),
    /// Print the completion script of a shell
    Completions(completions::Args),
    /// Write the manual pages into a folder, for packages
    #[command(hide = true)]
    Man(man::Args),
}

impl Command {
    /// Whether it goes by the settings, so that a config file that can't be used is its fault too.
    pub(crate) fn goes_by_settings(&self) -> bool {
        !matches!(self, Self::Completions(_) | Self::Man(_))
    }

    /// Whether it asks a server, so that a token file or one of TLS that can't be used is its fault
    /// too.
    fn asks(&self) -> bool {
        !matches!(
            self,
            Self::Auth(_) | Self::Completions(_) | Self::Config(_) | Self::Man(_)
        )
    }

    /// Runs the command to its end.
    pub(crate) async fn run(self, globals: &Globals) -> Result<Exit, Fault> {
        let (tls, token) = match self.asks() {
            true => (tls::of(globals)?, token::of(globals)?),
            false => (None, None),
        };
        let session = Session::new(globals, tls, token)?;
        match self {
            Self::Archive(args) => archive::run(&session, args).await,
            Self::Batch(command) => batch::run(&session, command).await,
            Self::Verify(args) => verify::run(&session, args).await,
            Self::Watch(command) => watch::run(&session, command).await,
            Self::Status(args) => status::run(&session, &args).await,
            Self::Top(args) => top::run(&session, globals, &args).await,
            Self::Tail(args) => tail::run(&session, args).await,
            Self::Stats(args) => stats::run(&session, &args).await,
            Self::Health(args) => health::run(&session, &args).await,
            Self::Instances(_) => instances::run(&session).await,
            Self::Orders(command) => orders::run(&session, command).await,
            Self::Quarantine(command) => quarantine::run(&session, command).await,
            Self::Seed(args) => seed::run(&session, args).await,
            Self::Version(args) => version::run(&session, &globals.endpoint, &args).await,
            Self::Config(_) => config::run(session.output, globals),
            Self::Auth(command) => auth::run(session.output, command),
            Self::Completions(args) => completions::run(session.output, &args, Cli::command()),
            Self::Man(args) => man::run(&args, Cli::command()),
        }
    }
}
