//! `archctl orders show`: one archived order.

use order_archiver_api::v1::GetArchivedOrderRequest;

use crate::{connect::Session, exit::Exit, fault::Fault, render};

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The number of the order
    #[arg(value_name = "NUMERO")]
    number: String,
}

const EXAMPLES: &str = "\
Examples:
  archctl orders show CMD-2025-000001
  archctl orders show CMD-2025-000001 --output json | jq '.document_json | fromjson'";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let request = session.unary(GetArchivedOrderRequest {
        numero_commande: args.number,
    });
    let answer = session
        .archive()
        .get_archived_order(request)
        .await?
        .into_inner();
    let order = answer.order.ok_or_else(|| Fault::left_out("order"))?;
    session.output.one(&order, render::order::card)?;
    Ok(Exit::Done)
}
