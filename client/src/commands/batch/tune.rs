//! `archctl batch tune`: changing the limits of a batch while it runs.

use order_archiver_api::v1::TuneBatchRequest;
use prost_types::Duration;

use crate::{connect::Session, exit::Exit, fault::Fault, render, values};

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
#[group(skip)]
pub(crate) struct Args {
    /// The batch to change: its id, the first characters of it, or `latest`
    id: String,

    #[command(flatten)]
    limits: Limits,
}

/// What can be changed, at least one of it.
#[derive(clap::Args, Debug)]
#[group(required = true, multiple = true)]
struct Limits {
    /// Meet at most this many orders a second from now on; `off` for no limit
    #[arg(long, value_name = "ORDERS", allow_negative_numbers = true, value_parser = values::rate)]
    max_rate: Option<i32>,

    /// Wait from now on while a secondary is further behind than this
    #[arg(long, value_name = "DURATION", value_parser = values::proto_duration)]
    max_lag: Option<Duration>,

    /// Slow down from now on while the insert of a chunk takes longer than this
    #[arg(long, value_name = "DURATION", value_parser = values::proto_duration)]
    max_write_latency: Option<Duration>,
}

const EXAMPLES: &str = "\
Limits that are not given stay as they are.

Examples:
  archctl batch tune 019a2b3c --max-rate 500
  archctl batch tune latest --max-rate off --max-lag 2s --max-write-latency 500ms";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let request = session.unary(TuneBatchRequest {
        id: args.id,
        max_orders_per_second: args.limits.max_rate,
        max_replication_lag: args.limits.max_lag,
        max_write_latency: args.limits.max_write_latency,
    });
    let answer = session.batch().tune_batch(request).await?.into_inner();
    let batch = answer.batch.ok_or_else(|| Fault::left_out("batch"))?;
    session.output.one(&batch, render::batch::card)?;
    Ok(Exit::Done)
}
