//! Printing what was found: for people a line a verdict, for programs one JSON object.

use std::io::{self, Write};

use super::finding::{CheckReport, Finding, Verdict};
use crate::{
    config::Output,
    privileges::Role,
    terminal::{flush_log, has_colours, one_line, tame_json},
};

/// Prints to standard output, in colour only for a terminal that wants it.
pub(super) fn print(report: &CheckReport, output: Output) -> io::Result<()> {
    flush_log();
    out(&match output {
        Output::Text => as_text(report, has_colours()),
        Output::Json => format!("{}\n", tame_json(&as_json(report).to_string())),
    })
}

/// Prints a role: the command that makes it, or what the database, or Atlas, takes it as.
pub(super) fn print_role(role: &Role, at_atlas: bool, output: Output) -> io::Result<()> {
    let text = match (output, at_atlas) {
        (Output::Text, false) => one_line(&role.create()),
        (Output::Text, true) => one_line(&role.create_at_atlas()),
        (Output::Json, false) => tame_json(&role.document().to_string()),
        (Output::Json, true) => tame_json(&role.document_at_atlas().to_string()),
    };
    out(&format!("{text}\n"))
}

#[allow(clippy::print_stdout, reason = "what was found is this command's data")]
fn out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn as_text(report: &CheckReport, color: bool) -> String {
    let mut text = String::new();
    let width = |finding: &Finding| finding.name.len();
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
            finding.name,
            one_line(&finding.found)
        ));
        for (index, line) in finding.fix.iter().flat_map(|fix| fix.lines()).enumerate() {
            let label = if index == 0 { "fix:" } else { "" };
            text.push_str(&format!("{:13}{label:<5}{}\n", "", one_line(line)));
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

fn as_json(report: &CheckReport) -> serde_json::Value {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_is_a_line_with_what_mends_it_below() {
        let report = CheckReport {
            findings: vec![
                Finding::ok("clocks", "agree"),
                Finding::warning("history", "is short", "a\nb"),
                Finding::failed("set", "is none", "c"),
                Finding::not_checked("rest", "no set"),
            ],
            away: false,
        };
        let expected = "\
ok           clocks   agree
warning      history  is short
             fix: a
                  b
FAILED       set      is none
             fix: c
not checked  rest     no set
1 ok, 1 warning, 1 failed, 1 not checked
";
        assert_eq!(as_text(&report, false), expected);
        let colored = as_text(&report, true);
        assert!(
            colored.contains("\u{1b}[31mFAILED     \u{1b}[0m  set"),
            "{colored}"
        );
        for color in [2, 31, 32, 33] {
            assert_eq!(
                colored.matches(&format!("\u{1b}[{color}m")).count(),
                1,
                "{colored}"
            );
        }
    }
}
