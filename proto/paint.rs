//! Colours: what is well, under way, odd or at fault, told by the name of a field and the words in
//! it; the same from the server and the command line. Whether there are any is for the caller to
//! know.

use anstyle::AnsiColor;

pub use anstyle::Style;

/// What is as it should be.
pub const WELL: Style = AnsiColor::Green.on_default();
const UNDER_WAY: Style = AnsiColor::Cyan.on_default();
/// What somebody may want to look at.
pub const ODD: Style = AnsiColor::Yellow.on_default();
/// What is at fault.
pub const AT_FAULT: Style = AnsiColor::Red.on_default();

/// Words that states, outcomes and kinds of events begin with; the first that fits counts.
const WORDS: &[(Style, &[&str])] = &[
    (
        AT_FAULT,
        &[
            "failed",
            "stopped",
            "nobody watches",
            "not serving",
            "not ok",
            "conflict",
            "quarantined",
            "gone",
            "not verified",
            "refused",
        ],
    ),
    (
        WELL,
        &[
            "succeeded",
            "serving",
            "ok",
            "watching",
            "archived",
            "already archived",
            "duplicate",
            "batch finished",
            "gap closed",
            "verified",
            "replaced",
            "removed",
            "yes",
        ],
    ),
    (
        UNDER_WAY,
        &[
            "pending",
            "running",
            "starting",
            "catching up",
            "batch started",
            "batch progress",
            "watcher state",
            "verification started",
            "verification progress",
        ],
    ),
    (
        ODD,
        &[
            "cancel",
            "paused",
            "retrying",
            "still quarantined",
            "not delivered",
            "incomplete",
            "gap opened",
            "no",
        ],
    ),
];

/// The classes of differences that fail a verdict.
const FAILING: [&str; 4] = ["missing", "altered", "doubled", "damaged"];

/// The style of a value under the name of its field or column.
pub fn of_field(name: &str, value: &str) -> Style {
    let is_none = matches!(value, "" | "-" | "0" | "none" | "nothing");
    match name.to_ascii_lowercase().as_str() {
        "state" | "outcome" | "complete" | "watcher" => of_word(value),
        "verdict" => of_word(&value.to_ascii_lowercase()),
        "class" if FAILING.contains(&value) => AT_FAULT,
        "last batch" => value.rsplit(' ').next().map_or(Style::new(), of_word),
        "errors" | "gone" | "failing" if !value.starts_with("0 ") && !is_none => AT_FAULT,
        "last error" | "reason" if !is_none => AT_FAULT,
        "missing" | "throttle" | "open gaps" | "near miss" | "open gap" | "waiting" | "warning"
            if !is_none =>
        {
            ODD
        }
        "quarantine" if !value.starts_with("0 ") => ODD,
        _ => Style::new(),
    }
}

/// Lines of a label, a colon and a value, framed or not, with the values in their colours.
pub fn labelled(text: &str) -> String {
    let lines = text.lines().map(labelled_line);
    lines.collect::<Vec<_>>().join("\n")
}

fn labelled_line(line: &str) -> String {
    let side = |c: char| c == '│' || c == ' ';
    let Some((label, value)) = line.trim_matches(side).split_once(':') else {
        return line.to_owned();
    };
    let value = value.trim_start();
    let style = of_field(label, value);
    let (start, end) = line.rsplit_once(value).unwrap_or((line, ""));
    if value.is_empty() || style == Style::new() {
        return line.to_owned();
    }
    format!("{start}{}{end}", in_style(style, value))
}

/// The style of a word that says how something is.
pub fn of_word(text: &str) -> Style {
    WORDS
        .iter()
        .find(|(_, words)| words.iter().any(|word| text.starts_with(word)))
        .map_or(Style::new(), |(style, _)| *style)
}

/// The text in a style.
pub fn in_style(style: Style, text: &str) -> String {
    if style == Style::new() {
        return text.to_owned();
    }
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_faults_have_their_colours() {
        for (name, value, wanted) in [
            ("STATE", "succeeded", WELL),
            (
                "State",
                "failed (the database was away or refused)",
                AT_FAULT,
            ),
            ("State", "no longer known", ODD),
            ("OUTCOME", "still quarantined", ODD),
            ("ERRORS", "0", Style::new()),
            ("ERRORS", "1,000", AT_FAULT),
            ("Last error", "none", Style::new()),
            ("MISSING", "prix_menu", ODD),
            ("ID", "failed", Style::new()),
            ("Watcher", "nobody watches since 2025-10-16", AT_FAULT),
            ("Watcher", "paused since 2025-10-16", ODD),
            ("Watcher", "nobody has ever watched", ODD),
            ("Waiting", "at least 60,000 delivered orders", ODD),
            ("Waiting", "nothing", Style::new()),
            ("Quarantine", "6 orders", ODD),
            ("Quarantine", "0 orders", Style::new()),
            ("VERDICT", "verified", WELL),
            ("Verdict", "NOT VERIFIED: 3 missing", AT_FAULT),
            ("VERDICT", "-", Style::new()),
            ("CLASS", "missing", AT_FAULT),
            ("CLASS", "quarantined", Style::new()),
            ("FAILING", "3", AT_FAULT),
        ] {
            assert_eq!(of_field(name, value), wanted, "{name} {value}");
        }
    }

    #[test]
    fn a_line_of_the_box_is_painted_within_its_frame() {
        assert_eq!(
            labelled_line("│  Errors:          6 orders  (0.5%)               │"),
            "│  Errors:          \u{1b}[31m6 orders  (0.5%)\u{1b}[0m               │"
        );
        for plain in [
            "│  Errors:          0 orders  (0.0%)               │",
            "│  Found:       1,234 orders                       │",
            "├──────┤",
            "",
        ] {
            assert_eq!(labelled_line(plain), plain);
        }
    }
}
