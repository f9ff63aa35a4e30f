//! The command line: the flags that every command shares, and the list of commands.

use std::{env, path::PathBuf, time::Duration};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::{OsStr, Resettable},
};

use crate::{
    commands::{
        archive, batch, completions, config, instances, orders, quarantine, seed, stats, tail,
        version, watch,
    },
    config::Origins,
    exit,
    output::Format,
    render::screen::Zone,
    values::{self, Address},
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
  archctl stats --output json | jq .lifetime.archived
  archctl --endpoint archive.internal:50051 tail";

/// Flags that go with every command, before or after its name. Each has a variable, too:
/// `time_zone` is ARCHCTL_TIME_ZONE.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// The file with the profiles; by default archctl/config.toml in $XDG_CONFIG_HOME, or in
    /// ~/.config
    #[arg(
        long,
        global = true,
        env = "ARCHCTL_CONFIG",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub(crate) config: Option<PathBuf>,

    /// The profile of that file to go by; by default the one that the file says, if any
    #[arg(
        long,
        global = true,
        env = "ARCHCTL_PROFILE",
        hide_env_values = true,
        value_name = "NAME"
    )]
    pub(crate) profile: Option<String>,

    /// Where archd listens; `http://` and port 50051 may be left out
    #[arg(
        long,
        global = true,
        env = "ARCHCTL_ENDPOINT",
        hide_env_values = true,
        value_name = "ADDRESS",
        default_value = values::DEFAULT_ENDPOINT,
        value_parser = values::address,
    )]
    pub(crate) endpoint: Address,

    /// How long one answer may take; streams may take as long as they like
    #[arg(
        long,
        global = true,
        env = "ARCHCTL_TIMEOUT",
        hide_env_values = true,
        value_name = "DURATION",
        default_value = "10s",
        value_parser = values::duration,
    )]
    pub(crate) timeout: Duration,

    /// What to print on standard output
    #[arg(
        short,
        long,
        global = true,
        env = "ARCHCTL_OUTPUT",
        hide_env_values = true,
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(crate) output: Format,

    /// The zone of the times in text: `local`, UTC, or a name such as Europe/Paris; JSON is always in UTC
    #[arg(
        long,
        global = true,
        env = "ARCHCTL_TIME_ZONE",
        hide_env_values = true,
        value_name = "ZONE",
        default_value = "local",
        value_parser = values::zone,
    )]
    pub(crate) time_zone: Zone,

    /// Where each of these comes from.
    #[arg(skip)]
    pub(crate) origins: Origins,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Archive delivered orders by their number
    Archive(archive::Args),
    /// Archive every delivered order that is not archived yet
    #[command(subcommand, arg_required_else_help = true)]
    Batch(batch::Command),
    /// Look at the watcher, which archives orders as they are delivered, and steer it
    #[command(subcommand, arg_required_else_help = true)]
    Watch(watch::Command),
    /// Follow what happens, on every instance, as it happens
    Tail(tail::Args),
    /// Show the figures of the whole database
    Stats(stats::Args),
    /// List the processes of archd that share the database, and what each of them holds
    Instances(instances::Args),
    /// Read the archive
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
    /// Print the completion script of a shell
    Completions(completions::Args),
}
