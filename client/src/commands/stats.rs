//! `archctl stats`: the figures of the whole database.

use order_archiver_api::v1::GetStatsRequest;
use prost_types::Duration;

use crate::{connect::Session, exit::Exit, fault::Fault, render, values};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// How far back the window reaches, in whole minutes: from 1m to 31d
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = values::proto_duration)]
    window: Duration,

    /// Also look for statuses that are almost the delivered one; takes seconds for millions of
    /// orders
    #[arg(long)]
    near_misses: bool,
}

const EXAMPLES: &str = "\
Examples:
  archctl stats
  archctl stats --window 1h --near-misses
  archctl stats --output json | jq .quarantine_size";

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Exit, Fault> {
    let request = GetStatsRequest {
        window: Some(args.window),
        include_near_misses: args.near_misses,
        series_step: None,
    };
    let stats = session
        .stats()
        .get_stats(session.unary(request))
        .await?
        .into_inner();
    session.output.one(&stats, render::stats::statistics)?;
    Ok(Exit::Done)
}
