//! `archctl quarantine list`: quarantined orders, filtered.

use clap::ValueEnum;
use order_archiver_api::v1::{ListQuarantinedRequest, QuarantineReason};

use crate::{connect::Session, exit::Exit, fault::Fault, output::say_unreadable, pages, render};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only orders with this reason; may be given more than once
    #[arg(long = "reason", value_name = "REASON")]
    reasons: Vec<Reason>,

    /// The most orders to list
    #[arg(long, value_name = "ORDERS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

/// Why an order can't be archived, as people type it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Reason {
    /// Its number is missing, empty or no text
    NoUsableNumber,
    /// Its number is that of another archived order
    NumberConflict,
    /// It would exceed 16 MiB
    TooLarge,
    /// The database refused it
    Refused,
}

const EXAMPLES: &str = "\
Examples:
  archctl quarantine list
  archctl quarantine list --reason number-conflict
  archctl quarantine list --limit 1000 --output ndjson | jq -r .id";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let reasons: Vec<i32> = args
        .reasons
        .into_iter()
        .map(|reason| QuarantineReason::from(reason).into())
        .collect();
    let mut client = session.quarantine();
    pages::print(
        session.output,
        args.limit,
        render::quarantine::table,
        async |page_size, page_token| {
            let request = ListQuarantinedRequest {
                page_size,
                page_token,
                reasons: reasons.clone(),
                ..ListQuarantinedRequest::default()
            };
            let page = client
                .list_quarantined(session.unary(request))
                .await?
                .into_inner();
            page.unreadable.iter().for_each(say_unreadable);
            Ok((page.entries, page.next_page_token))
        },
    )
    .await?;
    Ok(Exit::Done)
}

impl From<Reason> for QuarantineReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::NoUsableNumber => Self::NoUsableNumber,
            Reason::NumberConflict => Self::NumberConflict,
            Reason::TooLarge => Self::TooLarge,
            Reason::Refused => Self::Refused,
        }
    }
}
