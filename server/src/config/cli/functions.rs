//! What `archd functions` is asked to do.

use std::time::Duration;

use clap::Args;

use super::run_time;

/// How the calls of a Functions host are answered.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct FunctionsArgs {
    /// The port on 127.0.0.1 at which the host asks; it says so itself. 0 takes any that is free
    #[arg(
        long,
        value_name = "PORT",
        env = "FUNCTIONS_CUSTOMHANDLER_PORT",
        hide_env_values = true
    )]
    pub port: u16,

    /// Stop a batch after this long, such as 90s or 9m: with --wait it has to stay below the host's
    /// functionTimeout
    #[arg(long, value_name = "TIME", value_parser = run_time, default_value = "4m")]
    pub max_runtime: Duration,

    /// How long a call waits for a database that is away
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "30s")]
    pub wait: Duration,
}

pub(super) const EXAMPLES: &str = "\
Examples:
  archd functions
  archd functions --max-runtime 9m --wait 20s --max-rate 500";
