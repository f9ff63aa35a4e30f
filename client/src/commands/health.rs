//! `archctl health`: whether archd can do its work, by the health service of gRPC.

use std::time::Duration;

use clap::ValueEnum;
use order_archiver_api::v1;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};

use crate::{connect::Session, exit::Exit, fault::Fault, output::say, render, values};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Ask about this service alone; by default about archd as a whole
    service: Option<Service>,

    /// Wait until it serves, so long at most
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    wait: Option<Duration>,
}

const EXAMPLES: &str = "\
It serves with exit code 0. It does not with 11, as while the database is away: `archctl status` says what is wrong. Nobody \
answers with 4.

Examples:
  archctl health
  archctl health --wait 1m && archctl batch start
  archctl health watcher --output json | jq -r .status";

/// A service of archd, by its resource.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Service {
    Archive,
    Batch,
    Event,
    Instance,
    Quarantine,
    Seed,
    Stats,
    Verification,
    Watcher,
}

impl Service {
    /// Its name in the contract.
    fn name(self) -> &'static str {
        match self {
            Self::Archive => v1::archive_service_server::SERVICE_NAME,
            Self::Batch => v1::batch_service_server::SERVICE_NAME,
            Self::Event => v1::event_service_server::SERVICE_NAME,
            Self::Instance => v1::instance_service_server::SERVICE_NAME,
            Self::Quarantine => v1::quarantine_service_server::SERVICE_NAME,
            Self::Seed => v1::seed_service_server::SERVICE_NAME,
            Self::Stats => v1::stats_service_server::SERVICE_NAME,
            Self::Verification => v1::verification_service_server::SERVICE_NAME,
            Self::Watcher => v1::watcher_service_server::SERVICE_NAME,
        }
    }
}

pub(crate) async fn run(session: &Session, args: &Args) -> Result<Exit, Fault> {
    // No name stands for the server as a whole.
    let service = args.service.map_or("", Service::name);
    let status = wait(session, service, args.wait.unwrap_or_default()).await?;
    if session.output.is_table() {
        session.output.text(&render::status::serving(status))?;
    } else {
        let json = json!({ "service": service, "status": status.as_str_name() });
        session.output.value(&json)?;
    }
    if status == ServingStatus::Serving {
        return Ok(Exit::Done);
    }
    say("`archctl status` says what is wrong.");
    Ok(Exit::Problem)
}

/// Asks until it serves or the time is over; what is answered then is the answer.
async fn wait(session: &Session, service: &str, most: Duration) -> Result<ServingStatus, Fault> {
    /// How long between two questions.
    const PAUSE: Duration = Duration::from_millis(250);
    let end = Instant::now() + most;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let answer = ask(
            session,
            service,
            (!most.is_zero()).then_some(left.max(PAUSE)),
        )
        .await;
        let is_final = match &answer {
            Ok(status) => *status == ServingStatus::Serving,
            // It will not have the service later either.
            Err(status) => [Code::NotFound, Code::Unimplemented].contains(&status.code()),
        };
        if is_final || left.is_zero() {
            return Ok(answer?);
        }
        sleep(PAUSE.min(left)).await;
    }
}

async fn ask(
    session: &Session,
    service: &str,
    most: Option<Duration>,
) -> Result<ServingStatus, Status> {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let request = match most {
        Some(most) => session.unary_within(request, most),
        None => session.unary(request),
    };
    let answer = session.health().check(request).await?;
    Ok(answer.into_inner().status())
}
