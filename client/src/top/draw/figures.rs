//! The figures: what became of orders, and a line each for the watcher, the batch, the
//! verification and what comes next.

use order_archiver_api::{
    paint::{Style as Colour, of_field, of_word},
    progress,
    statistics::{length, rounded, thousands},
    v1::{Batch, BatchState, GetStatsResponse, OrderCounts, StatsPoint, Verification, Watcher},
    verification,
};
use prost_types::{Duration, Timestamp};
use ratatui::text::{Line, Span};

use super::style;
use crate::{
    render::{
        ids,
        text::{cut, one_line},
        units::{moment, whole_length},
        watcher,
    },
    top::ask::Figures,
};

/// The columns of a label.
const LABEL: usize = 12;
/// The upper edges of the counts of a `LatencyHistogram`, in words.
const EDGES: [&str; 9] = [
    "0.1s", "0.25s", "0.5s", "1s", "2s", "5s", "10s", "30s", "60s",
];

/// What became of orders, within the day and in all.
pub(super) fn counts(figures: &Figures) -> Vec<Line<'static>> {
    let stats = &figures.stats;
    let header = ["", "ARCHIVED", "INCOMPLETE", "ERRORS", "GONE", "ORDERS/H"];
    let rate = rounded(stats.archived_per_hour);
    let day = row("Last 24h", stats.window.unwrap_or_default(), &rate);
    let all = row("In all", stats.lifetime.unwrap_or_default(), "");
    let line = |cells: [Span<'static>; 6]| Line::from(cells.to_vec());
    let header =
        std::array::from_fn(|column| Span::styled(cell(column, header[column]), style::LABEL));
    vec![line(header), line(day), line(all)]
}

fn row(label: &str, counts: OrderCounts, rate: &str) -> [Span<'static>; 6] {
    let OrderCounts {
        archived,
        incomplete,
        errors,
        gone,
        ..
    } = counts;
    let [archived, incomplete, errors, gone] = [archived, incomplete, errors, gone].map(thousands);
    let number = |column, name, value: &str| {
        Span::styled(cell(column, value), style::of(of_field(name, value)))
    };
    [
        Span::styled(cell(0, label), style::LABEL),
        number(1, "archived", &archived),
        number(2, "incomplete", &incomplete),
        number(3, "errors", &errors),
        number(4, "gone", &gone),
        number(5, "rate", rate),
    ]
}

/// A cell in its column: the label to the left, numbers to the right.
fn cell(column: usize, text: &str) -> String {
    match column {
        0 => format!("{text:<LABEL$}"),
        1 => format!("{text:>14}"),
        _ => format!("{text:>12}"),
    }
}

/// A line each for all the rest.
pub(super) fn facts(figures: &Figures, width: usize) -> Vec<Line<'static>> {
    let stats = &figures.stats;
    let watcher = figures.watcher.as_ref().or(stats.watcher.as_ref());
    let facts = [
        watcher.map(|watcher| {
            let text = watched(watcher, stats);
            ("Watcher", of_word(&text), text)
        }),
        stats.last_batch.as_ref().map(|batch| {
            let colour = of_word(&progress::state(batch));
            ("Batch", colour, batched(batch))
        }),
        figures
            .verification
            .as_ref()
            .or(stats.last_verification.as_ref())
            .map(|last| {
                let text = verified(last, stats.read_time.as_ref());
                ("Verified", of_field("verdict", &text), text)
            }),
        next(stats).map(|text| ("Next batch", Colour::new(), text)),
        Some(("Archive", Colour::new(), archive(stats))),
        latency(&stats.series).map(|text| ("Latency", Colour::new(), text)),
    ];
    let line = |(label, colour, text): (&str, Colour, String)| {
        let text = cut(&one_line(&text), width.saturating_sub(LABEL));
        Line::from(vec![
            Span::styled(format!("{label:<LABEL$}"), style::LABEL),
            Span::styled(text, style::of(colour)),
        ])
    };
    facts.into_iter().flatten().map(line).collect()
}

fn watched(watcher: &Watcher, stats: &GetStatsResponse) -> String {
    let mut text = watcher::state_in_words(watcher);
    if let Some(lag) = watcher.lag.as_ref().or(stats.watcher_lag.as_ref()) {
        text.push_str(&format!(", {} behind", whole_length(lag)));
    }
    if let Some(waits) = watcher.wall_lag.as_ref().filter(|lag| is_some(lag)) {
        text.push_str(&format!(", the oldest change waits {}", length(waits)));
    }
    if let Some(waiting) = watcher.waiting.as_ref() {
        text.push_str(&format!("; {} wait", watcher::waiting_orders(waiting)));
    }
    if let Some(reach) = &watcher.history_headroom {
        text.push_str(&format!(
            "; the history reaches {} further",
            whole_length(reach)
        ));
    }
    text
}

fn is_some(length: &Duration) -> bool {
    length.seconds > 0 || length.nanos > 0
}

fn batched(batch: &Batch) -> String {
    let id = ids::short(&batch.id, ids::SHORT);
    let found = batch.counts.unwrap_or_default().found;
    let share = match (batch.state(), batch.estimated_total) {
        (BatchState::Running, total @ 1..) => {
            format!("{}% · ", found.saturating_mul(100) / total.max(found))
        }
        _ => String::new(),
    };
    format!("{id}  {share}{}", progress::line(batch))
}

/// The verdict, or how far it is.
fn verified(last: &Verification, now: Option<&Timestamp>) -> String {
    let Some(ended) = &last.end_time else {
        return format!("running: {}", verification::line(last));
    };
    let verdict = verification::verdict(last);
    // The moment is told as how long ago it was.
    let verdict = verdict.split(", as of ").next().unwrap_or_default();
    match now {
        Some(now) => format!("{verdict}, {} ago", between(ended, now)),
        None => verdict.to_owned(),
    }
}

fn next(stats: &GetStatsResponse) -> Option<String> {
    let time = stats.next_batch_time.as_ref()?;
    let left = stats.read_time.as_ref().map(|now| between(now, time));
    let left = left.map_or_else(String::new, |left| format!(", in {left}"));
    Some(format!("{}{left}", moment(time)))
}

fn archive(stats: &GetStatsResponse) -> String {
    format!(
        "{} orders, and {} in quarantine",
        thousands(stats.archive_size),
        thousands(stats.quarantine_size)
    )
}

/// Within which time half of the day's orders were archived, nearly all, and all.
fn latency(series: &[StatsPoint]) -> Option<String> {
    let mut counts = [0_i64; EDGES.len() + 1];
    for point in series.iter().filter_map(|point| point.latency.as_ref()) {
        for (sum, count) in counts.iter_mut().zip(&point.counts) {
            *sum += count;
        }
    }
    let all: i64 = counts.iter().sum();
    let within = |percent: i64| {
        let mut so_far = 0;
        let bucket = counts.iter().position(|count| {
            so_far += count;
            so_far * 100 >= all * percent
        });
        match bucket.and_then(|bucket| EDGES.get(bucket)) {
            Some(edge) => format!("within {edge}"),
            None => "after more than 60s".to_owned(),
        }
    };
    (all > 0).then(|| {
        format!(
            "of {} orders half {}, 95% {}, all {}",
            thousands(all),
            within(50),
            within(95),
            within(100)
        )
    })
}

fn between(from: &Timestamp, to: &Timestamp) -> String {
    let seconds = (to.seconds - from.seconds).max(0);
    whole_length(&Duration { seconds, nanos: 0 })
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::LatencyHistogram;

    use super::*;

    #[test]
    fn latency_is_told_by_the_edges_between_which_orders_lie() {
        let point = |counts: [i64; 10]| StatsPoint {
            latency: Some(LatencyHistogram {
                counts: counts.to_vec(),
            }),
            ..StatsPoint::default()
        };
        assert_eq!(latency(&[StatsPoint::default(), point([0; 10])]), None);
        let fast = point([50, 45, 5, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            latency(std::slice::from_ref(&fast)).as_deref(),
            Some("of 100 orders half within 0.1s, 95% within 0.25s, all within 0.5s")
        );
        let slow = point([0, 0, 0, 0, 0, 0, 0, 0, 0, 900]);
        assert_eq!(
            latency(&[fast, slow]).as_deref(),
            Some(
                "of 1,000 orders half after more than 60s, 95% after more than 60s, all after more than 60s"
            )
        );
    }
}
