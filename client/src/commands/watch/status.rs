//! `archctl watch status`: what the watcher does.

use order_archiver_api::v1::GetWatcherRequest;

use super::answer::show;
use crate::{connect::Session, exit::Exit, fault::Fault, output::say};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {}

const EXAMPLES: &str = "\
The exit code is 0 in every state; a script asks for the state itself.

Examples:
  archctl watch status
  archctl watch status --output json | jq -e '.state == \"WATCHER_STATE_WATCHING\"'";

pub(super) async fn run(session: &Session) -> Result<Exit, Fault> {
    let request = session.unary(GetWatcherRequest {});
    let answer = session.watcher().get_watcher(request).await?.into_inner();
    let paused = answer
        .watcher
        .as_ref()
        .is_some_and(|watcher| watcher.paused);
    let exit = show(session, answer.watcher)?;
    if paused {
        say("`archctl watch resume` lets it go on from its position.");
    }
    Ok(exit)
}
