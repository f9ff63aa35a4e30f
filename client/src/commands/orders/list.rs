//! `archctl orders list`: archived orders, filtered.

use order_archiver_api::v1::ListArchivedOrdersRequest;

use super::filter::Filter;
use crate::{connect::Session, exit::Exit, fault::Fault, pages, render};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    filter: Filter,

    /// Each order with its whole document, in the field `document_json`; only with --output json or
    /// ndjson
    #[arg(long)]
    with_documents: bool,

    /// The most orders to list
    #[arg(long, value_name = "ORDERS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

const EXAMPLES: &str = "\
Examples:
  archctl orders list
  archctl orders list --incomplete --from 2025-10-01 --to 2025-11-01
  archctl orders list --client 42 --ordered-from 2025-10-01
  archctl orders list --with-documents --output ndjson | jq '.document_json | fromjson'
  archctl orders list --prefix CMD-2025- --limit 100000 --output ndjson | jq -r .numero_commande";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    if args.with_documents && session.output.is_table() {
        return Err(Fault::told(
            Exit::Usage,
            "a table has no room for documents",
            "add --output json or --output ndjson; `archctl orders show` is a table for one order",
        ));
    }
    let filter = ListArchivedOrdersRequest {
        with_documents: args.with_documents,
        ..args.filter.into()
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
