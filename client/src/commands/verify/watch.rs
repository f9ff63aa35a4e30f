//! `archctl verify watch`: following one verification until it ends.

use order_archiver_api::v1::Verification;

use super::job::exit_of;
use crate::{connect::Session, exit::Exit, fault::Fault, follow, render};

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The verification to follow: its id, the first characters of it, or `latest`
    id: String,
}

const EXAMPLES: &str = "\
Ctrl-C leaves the verification running and exits with 130. The exit code says how it ended: 0 when it says VERIFIED, 9 when it says \
NOT VERIFIED, 7 when it failed, 1 when it was cancelled.

Examples:
  archctl verify watch 019a2b3c
  archctl verify watch latest --output ndjson | jq .counts.verified";

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Exit, Fault> {
    let output = session.output;
    let ended = follow::to_the_end(session, &args.id, |verification: &Verification| {
        if output.is_ndjson() {
            output.line(verification, |_| String::new())
        } else {
            Ok(())
        }
    })
    .await?;
    let Some(verification) = ended else {
        return Ok(Exit::Interrupted);
    };
    if !output.is_ndjson() {
        output.one(&verification, render::verification::report)?;
    }
    Ok(exit_of(&verification))
}
