//! `archctl verify show`: one verification.

use order_archiver_api::v1::GetVerificationRequest;

use crate::{connect::Session, exit::Exit, fault::Fault, render};

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The verification to show: its id, the first characters of it, or `latest`
    id: String,
}

const EXAMPLES: &str = "\
Examples:
  archctl verify show 019a2b3c
  archctl verify show latest --output json | jq .counts";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let request = session.unary(GetVerificationRequest { id: args.id });
    let answer = session.verification().get_verification(request).await?;
    let verification = answer.into_inner().verification;
    let verification = verification.ok_or_else(|| Fault::left_out("verification"))?;
    session
        .output
        .one(&verification, render::verification::report)?;
    Ok(Exit::Done)
}
