//! `archctl batch start`: starting a batch, and waiting for it when asked to.

use order_archiver_api::v1::{BatchOptions, StartBatchRequest};
use prost_types::Timestamp;

use super::{follow, verdict};
use crate::{
    commands::left_out, connect::Session, exit::Exit, fault::Fault, output::say, render, values,
};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Stop after this many orders have been met
    #[arg(long, value_name = "ORDERS", value_parser = clap::value_parser!(i64).range(1..))]
    limit: Option<i64>,

    /// Only orders dated before this: RFC 3339, or a date, which means midnight UTC
    #[arg(long, value_name = "TIME", value_parser = values::moment)]
    before: Option<Timestamp>,

    /// Create the indexes on the four foreign keys when they are missing
    #[arg(long)]
    create_indexes: bool,

    /// Make a repeated command the same batch
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,

    /// Follow the batch until it ends; Ctrl-C leaves it running
    #[arg(long)]
    wait: bool,
}

const EXAMPLES: &str = "\
Examples:
  archctl batch start --wait
  archctl batch start --limit 10000 --before 2025-10-01
  archctl batch start --wait --request-id nightly-$(date +%F) --output json";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let request = StartBatchRequest {
        options: Some(BatchOptions {
            limit: args.limit.unwrap_or_default(),
            before: args.before,
            create_indexes: args.create_indexes,
            ..BatchOptions::default()
        }),
        request_id: args.request_id,
    };
    let mut started = session
        .batch()
        .start_batch(session.unary(request))
        .await?
        .into_inner();
    let batch = started.batch.as_ref().ok_or_else(|| left_out("batch"))?;
    if started.already_running {
        say(&format!(
            "Batch {} was there already; this is that one.",
            batch.id
        ));
    }
    if !args.wait {
        let card = render::batch::card(batch);
        let advice = format!("`archctl batch watch {}` follows it.", batch.id);
        session.output.one(&started, |_| card)?;
        say(&advice);
        return Ok(Exit::Done);
    }
    let id = batch.id.clone();
    let Some(ended) = follow::to_the_end(session, &id, |_| Ok(())).await? else {
        return Ok(Exit::Interrupted);
    };
    let (exit, text) = (verdict(&ended), render::batch::statistics(&ended));
    started.batch = Some(ended);
    session.output.one(&started, |_| text)?;
    Ok(exit)
}
