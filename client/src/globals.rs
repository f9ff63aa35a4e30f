//! The settings that go with every command, and where the value of each comes from.

use std::{path::PathBuf, time::Duration};

use clap::{ArgMatches, Args, parser::ValueSource};

use crate::{
    format::Format,
    values::{self, Address},
    zone::Zone,
};

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

    /// Where archd listens, with `https://` before it for TLS; `http://` and port 50051 may be left
    /// out
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

    /// The zone of the times in text: `local`, UTC, or a name such as Europe/Paris; JSON is always
    /// in UTC
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

    /// The file with the token that says who asks, for an archd that wants to know; nobody else
    /// should be able to read it. It is sent over TLS, or to this machine
    #[arg(
        long,
        global = true,
        env = "ARCHCTL_TOKEN_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub(crate) token_file: Option<PathBuf>,

    /// The certificates of the authorities that vouch for archd, as PEM; by default those that the
    /// system believes
    #[arg(
        long,
        global = true,
        env = "ARCHCTL_CA",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub(crate) ca: Option<PathBuf>,

    /// The certificate that archctl identifies itself by, and those between it and its authority,
    /// as PEM
    #[arg(
        long,
        global = true,
        env = "ARCHCTL_CERT",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub(crate) cert: Option<PathBuf>,

    /// The private key of that certificate, as PEM without a passphrase
    #[arg(
        long,
        global = true,
        env = "ARCHCTL_KEY",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub(crate) key: Option<PathBuf>,

    /// Where each of these comes from.
    #[arg(skip)]
    pub(crate) origins: Origins,
}

/// Where the value of a setting comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Origin {
    Flag,
    Variable,
    File,
    #[default]
    Default,
}

/// Where the value of each setting comes from.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    pub(crate) config: Origin,
    pub(crate) profile: Origin,
    pub(crate) endpoint: Origin,
    pub(crate) timeout: Origin,
    pub(crate) output: Origin,
    pub(crate) time_zone: Origin,
    pub(crate) token_file: Origin,
    pub(crate) ca: Origin,
    pub(crate) cert: Origin,
    pub(crate) key: Origin,
}

impl Origins {
    /// As far as the command line and the environment tell.
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        let of = |setting| match matches.value_source(setting) {
            Some(ValueSource::CommandLine) => Origin::Flag,
            Some(ValueSource::EnvVariable) => Origin::Variable,
            _ => Origin::Default,
        };
        Self {
            config: of("config"),
            profile: of("profile"),
            endpoint: of("endpoint"),
            timeout: of("timeout"),
            output: of("output"),
            time_zone: of("time_zone"),
            token_file: of("token_file"),
            ca: of("ca"),
            cert: of("cert"),
            key: of("key"),
        }
    }
}
