//! Batches: as a table, a card, a line of progress, and the brief's statistics.

use order_archiver_api::{
    statistics::{self, length, rounded, thousands},
    v1::{Batch, BatchOptions, BatchState, BatchStopReason},
};
use prost_types::Duration;

use super::{
    grid,
    near_miss::near_misses,
    text::{one_line, words},
    units::{chosen_length, moment, moment_or_dash, whole_length},
};

/// Batches, one a row.
pub(crate) fn table(batches: &[Batch]) -> String {
    let header = [
        "ID",
        "STATE",
        "CREATED",
        "DURATION",
        "FOUND",
        "ARCHIVED",
        "DUPLICATES",
        "INCOMPLETE",
        "ERRORS",
        "NOTES",
    ];
    let rows = batches.iter().map(|batch| {
        let counts = batch.counts.unwrap_or_default();
        [
            batch.id.clone(),
            state(batch),
            moment_or_dash(batch.create_time.as_ref()),
            batch
                .duration
                .as_ref()
                .map_or_else(|| "-".to_owned(), length),
            thousands(counts.found),
            thousands(counts.archived),
            thousands(counts.duplicates),
            thousands(counts.incomplete),
            thousands(counts.errors),
            notes(batch),
        ]
    });
    grid::table(header, &header[3..9], rows)
}

/// What sets a batch apart from a plain one.
fn notes(batch: &Batch) -> String {
    let options = batch.options.unwrap_or_default();
    let mut notes: Vec<String> = asked(&options)
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .map(|(name, value)| match value.as_str() {
            YES => name.to_lowercase(),
            value => format!("{} {value}", name.to_lowercase()),
        })
        .collect();
    notes.extend(resumed(batch));
    notes.extend(some(&batch.throttle));
    notes.join(" · ")
}

const YES: &str = "yes";

/// What a batch was asked for beyond archiving everything, each with its name.
fn asked(options: &BatchOptions) -> [(&'static str, Option<String>); 8] {
    let yes = |asked: bool| asked.then(|| YES.to_owned());
    let orders = |most: i64| format!("{} orders", thousands(most));
    [
        ("Dry run", yes(options.validate_only)),
        ("Limit", (options.limit > 0).then(|| orders(options.limit))),
        ("Before", options.before.as_ref().map(moment)),
        (
            "Max runtime",
            options.max_runtime.as_ref().map(chosen_length),
        ),
        ("Create indexes", yes(options.create_indexes)),
        (
            "Max rate",
            options.max_orders_per_second.map(|most| match most {
                0 => "off".to_owned(),
                most => format!("{}/s", orders(most.into())),
            }),
        ),
        (
            "Max lag",
            options.max_replication_lag.as_ref().map(chosen_length),
        ),
        (
            "Max write latency",
            options.max_write_latency.as_ref().map(chosen_length),
        ),
    ]
}

fn resumed(batch: &Batch) -> Option<String> {
    match batch.resumes {
        ..1 => None,
        1 => Some("resumed once".to_owned()),
        times => Some(format!("resumed {times} times")),
    }
}

/// Everything about one batch.
pub(crate) fn card(batch: &Batch) -> String {
    let options = batch.options.unwrap_or_default();
    let what = [
        ("ID", Some(batch.id.clone())),
        ("State", Some(ending(batch))),
    ];
    let life = [
        ("Created", batch.create_time.as_ref().map(moment)),
        ("Started", batch.start_time.as_ref().map(moment)),
        ("Ended", batch.end_time.as_ref().map(moment)),
        ("Instance", some(&batch.instance)),
        ("Request ID", some(&batch.request_id)),
        (
            "Resumes",
            (batch.resumes > 0).then(|| batch.resumes.to_string()),
        ),
        ("Throttle", some(&batch.throttle)),
    ];
    let fields = what
        .into_iter()
        .chain(asked(&options))
        .chain(life)
        .filter_map(|(name, value)| Some((name, value?)));
    format!("{}\n\n{}", grid::card(fields), statistics(batch))
}

/// The brief's box, and below it whatever needs a look.
pub(crate) fn statistics(batch: &Batch) -> String {
    let mut text = statistics::of_batch(batch);
    for warning in &batch.warnings {
        text.push_str(&format!("\nwarning: {}", one_line(warning)));
    }
    if !batch.near_misses.is_empty() {
        text.push_str("\n\n");
        let more = batch.more_near_misses.as_ref();
        text.push_str(&near_misses(&batch.near_misses, more));
    }
    text
}

/// How a batch stands, in a few words.
pub(crate) fn ending(batch: &Batch) -> String {
    let mut text = state(batch);
    let reason = batch.stop_reason();
    if reason != BatchStopReason::Unspecified && words(reason.as_str_name(), STOP_REASON) != text {
        text.push_str(&format!(" ({})", words(reason.as_str_name(), STOP_REASON)));
    }
    if !batch.message.is_empty() {
        text.push_str(&format!(": {}", batch.message));
    }
    text
}

/// How far a batch is, on one line.
pub(crate) fn progress(batch: &Batch) -> String {
    let counts = batch.counts.unwrap_or_default();
    if batch.state() == BatchState::Pending {
        return "waiting to begin".to_owned();
    }
    let mut parts = Vec::new();
    if batch.options.is_some_and(|options| options.validate_only) {
        parts.push("dry run".to_owned());
    }
    parts.push(match batch.estimated_total {
        0 => format!("{} orders", thousands(counts.found)),
        total => format!("{} of {} orders", thousands(counts.found), thousands(total)),
    });
    if batch.orders_per_second > 0.0 {
        parts.push(format!("{}/s", rounded(batch.orders_per_second)));
    }
    match batch.state() {
        BatchState::Running => parts.extend(left(batch).map(|left| format!("{left} left"))),
        _ => parts.push(one_line(&ending(batch))),
    }
    // What a narrow terminal cuts off is at the end.
    parts.extend(some(&one_line(&batch.throttle)));
    for (number, name) in [
        (counts.archived, "archived"),
        (counts.duplicates, "duplicates"),
        (counts.incomplete, "incomplete"),
        (counts.errors, "errors"),
        (counts.gone, "gone"),
    ] {
        if number > 0 {
            parts.push(format!("{} {name}", thousands(number)));
        }
    }
    parts.extend(resumed(batch));
    parts.join(" · ")
}

/// How long the rest will take at the rate so far.
fn left(batch: &Batch) -> Option<String> {
    let rest = batch.estimated_total - batch.counts.unwrap_or_default().found;
    let seconds = rest as f64 / batch.orders_per_second;
    let foreseeable = rest > 0 && seconds.is_finite();
    // Rounding up keeps "0s left" off the screen.
    foreseeable.then(|| {
        whole_length(&Duration {
            seconds: seconds.ceil() as i64,
            nanos: 0,
        })
    })
}

pub(crate) fn state(batch: &Batch) -> String {
    words(batch.state().as_str_name(), "BATCH_STATE_")
}

const STOP_REASON: &str = "BATCH_STOP_REASON_";

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::{BatchOptions, NearMiss, OrderCounts};
    use prost_types::Timestamp;

    use super::*;

    fn batch() -> Batch {
        Batch {
            id: "b-1".to_owned(),
            state: BatchState::Succeeded.into(),
            stop_reason: BatchStopReason::Exhausted.into(),
            counts: Some(OrderCounts {
                found: 1_234,
                archived: 1_220,
                duplicates: 8,
                incomplete: 45,
                errors: 6,
                gone: 0,
            }),
            duration: Some(Duration {
                seconds: 754,
                nanos: 0,
            }),
            orders_per_second: 1.64,
            estimated_total: 1_234,
            create_time: Some(Timestamp {
                seconds: 1_760_624_625,
                nanos: 0,
            }),
            ..Batch::default()
        }
    }

    fn dry_run() -> BatchOptions {
        BatchOptions {
            validate_only: true,
            ..BatchOptions::default()
        }
    }

    #[test]
    fn warnings_and_near_misses_follow_the_box() {
        let batch = Batch {
            warnings: vec!["Menu has no index on id_menu".to_owned()],
            near_misses: vec![NearMiss {
                status_json: "\"Livrée\"".to_owned(),
                difference: "other case".to_owned(),
                orders: 1_200,
                examples: vec!["CMD-1".to_owned(), "CMD-2".to_owned()],
                ..NearMiss::default()
            }],
            ..batch()
        };
        let text = statistics(&batch);
        assert!(
            text.contains("│  Archived:    1,220 orders  (98.9%) "),
            "{text}"
        );
        let below = text.split_once("┘\n").unwrap().1;
        assert_eq!(
            below,
            "\
warning: Menu has no index on id_menu

NEAR MISS  ORDERS  DIFFERENCE  EXAMPLES
\"Livrée\"    1,200  other case  CMD-1, CMD-2"
        );
    }

    #[test]
    fn progress_says_how_far_how_fast_and_how_long() {
        let running = Batch {
            state: BatchState::Running.into(),
            stop_reason: BatchStopReason::Unspecified.into(),
            estimated_total: 100_000,
            orders_per_second: 1_234.0,
            ..batch()
        };
        assert_eq!(
            progress(&running),
            "1,234 of 100,000 orders · 1,234/s · 1m 21s left · 1,220 archived · 8 duplicates · 45 incomplete · 6 errors"
        );
        let stopping = Batch {
            state: BatchState::Cancelling.into(),
            estimated_total: 0,
            ..running.clone()
        };
        assert!(progress(&stopping).starts_with("1,234 orders · 1,234/s · cancelling · "));
        let stuck = Batch {
            orders_per_second: 0.0,
            ..running
        };
        assert!(progress(&stuck).ends_with("6 errors"));
        let gentle = Batch {
            options: Some(dry_run()),
            resumes: 1,
            throttle: "a secondary is 12s behind".to_owned(),
            ..stuck
        };
        let line = progress(&gentle);
        let first =
            "dry run · 1,234 of 100,000 orders · a secondary is 12s behind · 1,220 archived";
        assert!(line.starts_with(first), "{line}");
        assert!(line.ends_with("6 errors · resumed once"), "{line}");
    }

    #[test]
    fn an_ending_says_its_reason_once() {
        assert_eq!(ending(&batch()), "succeeded (exhausted)");
        let cancelled = Batch {
            state: BatchState::Cancelled.into(),
            stop_reason: BatchStopReason::Cancelled.into(),
            ..batch()
        };
        assert_eq!(ending(&cancelled), "cancelled");
        let failed = Batch {
            state: BatchState::Failed.into(),
            stop_reason: BatchStopReason::Database.into(),
            message: "the database stayed away".to_owned(),
            ..batch()
        };
        assert_eq!(
            ending(&failed),
            "failed (database): the database stayed away"
        );
    }

    #[test]
    fn a_card_shows_only_what_was_asked_for() {
        let options = BatchOptions {
            limit: 10_000,
            ..BatchOptions::default()
        };
        let text = card(&Batch {
            options: Some(options),
            ..batch()
        });
        assert!(text.starts_with(
            "ID       b-1\nState    succeeded (exhausted)\nLimit    10,000 orders\nCreated  2025-"
        ));
        for absent in ["Request ID", "Dry run", "Max", "Resumes", "Throttle"] {
            assert!(!text.contains(absent), "{text}");
        }
        let seconds = |seconds| Some(Duration { seconds, nanos: 0 });
        let options = BatchOptions {
            max_runtime: seconds(7_200),
            max_orders_per_second: Some(1_500),
            max_replication_lag: seconds(120),
            max_write_latency: Some(Duration {
                seconds: 0,
                nanos: 500_000_000,
            }),
            ..dry_run()
        };
        let text = card(&Batch {
            options: Some(options),
            resumes: 2,
            throttle: "held to 1,500 orders/s".to_owned(),
            ..batch()
        });
        let shown: Vec<_> = text.lines().skip(2).take(5).collect();
        assert_eq!(
            shown,
            [
                "Dry run            yes",
                "Max runtime        2h",
                "Max rate           1,500 orders/s",
                "Max lag            2m",
                "Max write latency  500ms",
            ]
        );
        assert!(
            text.contains("\nResumes            2\nThrottle           held to 1,500 orders/s\n"),
            "{text}"
        );
        assert!(text.contains("A PREDICTION, NOTHING WAS WRITTEN"));
    }

    #[test]
    fn a_table_has_a_row_for_each_batch() {
        let options = BatchOptions {
            limit: 10_000,
            max_orders_per_second: Some(0),
            ..dry_run()
        };
        let noted = Batch {
            options: Some(options),
            resumes: 2,
            throttle: "a secondary is 12s behind".to_owned(),
            ..batch()
        };
        assert_eq!(
            table(&[batch(), noted]),
            "\
ID   STATE      CREATED               DURATION  FOUND  ARCHIVED  DUPLICATES  INCOMPLETE  ERRORS  NOTES
b-1  succeeded  2025-10-16 14:23:45Z   12m 34s  1,234     1,220           8          45       6
b-1  succeeded  2025-10-16 14:23:45Z   12m 34s  1,234     1,220           8          45       6  dry run · limit 10,000 orders · max rate off · resumed 2 times · a secondary is 12s behind"
        );
    }
}
