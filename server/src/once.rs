//! One batch as a process of its own, for cron and its relatives: runs it, prints the statistics, and leaves with a code.

use std::{io::Write, process::ExitCode, time::Duration};

use bson::DateTime;
use order_archiver_api::{statistics, v1 as pb};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    archiver::Started,
    config::{BatchArgs, Config, Output},
    grpc,
    parts::Parts,
    shutdown::INTERRUPTED,
    store::{
        Error, Store,
        batches::{Batch, State, StopReason},
        options::{Limits, Options},
    },
};

/// How often the batch is looked at.
const GLANCE: Duration = Duration::from_millis(100);

const FAILURE: u8 = 1;
const BATCH_FAILED: u8 = 3;
const DATABASE_UNAVAILABLE: u8 = 4;
const UNBALANCED: u8 = 8;

/// Runs one batch, or follows the one that is running, until it ends. `stop` cancels the batch if it is ours.
pub async fn batch(config: Config, args: BatchArgs, stop: CancellationToken) -> ExitCode {
    match archive(&config, &args, &stop).await {
        Ok(batch) => {
            let (state, reason) = (batch.state, batch.stop_reason);
            if let Err(error) = print(batch, args.output) {
                error!(%error, "the statistics can't be printed");
                return ExitCode::from(FAILURE);
            }
            match state {
                State::Cancelled => ExitCode::from(INTERRUPTED),
                State::Failed if reason == Some(StopReason::Unbalanced) => {
                    ExitCode::from(UNBALANCED)
                }
                State::Failed => ExitCode::from(BATCH_FAILED),
                _ => ExitCode::SUCCESS,
            }
        }
        Err(error) => {
            error!(%error, "no batch");
            ExitCode::from(if stop.is_cancelled() {
                INTERRUPTED
            } else if error.is_transient() {
                DATABASE_UNAVAILABLE
            } else {
                FAILURE
            })
        }
    }
}

async fn archive(
    config: &Config,
    args: &BatchArgs,
    stop: &CancellationToken,
) -> Result<Batch, Error> {
    let over = CancellationToken::new();
    let mut parts = Parts::new(config, over.clone()).await?;
    tokio::select! {
        () = stop.cancelled() => parts.monitor.check()?,
        settled = timeout(args.wait, parts.monitor.settled()) => settled.unwrap_or_else(|_| parts.monitor.check())?,
    }
    let options = Options {
        limit: args
            .limit
            .and_then(|limit| i64::try_from(limit).ok())
            .unwrap_or(0),
        before: args
            .before
            .map(|before| DateTime::from_millis(before.timestamp_millis())),
        create_indexes: args.create_indexes,
        max_runtime: args.max_runtime,
        validate_only: args.dry_run,
        limits: Limits::of_settings(config),
    };
    let ended = run(&parts, &options, stop).await;
    over.cancel();
    parts.drain().await;
    ended
}

/// Runs a batch, or follows the one that is running; but a dry run is no batch, and a batch no dry run, so the other kind is only waited for.
async fn run(parts: &Parts, options: &Options, stop: &CancellationToken) -> Result<Batch, Error> {
    loop {
        let started = parts.archiver.start(options.clone(), None).await?;
        let other_kind =
            started.already && started.batch.options.validate_only != options.validate_only;
        let ended = follow(&parts.store, started, stop).await?;
        if !other_kind || stop.is_cancelled() {
            return Ok(ended);
        }
    }
}

/// Waits for a batch to end; a stop cancels it unless somebody else runs it.
async fn follow(store: &Store, started: Started, stop: &CancellationToken) -> Result<Batch, Error> {
    let Started { mut batch, already } = started;
    if already {
        info!(
            id = batch.id,
            instance = batch.instance,
            dry_run = batch.options.validate_only,
            "a batch is running already; following it"
        );
    }
    let mut asked_to_stop = false;
    while !batch.state.is_final() {
        tokio::select! {
            () = stop.cancelled(), if !asked_to_stop => {
                if already {
                    warn!(id = batch.id, "leaving the batch to its instance; `archctl batch watch` follows it");
                    break;
                }
                asked_to_stop = true;
                store.cancel_batch(&batch.id).await?;
            }
            () = sleep(GLANCE) => {
                let id = batch.id.clone();
                batch = store.batch(&id).await?.ok_or_else(|| Error::Unusable(format!("batch {id} has been deleted")))?;
            }
        }
    }
    Ok(batch)
}

#[allow(
    clippy::print_stdout,
    reason = "the statistics are this command's data"
)]
fn print(batch: Batch, output: Output) -> std::io::Result<()> {
    let now = batch.updated;
    let id = batch.id.clone();
    let warnings = batch.warnings.clone();
    let message = batch.message.clone();
    let batch: pb::Batch = grpc::batch_message(batch, now);
    let mut stdout = std::io::stdout().lock();
    match output {
        Output::Json => writeln!(stdout, "{}", as_json(&batch)),
        Output::Text => {
            writeln!(stdout, "{}", statistics::of_batch(&batch))?;
            writeln!(
                stdout,
                "batch {id} {}",
                batch
                    .state()
                    .as_str_name()
                    .trim_start_matches("BATCH_STATE_")
                    .to_lowercase()
            )?;
            if !message.is_empty() {
                writeln!(stdout, "{message}")?;
            }
            warnings
                .iter()
                .try_for_each(|warning| writeln!(stdout, "warning: {warning}"))
        }
    }
}

/// The figures that a script needs.
fn as_json(batch: &pb::Batch) -> serde_json::Value {
    let counts = batch.counts.unwrap_or_default();
    let duration = batch.duration.unwrap_or_default();
    serde_json::json!({
        "id": batch.id,
        "state": batch.state().as_str_name(),
        "stop_reason": batch.stop_reason().as_str_name(),
        "message": batch.message,
        "validate_only": batch.options.is_some_and(|options| options.validate_only),
        "resumes": batch.resumes,
        "found": counts.found,
        "archived": counts.archived,
        "duplicates": counts.duplicates,
        "incomplete": counts.incomplete,
        "errors": counts.errors,
        "duration_seconds": duration.seconds as f64 + f64::from(duration.nanos) / 1e9,
        "warnings": batch.warnings,
        "near_misses": batch.near_misses.iter().map(|miss| serde_json::json!({
            "status": miss.status_json, "orders": miss.orders, "examples": miss.examples,
        })).collect::<Vec<_>>(),
    })
}
