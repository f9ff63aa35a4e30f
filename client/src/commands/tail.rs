//! `archctl tail`: what happens, as it happens, across restarts of the server.

mod follow;
mod kind;
mod lost;
mod place;

use order_archiver_api::v1::tail_events_request::Start;
use prost_types::Timestamp;
use tonic::Code;

use self::{follow::Tail, kind::Kind, place::Place};
use crate::{
    connect::Session, exit::Exit, fault::Fault, interrupt::interrupted, output::say, values,
};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Start right after the event that carried this cursor
    #[arg(
        long,
        value_name = "CURSOR",
        allow_hyphen_values = true,
        conflicts_with = "since",
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    cursor: Option<String>,

    /// Start at a moment (RFC 3339, or a date, which means midnight UTC) or so long ago, such as
    /// 10m
    #[arg(long, value_name = "TIME|DURATION", value_parser = values::since)]
    since: Option<Timestamp>,

    /// Only events of this kind; may be given more than once
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<Kind>,

    /// Also show the heartbeats that say that nothing happened
    #[arg(long)]
    heartbeats: bool,

    /// Stop after this many events
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

const EXAMPLES: &str = "\
Ctrl-C ends it with exit code 0 and names the cursor to go on with. When the server goes away, tail says so and goes on \
from where it was as soon as the server is back, so that nothing is missed. On a terminal, lines are cut to its width; \
`--output wide` shows them whole.

Examples:
  archctl tail
  archctl tail --since 10m --kind conflict --kind quarantined
  archctl tail --output ndjson | jq --unbuffered -r 'select(.order) | .order.numero_commande'";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let start = args
        .cursor
        .map(Start::Cursor)
        .or(args.since.map(Start::SinceTime));
    let kinds = args.kinds.into_iter().map(Into::into).collect();
    let mut tail = Tail::new(session, Place::new(start), kinds, args.heartbeats);
    let end = tokio::select! {
        end = tail.follow(args.limit) => Some(end),
        () = interrupted() => None,
    };
    let resumable = match &end {
        None => true,
        // The server does not want this cursor, so nobody is to come back with it.
        Some(Err(Fault::Refused(status))) => status.code() != Code::InvalidArgument,
        Some(_) => false,
    };
    // In JSON, every event has shown its cursor.
    if resumable
        && session.output.is_table()
        && let Some(command) = tail.place().command()
    {
        say(&format!("`{command}` goes on from here."));
    }
    end.unwrap_or(Ok(()))?;
    Ok(Exit::Done)
}
