//! The watcher: as a card, and as the news of its states and gaps.

use order_archiver_api::{
    statistics::{changed, length},
    v1::{Gap, Watcher},
};
use prost_types::Duration;

use super::{
    grid,
    text::words,
    units::{moment, moment_or_dash, whole_length},
};

/// Everything about the watcher.
pub(crate) fn card(watcher: &Watcher) -> String {
    let fields = [
        ("State", state(watcher)),
        ("Instance", or(&watcher.instance, "-")),
        ("Position", moment_or_dash(watcher.position_time.as_ref())),
        (
            "Lag",
            watcher
                .lag
                .as_ref()
                .map_or_else(|| "-".to_owned(), whole_length),
        ),
        ("Waiting", waiting(watcher.wall_lag.as_ref())),
        ("Last event", last_event(watcher)),
        (
            "Headroom",
            watcher.history_headroom.as_ref().map_or_else(
                || "unknown; `archd check` names the privilege that shows it".to_owned(),
                whole_length,
            ),
        ),
        ("Saved", moment_or_dash(watcher.saved_time.as_ref())),
        ("Last error", or(&watcher.last_error, "none")),
        ("Open gaps", open_gaps(watcher)),
    ];
    let mut parts = vec![
        grid::card(fields),
        watcher.counts.as_ref().map_or_else(
            || "Counts unknown: their counter can't be read; `archctl stats` names it".to_owned(),
            |counts| changed(counts).join("\n"),
        ),
    ];
    if !watcher.open_gaps.is_empty() {
        parts.push(gaps(&watcher.open_gaps));
    }
    parts.join("\n\n")
}

/// A change of state: who, what, and why when there is a reason.
pub(super) fn state_story(watcher: &Watcher) -> String {
    let mut text = format!("{}  {}", watcher.instance, state(watcher));
    match watcher.open_gaps.len() {
        0 => {}
        1 => text.push_str(", 1 gap open"),
        open => text.push_str(&format!(", {open} gaps open")),
    }
    if !watcher.last_error.is_empty() {
        text.push_str(&format!(": {}", watcher.last_error));
    }
    text
}

/// A gap that was found, and what makes up for it.
pub(super) fn gap_opened_story(gap: &Gap) -> String {
    let mut text = span(gap);
    if !gap.cause.is_empty() {
        text.push_str(&format!(": {}", gap.cause));
    }
    let batch = or(&gap.batch_id, "to come");
    text.push_str(&format!("; catch-up batch {batch}"));
    text
}

/// A gap that a batch has made up for.
pub(super) fn gap_closed_story(gap: &Gap) -> String {
    format!(
        "{}; by catch-up batch {}",
        span(gap),
        or(&gap.batch_id, "-")
    )
}

fn gaps(gaps: &[Gap]) -> String {
    let rows = gaps
        .iter()
        .map(|gap| [span(gap), or(&gap.batch_id, "-"), gap.cause.clone()]);
    grid::table(["OPEN GAP", "CATCH-UP BATCH", "CAUSE"], &[], rows)
}

/// On a first start, a gap has no beginning.
fn span(gap: &Gap) -> String {
    let to = moment_or_dash(gap.to_time.as_ref());
    match &gap.from_time {
        Some(from) => format!("{} to {to}", moment(from)),
        None => format!("all before {to}"),
    }
}

fn state(watcher: &Watcher) -> String {
    words(watcher.state().as_str_name(), "WATCHER_STATE_")
}

fn waiting(wall_lag: Option<&Duration>) -> String {
    match wall_lag {
        None => "-".to_owned(),
        Some(lag) if *lag == Duration::default() => "nothing".to_owned(),
        Some(lag) => format!("the oldest change, for {}", length(lag)),
    }
}

fn last_event(watcher: &Watcher) -> String {
    let ago = watcher
        .since_last_event
        .as_ref()
        .map(|ago| format!("{} ago", length(ago)));
    match (watcher.last_event_time.as_ref().map(moment), ago) {
        (Some(time), Some(ago)) => format!("{time}, {ago}"),
        (Some(text), None) | (None, Some(text)) => text,
        (None, None) => "none yet".to_owned(),
    }
}

fn open_gaps(watcher: &Watcher) -> String {
    match watcher.open_gaps.len() {
        0 => "none".to_owned(),
        open => open.to_string(),
    }
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise } else { text }.to_owned()
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::{OrderCounts, WatcherState};
    use prost_types::Timestamp;

    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn after(seconds: i64, nanos: i32) -> Option<Duration> {
        Some(Duration { seconds, nanos })
    }

    fn gap() -> Gap {
        Gap {
            from_time: at(1_760_624_625),
            to_time: at(1_760_628_225),
            batch_id: "b-7".to_owned(),
            cause: "the history was lost".to_owned(),
        }
    }

    fn watcher() -> Watcher {
        Watcher {
            state: WatcherState::CatchingUp.into(),
            instance: "archd-1".to_owned(),
            position_time: at(1_760_624_625),
            lag: after(3, 0),
            history_headroom: after(187_200, 0),
            last_event_time: at(1_760_624_620),
            saved_time: at(1_760_624_624),
            counts: Some(OrderCounts {
                found: 1_234,
                archived: 1_220,
                duplicates: 8,
                incomplete: 45,
                errors: 6,
                gone: 0,
            }),
            last_error: "the database was away\nfor long".to_owned(),
            open_gaps: vec![gap()],
            wall_lag: after(0, 250_000_000),
            since_last_event: after(8, 500_000_000),
        }
    }

    #[test]
    fn a_card_has_everything() {
        assert_eq!(
            card(&watcher()),
            "\
State       catching up
Instance    archd-1
Position    2025-10-16 14:23:45Z
Lag         3s
Waiting     the oldest change, for 250ms
Last event  2025-10-16 14:23:40Z, 8.5s ago
Headroom    2d 4h 0m
Saved       2025-10-16 14:23:44Z
Last error  the database was away\\nfor long
Open gaps   1

Found:       1,234 orders
Archived:    1,220 orders  (98.9%)
Duplicates:      8 orders  (0.6%)
Incomplete:     45 orders  (3.6%)
Errors:          6 orders  (0.5%)

OPEN GAP                                      CATCH-UP BATCH  CAUSE
2025-10-16 14:23:45Z to 2025-10-16 15:23:45Z  b-7             the history was lost"
        );
    }

    #[test]
    fn a_watcher_that_has_just_begun_has_a_card_too() {
        let text = card(&Watcher {
            state: WatcherState::Starting.into(),
            counts: Some(OrderCounts::default()),
            wall_lag: after(0, 0),
            ..Watcher::default()
        });
        assert!(
            text.starts_with(
                "\
State       starting
Instance    -
Position    -
Lag         -
Waiting     nothing
Last event  none yet
Headroom    unknown; `archd check` names the privilege that shows it
Saved       -
Last error  none
Open gaps   none

Found:           0 orders"
            ),
            "{text}"
        );
        assert!(!text.contains("OPEN GAP"), "{text}");
    }

    #[test]
    fn states_say_why_when_there_is_a_reason() {
        let watching = Watcher {
            state: WatcherState::Watching.into(),
            instance: "archd-1".to_owned(),
            ..Watcher::default()
        };
        assert_eq!(state_story(&watching), "archd-1  watching");
        let trying = Watcher {
            state: WatcherState::Retrying.into(),
            last_error: "no primary".to_owned(),
            open_gaps: vec![gap(), gap()],
            ..watching
        };
        assert_eq!(
            state_story(&trying),
            "archd-1  retrying, 2 gaps open: no primary"
        );
    }

    #[test]
    fn gaps_say_what_makes_up_for_them() {
        assert_eq!(
            gap_opened_story(&gap()),
            "2025-10-16 14:23:45Z to 2025-10-16 15:23:45Z: the history was lost; catch-up batch b-7"
        );
        assert_eq!(
            gap_closed_story(&gap()),
            "2025-10-16 14:23:45Z to 2025-10-16 15:23:45Z; by catch-up batch b-7"
        );
        let first = Gap {
            from_time: None,
            batch_id: String::new(),
            cause: String::new(),
            ..gap()
        };
        assert_eq!(
            gap_opened_story(&first),
            "all before 2025-10-16 15:23:45Z; catch-up batch to come"
        );
    }
}
