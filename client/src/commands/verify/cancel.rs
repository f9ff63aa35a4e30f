//! `archctl verify cancel`: asking a verification to stop.

use order_archiver_api::v1::CancelVerificationRequest;

use crate::{connect::Session, exit::Exit, fault::Fault, render};

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The verification to stop: its id, the first characters of it, or `latest`
    id: String,
}

const EXAMPLES: &str = "\
Examples:
  archctl verify cancel 019a2b3c
  archctl verify cancel latest";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let request = session.unary(CancelVerificationRequest { id: args.id });
    let answer = session.verification().cancel_verification(request).await?;
    let verification = answer.into_inner().verification;
    let verification = verification.ok_or_else(|| Fault::left_out("verification"))?;
    session
        .output
        .one(&verification, render::verification::report)?;
    Ok(Exit::Done)
}
