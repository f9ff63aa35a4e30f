//! `archctl verify acknowledge`: saying that the differences of an order may stay.

use clap::builder::NonEmptyStringValueParser;
use order_archiver_api::v1::AcknowledgeDifferenceRequest;

use crate::{connect::Session, exit::Exit, fault::Fault, render};

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The number of the order
    #[arg(value_name = "NUMERO")]
    number: String,

    /// Why its differences may stay
    #[arg(long, value_name = "TEXT", required = true, value_parser = NonEmptyStringValueParser::new())]
    reason: String,

    /// Who says so; the address of this machine unless given
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    by: String,
}

const EXAMPLES: &str = "\
From the next verification on they are counted apart and do not fail the verdict, as long as they are the same. Nothing is changed or \
deleted.

Examples:
  archctl verify acknowledge CMD-2025-000001 --reason 'mended by hand, ticket 4711'
  archctl verify acknowledge CMD-2025-000001 --reason 'legal hold' --by marie";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let request = session.unary(AcknowledgeDifferenceRequest {
        numero_commande: args.number,
        reason: args.reason,
        by: args.by,
    });
    let answer = session
        .verification()
        .acknowledge_difference(request)
        .await?;
    let acknowledgements = answer.into_inner().acknowledgements;
    session
        .output
        .all(&acknowledgements, render::difference::acknowledgements)?;
    Ok(Exit::Done)
}
