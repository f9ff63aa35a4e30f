//! The statistics of a batch as people read them, the same from the server and the command line.

use std::fmt::Write;

use prost_types::Duration;

use crate::v1::{Batch, OrderCounts};

/// The label's column.
const LABEL: usize = 13;
/// The narrowest frame, in columns between its sides.
const FRAME: usize = 50;

/// The box of a batch: what became of its orders, how long it took and how fast it was.
pub fn of_batch(batch: &Batch) -> String {
    framed(
        "STATISTICS OUTPUT",
        &[counted(&batch.counts.unwrap_or_default()), pace(batch)],
    )
}

/// A line for each count; each share is one of the orders found.
pub fn counted(counts: &OrderCounts) -> Vec<String> {
    let rows = [
        ("Found:", counts.found),
        ("Archived:", counts.archived),
        ("Duplicates:", counts.duplicates),
        ("Incomplete:", counts.incomplete),
        ("Errors:", counts.errors),
    ];
    let width = rows
        .iter()
        .map(|(_, number)| thousands(*number).len())
        .fold(5, usize::max);
    let share = |number| {
        if counts.found > 0 {
            format!("{:.1}%", number as f64 * 100.0 / counts.found as f64)
        } else {
            "0.0%".to_owned()
        }
    };
    let line = |(index, (label, number)): (usize, (&str, i64))| {
        let share = if index == 0 {
            String::new()
        } else {
            format!("  ({})", share(number))
        };
        format!("{label:<LABEL$}{:>width$} orders{share}", thousands(number))
    };
    rows.into_iter().enumerate().map(line).collect()
}

/// How long a batch took, and how many orders it archived in a minute.
pub fn pace(batch: &Batch) -> Vec<String> {
    let duration = batch.duration.unwrap_or_default();
    let minutes = (duration.seconds as f64 + f64::from(duration.nanos) / 1e9) / 60.0;
    let archived = batch.counts.unwrap_or_default().archived;
    let rate = if minutes > 0.0 {
        thousands((archived as f64 / minutes).round() as i64)
    } else {
        "-".to_owned()
    };
    vec![
        format!("{:<LABEL$}{}", "Duration:", length(&duration)),
        format!("{:<LABEL$}{rate} orders/min", "Rate:"),
    ]
}

/// Sections of lines in a frame under a title.
pub fn framed(title: &str, sections: &[Vec<String>]) -> String {
    let longest = sections
        .iter()
        .flatten()
        .map(|line| line.chars().count() + 4)
        .fold(FRAME, usize::max);
    let rule = "─".repeat(longest);
    let mut text = format!("┌{rule}┐\n│{title:^longest$}│\n");
    for (index, section) in sections.iter().enumerate() {
        let _ = writeln!(text, "├{rule}┤");
        let air = if index == 0 {
            &[String::new()][..]
        } else {
            &[]
        };
        for line in air.iter().chain(section).chain(air) {
            let _ = writeln!(text, "│  {line:<width$}│", width = longest - 2);
        }
    }
    let _ = write!(text, "└{rule}┘");
    text
}

/// A number with a comma between each three digits.
pub fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = if number < 0 {
        "-".to_owned()
    } else {
        String::new()
    };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length of time in its two largest units: `12m 34s`, or `1.2s` below a minute.
pub fn length(duration: &Duration) -> String {
    let seconds = duration.seconds;
    match seconds {
        86_400.. => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
        3_600.. => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
        60.. => format!("{}m {:02}s", seconds / 60, seconds % 60),
        1.. => format!("{seconds}.{}s", duration.nanos / 100_000_000),
        _ => format!("{}ms", duration.nanos / 1_000_000),
    }
}
