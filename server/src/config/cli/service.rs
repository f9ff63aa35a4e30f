//! What `archd service` is asked to do: the grammar is the same on every system, the work is
//! Windows' alone.

use std::{
    ffi::OsString,
    path::{Path, PathBuf, absolute},
};

use clap::{Args, Subcommand, ValueEnum};

use super::{ENV_FILE, SETTINGS, Values};

/// What is done with the service.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ServiceAction {
    /// Make the service, with the settings given here, and have it start with the machine
    Install(InstallArgs),
    /// Run as the service: for the service manager alone
    Run(RunArgs),
    /// Stop the service and take it away; the log, the settings and the database stay
    Uninstall(UninstallArgs),
}

/// What service is made.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct InstallArgs {
    /// What it is, and what it will do
    #[command(flatten)]
    pub service: RunArgs,
    /// How the service manager is to start it: the arguments behind the program.
    #[arg(skip)]
    pub launch: Vec<OsString>,
}

/// What the service is called, and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct RunArgs {
    /// The name of the service
    #[arg(long, value_name = "NAME", default_value = DEFAULT_NAME, value_parser = name)]
    pub name: String,

    /// What it does: all that `archd serve` does, or only what `archd watch` does
    #[arg(long, value_name = "ROLE", default_value = "serve")]
    pub role: ServiceRole,
}

/// Which service is taken away.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct UninstallArgs {
    /// The name of the service
    #[arg(long, value_name = "NAME", default_value = DEFAULT_NAME, value_parser = name)]
    pub name: String,
}

/// What a service does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ServiceRole {
    /// What `archd serve` does.
    Serve,
    /// What `archd watch` does.
    Watch,
}

const DEFAULT_NAME: &str = "archd";
/// The longest name of a service, in characters (`CreateService`).
const MOST_NAME: usize = 256;

pub(super) const EXAMPLES: &str = r"Examples:
  archd service install --env-file C:\ProgramData\archd\archd.env
  archd service install --name archd-watch --role watch --env-file C:\ProgramData\archd\archd.env
  archd service uninstall";

impl RunArgs {
    /// The log's file of a service that is given none: one has no terminal. None where the system
    /// does not say where programs keep their data.
    pub(in crate::config) fn log_file(&self, environment: &Values) -> Option<PathBuf> {
        let data = environment.get("ProgramData")?;
        let data = Some(data).filter(|data| !data.is_empty())?;
        Some(
            Path::new(data)
                .join("archd")
                .join(format!("{}.log", self.name)),
        )
    }

    /// The arguments by which the service manager starts it, with the flags and the file of settings
    /// that are given now. The file's path is made whole: a service starts in a folder of the
    /// system.
    pub(super) fn launch(&self, flags: &Values, env_file: Option<&Path>) -> Vec<OsString> {
        let role = match self.role {
            ServiceRole::Serve => "serve",
            ServiceRole::Watch => "watch",
        };
        let mut launch: Vec<OsString> = ["service", "run", "--name", &self.name, "--role", role]
            .map(OsString::from)
            .to_vec();
        if let Some(path) = env_file {
            let whole = absolute(path).unwrap_or_else(|_| path.to_owned());
            launch.extend([format!("--{ENV_FILE}").into(), whole.into()]);
        }
        for setting in SETTINGS {
            if let (Some(flag), Some(value)) = (setting.flag, flags.get(setting.name)) {
                launch.push(format!("--{flag}={value}").into());
            }
        }
        launch
    }
}

fn name(value: &str) -> Result<String, String> {
    let bad = |c: char| r#"/\"%"#.contains(c) || c.is_control();
    let is_good = !value.trim().is_empty() && value.chars().count() <= MOST_NAME;
    match is_good && !value.contains(bad) {
        true => Ok(value.to_owned()),
        false => Err(format!(
            r#"give a name of at most {MOST_NAME} characters without / \ " and %"#
        )),
    }
}
