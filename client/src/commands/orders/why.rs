//! `archctl orders why`: where one order stands, why, and what to do.

use std::time::Duration;

use order_archiver_api::v1::ExplainOrderRequest;

use crate::{connect::Session, exit::Exit, fault::Fault, output::say_unreadable, render, values};

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The number of the order
    #[arg(value_name = "NUMERO")]
    number: String,

    /// Also look through the database's history for what happened to the order, the latest first
    #[arg(long)]
    history: bool,

    /// How long to look through it, on top of --timeout
    #[arg(long, value_name = "DURATION", default_value = "10s", requires = "history", value_parser = values::duration)]
    history_limit: Duration,
}

const EXAMPLES: &str = "\
Nothing is changed. Statuses, places and reasons are told, and no names, addresses or other values of the order. Exits with 0 whatever \
the answer is, and with 3 when nothing at all is known under the number.

Examples:
  archctl orders why CMD-2025-000001
  archctl orders why CMD-2025-000001 --history
  archctl orders why CMD-2025-000001 --output json | jq -r .conclusion";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let longer = match args.history {
        true => args.history_limit,
        false => Duration::ZERO,
    };
    let limit = args.history.then(|| values::to_proto(args.history_limit));
    let limit = limit.transpose();
    let limit = limit.map_err(|what| Fault::told(Exit::Usage, what, "60s is the most"))?;
    let request = ExplainOrderRequest {
        numero_commande: args.number,
        with_history: args.history,
        history_limit: limit,
    };
    let request = session.unary_for(request, longer);
    let answer = session.verification().explain_order(request).await?;
    let answer = answer.into_inner();
    session.output.one(&answer, render::explanation::card)?;
    answer.unreadable.iter().for_each(say_unreadable);
    Ok(Exit::Done)
}
