//! `archctl watch pause`: pausing the watcher.

use order_archiver_api::v1::PauseWatcherRequest;

use super::answer::show;
use crate::{connect::Session, exit::Exit, fault::Fault, output::say};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {}

const EXAMPLES: &str = "\
Examples:
  archctl watch pause";

pub(super) async fn run(session: &Session) -> Result<Exit, Fault> {
    let request = session.unary(PauseWatcherRequest {});
    let answer = session.watcher().pause_watcher(request).await?.into_inner();
    let exit = show(session, answer.watcher)?;
    say("`archctl watch resume` lets it go on from here.");
    Ok(exit)
}
