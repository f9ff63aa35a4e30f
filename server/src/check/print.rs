//! Printing what was found: for people a line a verdict, for programs one JSON object.

use std::io::{self, IsTerminal, Write};

use super::finding::{Report, Verdict};
use crate::config::Output;

/// Prints to standard output, in colour only for a terminal that wants it.
#[allow(clippy::print_stdout, reason = "the verdicts are this command's data")]
pub(super) fn print(report: &Report, output: Output) -> io::Result<()> {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let mut stdout = io::stdout().lock();
    let text = match output {
        Output::Text => as_text(report, stdout.is_terminal() && !no_color),
        Output::Json => format!("{}\n", as_json(report)),
    };
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn as_text(report: &Report, color: bool) -> String {
    let mut text = String::new();
    let width = |finding: &super::finding::Finding| finding.name.len();
    let width = report.findings.iter().map(width).max().unwrap_or(0);
    for finding in &report.findings {
        let word = format!("{:<11}", word(finding.verdict));
        let word = if color {
            painted(finding.verdict, &word)
        } else {
            word
        };
        text.push_str(&format!(
            "{word}  {:<width$}  {}\n",
            finding.name, finding.found
        ));
        for (index, line) in finding.fix.iter().flat_map(|fix| fix.lines()).enumerate() {
            let label = if index == 0 { "fix:" } else { "" };
            text.push_str(&format!("{:13}{label:<5}{line}\n", ""));
        }
    }
    text.push_str(&format!(
        "{} ok, {} warning, {} failed",
        report.count(Verdict::Ok),
        report.count(Verdict::Warning),
        report.count(Verdict::Failed),
    ));
    match report.count(Verdict::NotChecked) {
        0 => {}
        count => text.push_str(&format!(", {count} not checked")),
    }
    text.push('\n');
    text
}

fn as_json(report: &Report) -> serde_json::Value {
    let checks: Vec<serde_json::Value> = report
        .findings
        .iter()
        .map(|finding| {
            serde_json::json!({
                "name": finding.name, "verdict": finding.verdict.name(), "found": finding.found, "fix": finding.fix,
            })
        })
        .collect();
    serde_json::json!({ "verdict": report.verdict().name(), "checks": checks })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Failed => "FAILED",
        Verdict::NotChecked => "not checked",
    }
}

/// In the colour of the verdict, as terminals understand it.
fn painted(verdict: Verdict, word: &str) -> String {
    let color = match verdict {
        Verdict::Ok => 32,
        Verdict::Warning => 33,
        Verdict::Failed => 31,
        Verdict::NotChecked => 2,
    };
    format!("\u{1b}[{color}m{word}\u{1b}[0m")
}
