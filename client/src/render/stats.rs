//! The figures of the whole database, in the layout of the brief.

use order_archiver_api::{
    statistics::{counted, framed, line, pace, rounded, thousands},
    v1::GetStatsResponse,
};

use super::{
    batch, ids, paint,
    screen::screen,
    text::{left_out, one_line},
    units::{chosen_length, moment, whole_length},
};

/// The brief's box over the whole life of the archive, then the last and the next batch, the window, and the sizes.
pub(crate) fn statistics(stats: &GetStatsResponse) -> String {
    let mut sections = vec![lifetime(stats)];
    sections.extend(batches(stats));
    sections.extend([window(stats), now(stats)]);
    let text = framed("STATISTICS OUTPUT", &sections, screen().columns);
    let mut text = paint::labelled(&text);
    if !stats.near_misses.is_empty() {
        text.push_str("\n\n");
        let more = stats.more_near_misses.as_ref();
        text.push_str(&batch::near_misses(&stats.near_misses, more));
    }
    if !stats.unreadable.is_empty() {
        text.push('\n');
    }
    for document in &stats.unreadable {
        text.push('\n');
        text.push_str(&left_out(document));
    }
    text
}

fn lifetime(stats: &GetStatsResponse) -> Vec<String> {
    let since = stats
        .counting_since
        .as_ref()
        .map(|time| format!("Since {}", moment(time)));
    let mut lines = vec![
        since.unwrap_or_else(|| "No order was counted yet".to_owned()),
        String::new(),
    ];
    lines.extend(counted(&stats.lifetime.unwrap_or_default()));
    lines.push(String::new());
    lines
}

fn batches(stats: &GetStatsResponse) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    if let Some(last) = &stats.last_batch {
        lines.extend(pace(last));
        lines.push(line(
            "Last batch:",
            &one_line(&format!(
                "{} {}",
                ids::short(&last.id, ids::length([last.id.as_str()])),
                batch::state(last)
            )),
        ));
    }
    lines.extend(
        stats
            .next_batch_time
            .as_ref()
            .map(|time| line("Next batch:", &moment(time))),
    );
    (!lines.is_empty()).then_some(lines)
}

fn window(stats: &GetStatsResponse) -> Vec<String> {
    let length = stats.window_length.unwrap_or_default();
    let mut lines = vec![format!("Last {}", chosen_length(&length)), String::new()];
    lines.extend(counted(&stats.window.unwrap_or_default()));
    lines.push(line(
        "Rate:",
        &format!("{} orders/hour", rounded(stats.archived_per_hour)),
    ));
    lines
}

fn now(stats: &GetStatsResponse) -> Vec<String> {
    let mut lines = vec![
        line(
            "Archive:",
            &format!("{} orders", thousands(stats.archive_size)),
        ),
        line(
            "Quarantine:",
            &format!("{} orders", thousands(stats.quarantine_size)),
        ),
    ];
    lines.extend(
        stats
            .watcher_lag
            .as_ref()
            .map(|lag| line("Watcher lag:", &whole_length(lag))),
    );
    lines.push(line("Database:", &one_line(&stats.database)));
    lines.extend(
        stats
            .read_time
            .as_ref()
            .map(|time| line("Read:", &moment(time))),
    );
    lines
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::{Batch, BatchState, MoreNearMisses, NearMiss, OrderCounts};
    use prost_types::{Duration, Timestamp};

    use super::*;

    fn stats() -> GetStatsResponse {
        let counts = OrderCounts {
            found: 1_234,
            archived: 1_220,
            duplicates: 8,
            incomplete: 45,
            errors: 6,
            gone: 0,
        };
        GetStatsResponse {
            lifetime: Some(OrderCounts {
                found: 1_000_000,
                archived: 999_900,
                errors: 100,
                ..counts
            }),
            counting_since: Some(Timestamp {
                seconds: 1_760_572_800,
                nanos: 0,
            }),
            window: Some(counts),
            window_length: Some(Duration {
                seconds: 86_400,
                nanos: 0,
            }),
            archived_per_hour: 50.83,
            archive_size: 999_900,
            quarantine_size: 6,
            last_batch: Some(Batch {
                id: "b-7".to_owned(),
                state: BatchState::Succeeded.into(),
                counts: Some(counts),
                duration: Some(Duration {
                    seconds: 754,
                    nanos: 0,
                }),
                ..Batch::default()
            }),
            database: "livraison".to_owned(),
            read_time: Some(Timestamp {
                seconds: 1_760_624_625,
                nanos: 0,
            }),
            ..GetStatsResponse::default()
        }
    }

    #[test]
    fn the_figures_are_the_briefs_own_box() {
        assert_eq!(
            statistics(&stats()),
            "\
┌──────────────────────────────────────────────────┐
│                 STATISTICS OUTPUT                │
├──────────────────────────────────────────────────┤
│  Since 2025-10-16 00:00:00Z                      │
│                                                  │
│  Found:       1,000,000 orders                   │
│  Archived:      999,900 orders  (100.0%)         │
│  Duplicates:          8 orders  (0.0%)           │
│  Incomplete:         45 orders  (0.0%)           │
│  Errors:            100 orders  (0.0%)           │
│                                                  │
├──────────────────────────────────────────────────┤
│  Duration:    12m 34s                            │
│  Rate:        97 orders/min                      │
│  Last batch:  b-7 succeeded                      │
├──────────────────────────────────────────────────┤
│  Last 24h                                        │
│                                                  │
│  Found:       1,234 orders                       │
│  Archived:    1,220 orders  (98.9%)              │
│  Duplicates:      8 orders  (0.6%)               │
│  Incomplete:     45 orders  (3.6%)               │
│  Errors:          6 orders  (0.5%)               │
│  Rate:        51 orders/hour                     │
├──────────────────────────────────────────────────┤
│  Archive:     999,900 orders                     │
│  Quarantine:  6 orders                           │
│  Database:    livraison                          │
│  Read:        2025-10-16 14:23:45Z               │
└──────────────────────────────────────────────────┘"
        );
    }

    #[test]
    fn the_watchers_lag_is_shown_while_there_is_a_watcher() {
        let lag = Some(Duration {
            seconds: 3,
            nanos: 0,
        });
        let text = statistics(&GetStatsResponse {
            watcher_lag: lag,
            ..stats()
        });
        assert!(text.contains("│  Watcher lag: 3s "), "{text}");
        assert!(!statistics(&stats()).contains("Watcher"));
    }

    #[test]
    fn the_next_batch_is_shown_even_before_the_first_one() {
        let next = Some(Timestamp {
            seconds: 1_760_660_000,
            nanos: 0,
        });
        for last_batch in [stats().last_batch, None] {
            let text = statistics(&GetStatsResponse {
                last_batch,
                next_batch_time: next,
                ..stats()
            });
            assert!(
                text.contains("│  Next batch:  2025-10-17 00:13:20Z  "),
                "{text}"
            );
        }
    }

    #[test]
    fn a_name_cannot_break_the_frame() {
        let text = statistics(&GetStatsResponse {
            database: "a\nb".to_owned(),
            ..stats()
        });
        assert!(text.contains("│  Database:    a\\nb "), "{text}");
    }

    #[test]
    fn a_fresh_database_has_figures_too() {
        let text = statistics(&GetStatsResponse::default());
        assert!(text.contains("No order was counted yet"), "{text}");
        assert!(!text.contains("Duration:"), "no batch, no duration: {text}");
    }

    #[test]
    fn near_misses_beyond_those_that_are_told_are_counted() {
        let miss = NearMiss {
            status_json: "\"Livrée\"".to_owned(),
            orders: 3,
            examples: Vec::new(),
        };
        let text = statistics(&GetStatsResponse {
            near_misses: vec![miss],
            more_near_misses: Some(MoreNearMisses {
                statuses: 59_000,
                orders: 60_000,
            }),
            ..stats()
        });
        let last = text.lines().last().unwrap();
        assert_eq!(last, "and 60,000 more of 59,000 other statuses");
    }

    #[test]
    fn near_misses_follow_the_box() {
        let miss = NearMiss {
            status_json: "\"livre\u{301}e\"".to_owned(),
            orders: 3,
            examples: Vec::new(),
        };
        let text = statistics(&GetStatsResponse {
            near_misses: vec![miss],
            ..stats()
        });
        // The decomposed accent takes no column of its own.
        assert!(
            text.ends_with("NEAR MISS  ORDERS  EXAMPLES\n\"livre\u{301}e\"        3"),
            "{text}"
        );
    }
}
