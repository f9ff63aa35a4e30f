//! `archd batch`: one batch as a process of its own, for cron and its relatives.

use std::process::ExitCode;

use bson::DateTime;
use order_archiver_api::{progress, statistics, v1 as pb};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Once, Outcome, once, print};
use crate::{
    archiver::Archiver,
    config::{BatchArgs, Config, Output},
    convert,
    parts::Parts,
    shutdown::{INTERRUPTED, JOB_FAILED, SUCCESS, UNBALANCED},
    store::{
        batches::{
            options::Options,
            record::{Batch, StopReason},
        },
        jobs::{limits::Limits, record::State},
    },
    terminal::{
        Shown, columns, has_colours, one_line,
        paint::{ODD, in_style, labelled, of_word},
        tame_json,
    },
};

/// Runs one batch, or follows the one that is running, until it ends. `stop` cancels the batch if
/// it was asked for here, and otherwise leaves it to its instance, or to the next one.
pub async fn batch(config: Config, args: BatchArgs, stop: CancellationToken) -> ExitCode {
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
        limits: Limits::of_settings(&config),
    };
    let outcome = once::<Archiver>(&config, args.wait, &options, &stop).await;
    print(outcome, |outcome| {
        (text(&outcome.job, args.output), code(outcome))
    })
}

/// The statistics as lines of a log.
pub(super) fn lines(batch: &Batch) -> Vec<String> {
    let batch = convert::batch(batch.clone(), batch.head.updated);
    let text = as_text(&batch, None, false);
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(str::to_owned).collect()
}

impl Once for Archiver {
    const WATCH: &'static str = "archctl batch watch";
    const ARCHIVES: bool = true;

    fn of(parts: &Parts) -> &Archiver {
        &parts.archiver
    }

    fn does_what_is_asked(batch: &Batch, asked: &Options) -> bool {
        batch.options.do_what_is_asked(asked)
    }

    fn tell_of_another(batch: &Batch) {
        let (id, instance) = (&batch.head.id, &batch.head.instance);
        let Options {
            limit,
            before,
            max_runtime,
            validate_only: dry_run,
            ..
        } = &batch.options;
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

    fn shown(batch: &Batch) -> Shown {
        let updated = batch.head.updated;
        let batch = convert::batch(batch.clone(), updated);
        Shown {
            done: batch.counts.unwrap_or_default().found,
            total: batch.estimated_total,
            message: progress::without_throttle(&batch),
            throttle: batch.throttle,
        }
    }
}

/// The code that says how it went.
pub(super) fn code(outcome: &Outcome<Batch>) -> u8 {
    match (outcome.job.head.state, outcome.job.stop_reason) {
        _ if !outcome.as_asked => INTERRUPTED,
        (State::Succeeded, _) => SUCCESS,
        (State::Failed, Some(StopReason::Unbalanced)) => UNBALANCED,
        (State::Failed, _) => JOB_FAILED,
        (State::Pending | State::Running | State::Cancelling | State::Cancelled, _) => INTERRUPTED,
    }
}

fn text(batch: &Batch, output: Output) -> String {
    let now = batch.head.updated;
    let batch: pb::Batch = convert::batch(batch.clone(), now);
    match output {
        Output::Json => format!("{}\n", tame_json(&as_json(&batch).to_string())),
        Output::Text => as_text(&batch, columns(), has_colours()),
    }
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
