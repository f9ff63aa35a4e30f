//! What became of orders, in the layout of the brief's statistics.

use order_archiver_api::v1::{Batch, OrderCounts};

use super::units::{length, percent, rate, thousands};

/// The label's column, as wide as in the brief.
const LABEL: usize = 13;

/// The five lines that every report of counts has; each share is one of the orders found.
pub(crate) fn lines(counts: Option<&OrderCounts>) -> Vec<String> {
    let counts = counts.copied().unwrap_or_default();
    let numbers = [
        ("Found:", counts.found),
        ("Archived:", counts.archived),
        ("Duplicates:", counts.duplicates),
        ("Incomplete:", counts.incomplete),
        ("Errors:", counts.errors),
    ]
    .map(|(label, number)| (label, number, thousands(number)));
    // The brief leaves room for 9,999; the archive of years needs more.
    let width = numbers
        .iter()
        .map(|(_, _, text)| text.len())
        .max()
        .unwrap_or(0)
        .max(5);
    numbers
        .iter()
        .enumerate()
        .map(|(index, (label, number, text))| {
            let share = if index == 0 {
                String::new()
            } else {
                format!("  ({})", percent(*number, counts.found))
            };
            format!("{label:<LABEL$}{text:>width$} orders{share}")
        })
        .collect()
}

/// How long a batch took and how fast it archived.
pub(crate) fn pace(batch: &Batch) -> Vec<String> {
    let duration = batch.duration.unwrap_or_default();
    let minutes = (duration.seconds as f64 + f64::from(duration.nanos) / 1e9) / 60.0;
    // As in the brief, where 1,220 orders archived in 12m 34s make 97 a minute.
    let archived = batch.counts.map_or(0, |counts| counts.archived);
    let rate = if minutes > 0.0 {
        rate(archived as f64 / minutes)
    } else {
        "-".to_owned()
    };
    vec![
        line("Duration:", &length(&duration)),
        line("Rate:", &format!("{rate} orders/min")),
    ]
}

/// One labelled line below the counts.
pub(crate) fn line(label: &str, value: &str) -> String {
    format!("{label:<LABEL$}{value}")
}
