//! The figures of the whole database, in the layout of the brief.

use order_archiver_api::{
    statistics::{changed, counted, framed, line, rounded, speed, thousands},
    v1::{GetStatsResponse, Verification, Watcher, WatcherState},
    verification,
};

use super::{
    batch, ids,
    near_miss::near_misses,
    paint,
    screen::screen,
    text::{left_out, one_line},
    units::{chosen_length, moment, whole_length},
    watcher::{state_in_words, waiting_orders},
};

/// The brief's box over the whole life of the archive, then the last and the next batch, the
/// window, and the sizes.
pub(crate) fn statistics(stats: &GetStatsResponse) -> String {
    let mut sections = vec![lifetime(stats)];
    sections.extend(batches(stats));
    sections.extend(stats.last_verification.as_ref().map(verified));
    sections.extend([window(stats), now(stats)]);
    let text = framed("STATISTICS OUTPUT", &sections, screen().columns);
    let mut text = paint::labelled(&text);
    if !stats.near_misses.is_empty() {
        text.push_str("\n\n");
        let more = stats.more_near_misses.as_ref();
        text.push_str(&near_misses(&stats.near_misses, more));
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
    lines.extend(changed(&stats.lifetime.unwrap_or_default()));
    lines.push(String::new());
    lines
}

fn batches(stats: &GetStatsResponse) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    if let Some(last) = &stats.last_batch {
        lines.push(line(
            "Last batch:",
            &one_line(&format!(
                "{} {}",
                ids::short(&last.id, ids::length([last.id.as_str()])),
                batch::state(last)
            )),
        ));
        lines.extend(counted(&last.counts.unwrap_or_default()));
        lines.extend(speed(last));
    }
    lines.extend(
        stats
            .next_batch_time
            .as_ref()
            .map(|time| line("Next batch:", &moment(time))),
    );
    (!lines.is_empty()).then_some(lines)
}

/// The last verification, and what it says.
fn verified(last: &Verification) -> Vec<String> {
    let id = ids::short(&last.id, ids::length([last.id.as_str()]));
    let verdict = verification::verdict(last);
    // The moment has a line of its own, in the reader's zone.
    let verdict = verdict.split(", as of ").next().unwrap_or_default();
    let verdict = verdict.strip_prefix("No verdict: ").unwrap_or(verdict);
    let mut lines = vec![
        one_line(&format!("Last verification {id}")),
        line("Verdict:", &one_line(verdict)),
    ];
    lines.extend(
        last.as_of
            .as_ref()
            .map(|time| line("As of:", &moment(time))),
    );
    lines
}

fn window(stats: &GetStatsResponse) -> Vec<String> {
    let length = stats.window_length.unwrap_or_default();
    let mut lines = vec![format!("Last {}", chosen_length(&length)), String::new()];
    lines.extend(changed(&stats.window.unwrap_or_default()));
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
    lines.extend(stats.watcher.iter().flat_map(unwatched));
    lines.push(line("Database:", &one_line(&stats.database)));
    lines.extend(
        stats
            .read_time
            .as_ref()
            .map(|time| line("Read:", &moment(time))),
    );
    lines
}

/// What is to be known of a watcher that does not archive, a line for each thing.
fn unwatched(watcher: &Watcher) -> Vec<String> {
    let works = [
        WatcherState::Starting,
        WatcherState::CatchingUp,
        WatcherState::Watching,
    ];
    if works.contains(&watcher.state()) {
        return Vec::new();
    }
    let words = one_line(&state_in_words(watcher));
    let labels = std::iter::once("Watcher:").chain(std::iter::repeat(""));
    let lines = labels.zip(words.split("; "));
    let mut lines: Vec<String> = lines.map(|(label, part)| line(label, part)).collect();
    lines.extend(
        watcher
            .waiting
            .as_ref()
            .map(|waiting| line("Waiting:", &one_line(&waiting_orders(waiting)))),
    );
    lines
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::{
        Batch, BatchState, NearMiss, OrderCounts, Verdict, VerificationState, WaitingOrders,
    };
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
                duplicates: 0,
                errors: 100,
                ..counts
            }),
            counting_since: Some(Timestamp {
                seconds: 1_760_572_800,
                nanos: 0,
            }),
            window: Some(OrderCounts {
                found: 1_226,
                duplicates: 0,
                ..counts
            }),
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
│  Incomplete:         45 orders  (0.0%)           │
│  Errors:            100 orders  (0.0%)           │
│                                                  │
├──────────────────────────────────────────────────┤
│  Last batch:  b-7 succeeded                      │
│  Found:       1,234 orders                       │
│  Archived:    1,220 orders  (98.9%)              │
│  Duplicates:      8 orders  (0.6%)               │
│  Incomplete:     45 orders  (3.6%)               │
│  Errors:          6 orders  (0.5%)               │
│  Duration:    12m 34s                            │
│  Rate:        97 orders/min                      │
├──────────────────────────────────────────────────┤
│  Last 24h                                        │
│                                                  │
│  Found:       1,226 orders                       │
│  Archived:    1,220 orders  (99.5%)              │
│  Incomplete:     45 orders  (3.7%)               │
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
    fn a_watcher_that_does_not_archive_is_told_with_since_when_and_what_waits() {
        let mut watcher = Watcher {
            state: WatcherState::Stopped.into(),
            instance: "archd-1".to_owned(),
            state_since_time: Some(Timestamp {
                seconds: 1_760_624_600,
                nanos: 0,
            }),
            waiting: Some(WaitingOrders {
                orders: 60_000,
                ..WaitingOrders::default()
            }),
            able_instances: Some(0),
            ..Watcher::default()
        };
        let told = |watcher: &Watcher| {
            statistics(&GetStatsResponse {
                watcher: Some(watcher.clone()),
                ..stats()
            })
        };
        let text = told(&watcher);
        assert!(
            text.contains(
                "\
│  Quarantine:  6 orders                                   │
│  Watcher:     nobody watches since 2025-10-16 14:23:20Z  │
│               the last was archd-1                       │
│               no instance that runs has ARCHD_WATCH on   │
│  Waiting:     60,000 delivered orders                    │
│  Database:    livraison                                  │
"
            ),
            "{text}"
        );
        watcher.state = WatcherState::Paused.into();
        let text = told(&watcher);
        assert!(
            text.contains("│  Watcher:     paused since 2025-10-16 14:23:20Z  "),
            "{text}"
        );
        watcher.state = WatcherState::Watching.into();
        assert!(!told(&watcher).contains("Watcher:"), "{text}");
    }

    #[test]
    fn the_last_verification_is_shown_with_what_it_says() {
        let told = |last: Verification| {
            statistics(&GetStatsResponse {
                last_verification: Some(last),
                ..stats()
            })
        };
        let verified = Verification {
            id: "v-1".to_owned(),
            state: VerificationState::Succeeded.into(),
            verdict: Verdict::NotVerified.into(),
            verdict_text: "NOT VERIFIED: 3 missing, as of 2025-10-16T14:23:45Z".to_owned(),
            as_of: stats().read_time,
            ..Verification::default()
        };
        let text = told(verified.clone());
        assert!(
            text.contains(
                "\
├──────────────────────────────────────────────────┤
│  Last verification v-1                           │
│  Verdict:     NOT VERIFIED: 3 missing            │
│  As of:       2025-10-16 14:23:45Z               │
├──────────────────────────────────────────────────┤
│  Last 24h "
            ),
            "{text}"
        );
        let failed = Verification {
            state: VerificationState::Failed.into(),
            verdict: Verdict::Unspecified.into(),
            message: "the database was away".to_owned(),
            as_of: None,
            ..verified
        };
        let text = told(failed);
        let line = "│  Verdict:     failed: the database was away      │\n├";
        assert!(text.contains(line), "{text}");
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
    fn near_misses_follow_the_box() {
        let miss = NearMiss {
            status_json: "\"livre\u{301}e\"".to_owned(),
            orders: 3,
            ..NearMiss::default()
        };
        let text = statistics(&GetStatsResponse {
            near_misses: vec![miss],
            ..stats()
        });
        // The decomposed accent takes no column of its own.
        assert!(
            text.ends_with("EXAMPLES\n\"livre\u{301}e\"        3"),
            "{text}"
        );
    }
}
