//! The statistics of a batch as people read them, the same from the server and the command line.

use prost_types::Duration;

use crate::{
    text::{columns, cut},
    v1::{Batch, OrderCounts},
};

/// The label's column, as wide as in the brief.
const LABEL: usize = 13;
/// The narrowest frame, in columns between its sides.
const FRAME: usize = 50;
/// The blank columns between a side of the frame and its text.
const PADDING: usize = 2;
/// The columns that the two sides take.
const SIDES: usize = 2;

/// The box of a batch, in at most so many columns: what became of its orders, how long it took and
/// how fast it was. A dry run says that it only predicts.
pub fn of_batch(batch: &Batch, most: Option<usize>) -> String {
    let mut found = vec![String::new()];
    found.extend(counted(&batch.counts.unwrap_or_default()));
    found.push(String::new());
    let predicts = batch.options.is_some_and(|options| options.validate_only);
    let title = if predicts {
        "DRY RUN: A PREDICTION, NOTHING WAS WRITTEN"
    } else {
        "STATISTICS OUTPUT"
    };
    framed(title, &[found, speed(batch)], most)
}

/// The five lines that every report of counts has, each share one of the orders found; and a sixth
/// when orders were gone.
pub fn counted(counts: &OrderCounts) -> Vec<String> {
    let numbers = [
        ("Found:", counts.found),
        ("Archived:", counts.archived),
        ("Duplicates:", counts.duplicates),
        ("Incomplete:", counts.incomplete),
        ("Errors:", counts.errors),
    ]
    .map(|(label, number)| (label, number, thousands(number)));
    let mut lines = of_found(&numbers, counts.found);
    // Beside the others, for it is no share of those that were found; and seldom.
    if counts.gone > 0 {
        let orders = thousands(counts.gone);
        lines.push(line(
            "Gone:",
            &format!("{orders} orders before they were read"),
        ));
    }
    lines
}

/// The same lines for counts of what has changed for orders, where being archived already is no
/// change. A server that counts otherwise has that line too.
pub fn changed(counts: &OrderCounts) -> Vec<String> {
    let mut lines = counted(counts);
    if counts.duplicates == 0 {
        lines.retain(|line| !line.starts_with("Duplicates:"));
    }
    lines
}

/// A line for each count, of the same width; each share is one of the orders found.
fn of_found(numbers: &[(&str, i64, String)], found: i64) -> Vec<String> {
    // The brief leaves room for 9,999; the archive of years needs more.
    let width = numbers
        .iter()
        .map(|(_, _, text)| text.len())
        .fold(5, usize::max);
    numbers
        .iter()
        .enumerate()
        .map(|(index, (label, number, text))| {
            let share = if index == 0 {
                String::new()
            } else {
                format!("  ({})", percent(*number, found))
            };
            line(label, &format!("{text:>width$} orders{share}"))
        })
        .collect()
}

/// How long a batch took, and how many orders it archived in a minute.
pub fn speed(batch: &Batch) -> Vec<String> {
    let duration = batch.duration.unwrap_or_default();
    let minutes = (duration.seconds as f64 + f64::from(duration.nanos) / 1e9) / 60.0;
    // As in the brief, where 1,220 orders archived in 12m 34s make 97 a minute.
    let archived = batch.counts.map_or(0, |counts| counts.archived);
    let rate = if minutes > 0.0 {
        rounded(archived as f64 / minutes)
    } else {
        "-".to_owned()
    };
    vec![
        line("Duration:", &length(&duration)),
        line("Rate:", &format!("{rate} orders/min")),
    ]
}

/// One labelled line, its value in the column of the counts.
pub fn line(label: &str, value: &str) -> String {
    format!("{label:<LABEL$}{value}")
}

/// Sections of lines in a frame under a title, in at most so many columns: what is longer is cut.
/// The frame is as wide as its longest line needs; where there is no room for the brief's own, the
/// lines stand without one.
///
/// A line must not hold control characters.
pub fn framed(title: &str, sections: &[Vec<String>], most: Option<usize>) -> String {
    let most = most.unwrap_or(usize::MAX);
    if most < FRAME + SIDES {
        return unframed(title, sections, most);
    }
    let longest = sections.iter().flatten().map(|line| columns(line));
    let longest = longest.fold(0, usize::max);
    let width = (longest + 2 * PADDING).clamp(FRAME, most - SIDES);
    let rule = |left: char, right: char| format!("{left}{}{right}", "─".repeat(width));
    let side = |text: &str| {
        let blanks = width.saturating_sub(columns(text));
        format!("│{text}{}│", " ".repeat(blanks))
    };

    // The odd blank stands before the title, as in the brief; `{:^}` would put it behind.
    let before = width.saturating_sub(columns(title)).div_ceil(2);
    let mut lines = vec![
        rule('┌', '┐'),
        side(&format!("{}{title}", " ".repeat(before))),
    ];
    for section in sections {
        lines.push(rule('├', '┤'));
        lines.extend(section.iter().map(|line| {
            let line = cut(line, width - 2 * PADDING);
            side(&format!("{}{line}", " ".repeat(PADDING)))
        }));
    }
    lines.push(rule('└', '┘'));
    lines.join("\n")
}

fn unframed(title: &str, sections: &[Vec<String>], most: usize) -> String {
    let mut text = cut(title, most);
    for section in sections {
        text.push('\n');
        for line in section.iter().filter(|line| !line.is_empty()) {
            text.push('\n');
            text.push_str(&cut(line, most));
        }
    }
    text
}

/// `1234567` is `1,234,567`.
pub fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3 + 1);
    if number < 0 {
        grouped.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A rate without its fraction, which nobody needs beside thousands.
pub fn rounded(number: f64) -> String {
    // A float becomes the nearest integer that there is, NaN becomes 0.
    thousands(number.round() as i64)
}

/// The share of a whole with one decimal; nothing of nothing is `0.0%`.
pub fn percent(part: i64, whole: i64) -> String {
    let share = if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64 * 100.0
    };
    format!("{share:.1}%")
}

/// `340ms`, `12.3s`, `12m 34s`, `2h 0m 5s`, `3d 4h 0m`.
pub fn length(duration: &Duration) -> String {
    let (seconds, nanos) = (duration.seconds, i64::from(duration.nanos));
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        ..1 => format!(
            "{}ms",
            seconds
                .saturating_mul(1_000)
                .saturating_add(nanos / 1_000_000)
        ),
        1..60 => format!("{seconds}.{}s", nanos / 100_000_000),
        60..3_600 => format!("{minutes}m {}s", seconds % 60),
        3_600..86_400 => format!("{hours}h {}m {}s", minutes % 60, seconds % 60),
        _ => format!("{days}d {}h {}m", hours % 24, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::BatchOptions;

    fn batch() -> Batch {
        Batch {
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
            ..Batch::default()
        }
    }

    #[test]
    fn the_statistics_are_the_briefs_own_box() {
        assert_eq!(
            of_batch(&batch(), Some(80)),
            "\
┌──────────────────────────────────────────────────┐
│                 STATISTICS OUTPUT                │
├──────────────────────────────────────────────────┤
│                                                  │
│  Found:       1,234 orders                       │
│  Archived:    1,220 orders  (98.9%)              │
│  Duplicates:      8 orders  (0.6%)               │
│  Incomplete:     45 orders  (3.6%)               │
│  Errors:          6 orders  (0.5%)               │
│                                                  │
├──────────────────────────────────────────────────┤
│  Duration:    12m 34s                            │
│  Rate:        97 orders/min                      │
└──────────────────────────────────────────────────┘"
        );
    }

    #[test]
    fn a_dry_run_is_told_from_a_batch_by_its_title() {
        let options = BatchOptions {
            validate_only: true,
            ..BatchOptions::default()
        };
        let batch_of = |batch: &Batch| of_batch(batch, None);
        let text = batch_of(&Batch {
            options: Some(options),
            ..batch()
        });
        let (head, rest) = text.split_once("\n├").unwrap();
        assert_eq!(
            head,
            "\
┌──────────────────────────────────────────────────┐
│    DRY RUN: A PREDICTION, NOTHING WAS WRITTEN    │"
        );
        assert!(batch_of(&batch()).ends_with(rest));
    }

    #[test]
    fn an_empty_batch_divides_by_nothing() {
        let text = of_batch(&Batch::default(), None);
        assert!(text.contains("Errors:          0 orders  (0.0%)"), "{text}");
        assert!(text.contains("Rate:        - orders/min"), "{text}");
    }

    #[test]
    fn orders_that_were_gone_have_a_line_when_there_are_any() {
        let gone = |gone| OrderCounts {
            gone,
            ..OrderCounts::default()
        };
        assert_eq!(counted(&gone(0)).len(), 5);
        let lines = counted(&gone(1_200));
        assert_eq!(lines[5], "Gone:        1,200 orders before they were read");
    }

    #[test]
    fn what_is_no_change_has_no_line_among_changes() {
        let counts = batch().counts.unwrap();
        assert_eq!(changed(&counts), counted(&counts));
        let lines = changed(&OrderCounts {
            duplicates: 0,
            ..counts
        });
        let labels: Vec<_> = lines
            .iter()
            .filter_map(|line| line.split(':').next())
            .collect();
        assert_eq!(labels, ["Found", "Archived", "Incomplete", "Errors"]);
    }

    #[test]
    fn millions_widen_their_column() {
        let lines = counted(&OrderCounts {
            found: 1_000_000,
            archived: 999_999,
            duplicates: 1,
            ..OrderCounts::default()
        });
        assert_eq!(lines[0], "Found:       1,000,000 orders");
        assert_eq!(lines[2], "Duplicates:          1 orders  (0.0%)");
    }

    #[test]
    fn a_frame_grows_with_its_longest_line_as_far_as_the_screen_goes() {
        let sections = [vec!["é".repeat(60)], vec!["配達済み".to_owned()]];
        for (most, width) in [(None, 66), (Some(80), 66), (Some(60), 60), (Some(52), 52)] {
            let text = framed("TITLE", &sections, most);
            let widths: Vec<usize> = text.lines().map(columns).collect();
            assert_eq!(widths, [width; 7], "{text}");
            assert_eq!(text.contains('…'), width < 66, "{text}");
        }
    }

    #[test]
    fn a_screen_that_is_narrower_than_the_frame_has_none() {
        let text = of_batch(&batch(), Some(40));
        assert_eq!(
            text,
            "\
STATISTICS OUTPUT

Found:       1,234 orders
Archived:    1,220 orders  (98.9%)
Duplicates:      8 orders  (0.6%)
Incomplete:     45 orders  (3.6%)
Errors:          6 orders  (0.5%)

Duration:    12m 34s
Rate:        97 orders/min"
        );
        assert!(text.lines().all(|line| columns(line) <= 40));
    }

    #[test]
    fn thousands_are_separated() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345, "12,345"),
            (1_234_567, "1,234,567"),
            (-1_000, "-1,000"),
            (i64::MIN, "-9,223,372,036,854,775,808"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn rates_round() {
        assert_eq!(rounded(97.08), "97");
        assert_eq!(rounded(f64::NAN), "0");
        assert_eq!(rounded(1_234_567.8), "1,234,568");
    }

    #[test]
    fn shares_have_one_decimal() {
        assert_eq!(percent(1_220, 1_234), "98.9%");
        assert_eq!(percent(8, 1_234), "0.6%");
        assert_eq!(percent(5, 5), "100.0%");
        assert_eq!(percent(0, 0), "0.0%");
    }

    #[test]
    fn lengths_are_short() {
        for (seconds, nanos, text) in [
            (0, 340_000_000, "340ms"),
            (1, 0, "1.0s"),
            (12, 390_000_000, "12.3s"),
            (60, 0, "1m 0s"),
            (754, 0, "12m 34s"),
            (7_205, 0, "2h 0m 5s"),
            (273_600, 0, "3d 4h 0m"),
        ] {
            assert_eq!(length(&Duration { seconds, nanos }), text);
        }
    }
}
