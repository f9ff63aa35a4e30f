//! `archctl watch resume`: letting the watcher go on.

use order_archiver_api::v1::ResumeWatcherRequest;

use super::answer::show;
use crate::{connect::Session, exit::Exit, fault::Fault};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {}

const EXAMPLES: &str = "\
What was delivered during the pause is archived, too.

Examples:
  archctl watch resume
  archctl watch resume && archctl tail --since 1m --kind watcher-state --limit 1";

pub(super) async fn run(session: &Session) -> Result<Exit, Fault> {
    let request = session.unary(ResumeWatcherRequest {});
    let answer = session
        .watcher()
        .resume_watcher(request)
        .await?
        .into_inner();
    show(session, answer.watcher)
}
