//! `archctl orders list`: archived orders, filtered.

use order_archiver_api::v1::ListArchivedOrdersRequest;
use prost_types::Timestamp;

use crate::{connect::Session, exit::Exit, fault::Fault, pages, render, values};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only orders archived at or after this: RFC 3339, or a date, which means midnight UTC
    #[arg(long, value_name = "TIME", value_parser = values::moment)]
    from: Option<Timestamp>,

    /// Only orders archived before this: RFC 3339, or a date, which means midnight UTC
    #[arg(long, value_name = "TIME", value_parser = values::moment)]
    to: Option<Timestamp>,

    /// Only orders with fields missing
    #[arg(long, conflicts_with = "complete")]
    incomplete: bool,

    /// Only orders with all their fields
    #[arg(long)]
    complete: bool,

    /// Only orders whose number begins with this
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    prefix: String,

    /// The most orders to list
    #[arg(long, value_name = "ORDERS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

const EXAMPLES: &str = "\
Examples:
  archctl orders list
  archctl orders list --incomplete --from 2025-10-01 --to 2025-11-01
  archctl orders list --prefix CMD-2025- --limit 100000 --output ndjson | jq -r .numero_commande";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let filter = ListArchivedOrdersRequest {
        archived_from: args.from,
        archived_to: args.to,
        incomplete: (args.incomplete || args.complete).then_some(args.incomplete),
        numero_prefix: args.prefix,
        ..ListArchivedOrdersRequest::default()
    };
    let mut client = session.archive();
    pages::print(
        session.output,
        args.limit,
        render::order::table,
        async |page_size, page_token| {
            let request = ListArchivedOrdersRequest {
                page_size,
                page_token,
                ..filter.clone()
            };
            let page = client
                .list_archived_orders(session.unary(request))
                .await?
                .into_inner();
            Ok((page.orders, page.next_page_token))
        },
    )
    .await?;
    Ok(Exit::Done)
}
