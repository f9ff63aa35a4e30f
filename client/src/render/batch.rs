//! Batches: as a table, a card, a line of progress, and the brief's statistics.

use order_archiver_api::{
    statistics::{self, length, rounded, thousands},
    v1::{Batch, BatchState, BatchStopReason, NearMiss},
};
use prost_types::Duration;

use super::{
    grid,
    text::{one_line, words},
    units::{moment, moment_or_dash, whole_length},
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
        ]
    });
    grid::table(header, &header[3..], rows)
}

/// Everything about one batch.
pub(crate) fn card(batch: &Batch) -> String {
    let options = batch.options.unwrap_or_default();
    let limit = (options.limit > 0).then(|| thousands(options.limit));
    let fields = [
        ("ID", Some(batch.id.clone())),
        ("State", Some(ending(batch))),
        ("Limit", limit.map(|limit| format!("{limit} orders"))),
        ("Before", options.before.as_ref().map(moment)),
        (
            "Create indexes",
            options.create_indexes.then(|| "yes".to_owned()),
        ),
        ("Created", batch.create_time.as_ref().map(moment)),
        ("Started", batch.start_time.as_ref().map(moment)),
        ("Ended", batch.end_time.as_ref().map(moment)),
        ("Instance", some(&batch.instance)),
        ("Request ID", some(&batch.request_id)),
        ("Throttle", some(&batch.throttle)),
    ];
    let fields = fields
        .into_iter()
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
        text.push_str(&near_misses(&batch.near_misses));
    }
    text
}

/// Statuses that look like the delivered one and are not.
pub(crate) fn near_misses(misses: &[NearMiss]) -> String {
    let rows = misses.iter().map(|miss| {
        [
            miss.status_json.clone(),
            thousands(miss.orders),
            miss.examples.join(", "),
        ]
    });
    grid::table(["NEAR MISS", "ORDERS", "EXAMPLES"], &["ORDERS"], rows)
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
    let mut parts = vec![match batch.estimated_total {
        0 => format!("{} orders", thousands(counts.found)),
        total => format!("{} of {} orders", thousands(counts.found), thousands(total)),
    }];
    for (number, name) in [
        (counts.archived, "archived"),
        (counts.duplicates, "duplicates"),
        (counts.incomplete, "incomplete"),
        (counts.errors, "errors"),
    ] {
        if number > 0 {
            parts.push(format!("{} {name}", thousands(number)));
        }
    }
    if batch.orders_per_second > 0.0 {
        parts.push(format!("{}/s", rounded(batch.orders_per_second)));
    }
    match batch.state() {
        BatchState::Running => parts.extend(left(batch).map(|left| format!("{left} left"))),
        _ => parts.push(one_line(&ending(batch))),
    }
    parts.extend(some(&one_line(&batch.throttle)));
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
    use order_archiver_api::v1::{BatchOptions, OrderCounts};
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

    #[test]
    fn warnings_and_near_misses_follow_the_box() {
        let batch = Batch {
            warnings: vec!["Menu has no index on id_menu".to_owned()],
            near_misses: vec![NearMiss {
                status_json: "\"Livrée\"".to_owned(),
                orders: 1_200,
                examples: vec!["CMD-1".to_owned(), "CMD-2".to_owned()],
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

NEAR MISS  ORDERS  EXAMPLES
\"Livrée\"    1,200  CMD-1, CMD-2"
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
            "1,234 of 100,000 orders · 1,220 archived · 8 duplicates · 45 incomplete · 6 errors · 1,234/s · 1m 21s left"
        );
        let stopping = Batch {
            state: BatchState::Cancelling.into(),
            estimated_total: 0,
            ..running.clone()
        };
        assert!(progress(&stopping).starts_with("1,234 orders ·"));
        assert!(progress(&stopping).ends_with("· cancelling"));
        let stuck = Batch {
            orders_per_second: 0.0,
            ..running
        };
        assert!(progress(&stuck).ends_with("6 errors"));
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
        assert!(!text.contains("Request ID"));
    }

    #[test]
    fn a_table_has_a_row_for_each_batch() {
        assert_eq!(
            table(&[batch()]),
            "\
ID   STATE      CREATED               DURATION  FOUND  ARCHIVED  DUPLICATES  INCOMPLETE  ERRORS
b-1  succeeded  2025-10-16 14:23:45Z   12m 34s  1,234     1,220           8          45       6"
        );
    }
}
