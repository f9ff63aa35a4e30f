//! `archctl batch start`: starting a batch, and waiting for it when asked to.

use order_archiver_api::v1::{BatchOptions, StartBatchRequest};
use prost_types::{Duration, Timestamp};

use super::job::exit_of;
use crate::{connect::Session, exit::Exit, fault::Fault, follow, output::say, render, values};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Stop after this many orders have been met
    #[arg(long, value_name = "ORDERS", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(1..))]
    limit: Option<i64>,

    /// Only orders dated before this: RFC 3339, or a date, which means midnight UTC
    #[arg(long, value_name = "TIME", value_parser = values::moment)]
    before: Option<Timestamp>,

    /// Stop after this long
    #[arg(long, value_name = "DURATION", value_parser = values::proto_duration)]
    max_runtime: Option<Duration>,

    /// Predict the figures and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Create the missing indexes that archiving is slow without
    #[arg(long, conflicts_with = "dry_run")]
    create_indexes: bool,

    /// Meet at most this many orders a second; `off` for no limit, whatever the server's setting
    #[arg(long, value_name = "ORDERS", allow_negative_numbers = true, value_parser = values::rate)]
    max_rate: Option<i32>,

    /// Wait while a secondary is further behind than this
    #[arg(long, value_name = "DURATION", value_parser = values::proto_duration)]
    max_lag: Option<Duration>,

    /// Slow down while the insert of a chunk takes longer than this
    #[arg(long, value_name = "DURATION", value_parser = values::proto_duration)]
    max_write_latency: Option<Duration>,

    /// Make a repeated command the same batch
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,

    /// Follow the batch until it ends; Ctrl-C leaves it running
    #[arg(long)]
    wait: bool,
}

const EXAMPLES: &str = "\
Limits that are not given are the server's; `archctl batch tune` changes them while the batch runs.
The exit code is 6 when a dry run is running already and this is to be none, or the other way round.

Examples:
  archctl batch start --wait
  archctl batch start --wait --dry-run
  archctl batch start --max-runtime 2h --max-rate 500 --max-lag 2s --max-write-latency 500ms
  archctl batch start --limit 10000 --before 2025-10-01
  archctl batch start --wait --request-id nightly-$(date +%F) --output json";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let request = StartBatchRequest {
        options: Some(BatchOptions {
            limit: args.limit.unwrap_or_default(),
            before: args.before,
            max_runtime: args.max_runtime,
            validate_only: args.dry_run,
            create_indexes: args.create_indexes,
            max_orders_per_second: args.max_rate,
            max_replication_lag: args.max_lag,
            max_write_latency: args.max_write_latency,
        }),
        request_id: args.request_id,
    };
    let mut started = session
        .batch()
        .start_batch(session.unary(request))
        .await?
        .into_inner();
    let batch = started
        .batch
        .as_ref()
        .ok_or_else(|| Fault::left_out("batch"))?;
    let is_dry_run = batch.options.is_some_and(|options| options.validate_only);
    // A dry run archives nothing, and a batch is no prediction: a script must not take one for the
    // other.
    let done = if started.already_running && is_dry_run != args.dry_run {
        Exit::Conflict
    } else {
        Exit::Done
    };
    if started.already_running {
        let kind = match (done, is_dry_run) {
            (Exit::Done, _) => "",
            (_, true) => " It is a dry run, which archives nothing: start again when it has ended.",
            (_, false) => {
                " It is no dry run, and archives what it meets: start again when it has ended."
            }
        };
        say(&format!(
            "Batch {} was there already; this is that one.{kind}",
            batch.id
        ));
    }
    if !args.wait {
        let card = render::batch::card(batch);
        let advice = format!("`archctl batch watch {}` follows it.", batch.id);
        session.output.one(&started, |_| card)?;
        say(&advice);
        return Ok(done);
    }
    let id = batch.id.clone();
    let Some(ended) = follow::to_the_end(session, &id, |_| Ok(())).await? else {
        return Ok(Exit::Interrupted);
    };
    let exit = match exit_of(&ended) {
        Exit::Done => done,
        other => other,
    };
    let text = render::batch::statistics(&ended);
    started.batch = Some(ended);
    session.output.one(&started, |_| text)?;
    Ok(exit)
}
