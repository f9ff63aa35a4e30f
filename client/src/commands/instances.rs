//! `archctl instances`: the processes of archd that share the database.

use order_archiver_api::v1::ListInstancesRequest;

use crate::{
    connect::Session,
    exit::Exit,
    fault::Fault,
    output::{say, say_unreadable},
    render,
};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {}

const EXAMPLES: &str = "\
An instance that was killed counts as gone after its lease (ARCHD_LEASE), and is listed for a day.

Examples:
  archctl instances
  archctl instances --output json | jq -r '.[] | select(.watch_epoch) | .name'";

pub(crate) async fn run(session: &Session) -> Result<Exit, Fault> {
    let request = session.unary(ListInstancesRequest {});
    let answer = session.instance().list_instances(request).await?;
    let answer = answer.into_inner();
    session
        .output
        .all(&answer.instances, render::instance::table)?;
    answer.unreadable.iter().for_each(say_unreadable);
    if answer.more {
        say("There are more than these.");
    }
    Ok(Exit::Done)
}
