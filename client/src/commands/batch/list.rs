//! `archctl batch list`: the batches there were.

use clap::ValueEnum;
use order_archiver_api::v1::{BatchState, ListBatchesRequest};

use crate::{connect::Session, exit::Exit, fault::Fault, output::say_unreadable, pages, render};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only batches in this state; may be given more than once
    #[arg(long = "state", value_name = "STATE")]
    states: Vec<State>,

    /// The most batches to list
    #[arg(long, value_name = "BATCHES", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// The states of a batch, as people type them.
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
  archctl batch list
  archctl batch list --state failed --state cancelled --limit 5";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let states: Vec<i32> = args
        .states
        .into_iter()
        .map(|state| BatchState::from(state).into())
        .collect();
    let mut client = session.batch();
    pages::print(
        session.output,
        args.limit,
        render::batch::table,
        async |page_size, page_token| {
            let request = ListBatchesRequest {
                page_size,
                page_token,
                states: states.clone(),
            };
            let page = client
                .list_batches(session.unary(request))
                .await?
                .into_inner();
            page.unreadable.iter().for_each(say_unreadable);
            Ok((page.batches, page.next_page_token))
        },
    )
    .await?;
    Ok(Exit::Done)
}

impl From<State> for BatchState {
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
