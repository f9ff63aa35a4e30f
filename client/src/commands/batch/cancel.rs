//! `archctl batch cancel`: asking a batch to stop.

use order_archiver_api::v1::CancelBatchRequest;

use crate::{connect::Session, exit::Exit, fault::Fault, render};

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The batch to stop: its id, the first characters of it, or `latest`
    id: String,
}

const EXAMPLES: &str = "\
Examples:
  archctl batch cancel 019a2b3c
  archctl batch cancel latest";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let request = session.unary(CancelBatchRequest { id: args.id });
    let answer = session.batch().cancel_batch(request).await?.into_inner();
    let batch = answer.batch.ok_or_else(|| Fault::left_out("batch"))?;
    session.output.one(&batch, render::batch::card)?;
    Ok(Exit::Done)
}
