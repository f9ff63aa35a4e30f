//! `archctl verify list`: the verifications there were.

use clap::ValueEnum;
use order_archiver_api::v1::{ListVerificationsRequest, VerificationState};

use crate::{connect::Session, exit::Exit, fault::Fault, output::say_unreadable, pages, render};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only verifications in this state; may be given more than once
    #[arg(long = "state", value_name = "STATE")]
    states: Vec<State>,

    /// The most verifications to list
    #[arg(long, value_name = "VERIFICATIONS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// The states of a verification, as people type them.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Pending,
    Running,
    Cancelling,
    Succeeded,
    Failed,
    Cancelled,
}

const EXAMPLES: &str = "\
Examples:
  archctl verify list
  archctl verify list --state succeeded --limit 5 --output ndjson | jq -r .verdict_text";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let states: Vec<i32> = args
        .states
        .into_iter()
        .map(|state| VerificationState::from(state).into())
        .collect();
    let mut client = session.verification();
    pages::print(
        session.output,
        args.limit,
        render::verification::table,
        async |page_size, page_token| {
            let request = ListVerificationsRequest {
                page_size,
                page_token,
                states: states.clone(),
            };
            let page = client
                .list_verifications(session.unary(request))
                .await?
                .into_inner();
            page.unreadable.iter().for_each(say_unreadable);
            Ok((page.verifications, page.next_page_token))
        },
    )
    .await?;
    Ok(Exit::Done)
}

impl From<State> for VerificationState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Running => Self::Running,
            State::Cancelling => Self::Cancelling,
            State::Succeeded => Self::Succeeded,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
        }
    }
}
