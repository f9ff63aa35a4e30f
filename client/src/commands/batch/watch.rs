//! `archctl batch watch`: following one batch until it ends.

use order_archiver_api::v1::Batch;

use super::job::exit_of;
use crate::{connect::Session, exit::Exit, fault::Fault, follow, render};

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The batch to follow: its id, the first characters of it, or `latest`
    id: String,
}

const EXAMPLES: &str = "\
Ctrl-C leaves the batch running and exits with 130. The exit code says how the batch ended: 0, 7 when it failed, 8 when its books \
did not balance, 1 when it was cancelled.

Examples:
  archctl batch watch 019a2b3c
  archctl batch watch latest --output ndjson | jq .counts.archived";

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Exit, Fault> {
    let output = session.output;
    let ended = follow::to_the_end(session, &args.id, |batch: &Batch| {
        if output.is_ndjson() {
            output.line(batch, |_| String::new())
        } else {
            Ok(())
        }
    })
    .await?;
    let Some(batch) = ended else {
        return Ok(Exit::Interrupted);
    };
    if !output.is_ndjson() {
        output.one(&batch, render::batch::statistics)?;
    }
    Ok(exit_of(&batch))
}
