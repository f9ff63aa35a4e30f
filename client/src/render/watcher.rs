//! The watcher: as a card, and as the news of its states and gaps.

use order_archiver_api::{
    statistics::{changed, length, thousands},
    v1::{AskedBy, Gap, WaitingOrders, WatchPartition, Watcher, WatcherState},
};
use prost_types::{Duration, Timestamp};

use super::{
    grid, paint,
    text::{by_whom, words},
    units::{moment, moment_or_dash, whole_length},
};

/// Everything about the watcher.
pub(crate) fn card(watcher: &Watcher) -> String {
    let mut fields = vec![
        ("State", state_since(watcher)),
        ("Instance", or(&watcher.instance, "-")),
        ("Position", moment_or_dash(watcher.position_time.as_ref())),
        (
            "Lag",
            watcher
                .lag
                .as_ref()
                .map_or_else(|| "-".to_owned(), whole_length),
        ),
        ("Waiting", waiting(watcher)),
        ("Last event", last_event(watcher)),
        (
            "History",
            watcher.history_headroom.as_ref().map_or_else(
                || "unknown; `archd check` names the privilege that shows it".to_owned(),
                |reach| format!("reaches {} behind the position", whole_length(reach)),
            ),
        ),
        ("Saved", moment_or_dash(watcher.saved_time.as_ref())),
        ("Last error", last_error(watcher)),
        ("Open gaps", open_gaps(watcher)),
    ];
    // Few ever split it.
    if watcher.partition_count > 1 || watcher.wanted_partition_count > 1 {
        fields.insert(2, ("Partitions", partitions(watcher)));
    }
    let mut parts = vec![
        grid::card(fields),
        watcher.counts.as_ref().map_or_else(
            || "Counts unknown: their counter can't be read; `archctl stats` names it".to_owned(),
            |counts| paint::labelled(&changed(counts).join("\n")),
        ),
    ];
    if !watcher.partitions.is_empty() {
        parts.push(partition_table(&watcher.partitions));
    }
    if !watcher.open_gaps.is_empty() {
        parts.push(gaps(&watcher.open_gaps));
    }
    parts.join("\n\n")
}

/// How many partitions there are, and are to be.
fn partitions(watcher: &Watcher) -> String {
    let (now, wanted) = (watcher.partition_count, watcher.wanted_partition_count);
    if now == wanted {
        return now.to_string();
    }
    let mut text = format!("{now}, becoming {wanted}");
    let behind = watcher.partitions.iter().filter(|it| it.holds_up_change);
    let behind: Vec<String> = behind.map(|it| it.index.to_string()).collect();
    match &behind[..] {
        [] => {}
        [one] => text.push_str(&format!("; waits for partition {one}")),
        more => text.push_str(&format!("; waits for partitions {}", more.join(", "))),
    }
    text
}

fn partition_table(partitions: &[WatchPartition]) -> String {
    let rows = partitions.iter().map(|partition| {
        [
            partition.index.to_string(),
            or(&partition.instance, "-"),
            partition_state(partition),
            moment_or_dash(partition.position_time.as_ref()),
            partition
                .lag
                .as_ref()
                .map_or_else(|| "-".to_owned(), whole_length),
        ]
    });
    let header = ["PARTITION", "INSTANCE", "STATE", "POSITION", "LAG"];
    grid::table(header, &["PARTITION", "LAG"], rows)
}

fn partition_state(partition: &WatchPartition) -> String {
    words(partition.state().as_str_name(), "WATCHER_STATE_")
}

/// A change of a partition: which, who, what, and why when there is a reason.
pub(super) fn partition_story(partition: &WatchPartition) -> String {
    let WatchPartition {
        index,
        of,
        instance,
        last_error,
        ..
    } = partition;
    let mut text = format!(
        "{index} of {of}  {instance}  {}",
        partition_state(partition)
    );
    if partition.state() == WatcherState::Retrying && !last_error.is_empty() {
        text.push_str(&format!(": {last_error}"));
    }
    text
}

/// A change of state: who, what, and why when there is a reason.
pub(super) fn state_story(watcher: &Watcher) -> String {
    let mut text = format!("{}  {}", watcher.instance, state(watcher));
    if let Some(asked) = watcher.asked_by.as_ref().filter(|asked| asked.pause)
        && watcher.state() == WatcherState::Paused
    {
        text.push_str(&format!(", asked {}", whom(asked)));
    }
    match watcher.open_gaps.len() {
        0 => {}
        1 => text.push_str(", 1 gap open"),
        open => text.push_str(&format!(", {open} gaps open")),
    }
    if is_the_reason(watcher) {
        text.push_str(&format!(": {}", watcher.last_error));
    }
    text
}

/// What the watcher does, in words: since when, and who was the last while nobody does anything.
pub(crate) fn state_in_words(watcher: &Watcher) -> String {
    let since = since(watcher);
    let state = watcher.state();
    if state != WatcherState::Stopped {
        return format!("{}{since}{}", self::state(watcher), by_request(watcher));
    }
    if watcher.instance.is_empty() {
        return "nobody has ever watched".to_owned();
    }
    let mut text = format!("nobody watches{since}; the last was {}", watcher.instance);
    if watcher.paused {
        text.push_str("; paused until `archctl watch resume`");
    }
    if watcher.able_instances == Some(0) {
        text.push_str("; no instance that runs has ARCHD_WATCH on");
    }
    text
}

/// The orders that nobody archives.
pub(crate) fn waiting_orders(waiting: &WaitingOrders) -> String {
    let WaitingOrders {
        orders,
        at_least,
        unknown,
    } = waiting;
    let number = thousands(*orders);
    match (unknown.as_str(), orders, at_least) {
        ("", 0, false) => "nothing".to_owned(),
        ("", 1, false) => "1 delivered order".to_owned(),
        ("", _, false) => format!("{number} delivered orders"),
        ("", _, true) => format!("at least {number} delivered orders"),
        (why, ..) => format!("unknown: {why}"),
    }
}

/// Whether the latest fault is why the watcher is in the state that it is in: it is kept when it
/// has passed.
fn is_the_reason(watcher: &Watcher) -> bool {
    let time = |time: &Option<Timestamp>| time.map(|time| (time.seconds, time.nanos));
    let since = time(&watcher.state_since_time);
    !watcher.last_error.is_empty() && (since.is_none() || time(&watcher.last_error_time) >= since)
}

fn last_error(watcher: &Watcher) -> String {
    match &watcher.last_error_time {
        Some(time) if !watcher.last_error.is_empty() => {
            format!("{}: {}", moment(time), watcher.last_error)
        }
        _ => or(&watcher.last_error, "none"),
    }
}

/// That somebody asked it to pause or to go on.
pub(super) fn asked_story(asked: &AskedBy) -> String {
    let what = if asked.pause { "to pause" } else { "to go on" };
    format!("{what}, {}", whom(asked))
}

fn whom(asked: &AskedBy) -> String {
    by_whom(&asked.peer, &asked.instance)
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

pub(crate) fn state(watcher: &Watcher) -> String {
    words(watcher.state().as_str_name(), "WATCHER_STATE_")
}

/// Who asked for a pause.
fn by_request(watcher: &Watcher) -> String {
    match &watcher.asked_by {
        Some(asked) if asked.pause && watcher.state() == WatcherState::Paused => {
            let when = moment_or_dash(asked.time.as_ref());
            format!(", asked {} at {when}", whom(asked))
        }
        _ => String::new(),
    }
}

fn since(watcher: &Watcher) -> String {
    let since = watcher.state_since_time.as_ref();
    since.map_or_else(String::new, |time| format!(" since {}", moment(time)))
}

/// The contract's name of the state first, which the words of one that has stopped do without.
fn state_since(watcher: &Watcher) -> String {
    match watcher.state() {
        WatcherState::Stopped => format!("stopped: {}", state_in_words(watcher)),
        _ => state_in_words(watcher),
    }
}

fn waiting(watcher: &Watcher) -> String {
    match (&watcher.waiting, &watcher.wall_lag) {
        (Some(waiting), _) => waiting_orders(waiting),
        (None, None) => "-".to_owned(),
        (None, Some(lag)) if *lag == Duration::default() => "nothing".to_owned(),
        (None, Some(lag)) => format!("the oldest change, for {}", length(lag)),
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
    use order_archiver_api::v1::OrderCounts;

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
            ..Watcher::default()
        }
    }

    fn waits(orders: i64, at_least: bool) -> Option<WaitingOrders> {
        Some(WaitingOrders {
            orders,
            at_least,
            unknown: String::new(),
        })
    }

    #[test]
    fn a_watcher_that_nobody_runs_says_since_when_who_was_the_last_and_what_waits() {
        let stopped = Watcher {
            state: WatcherState::Stopped.into(),
            state_since_time: at(1_760_624_700),
            lag: None,
            wall_lag: None,
            last_error_time: at(1_760_624_600),
            waiting: waits(60_000, false),
            paused: true,
            able_instances: Some(0),
            ..watcher()
        };
        assert!(
            card(&stopped).starts_with(
                "\
State       stopped: nobody watches since 2025-10-16 14:25:00Z; the last was archd-1; paused until `archctl watch resume`; no instance that runs has ARCHD_WATCH on
Instance    archd-1
Position    2025-10-16 14:23:45Z
Lag         -
Waiting     60,000 delivered orders
Last event  2025-10-16 14:23:40Z, 8.5s ago
History     reaches 2d 4h 0m behind the position
Saved       2025-10-16 14:23:44Z
Last error  2025-10-16 14:23:20Z: the database was away\\nfor long
"
            ),
            "{}",
            card(&stopped)
        );
        let able = Watcher {
            able_instances: Some(1),
            paused: false,
            ..stopped
        };
        assert_eq!(
            state_in_words(&able),
            "nobody watches since 2025-10-16 14:25:00Z; the last was archd-1"
        );
        assert_eq!(
            state_in_words(&Watcher {
                state: WatcherState::Stopped.into(),
                ..Watcher::default()
            }),
            "nobody has ever watched"
        );
    }

    #[test]
    fn a_paused_watcher_says_since_when_and_what_waits() {
        let paused = Watcher {
            state: WatcherState::Paused.into(),
            state_since_time: at(1_760_624_700),
            wall_lag: None,
            waiting: waits(41_000, true),
            ..watcher()
        };
        let text = card(&paused);
        for line in [
            "State       paused since 2025-10-16 14:25:00Z\n",
            "Waiting     at least 41,000 delivered orders\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        for (waiting, text) in [
            (waits(0, false), "nothing"),
            (waits(1, false), "1 delivered order"),
            (waits(0, true), "at least 0 delivered orders"),
        ] {
            assert_eq!(waiting_orders(&waiting.unwrap()), text);
        }
        let unknown = WaitingOrders {
            unknown: "the watcher has no position yet".to_owned(),
            ..WaitingOrders::default()
        };
        assert_eq!(
            waiting_orders(&unknown),
            "unknown: the watcher has no position yet"
        );
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
History     reaches 2d 4h 0m behind the position
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
    fn the_card_of_a_split_watch_has_its_partitions() {
        let partition = WatchPartition {
            of: 2,
            instance: "archd-1".to_owned(),
            state: WatcherState::Watching.into(),
            position_time: at(1_760_624_625),
            lag: after(3, 0),
            ..WatchPartition::default()
        };
        let left = WatchPartition {
            index: 1,
            of: 2,
            state: WatcherState::Stopped.into(),
            holds_up_change: true,
            ..WatchPartition::default()
        };
        let mut split = Watcher {
            partition_count: 2,
            wanted_partition_count: 4,
            partitions: vec![partition, left],
            ..watcher()
        };
        let text = card(&split);
        let held_up = "Partitions  2, becoming 4; waits for partition 1\n";
        assert!(text.contains(held_up), "{text}");
        let table = "\
PARTITION  INSTANCE  STATE     POSITION              LAG
        0  archd-1   watching  2025-10-16 14:23:45Z   3s
        1  -         stopped   -                       -";
        assert!(text.contains(table), "{text}");
        for (behind, told) in [(true, "; waits for partitions 0, 1\n"), (false, "\n")] {
            for partition in &mut split.partitions {
                partition.holds_up_change = behind;
            }
            let text = card(&split);
            assert!(text.contains(&format!("2, becoming 4{told}")), "{text}");
        }
        assert!(!card(&watcher()).contains("Partitions"));
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
History     unknown; `archd check` names the privilege that shows it
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
    fn a_card_says_who_paused_it() {
        let asked_by = AskedBy {
            pause: true,
            instance: "archd-2".to_owned(),
            peer: "10.0.0.7:50712".to_owned(),
            time: at(1_760_624_625),
        };
        let text = card(&Watcher {
            state: WatcherState::Paused.into(),
            asked_by: Some(asked_by),
            ..watcher()
        });
        let state =
            "State       paused, asked by 10.0.0.7:50712 through archd-2 at 2025-10-16 14:23:45Z";
        assert_eq!(text.lines().next(), Some(state));
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
        // What has passed is no reason for what came after it.
        let again = Watcher {
            state: WatcherState::Watching.into(),
            state_since_time: at(1_760_624_700),
            last_error_time: at(1_760_624_699),
            open_gaps: Vec::new(),
            ..trying
        };
        assert_eq!(state_story(&again), "archd-1  watching");
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
