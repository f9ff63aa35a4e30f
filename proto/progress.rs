//! How a batch stands, in words: on one line while it runs, and in a few words once it has ended.

use prost_types::Duration;

use crate::{
    statistics::{length, rounded, thousands},
    text::one_line,
    v1::{Batch, BatchState, BatchStopReason},
};

/// The bar of a batch, as a template of indicatif.
pub const BAR: &str = "{bar:30} {wide_msg}";
/// The same where something holds the batch back: that is read first, and never cut off by what
/// else there is to say.
pub const HELD_BACK: &str = "{prefix}\n{bar:30} {wide_msg}";

/// What a bar is drawn with, from a whole column down to none.
pub const BLOCKS: &str = "█▉▊▋▌▍▎▏ ";

/// How far a batch is, on one line.
pub fn line(batch: &Batch) -> String {
    let throttle = (!batch.throttle.is_empty()).then(|| one_line(&batch.throttle));
    parts(batch, throttle).join(" · ")
}

/// The same without what holds the batch back, for whoever shows that elsewhere.
pub fn without_throttle(batch: &Batch) -> String {
    parts(batch, None).join(" · ")
}

fn parts(batch: &Batch, throttle: Option<String>) -> Vec<String> {
    let counts = batch.counts.unwrap_or_default();
    if batch.state() == BatchState::Pending {
        return vec!["waiting to begin".to_owned()];
    }
    let mut parts = Vec::new();
    if batch.options.is_some_and(|options| options.validate_only) {
        parts.push("dry run".to_owned());
    }
    // What a narrow terminal cuts off is at the end, so an ending stands before its figures.
    if batch.state() != BatchState::Running {
        parts.push(one_line(&ending(batch)));
    }
    parts.push(match batch.estimated_total {
        0 => format!("{} orders", thousands(counts.found)),
        total => format!("{} of {} orders", thousands(counts.found), thousands(total)),
    });
    if batch.orders_per_second > 0.0 {
        parts.push(format!("{}/s", rounded(batch.orders_per_second)));
    }
    if batch.state() == BatchState::Running {
        let rest = batch.estimated_total - counts.found;
        parts.extend(left(rest, batch.orders_per_second).map(|left| format!("{left} left")));
    }
    parts.extend(throttle);
    for (number, name) in [
        (counts.archived, "archived"),
        (counts.duplicates, "duplicates"),
        (counts.incomplete, "incomplete"),
        (counts.errors, "errors"),
        (counts.gone, "gone"),
    ] {
        if number > 0 {
            parts.push(format!("{} {name}", thousands(number)));
        }
    }
    parts.extend(resumed(batch));
    parts
}

/// How a batch ended, or that it has not, and why in words.
pub fn ending(batch: &Batch) -> String {
    let mut text = state(batch);
    if let Some(reason) = reason(batch.stop_reason()) {
        text.push_str(&format!(" ({reason})"));
    }
    if !batch.message.is_empty() {
        text.push_str(&format!(": {}", batch.message));
    }
    text
}

/// The state of a batch as a word.
pub fn state(batch: &Batch) -> String {
    words(batch.state().as_str_name(), "BATCH_STATE_")
}

/// How often another server took the batch up, when they did.
pub fn resumed(batch: &Batch) -> Option<String> {
    times_resumed(batch.resumes)
}

/// The same of whatever servers take up.
pub fn times_resumed(resumes: i32) -> Option<String> {
    match resumes {
        ..1 => None,
        1 => Some("resumed once".to_owned()),
        times => Some(format!("resumed {times} times")),
    }
}

/// A name of the contract in words: `BATCH_STATE_SUCCEEDED` without its prefix is `succeeded`.
pub fn words(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix)
        .unwrap_or(name)
        .to_lowercase()
        .replace('_', " ")
}

/// Why a batch ended; nothing where its state says so already.
fn reason(reason: BatchStopReason) -> Option<&'static str> {
    match reason {
        BatchStopReason::Unspecified | BatchStopReason::Cancelled => None,
        BatchStopReason::Exhausted => Some("no delivered order was left"),
        BatchStopReason::Limit => Some("as many orders as were asked for had been met"),
        BatchStopReason::MaxRuntime => Some("the time that it was given had passed"),
        BatchStopReason::Database => Some("the database was away or refused"),
        BatchStopReason::Unbalanced => Some("its books did not balance; please report it"),
        BatchStopReason::Interrupted => Some("every instance that ran it stopped"),
    }
}

/// How long the rest will take at the rate so far.
pub(crate) fn left(rest: i64, per_second: f64) -> Option<String> {
    let seconds = rest as f64 / per_second;
    let foreseeable = rest > 0 && seconds.is_finite();
    // Rounding up keeps "0s left" off the screen, and a fraction of a second is no news.
    let seconds = seconds.ceil() as i64;
    foreseeable.then(|| match seconds {
        ..60 => format!("{seconds}s"),
        _ => length(&Duration { seconds, nanos: 0 }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{BatchOptions, OrderCounts};

    fn batch() -> Batch {
        Batch {
            state: BatchState::Running.into(),
            counts: Some(OrderCounts {
                found: 1_234,
                archived: 1_220,
                duplicates: 8,
                incomplete: 45,
                errors: 6,
                gone: 0,
            }),
            estimated_total: 100_000,
            orders_per_second: 1_234.0,
            ..Batch::default()
        }
    }

    #[test]
    fn progress_says_how_far_how_fast_and_how_long() {
        assert_eq!(
            line(&batch()),
            "1,234 of 100,000 orders · 1,234/s · 1m 21s left · 1,220 archived · 8 duplicates · 45 incomplete · 6 errors"
        );
        let stopping = Batch {
            state: BatchState::Cancelling.into(),
            estimated_total: 0,
            ..batch()
        };
        assert!(line(&stopping).starts_with("cancelling · 1,234 orders · 1,234/s · "));
        let stuck = Batch {
            orders_per_second: 0.0,
            ..batch()
        };
        assert!(line(&stuck).ends_with("6 errors"));
        let gentle = Batch {
            options: Some(BatchOptions {
                validate_only: true,
                ..BatchOptions::default()
            }),
            resumes: 1,
            throttle: "a secondary is 12s behind".to_owned(),
            ..stuck
        };
        let first =
            "dry run · 1,234 of 100,000 orders · a secondary is 12s behind · 1,220 archived";
        assert!(line(&gentle).starts_with(first), "{}", line(&gentle));
        assert!(line(&gentle).ends_with("6 errors · resumed once"));
        assert!(!without_throttle(&gentle).contains("secondary"));
    }

    #[test]
    fn an_ending_says_its_reason_once_and_in_words() {
        let ended = |state: BatchState, reason: BatchStopReason, message: &str| {
            ending(&Batch {
                state: state.into(),
                stop_reason: reason.into(),
                message: message.to_owned(),
                ..Batch::default()
            })
        };
        assert_eq!(
            ended(BatchState::Succeeded, BatchStopReason::Exhausted, ""),
            "succeeded (no delivered order was left)"
        );
        assert_eq!(
            ended(BatchState::Cancelled, BatchStopReason::Cancelled, ""),
            "cancelled"
        );
        assert_eq!(
            ended(BatchState::Failed, BatchStopReason::Database, "away for 5m"),
            "failed (the database was away or refused): away for 5m"
        );
    }

    #[test]
    fn names_become_words() {
        assert_eq!(
            words("QUARANTINE_REASON_NO_USABLE_NUMBER", "QUARANTINE_REASON_"),
            "no usable number"
        );
    }
}
