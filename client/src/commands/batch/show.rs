//! `archctl batch show`: one batch.

use order_archiver_api::v1::GetBatchRequest;

use crate::{connect::Session, exit::Exit, fault::Fault, render};

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The batch to show: its id, the first characters of it, or `latest`
    id: String,
}

const EXAMPLES: &str = "\
Examples:
  archctl batch show 019a2b3c
  archctl batch show latest --output json | jq .state";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let request = session.unary(GetBatchRequest { id: args.id });
    let answer = session.batch().get_batch(request).await?.into_inner();
    let batch = answer.batch.ok_or_else(|| Fault::left_out("batch"))?;
    session.output.one(&batch, render::batch::card)?;
    Ok(Exit::Done)
}
