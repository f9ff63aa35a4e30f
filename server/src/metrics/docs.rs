//! Writes the document about the metrics from their table, so that neither can be wrong.

use std::fmt::Write;

use super::names::{ALL, Kind, Metric, Of};

/// The tables of `docs/metrics.md`: what is of an instance, then what is of the database.
pub fn markdown_tables() -> String {
    let mut text = String::new();
    for (of, title) in [
        (Of::Instance, "What an instance did, and how it fares"),
        (Of::Database, "What is of the whole database"),
    ] {
        let _ = write!(
            text,
            "## {title}\n\n| metric | kind | labels | |\n|---|---|---|---|\n"
        );
        for metric in ALL.iter().filter(|metric| metric.of == of) {
            let Metric { name, help, .. } = metric;
            let kind = match metric.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram(_) => "histogram",
            };
            let labels = metric.labels.iter();
            let labels: Vec<String> = labels
                .map(|label| format!("`{}`: {}", label.name, label.values))
                .collect();
            let labels = labels.join("<br>");
            let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {help} |");
        }
        text.push('\n');
    }
    text.pop();
    text
}
