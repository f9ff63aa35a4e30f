//! `archctl status`: whether all is well, for scripts and for people in a hurry.

use clap::ValueEnum;
use order_archiver_api::{
    problems::{self, Problem, problems},
    v1::GetStatsRequest,
};
use serde_json::{Value, json};

use crate::{connect::Session, exit::Exit, fault::Fault, output::say, render};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Leave problems of this kind to others; may be given more than once
    #[arg(long, value_name = "KIND")]
    ignore: Vec<Kind>,
}

const EXAMPLES: &str = "\
Standard output has one line: `ok: …` with exit code 0, or `not ok: …` with 11 and what is wrong. What mends it is told on \
standard error. Exit code 4 says that archd, or its database, did not answer.

Examples:
  archctl status
  archctl status --ignore quarantine --ignore verification
  archctl status --output json | jq -r '.problems[].text'";

/// What a problem is about.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// The database user lacks a privilege that something stands still without
    Privilege,
    /// Nobody archives orders as they are delivered: the watcher is paused, stopped or at fault
    Watcher,
    /// The watcher is more than 30 s behind
    Lag,
    /// A part of the history was not read, and no batch has made up for it yet
    Gap,
    /// The latest batch failed
    Batch,
    /// Orders are in quarantine
    Quarantine,
    /// Orders of the last 24 h were deleted before they could be archived
    Gone,
    /// The latest verification says NOT VERIFIED, failed, or is more than two days old
    Verification,
    /// A document of archd's own can't be read
    State,
}

impl From<Kind> for problems::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Privilege => Self::Privilege,
            Kind::Watcher => Self::Watcher,
            Kind::Lag => Self::Lag,
            Kind::Gap => Self::Gap,
            Kind::Batch => Self::Batch,
            Kind::Quarantine => Self::Quarantine,
            Kind::Gone => Self::Gone,
            Kind::Verification => Self::Verification,
            Kind::State => Self::State,
        }
    }
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Exit, Fault> {
    let request = session.unary(GetStatsRequest::default());
    let stats = session.stats().get_stats(request).await?.into_inner();
    let ignored: Vec<problems::Kind> = args.ignore.iter().map(|kind| (*kind).into()).collect();
    let mut found = problems(&stats);
    found.retain(|problem| !ignored.contains(&problem.kind));
    if session.output.is_table() {
        let columns = session.output.columns_of_line();
        session
            .output
            .text(&render::status::line(&stats, &found, columns))?;
        found.iter().for_each(|problem| say(&mend(problem)));
    } else {
        session.output.value(&json!({
            "ok": found.is_empty(),
            "problems": found.iter().map(as_json).collect::<Value>(),
        }))?;
    }
    Ok(match found.is_empty() {
        true => Exit::Done,
        false => Exit::Problem,
    })
}

fn mend(problem: &Problem) -> String {
    format!("{}: {}", problem.kind.name(), problem.remedy)
}

fn as_json(problem: &Problem) -> Value {
    json!({ "kind": problem.kind.name(), "text": problem.text, "remedy": problem.remedy })
}
