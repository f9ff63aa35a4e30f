//! `archctl quarantine show`: one quarantined order.

use order_archiver_api::v1::ListQuarantinedRequest;

use crate::{connect::Session, exit::Exit, fault::Fault, render};

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The entry: its id, or the first characters of it
    // The server reads an empty id as "every entry".
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: String,
}

const EXAMPLES: &str = "\
Examples:
  archctl quarantine show q65f0c3
  archctl quarantine show q65f0c3 --output json | jq '.document_json | fromjson'";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let request = ListQuarantinedRequest {
        page_size: 1,
        id: args.id.clone(),
        with_documents: true,
        ..ListQuarantinedRequest::default()
    };
    let page = session
        .quarantine()
        .list_quarantined(session.unary(request))
        .await?
        .into_inner();
    let entry = page.entries.into_iter().next().ok_or_else(|| {
        Fault::told(
            Exit::NotFound,
            format!("no quarantined order has the id {}", args.id),
            "`archctl quarantine list` shows the ids; what was archived since has left",
        )
    })?;
    session.output.one(&entry, render::quarantine::card)?;
    Ok(Exit::Done)
}
