//! `archctl quarantine retry`: trying quarantined orders again.

use order_archiver_api::v1::{RetryOutcome, RetryQuarantinedRequest};

use crate::{connect::Session, exit::Exit, fault::Fault, render};

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The entries to try again: their ids, or the first characters of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

const EXAMPLES: &str = "\
Exits with 1 when an order stays in quarantine.

Examples:
  archctl quarantine retry q65f0c3 q65f0c4
  archctl quarantine list --output ndjson | jq -r .id | xargs archctl quarantine retry";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let request = session.unary(RetryQuarantinedRequest { ids: args.ids });
    let results = session
        .quarantine()
        .retry_quarantined(request)
        .await?
        .into_inner()
        .results;
    session.output.all(&results, render::quarantine::retried)?;
    let left = |outcome| matches!(outcome, RetryOutcome::Archived | RetryOutcome::Duplicate);
    let all_left = results.iter().all(|result| left(result.outcome()));
    Ok(if all_left { Exit::Done } else { Exit::Failure })
}
