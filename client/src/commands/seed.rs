//! `archctl seed`: believable orders for demos, tests and dry runs.

use order_archiver_api::v1::{SeedDataRequest, SeedDataResponse, SeedPhase};
use prost_types::{Duration, Timestamp};

use crate::{
    connect::Session, exit::Exit, fault::Fault, interrupt::interrupted, output::say,
    progress::SeedProgress, render, values,
};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Chooses the data: the same seed, numbers and --until give the same bytes [default: 42]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    seed: Option<i64>,

    /// How many orders to write [default: 10000]
    #[arg(long, value_name = "ORDERS")]
    orders: Option<i64>,

    /// The share of orders with a reference to nobody, from 0 to 1 [default: 0.02]
    #[arg(long, value_name = "SHARE")]
    dangling_share: Option<f64>,

    /// The newest order's date: RFC 3339, or a date, which means midnight UTC [default:
    /// 2025-11-29T19:30:00Z]
    #[arg(long, value_name = "TIME", value_parser = values::moment)]
    until: Option<Timestamp>,

    /// How many months back the orders reach
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..=120))]
    months: i32,

    /// Write beside data that is there
    #[arg(long)]
    append: bool,

    /// Then go on with this many new orders a minute, until Ctrl-C
    #[arg(long, value_name = "PER_MINUTE", value_parser = clap::value_parser!(i32).range(1..))]
    live: Option<i32>,

    /// How long a live order takes from `en_attente` to its end [default: 60s]
    #[arg(long, value_name = "DURATION", requires = "live", value_parser = values::proto_duration)]
    live_lifetime: Option<Duration>,
}

const EXAMPLES: &str = "\
Only a server that runs as a simulation does this; a server in production refuses.

Examples:
  archctl seed
  archctl seed --orders 20000 --seed 7 --months 12
  archctl seed --append --orders 0 --live 120 --live-lifetime 30s";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let request = SeedDataRequest {
        seed: args.seed,
        orders: args.orders,
        dangling_share: args.dangling_share,
        until_time: args.until,
        months: args.months,
        append: args.append,
        live_orders_per_minute: args.live.unwrap_or_default(),
        live_order_lifetime: args.live_lifetime,
    };
    let mut last = None;
    let end = tokio::select! {
        end = listen(session, request, &mut last) => Some(end),
        () = interrupted() => None,
    };
    if let Some(end) = end {
        end?;
    }
    // The phase tells an end from an interruption: live orders go on until somebody ends them.
    let Some(seeded) = last.filter(|seeded| seeded.phase() != SeedPhase::Writing) else {
        say("The seeding was interrupted; what is written stays, and --append writes beside it.");
        return Ok(Exit::Interrupted);
    };
    if !session.output.is_ndjson() {
        session.output.one(&seeded, render::seed::table)?;
    }
    Ok(Exit::Done)
}

/// Shows each message and keeps the last one.
async fn listen(
    session: &Session,
    request: SeedDataRequest,
    last: &mut Option<SeedDataResponse>,
) -> Result<(), Fault> {
    let mut messages = session.seed().seed_data(request).await?.into_inner();
    let mut progress = SeedProgress::new();
    while let Some(seeded) = messages.message().await? {
        progress.show(&seeded);
        if session.output.is_ndjson() {
            session.output.line(&seeded, |_| String::new())?;
        }
        *last = Some(seeded);
    }
    Ok(())
}
