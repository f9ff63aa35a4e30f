//! What is wrong, told from the figures: whether every delivered order is archived, and if not, why.

use prost_types::{Duration, Timestamp};

use crate::{
    statistics::{length, thousands},
    text::one_line,
    v1::{
        Batch, BatchState, BatchStopReason, GetStatsResponse, MissingPrivilege, Verdict,
        Verification, VerificationState, Watcher, WatcherState,
    },
    verification,
};

/// How far the watcher may be behind.
pub const MOST_LAG: Duration = Duration {
    seconds: 30,
    nanos: 0,
};
/// How old the latest verification may be, in seconds: two nights.
const OLDEST_VERIFICATION: i64 = 2 * 86_400;

/// What a problem is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The database user lacks a privilege that something stands still without.
    Privilege,
    /// Nobody archives orders as they are delivered.
    Watcher,
    /// The watcher is far behind.
    Lag,
    /// A part of the history was not read and is not made up for.
    Gap,
    /// The latest batch failed.
    Batch,
    /// Orders are in quarantine.
    Quarantine,
    /// Orders were deleted before they could be archived.
    Gone,
    /// The latest verification says NOT VERIFIED, failed, or is old.
    Verification,
    /// A document of archd's own can't be read.
    State,
}

impl Kind {
    /// Its name, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Privilege => "privilege",
            Self::Watcher => "watcher",
            Self::Lag => "lag",
            Self::Gap => "gap",
            Self::Batch => "batch",
            Self::Quarantine => "quarantine",
            Self::Gone => "gone",
            Self::Verification => "verification",
            Self::State => "state",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is about.
    pub kind: Kind,
    /// What is wrong, on one line.
    pub text: String,
    /// What mends it or says more, on one line.
    pub remedy: String,
}

/// All that is wrong, what is worst first. Lengths of time are up to the moment at which the figures
/// were read.
pub fn problems(stats: &GetStatsResponse) -> Vec<Problem> {
    let now = stats.read_time.as_ref();
    let found = [
        denied(stats),
        stats
            .watcher
            .as_ref()
            .and_then(|watcher| unwatched(watcher, now)),
        behind(stats),
        stats.watcher.as_ref().and_then(gap),
        stats.last_batch.as_ref().and_then(failed_batch),
        quarantined(stats),
        gone(stats),
        stats
            .last_verification
            .as_ref()
            .and_then(|last| doubtful(last, now)),
        unreadable(stats),
    ];
    found.into_iter().flatten().collect()
}

fn problem(kind: Kind, text: &str, remedy: &str) -> Option<Problem> {
    Some(Problem {
        kind,
        text: one_line(text),
        remedy: one_line(remedy),
    })
}

fn denied(stats: &GetStatsResponse) -> Option<Problem> {
    let mut missing = stats.missing_privileges.iter().filter(|it| it.essential);
    let first = missing.next()?;
    let MissingPrivilege {
        action,
        resource,
        lost,
        ..
    } = first;
    let more = match missing.count() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    problem(
        Kind::Privilege,
        &format!("the database user lacks {action} on {resource}{more}: {lost}"),
        "`archd check` prints what grants it",
    )
}

fn unwatched(watcher: &Watcher, now: Option<&Timestamp>) -> Option<Problem> {
    let told = |text: &str, remedy| problem(Kind::Watcher, text, remedy);
    let since = age(watcher.state_since_time.as_ref(), now);
    let since = since.map_or_else(String::new, |since| format!(" for {since}"));
    let waiting = waiting(watcher);
    const RESUME: &str = "`archctl watch resume` lets it go on";
    match watcher.state() {
        // Who has no watcher at all goes by batches.
        WatcherState::Stopped if watcher.instance.is_empty() => None,
        WatcherState::Stopped => {
            let remedy = match watcher.able_instances {
                _ if watcher.paused => RESUME,
                Some(0) => "no instance that runs has ARCHD_WATCH on: start one that has",
                _ => "`archctl watch status` says more, and the log of archd why nobody does",
            };
            told(&format!("nobody watches{since}{waiting}"), remedy)
        }
        WatcherState::Paused => told(&format!("the watcher is paused{since}{waiting}"), RESUME),
        WatcherState::Retrying => told(
            &format!(
                "the watcher meets a fault and tries again{since}{}",
                because(&watcher.last_error)
            ),
            "`archctl watch status` says more, and so does the log of archd",
        ),
        WatcherState::Unsupported => told(
            &format!(
                "this database can't be watched{}",
                because(&watcher.last_error)
            ),
            "`archd check` says what it takes",
        ),
        WatcherState::Unspecified
        | WatcherState::Starting
        | WatcherState::CatchingUp
        | WatcherState::Watching => None,
    }
}

fn waiting(watcher: &Watcher) -> String {
    match &watcher.waiting {
        Some(waiting) if waiting.orders > 0 => {
            let at_least = if waiting.at_least { "at least " } else { "" };
            let (verb, orders) = match waiting.orders {
                1 => ("waits", "order"),
                _ => ("wait", "orders"),
            };
            let number = thousands(waiting.orders);
            format!("; {at_least}{number} delivered {orders} {verb}")
        }
        _ => String::new(),
    }
}

fn behind(stats: &GetStatsResponse) -> Option<Problem> {
    let watcher = stats.watcher.as_ref();
    let idle = [WatcherState::Paused, WatcherState::Stopped];
    // That nobody reads on says more.
    if watcher.is_some_and(|watcher| idle.contains(&watcher.state())) {
        return None;
    }
    let lag = stats.watcher_lag.as_ref()?;
    let late = (lag.seconds, lag.nanos) > (MOST_LAG.seconds, MOST_LAG.nanos);
    let text = format!("the watcher is {} behind", whole(lag.seconds));
    late.then(|| {
        problem(
            Kind::Lag,
            &text,
            "`archctl watch status` shows whether it moves, and the log of archd what is slow",
        )
    })?
}

fn gap(watcher: &Watcher) -> Option<Problem> {
    let gap = watcher.open_gaps.first()?;
    let text = match watcher.open_gaps.len() {
        1 => "a part of the history was not read".to_owned(),
        open => format!("{open} parts of the history were not read"),
    };
    let text = format!("{text}{}", because(&gap.cause));
    let remedy = match gap.batch_id.as_str() {
        "" => "a catch-up batch will make up for it; `archctl watch status` names it".to_owned(),
        id => format!("its catch-up batch makes up for it: `archctl batch show {id}`"),
    };
    problem(Kind::Gap, &text, &remedy)
}

fn failed_batch(batch: &Batch) -> Option<Problem> {
    if batch.state() != BatchState::Failed {
        return None;
    }
    let id = &batch.id;
    if batch.stop_reason() == BatchStopReason::Unbalanced {
        return problem(
            Kind::Batch,
            "the books of the latest batch do not balance",
            &format!("please report it, with `archctl batch show {id}`"),
        );
    }
    problem(
        Kind::Batch,
        &format!("the latest batch failed{}", because(&batch.message)),
        "a new one takes up the rest: `archctl batch start --wait`",
    )
}

fn quarantined(stats: &GetStatsResponse) -> Option<Problem> {
    let text = match stats.quarantine_size {
        ..1 => return None,
        1 => "1 order is in quarantine".to_owned(),
        orders => format!("{} orders are in quarantine", thousands(orders)),
    };
    problem(
        Kind::Quarantine,
        &text,
        "`archctl quarantine list` says why, and what mends it",
    )
}

fn gone(stats: &GetStatsResponse) -> Option<Problem> {
    let text = match stats.window.map_or(0, |window| window.gone) {
        ..1 => return None,
        1 => "1 order was deleted before it could be archived".to_owned(),
        orders => format!(
            "{} orders were deleted before they could be archived",
            thousands(orders)
        ),
    };
    problem(Kind::Gone, &text, "the log of archd names them")
}

fn doubtful(last: &Verification, now: Option<&Timestamp>) -> Option<Problem> {
    let id = &last.id;
    let show = format!("`archctl verify show {id}` says more");
    if last.verdict() == Verdict::NotVerified {
        let verdict = verification::verdict(last);
        // The moment is told elsewhere, in the reader's zone.
        let verdict = verdict.split(", as of ").next().unwrap_or_default();
        return problem(Kind::Verification, verdict, &show);
    }
    if last.state() == VerificationState::Failed {
        let text = format!("the latest verification failed{}", because(&last.message));
        return problem(Kind::Verification, &text, &show);
    }
    let seconds = now?.seconds - last.end_time.as_ref()?.seconds;
    (seconds > OLDEST_VERIFICATION).then(|| {
        problem(
            Kind::Verification,
            &format!("the latest verification is {} old", whole(seconds)),
            "`archctl verify` makes a new one",
        )
    })?
}

fn unreadable(stats: &GetStatsResponse) -> Option<Problem> {
    // What a newer archd wrote is not at fault.
    let mut faults = stats.unreadable.iter().filter(|document| !document.newer);
    let first = &faults.next()?.name;
    let text = match faults.count() {
        0 => format!("archd can't read its own document {first}"),
        more => format!("archd can't read its own document {first}, and {more} more"),
    };
    problem(Kind::State, &text, "`archd state` says what is wrong")
}

fn because(why: &str) -> String {
    match why {
        "" => String::new(),
        why => format!(": {why}"),
    }
}

/// How long ago it was.
fn age(time: Option<&Timestamp>, now: Option<&Timestamp>) -> Option<String> {
    Some(whole((now?.seconds - time?.seconds).max(0)))
}

/// A length without its fraction.
fn whole(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        _ => length(&Duration { seconds, nanos: 0 }),
    }
}

#[cfg(test)]
mod tests;
