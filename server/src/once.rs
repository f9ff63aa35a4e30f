//! One batch as a process of its own, for cron and its relatives: runs it, prints the statistics,
//! and leaves with a code.

use std::{io::Write, process::ExitCode, time::Duration};

use bson::DateTime;
use order_archiver_api::{progress, statistics, v1 as pb};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    config::{BatchArgs, Config, Output},
    convert,
    jobs::{self, Started, Work},
    parts::{Parts, Role},
    shutdown::{BATCH_FAILED, DATABASE_UNAVAILABLE, FAILURE, INTERRUPTED, UNBALANCED},
    store::{
        Error,
        batches::{
            options::Options,
            record::{Batch, StopReason},
        },
        jobs::{limits::Limits, record::State},
    },
    terminal::{
        BatchBar, columns, flush_log, has_colours, one_line,
        paint::{ODD, in_style, labelled, of_word},
        tame_json,
    },
};

/// How often the batch is looked at.
const BATCH_POLL: Duration = Duration::from_millis(100);

/// What a process has to tell of in the end.
struct Outcome {
    batch: Batch,
    /// Whether the batch does what was asked for; one that does something else was only waited for.
    as_asked: bool,
}

impl Outcome {
    fn code(&self) -> ExitCode {
        match (self.batch.head.state, self.batch.stop_reason) {
            _ if !self.as_asked => ExitCode::from(INTERRUPTED),
            (State::Succeeded, _) => ExitCode::SUCCESS,
            (State::Failed, Some(StopReason::Unbalanced)) => ExitCode::from(UNBALANCED),
            (State::Failed, _) => ExitCode::from(BATCH_FAILED),
            (State::Pending | State::Running | State::Cancelling | State::Cancelled, _) => {
                ExitCode::from(INTERRUPTED)
            }
        }
    }
}

/// Runs one batch, or follows the one that is running, until it ends. `stop` cancels the batch if
/// it was asked for here, and otherwise leaves it to its instance, or to the next one.
pub async fn batch(config: Config, args: BatchArgs, stop: CancellationToken) -> ExitCode {
    match archive(&config, &args, &stop).await {
        Ok(outcome) => {
            let code = outcome.code();
            if let Err(error) = print(outcome.batch, args.output) {
                error!(%error, "the statistics can't be printed");
                return ExitCode::from(FAILURE);
            }
            code
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
) -> Result<Outcome, Error> {
    let over = CancellationToken::new();
    let mut parts = Parts::new(config, Role::Batch, over.clone()).await?;
    let settled = tokio::select! {
        () = stop.cancelled() => parts.monitor.check(),
        settled = timeout(args.wait, parts.monitor.settled()) => settled.unwrap_or_else(|_| parts.monitor.check()),
    };
    if let Err(error) = settled {
        parts.heartbeat.leave().await;
        return Err(error);
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

/// Runs a batch, or follows the one that is running; but one that does something else than what is
/// asked is only waited for.
async fn run(parts: &Parts, options: &Options, stop: &CancellationToken) -> Result<Outcome, Error> {
    let start = || parts.archiver.start(options, None);
    let mut started = start().await?;
    // Not sooner: a batch that was left is to be found by then, and told of, rather than taken up
    // and ended before.
    jobs::care_for_orphans(&parts.archiver);
    loop {
        let as_asked = started.job.options.do_what_is_asked(options);
        let batch = follow(parts, started, as_asked, stop).await?;
        if as_asked || stop.is_cancelled() {
            return Ok(Outcome { batch, as_asked });
        }
        started = start().await?;
    }
}

/// Waits for a batch to end, for as long as the batch itself waits for a database that is away. A
/// stop cancels it only if it was asked for here: of another one somebody else may wait for the
/// end, so it is left to whoever runs it, or comes next.
async fn follow(
    parts: &Parts,
    started: Started<Batch>,
    as_asked: bool,
    stop: &CancellationToken,
) -> Result<Batch, Error> {
    let (runner, store) = (parts.archiver.runner(), &parts.store);
    let Started {
        job: mut batch,
        already,
    } = started;
    let id = batch.head.id.clone();
    if already {
        let Options {
            limit,
            before,
            max_runtime,
            validate_only: dry_run,
            ..
        } = &batch.options;
        let instance = &batch.head.instance;
        if as_asked {
            info!(id, instance, "a batch is running already; following it");
        } else {
            info!(
                id,
                instance,
                limit,
                ?before,
                ?max_runtime,
                dry_run,
                "a batch that does something else is running; waiting for its end"
            );
        }
    }
    let mut asked_to_stop = false;
    let bar = BatchBar::new();
    while !batch.head.state.is_final() {
        bar.show(|| convert::batch(batch.clone(), batch.head.updated));
        let look = async {
            sleep(BATCH_POLL).await;
            runner.patiently(|| store.job::<Batch>(&id)).await
        };
        tokio::select! {
            () = stop.cancelled(), if !asked_to_stop => {
                if already && runner.runs(&id) {
                    warn!(id, "letting go of the batch, which was asked for elsewhere; another instance, or the next start, goes on with it");
                    break;
                }
                if already {
                    warn!(id, "leaving the batch to its instance; `archctl batch watch` follows it");
                    break;
                }
                info!(id, "asked to stop: cancelling the batch");
                asked_to_stop = true;
                if let Err(error) = store.cancel_job::<Batch>(&id).await {
                    warn!(%error, id, "the batch can't be cancelled; another instance, or the next start, goes on with it");
                    break;
                }
            }
            look = look => {
                batch = look?.ok_or_else(|| Error::Unusable(format!("batch {id} has been deleted")))?;
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
    let now = batch.head.updated;
    let batch: pb::Batch = convert::batch(batch, now);
    flush_log();
    let text = match output {
        Output::Json => format!("{}\n", tame_json(&as_json(&batch).to_string())),
        Output::Text => as_text(&batch, columns(), has_colours()),
    };
    std::io::stdout().lock().write_all(text.as_bytes())
}

/// The brief's box in at most so many columns, how the batch ended, and what needs a look.
fn as_text(batch: &pb::Batch, most: Option<usize>, colours: bool) -> String {
    let painted = |style, text: &str| match colours {
        true => in_style(style, text),
        false => text.to_owned(),
    };
    let mut text = statistics::of_batch(batch, most);
    if colours {
        text = labelled(&text);
    }
    let ending = one_line(&progress::ending(batch));
    let ending = painted(of_word(&ending), &ending);
    text.push_str(&format!("\nbatch {} {ending}\n", one_line(&batch.id)));
    let warnings = batch.warnings.iter().cloned();
    let warnings = warnings.map(|warning| ("warning:", warning));
    for (label, remark) in warnings.chain(near_misses(batch)) {
        let lines: Vec<String> = remark.lines().map(one_line).collect();
        let (label, remark) = (painted(ODD, label), lines.join("\n "));
        text.push_str(&format!("{label} {remark}\n"));
    }
    text
}

/// The statuses that only look delivered, two lines each at most: what it is, and what mends it.
fn near_misses(batch: &pb::Batch) -> impl Iterator<Item = (&'static str, String)> {
    let told = batch.near_misses.iter().map(|miss| {
        let orders = statistics::thousands(miss.orders);
        let examples: Vec<String> = miss
            .examples
            .iter()
            .map(|example| example.escape_debug().to_string())
            .collect();
        let mut text = format!(
            "{} ({}), orders: {orders}, for example {}",
            miss.status_escaped,
            miss.difference,
            examples.join(", ")
        );
        if !miss.mend.is_empty() {
            text.push_str(&format!("\n mend, after a look at them: {}", miss.mend));
        }
        ("near miss:", text)
    });
    let beyond = batch.more_near_misses.map(|more| {
        let (orders, statuses) = (
            statistics::thousands(more.orders),
            statistics::thousands(more.statuses),
        );
        let text = format!("{orders} more orders of {statuses} other statuses");
        ("near misses:", text)
    });
    told.chain(beyond)
}

/// The figures that a script needs.
fn as_json(batch: &pb::Batch) -> serde_json::Value {
    // Each by its name, so that a new one can't be forgotten.
    let pb::OrderCounts {
        found,
        archived,
        duplicates,
        incomplete,
        errors,
        gone,
    } = batch.counts.unwrap_or_default();
    let duration = batch.duration.unwrap_or_default();
    serde_json::json!({
        "id": batch.id,
        "state": batch.state().as_str_name(),
        "stop_reason": batch.stop_reason().as_str_name(),
        "message": batch.message,
        "validate_only": batch.options.is_some_and(|options| options.validate_only),
        "resumes": batch.resumes,
        "found": found,
        "archived": archived,
        "duplicates": duplicates,
        "incomplete": incomplete,
        "errors": errors,
        "gone": gone,
        "duration_seconds": duration.seconds as f64 + f64::from(duration.nanos) / 1e9,
        "warnings": batch.warnings,
        "near_misses": batch.near_misses.iter().map(|miss| serde_json::json!({
            "status": miss.status_json, "orders": miss.orders, "examples": miss.examples,
            "kind": miss.kind().as_str_name(), "status_escaped": miss.status_escaped,
            "difference": miss.difference, "mend": miss.mend,
        })).collect::<Vec<_>>(),
        "more_near_misses": batch.more_near_misses.map(|more| serde_json::json!({
            "statuses": more.statuses, "orders": more.orders,
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_faults_have_colours_where_they_are_wanted() {
        let batch = pb::Batch {
            id: "b-1".to_owned(),
            state: pb::BatchState::Failed.into(),
            stop_reason: pb::BatchStopReason::Database.into(),
            counts: Some(pb::OrderCounts {
                found: 1_234,
                errors: 6,
                gone: 2,
                ..Default::default()
            }),
            warnings: vec!["Menu has no index\u{1b}[2J".to_owned()],
            near_misses: vec![pb::NearMiss {
                status_escaped: "\"Livrée\"".to_owned(),
                difference: "other case".to_owned(),
                orders: 3,
                examples: vec!["CMD-1".to_owned()],
                mend: "db.getCollection()".to_owned(),
                ..Default::default()
            }],
            more_near_misses: Some(pb::MoreNearMisses {
                statuses: 3,
                orders: 5,
            }),
            ..Default::default()
        };
        let plain = as_text(&batch, None, false);
        let below = "\
batch b-1 failed (the database was away or refused)
warning: Menu has no index\\u{1b}[2J
near miss: \"Livrée\" (other case), orders: 3, for example CMD-1
  mend, after a look at them: db.getCollection()
near misses: 5 more orders of 3 other statuses
";
        assert!(plain.ends_with(below), "{plain}");
        assert!(!plain.contains('\u{1b}'), "{plain}");
        let coloured = as_text(&batch, None, true);
        for painted in [
            "\u{1b}[31m6 orders  (0.5%)\u{1b}[0m",
            "\u{1b}[31m2 orders before they were read\u{1b}[0m",
            "\u{1b}[31mfailed (the database was away or refused)\u{1b}[0m",
            "\u{1b}[33mwarning:\u{1b}[0m Menu",
            "\u{1b}[33mnear miss:\u{1b}[0m \"Livrée\"",
            "\u{1b}[33mnear misses:\u{1b}[0m 5",
        ] {
            assert!(coloured.contains(painted), "{painted}: {coloured}");
        }
        let colours = ["\u{1b}[31m", "\u{1b}[33m", "\u{1b}[0m"];
        let bare = colours
            .iter()
            .fold(coloured, |text, code| text.replace(code, ""));
        assert_eq!(bare, plain, "colours move nothing");
        let narrow = as_text(&batch, Some(40), false);
        let box_of = narrow.split("batch b-1").next().unwrap();
        assert!(
            box_of.lines().all(|line| line.chars().count() <= 40),
            "{narrow}"
        );
    }

    #[test]
    fn the_figures_hold_every_count_and_the_near_misses_that_are_left_out() {
        let batch = pb::Batch {
            counts: Some(pb::OrderCounts {
                gone: 7,
                ..Default::default()
            }),
            more_near_misses: Some(pb::MoreNearMisses {
                statuses: 3,
                orders: 5,
            }),
            ..Default::default()
        };
        let json = as_json(&batch);
        // As Rust shows them: `OrderCounts { found: 0, archived: 0, … }`.
        let counts = format!("{:?}", batch.counts.unwrap());
        let (_, counts) = counts.split_once("{ ").unwrap();
        for count in counts.trim_end_matches(" }").split(", ") {
            let (name, value) = count.split_once(": ").unwrap();
            assert_eq!(json[name].to_string(), value, "{name}");
        }
        assert_eq!(json["gone"], 7);
        assert_eq!(json["more_near_misses"]["statuses"], 3);
        assert_eq!(json["more_near_misses"]["orders"], 5);
        let none = as_json(&pb::Batch::default());
        assert!(none["more_near_misses"].is_null());
    }
}
