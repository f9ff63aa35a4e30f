//! `archctl verify acknowledgements`: what somebody has looked into, and why it may stay.

use order_archiver_api::v1::ListAcknowledgementsRequest;

use crate::{connect::Session, exit::Exit, fault::Fault, pages, render};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The most acknowledgements to list
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

const EXAMPLES: &str = "\
Examples:
  archctl verify acknowledgements
  archctl verify acknowledgements --limit 1000 --output ndjson | jq -r .reason";

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Exit, Fault> {
    let mut client = session.verification();
    pages::print(
        session.output,
        args.limit,
        render::difference::acknowledgements,
        async |page_size, page_token| {
            let request = ListAcknowledgementsRequest {
                page_size,
                page_token,
            };
            let page = client
                .list_acknowledgements(session.unary(request))
                .await?
                .into_inner();
            Ok((page.acknowledgements, page.next_page_token))
        },
    )
    .await?;
    Ok(Exit::Done)
}
