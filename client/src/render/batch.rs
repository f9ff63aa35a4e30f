//! Batches: as a table, a card, and the brief's statistics.

use order_archiver_api::{
    progress::resumed,
    statistics::{self, length, thousands},
    v1::{Batch, BatchOptions},
};

use super::{
    grid::{self, Fit},
    ids,
    near_miss::near_misses,
    paint,
    screen::screen,
    text::one_line,
    units::{chosen_length, moment, moment_or_dash, rate_limit, some},
};

pub(crate) use order_archiver_api::progress::{ending, state};

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
    let length_of_id = ids::length(batches.iter().map(|batch| batch.id.as_str()));
    let rows = batches.iter().map(|batch| {
        let counts = batch.counts.unwrap_or_default();
        [
            ids::short(&batch.id, length_of_id),
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
    let fit = Fit {
        numbers: &header[3..9],
        long: &["NOTES"],
        spare: &[
            "DUPLICATES",
            "INCOMPLETE",
            "DURATION",
            "FOUND",
            "NOTES",
            "CREATED",
            "ARCHIVED",
        ],
    };
    grid::fitted(header, &fit, rows)
}

/// What sets a batch apart from a plain one.
fn notes(batch: &Batch) -> String {
    let options = batch.options.unwrap_or_default();
    let asked = asked(&options)
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .map(|(name, value)| match value.as_str() {
            YES => name.to_lowercase(),
            value => format!("{} {value}", name.to_lowercase()),
        });
    // What holds it back comes first: a narrow screen cuts off the rest.
    let mut notes: Vec<String> = some(&batch.throttle).into_iter().chain(asked).collect();
    notes.extend(resumed(batch));
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
        ("Max rate", options.max_orders_per_second.map(rate_limit)),
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

/// Everything about one batch.
pub(crate) fn card(batch: &Batch) -> String {
    let options = batch.options.unwrap_or_default();
    let what = [
        ("ID", Some(batch.id.clone())),
        ("State", Some(ending(batch))),
    ];
    let history = [
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
        .chain(history)
        .filter_map(|(name, value)| Some((name, value?)));
    format!("{}\n\n{}", grid::card(fields), statistics(batch))
}

/// The brief's box, and below it whatever needs a look.
pub(crate) fn statistics(batch: &Batch) -> String {
    let mut text = paint::labelled(&statistics::of_batch(batch, screen().columns));
    for warning in &batch.warnings {
        text.push_str(&format!(
            "\n{} {}",
            paint::odd("warning:"),
            one_line(warning)
        ));
    }
    if !batch.near_misses.is_empty() {
        text.push_str("\n\n");
        let more = batch.more_near_misses.as_ref();
        text.push_str(&near_misses(&batch.near_misses, more));
    }
    text
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::{
        BatchOptions, BatchState, BatchStopReason, NearMiss, OrderCounts,
    };
    use prost_types::{Duration, Timestamp};

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
            "ID       b-1\nState    succeeded (no delivered order was left)\nLimit    10,000 orders\nCreated  2025-"
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
b-1  succeeded  2025-10-16 14:23:45Z   12m 34s  1,234     1,220           8          45       6  a secondary is 12s behind · dry run · limit 10,000 orders · max rate off · resumed 2 times"
        );
    }
}
