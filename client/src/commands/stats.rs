//! `archctl stats`: the figures of the whole database.

use order_archiver_api::v1::{GetStatsRequest, GetStatsResponse};
use prost_types::Duration;
use tokio::time::sleep;

use crate::{
    connect::Session, exit::Exit, fault::Fault, interrupt::interrupted, reconnect::Reconnect,
    render, repaint::Repaint, values,
};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// How far back the window reaches, in whole minutes: from 1m to 31d
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = values::proto_duration)]
    window: Duration,

    /// Also look for statuses that are almost the delivered one; takes seconds for millions of
    /// orders
    #[arg(long)]
    near_misses: bool,

    /// Show them again and again until Ctrl-C, so long after each answer [default: 2s]
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2s",
        hide_default_value = true,
        value_parser = values::duration,
    )]
    watch: Option<std::time::Duration>,
}

const EXAMPLES: &str = "\
On a terminal --watch shows them in one place, else one after the other; in JSON, one compact object per line. It goes on \
when the server has been away.

Examples:
  archctl stats
  archctl stats --window 1h --near-misses
  archctl stats --window 1h --watch=5s
  archctl stats --output json | jq .quarantine_size";

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Exit, Fault> {
    let Some(pause) = args.watch else {
        let stats = read(session, args).await?;
        session.output.one(&stats, render::stats::statistics)?;
        return Ok(Exit::Done);
    };
    tokio::select! {
        end = watch(session, args, pause) => end?,
        () = interrupted() => {}
    }
    Ok(Exit::Done)
}

/// Shows them until a fault that does not pass.
async fn watch(session: &Session, args: &Args, pause: std::time::Duration) -> Result<(), Fault> {
    let mut reconnect = Reconnect::endless();
    let mut repaint = Repaint::default();
    loop {
        match read(session, args).await {
            Ok(stats) => {
                if reconnect.opened("") {
                    // Something was said below what is shown.
                    repaint = Repaint::default();
                }
                repaint.show(session.output, &stats, render::stats::statistics)?;
                sleep(pause).await;
            }
            Err(Fault::Refused(status)) => reconnect.lost(*status).await?,
            Err(fault) => return Err(fault),
        }
    }
}

async fn read(session: &Session, args: &Args) -> Result<GetStatsResponse, Fault> {
    let request = GetStatsRequest {
        window: Some(args.window),
        include_near_misses: args.near_misses,
        series_step: None,
    };
    let answer = session.stats().get_stats(session.unary(request)).await?;
    Ok(answer.into_inner())
}
