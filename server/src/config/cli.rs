//! The command line of `archd`: what it is asked to do, and the flags of its settings.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::{Arg, ArgMatches, Args, FromArgMatches, Subcommand, ValueEnum};

use super::{sources::Values, table::SETTINGS};

mod functions;
mod service;

pub use self::{
    functions::FunctionsArgs,
    service::{InstallArgs, RunArgs, ServiceAction, ServiceRole, UninstallArgs},
};

/// What `archd` is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Serve until told to stop.
    Serve,
    /// Run one batch.
    Batch(BatchArgs),
    /// Run one verification.
    Verify(VerifyArgs),
    /// Watch, and serve nobody.
    Watch,
    /// Say whether the database is as it must be.
    Check(CheckArgs),
    /// List the server's own documents that can't be read, and set them aside.
    State(StateArgs),
    /// Answer the calls of an Azure Functions host, a batch each.
    Functions(FunctionsArgs),
    /// Be a service of Windows, or make or take away one.
    Service(ServiceAction),
    /// Write the manual pages.
    Man(ManArgs),
}

/// What a batch is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct BatchArgs {
    /// Stop after this many orders have been met
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..=i64::MAX as u64))]
    pub limit: Option<u64>,

    /// Only orders whose date_commande is before this moment: RFC 3339, or YYYY-MM-DD for midnight
    /// UTC
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub before: Option<DateTime<Utc>>,

    /// Stop after this long, such as 90s or 2h
    #[arg(long, value_name = "TIME", value_parser = run_time)]
    pub max_runtime: Option<Duration>,

    /// Predict the statistics and write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Create the missing indexes that archiving is slow without, instead of only warning about
    /// them
    #[arg(long, conflicts_with = "dry_run")]
    pub create_indexes: bool,

    /// How long to wait for a database that is away
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "30s")]
    pub wait: Duration,

    /// How the statistics are printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
}

/// What a verification is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct VerifyArgs {
    /// Look only whether each order is archived, by the indexes: fast, and blind to what was altered
    #[arg(long, conflicts_with = "references")]
    pub presence: bool,

    /// Also tell where the archive has other names than today's references; that is no fault
    #[arg(long)]
    pub references: bool,

    /// Look only at what has changed since the latest verification that ended VERIFIED began
    #[arg(long)]
    pub changes: bool,

    /// How long after it was first seen a difference is read again before it counts, at most 1h
    #[arg(long, value_name = "TIME", value_parser = settle, default_value = "1m")]
    pub settle: Duration,

    /// How long to wait for a database that is away
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "30s")]
    pub wait: Duration,

    /// How the verdict is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
}

/// How a database is checked.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct CheckArgs {
    /// Check nothing and ask nobody: print the smallest role that the database user needs for what
    /// these settings have archd do, as the command for mongosh that makes it; where MONGODB_URI leads
    /// to MongoDB Atlas, as the command of Atlas' own command line
    #[arg(long, value_name = "DEPLOYMENT", num_args = 0..=1, require_equals = true, default_missing_value = "replica-set", conflicts_with = "wait")]
    pub create_role: Option<Deployment>,

    /// How long to wait for a database that is away
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "30s")]
    pub wait: Duration,

    /// How the verdicts are printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
}

/// How MongoDB is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Deployment {
    /// A replica set.
    ReplicaSet,
    /// A mongod alone, on which nothing watches.
    Standalone,
    /// A sharded cluster.
    Sharded,
}

/// What is done with documents that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct StateArgs {
    /// Set this document aside, by the name that it is listed under; may be repeated; all names
    /// every one that is listed but those of a newer archd
    #[arg(long, value_name = "DOCUMENT")]
    pub set_aside: Vec<String>,

    /// How long to wait for a database that is away
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "30s")]
    pub wait: Duration,

    /// How the documents are printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
}

/// Where manual pages are written.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct ManArgs {
    /// The folder that a page for each command is written into, over what is there
    pub folder: PathBuf,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// For machines: one JSON object.
    Json,
}

/// What the command line says.
#[derive(Clone, Debug)]
pub(super) struct CommandLine {
    pub(super) command: Command,
    pub(super) flags: Values,
    pub(super) env_file: Option<PathBuf>,
}

const SERVE: &str = "\
Examples:
  archd
  archd --schedule '30 1 * * *' --schedule-zone Europe/Paris
  archd serve --env-file production.env";

const BATCH: &str = "\
Examples:
  archd batch
  archd batch --dry-run --output json | jq .archived
  archd batch --max-runtime 2h --max-rate 500 --max-lag 2s";

const VERIFY: &str = "\
Examples:
  archd verify
  archd verify --changes --output json | jq -r .verdict_text
  archd verify --presence --verify-max-rate 0";

const WATCH: &str = "\
Examples:
  archd watch
  archd watch --env-file production.env";

const CHECK: &str = "\
Examples:
  archd check
  archd check --create-role
  archd check --output json | jq -r '.checks[] | select(.verdict != \"ok\") | .found'";

const STATE: &str = "\
Examples:
  archd state
  archd state --set-aside all";

/// The grammar of the command line.
pub fn cli() -> clap::Command {
    clap::Command::new("archd")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Archives delivered orders from MongoDB")
        .long_about(
            "Archives delivered orders from MongoDB: each is copied, with the names behind its ids, into a history \
             collection. Without a command, archd serves.",
        )
        .after_help(after_help())
        .after_long_help(format!("{SERVE}\n\n{}", after_help()))
        .max_term_width(100)
        .subcommand(
            clap::Command::new("serve")
                .about("Serve gRPC until told to stop (the default)")
                .long_about(
                    "Serves gRPC until told to stop. SIGINT (Ctrl-C) or SIGTERM lets work in flight end within \
                     --shutdown-grace; a second one ends the process at once.",
                )
                .after_long_help(SERVE),
        )
        .subcommand(
            BatchArgs::augment_args(clap::Command::new("batch"))
                .about("Archive what is delivered, print the statistics and leave")
                .long_about(
                    "Archives the delivered orders that the archive does not hold yet, prints the statistics on \
                     standard output and leaves: for cron, Kubernetes CronJobs and serverless timers. How gently it \
                     goes about it is up to --max-rate, --max-lag and --max-write-latency, below among the settings. \
                     A batch that is running already is followed if it does what is asked here, else waited for.",
                )
                .after_long_help(BATCH),
        )
        .subcommand(
            VerifyArgs::augment_args(clap::Command::new("verify"))
                .about("Say whether every delivered order is archived exactly once, unaltered, and leave")
                .long_about(
                    "Compares the delivered orders with the archive, prints the verdict on standard output and leaves, \
                     with 0 when that is VERIFIED and with 9 when it is NOT VERIFIED. Reads orders and archive only; \
                     a batch may run beside it. How gently it goes about it is up to --verify-max-rate and --max-lag, \
                     below among the settings. A verification that is running already is followed if it does what is \
                     asked here, else waited for. `archctl verify` lists the differences that it found, and repairs them.",
                )
                .after_long_help(VERIFY),
        )
        .subcommand(
            clap::Command::new("watch")
                .about("Archive orders at the moment they are delivered, until told to stop")
                .long_about(
                    "Watches the orders and archives each at the moment it is delivered, without serving gRPC: for a \
                     deployment that keeps the watcher apart from the services. Needs a replica set. While another \
                     instance watches the same database, this one is on standby.",
                )
                .after_long_help(WATCH),
        )
        .subcommand(
            CheckArgs::augment_args(clap::Command::new("check"))
                .about("Say whether archd can do its work on this database, and what mends what is wrong")
                .long_about(
                    "Looks at the connection, the replica set, the privileges, the collections, the indexes, the \
                     history and the clocks, writes nothing to the database, and prints a verdict a line on standard \
                     output, each with what mends it. Ends with 0 when nothing failed, with 5 when something did, and \
                     with 4 when the database can't be reached within --wait. Reads the same settings as serve.",
                )
                .after_long_help(CHECK),
        )
        .subcommand(
            StateArgs::augment_args(clap::Command::new("state"))
                .about("List archd's own documents that can't be read, and set them aside")
                .long_about(
                    "Reads all of archd's own documents (batches, verifications, counters, the watcher, the quarantine) and lists those \
                     that it can't work with, a line each: which field is wrong, or that a newer archd wrote the document. \
                     With --set-aside a document at fault is moved to the collection archd_set_aside (under the prefix of \
                     --collection-prefix), whole and with the reason, so that work goes on without it; those of a newer \
                     archd are never moved. Without the watcher's document the watch begins anew, with a batch that catches \
                     up; a batch that was under way ends, and the next one takes up the rest; counters begin at zero. \
                     Nothing that is archived is touched. Ends with 0 when nothing is left that can't be read, with 5 when \
                     something is, and with 4 when the database can't be reached within --wait.",
                )
                .after_long_help(STATE),
        )
        .subcommand(
            FunctionsArgs::augment_args(clap::Command::new("functions"))
                .about("Answer the timer of Azure Functions as its custom handler, one batch a call")
                .long_about(
                    "Is the custom handler of an Azure Functions app: asked by the host at \
                     127.0.0.1:$FUNCTIONS_CUSTOMHANDLER_PORT, and by nobody else. GET / says that it is ready. Each call \
                     of a function runs one batch, as archd batch does, and is answered with its statistics as log lines \
                     once it has ended; a batch that is running already is followed if it does what is asked here, else \
                     waited for. Where archd batch would end with another code than 0, the answer is 500 and the \
                     invocation counts as failed. SIGINT (Ctrl-C) or SIGTERM cancels the batch.",
                )
                .after_long_help(functions::EXAMPLES),
        )
        .subcommand(
            ServiceAction::augment_subcommands(clap::Command::new("service"))
                .about("Make archd a service of Windows, or take it away")
                .long_about(
                    "Makes archd a service of Windows, which starts with the machine, is stopped in good order within \
                     --shutdown-delay and --shutdown-grace, and is started again when it fails. It runs under an account of its own, \
                     NT SERVICE\\<name>, with the settings in --env-file and the flags that are given here. What it logs \
                     is in %ProgramData%\\archd\\<name>.log unless --log-file says otherwise.",
                )
                .after_long_help(service::EXAMPLES)
                .subcommand_required(true)
                .hide(cfg!(not(windows))),
        )
        .subcommand(
            ManArgs::augment_args(clap::Command::new("man"))
                .about("Write the manual pages into a folder, for packages")
                .hide(true),
        )
        .arg(
            Arg::new(ENV_FILE)
                .long("env-file")
                .value_name("PATH")
                .value_parser(clap::value_parser!(PathBuf))
                .global(true)
                .help_heading(HEADING)
                .help("The file of settings to read in place of .env in the working directory."),
        )
        .args(SETTINGS.iter().filter_map(|setting| {
            let mut help = format!("{} [env: {}]", setting.sentence(), setting.name);
            if !setting.default.is_empty() {
                help.push_str(&format!(" [default: {}]", setting.default));
            }
            Some(
                Arg::new(setting.name)
                    .long(setting.flag?)
                    .value_name(setting.form.placeholder())
                    // Refused in its place, by name.
                    .allow_negative_numbers(true)
                    .global(true)
                    .help_heading(HEADING)
                    .help(help),
            )
        }))
}

/// Reads the command line, its first item the name of the program.
pub(super) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<CommandLine, clap::Error> {
    let matches = cli().try_get_matches_from(arguments)?;
    let (mut command, matches) = match matches.subcommand() {
        Some(("batch", batch)) => (Command::Batch(BatchArgs::from_arg_matches(batch)?), batch),
        Some(("verify", verify)) => (
            Command::Verify(VerifyArgs::from_arg_matches(verify)?),
            verify,
        ),
        Some(("check", check)) => (Command::Check(CheckArgs::from_arg_matches(check)?), check),
        Some(("state", state)) => (Command::State(StateArgs::from_arg_matches(state)?), state),
        Some(("watch", watch)) => (Command::Watch, watch),
        Some(("functions", functions)) => (
            Command::Functions(FunctionsArgs::from_arg_matches(functions)?),
            functions,
        ),
        Some(("service", service)) => (
            Command::Service(ServiceAction::from_arg_matches(service)?),
            // Flags may stand at the end of the line.
            service.subcommand().map_or(service, |(_, action)| action),
        ),
        Some(("man", man)) => (Command::Man(ManArgs::from_arg_matches(man)?), man),
        Some((_, serve)) => (Command::Serve, serve),
        None => (Command::Serve, &matches),
    };
    let flags = flags(matches);
    let env_file = matches.get_one::<PathBuf>(ENV_FILE).cloned();
    if let Command::Service(ServiceAction::Install(install)) = &mut command {
        install.launch = install.service.launch(&flags, env_file.as_deref());
    }
    Ok(CommandLine {
        command,
        flags,
        env_file,
    })
}

/// Settings are taken as they are typed: they are checked together with those of the other sources.
fn flags(matches: &ArgMatches) -> Values {
    SETTINGS
        .iter()
        .filter(|setting| setting.flag.is_some())
        .filter_map(|setting| {
            let value = matches.get_one::<String>(setting.name)?;
            Some((setting.name.to_owned(), value.clone()))
        })
        .collect()
}

fn moment(value: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(date) = value.parse::<NaiveDate>() {
        return Ok(date.and_time(NaiveTime::MIN).and_utc());
    }
    DateTime::parse_from_rfc3339(value)
        .map(|moment| moment.to_utc())
        .map_err(|_| "give 2025-10-16 or 2025-10-16T02:00:00Z".to_owned())
}

fn run_time(value: &str) -> Result<Duration, String> {
    humantime::parse_duration(value)
        .ok()
        .filter(|time| *time >= Duration::from_millis(1))
        .ok_or_else(|| "give a time of at least 1ms with its unit, such as 90s or 2h".to_owned())
}

fn settle(value: &str) -> Result<Duration, String> {
    humantime::parse_duration(value)
        .ok()
        .filter(|time| *time <= Duration::from_secs(60 * 60))
        .ok_or_else(|| {
            "give a time of at most 1h with its unit, such as 30s or 1m; 0s reads again at once"
                .to_owned()
        })
}

fn after_help() -> String {
    let mut text = String::from(
        "A flag wins over the environment, the environment over the .env file, and that over the default. An empty value \
         counts as none.\n\nSettings without a flag, because everyone on a machine can read the arguments of its processes:\n",
    );
    for setting in SETTINGS.iter().filter(|setting| setting.flag.is_none()) {
        text.push_str(&format!(
            "  {}\n          {}\n          Or {0}_FILE, the path of a file that holds it.\n          [default: {}]\n",
            setting.name,
            setting.sentence(),
            setting.default,
        ));
    }
    text.push_str(
        "\nExit codes:\n  0    done\n  1    failure\n  2    bad settings or usage\n  3    the batch or verification ended FAILED\n  \
         4    the database is unavailable\n  5    a check failed\n  8    the books of the batch did not balance\n  9    the verification says NOT VERIFIED\n  130  the batch or verification was cancelled, by whomever, or left before its end; or a second signal",
    );
    text
}

const ENV_FILE: &str = "env-file";
const HEADING: &str = "Settings";
