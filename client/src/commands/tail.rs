//! `archctl tail`: what happens, as it happens, across restarts of the server.

use clap::ValueEnum;
use order_archiver_api::v1::{EventKind, TailEventsRequest};
use tonic::Status;

use super::interrupted;
use crate::{connect::Session, exit::Exit, fault::Fault, reconnect::Reconnect, render};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
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

/// The kinds of events that are sent today, as people type them.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// An order was archived with all its fields
    Archived,
    /// An order was archived with fields missing
    Incomplete,
    /// An order has the number of another archived order
    Conflict,
    /// An order went to quarantine for another reason
    Quarantined,
    /// A batch began
    BatchStarted,
    /// A batch saved its progress
    BatchProgress,
    /// A batch ended
    BatchFinished,
}

const EXAMPLES: &str = "\
Ctrl-C ends it with exit code 0. When the server goes away, tail says so and goes on as soon as it is back.

Examples:
  archctl tail
  archctl tail --kind conflict --kind quarantined
  archctl tail --output ndjson | jq -r 'select(.order) | .order.numero_commande'";

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Exit, Fault> {
    tokio::select! {
        end = persist(session, args) => end?,
        () = interrupted() => {}
    }
    Ok(Exit::Done)
}

async fn persist(session: &Session, args: &Args) -> Result<(), Fault> {
    let mut reconnect = Reconnect::endless();
    let mut left = args.limit;
    loop {
        match listen(session, args, &mut reconnect, &mut left).await {
            Err(Fault::Refused(status)) => reconnect.lost(*status).await?,
            end => return end,
        }
    }
}

/// Prints events until `left` of them were printed.
async fn listen(
    session: &Session,
    args: &Args,
    reconnect: &mut Reconnect,
    left: &mut Option<u64>,
) -> Result<(), Fault> {
    let kinds = args
        .kinds
        .iter()
        .map(|&kind| EventKind::from(kind).into())
        .collect();
    let request = TailEventsRequest {
        kinds,
        ..TailEventsRequest::default()
    };
    let mut events = session.events().tail_events(request).await?.into_inner();
    reconnect.opened("; events of the meantime are not shown");
    while let Some(event) = events.message().await? {
        if event.kind() == EventKind::Heartbeat && !args.heartbeats {
            continue;
        }
        session.output.line(&event, render::event::line)?;
        if let Some(left) = left {
            *left -= 1;
            if *left == 0 {
                return Ok(());
            }
        }
    }
    // A tail has no end of its own: a server that stops may end it without a word.
    Err(Status::unavailable("the server ended the stream").into())
}

impl From<Kind> for EventKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Archived => Self::Archived,
            Kind::Incomplete => Self::Incomplete,
            Kind::Conflict => Self::Conflict,
            Kind::Quarantined => Self::Quarantined,
            Kind::BatchStarted => Self::BatchStarted,
            Kind::BatchProgress => Self::BatchProgress,
            Kind::BatchFinished => Self::BatchFinished,
        }
    }
}
