//! What is a problem, and what is none.

use super::*;
use crate::v1::{Gap, MissingPrivilege, OrderCounts, UnreadableDocument, WaitingOrders};

const NOW: i64 = 1_760_624_625;

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

fn watcher(state: WatcherState) -> Watcher {
    Watcher {
        state: state.into(),
        instance: "archd-1".to_owned(),
        state_since_time: at(NOW - 7_205),
        last_error: "no\nprimary".to_owned(),
        waiting: Some(WaitingOrders {
            orders: 60_000,
            at_least: true,
            ..WaitingOrders::default()
        }),
        able_instances: Some(1),
        ..Watcher::default()
    }
}

fn privilege(essential: bool) -> MissingPrivilege {
    MissingPrivilege {
        action: "insert".to_owned(),
        resource: "livraison.Historique".to_owned(),
        lost: "nothing is archived".to_owned(),
        essential,
    }
}

fn well() -> GetStatsResponse {
    GetStatsResponse {
        read_time: at(NOW),
        watcher: Some(watcher(WatcherState::Watching)),
        watcher_lag: Some(MOST_LAG),
        window: Some(OrderCounts::default()),
        last_batch: Some(Batch {
            state: BatchState::Succeeded.into(),
            ..Batch::default()
        }),
        last_verification: Some(Verification {
            state: VerificationState::Succeeded.into(),
            verdict: Verdict::Verified.into(),
            end_time: at(NOW - OLDEST_VERIFICATION),
            ..Verification::default()
        }),
        missing_privileges: vec![privilege(false)],
        unreadable: vec![UnreadableDocument {
            newer: true,
            ..UnreadableDocument::default()
        }],
        ..GetStatsResponse::default()
    }
}

/// What is wrong with what is well but for one thing.
fn told(change: impl FnOnce(&mut GetStatsResponse)) -> (Kind, String, String) {
    let mut stats = well();
    change(&mut stats);
    let mut found = problems(&stats);
    assert_eq!(found.len(), 1, "{found:?}");
    let Problem { kind, text, remedy } = found.remove(0);
    (kind, text, remedy)
}

#[test]
fn nothing_is_wrong_with_what_is_well_or_new() {
    assert_eq!(problems(&well()), []);
    assert_eq!(problems(&GetStatsResponse::default()), []);
    let mut batches_alone = well();
    batches_alone.watcher = Some(Watcher {
        state: WatcherState::Stopped.into(),
        ..Watcher::default()
    });
    assert_eq!(problems(&batches_alone), []);
    for state in [WatcherState::Starting, WatcherState::CatchingUp] {
        let mut under_way = well();
        under_way.watcher = Some(watcher(state));
        assert_eq!(problems(&under_way), []);
    }
}

#[test]
fn a_watcher_that_archives_nothing_is_a_problem_whatever_keeps_it() {
    for (state, text, remedy) in [
        (
            WatcherState::Stopped,
            "nobody watches for 2h 0m 5s; at least 60,000 delivered orders wait",
            "the log of archd why nobody does",
        ),
        (
            WatcherState::Paused,
            "the watcher is paused for 2h 0m 5s; at least 60,000 delivered orders wait",
            "`archctl watch resume`",
        ),
        (
            WatcherState::Retrying,
            "the watcher meets a fault and tries again for 2h 0m 5s: no\\nprimary",
            "`archctl watch status`",
        ),
        (
            WatcherState::Unsupported,
            "this database can't be watched: no\\nprimary",
            "`archd check`",
        ),
    ] {
        let problem = told(|stats| stats.watcher = Some(watcher(state)));
        assert_eq!((problem.0, problem.1.as_str()), (Kind::Watcher, text));
        assert!(problem.2.contains(remedy), "{problem:?}");
    }
    let stopped = |able, paused| {
        told(|stats| {
            stats.watcher = Some(Watcher {
                able_instances: Some(able),
                paused,
                waiting: None,
                state_since_time: None,
                ..watcher(WatcherState::Stopped)
            });
        })
    };
    assert_eq!(stopped(0, false).1, "nobody watches");
    assert!(stopped(0, false).2.contains("ARCHD_WATCH"));
    assert!(stopped(0, true).2.contains("watch resume"));
}

#[test]
fn lag_is_a_problem_beyond_half_a_minute() {
    let lag = |seconds, nanos| Some(Duration { seconds, nanos });
    let problem = told(|stats| stats.watcher_lag = lag(30, 1));
    assert_eq!(
        (problem.0, problem.1.as_str()),
        (Kind::Lag, "the watcher is 30s behind")
    );
    let problem = told(|stats| stats.watcher_lag = lag(81, 0));
    assert_eq!(problem.1, "the watcher is 1m 21s behind");
    let paused = told(|stats| {
        stats.watcher = Some(watcher(WatcherState::Paused));
        stats.watcher_lag = lag(81, 0);
    });
    assert_eq!(paused.0, Kind::Watcher);
}

#[test]
fn a_gap_is_a_problem_until_its_batch_has_run() {
    let gaps = |gaps: Vec<Gap>| {
        told(|stats| {
            stats.watcher = Some(Watcher {
                open_gaps: gaps,
                ..watcher(WatcherState::CatchingUp)
            });
        })
    };
    let gap = Gap {
        batch_id: "b-7".to_owned(),
        cause: "the history was lost".to_owned(),
        ..Gap::default()
    };
    let problem = gaps(vec![gap.clone()]);
    assert_eq!(
        (problem.0, problem.1.as_str()),
        (
            Kind::Gap,
            "a part of the history was not read: the history was lost"
        )
    );
    assert!(problem.2.contains("`archctl batch show b-7`"));
    let problem = gaps(vec![Gap::default(), gap]);
    assert_eq!(problem.1, "2 parts of the history were not read");
    assert!(problem.2.starts_with("a catch-up batch will"));
}

#[test]
fn a_batch_is_a_problem_when_it_failed_and_not_when_somebody_cancelled_it() {
    let ended = |state: BatchState, reason: BatchStopReason| {
        let mut stats = well();
        stats.last_batch = Some(Batch {
            id: "b-1".to_owned(),
            state: state.into(),
            stop_reason: reason.into(),
            message: "away for 5m".to_owned(),
            ..Batch::default()
        });
        problems(&stats)
    };
    assert_eq!(ended(BatchState::Cancelled, BatchStopReason::Cancelled), []);
    let failed = ended(BatchState::Failed, BatchStopReason::Database);
    assert_eq!(failed[0].text, "the latest batch failed: away for 5m");
    assert!(failed[0].remedy.contains("`archctl batch start --wait`"));
    let unbalanced = ended(BatchState::Failed, BatchStopReason::Unbalanced);
    assert!(unbalanced[0].remedy.contains("`archctl batch show b-1`"));
    assert_eq!(unbalanced[0].kind, Kind::Batch);
}

#[test]
fn orders_that_are_not_in_the_archive_are_a_problem() {
    let problem = told(|stats| stats.quarantine_size = 1);
    assert_eq!(
        (problem.0, problem.1.as_str()),
        (Kind::Quarantine, "1 order is in quarantine")
    );
    let problem = told(|stats| stats.quarantine_size = 1_200);
    assert_eq!(problem.1, "1,200 orders are in quarantine");
    let gone = |gone| {
        told(|stats| {
            stats.window = Some(OrderCounts {
                gone,
                ..OrderCounts::default()
            });
        })
    };
    assert_eq!(gone(1).1, "1 order was deleted before it could be archived");
    assert_eq!(gone(2).0, Kind::Gone);
}

#[test]
fn a_verification_is_a_problem_when_it_fails_or_is_two_days_old() {
    let last = |change: fn(&mut Verification)| {
        told(|stats| change(stats.last_verification.as_mut().unwrap()))
    };
    let not_verified = last(|last| {
        last.id = "v-1".to_owned();
        last.verdict = Verdict::NotVerified.into();
        last.verdict_text = "NOT VERIFIED: 3 missing, as of 2025-10-16T14:23:45Z".to_owned();
    });
    assert_eq!(not_verified.1, "NOT VERIFIED: 3 missing");
    assert_eq!(not_verified.2, "`archctl verify show v-1` says more");
    let failed = last(|last| {
        last.state = VerificationState::Failed.into();
        last.verdict = Verdict::Unspecified.into();
    });
    assert_eq!(failed.1, "the latest verification failed");
    let old = last(|last| last.end_time.as_mut().unwrap().seconds -= 1);
    assert_eq!(old.1, "the latest verification is 2d 0h 0m old");
    assert_eq!(old.0, Kind::Verification);
}

#[test]
fn documents_that_cannot_be_read_are_a_problem() {
    let bad = UnreadableDocument {
        name: "archd_batches/bad".to_owned(),
        ..UnreadableDocument::default()
    };
    let problem = told(|stats| stats.unreadable.push(bad.clone()));
    assert_eq!(
        (problem.0, problem.1.as_str()),
        (
            Kind::State,
            "archd can't read its own document archd_batches/bad"
        )
    );
    let problem = told(|stats| stats.unreadable.extend([bad.clone(), bad.clone()]));
    assert!(problem.1.ends_with("archd_batches/bad, and 1 more"));
}

#[test]
fn a_privilege_that_something_stands_still_without_is_a_problem() {
    let (kind, text, remedy) = told(|stats| stats.missing_privileges.push(privilege(true)));
    let lacks = "the database user lacks insert on livraison.Historique";
    assert_eq!(kind, Kind::Privilege);
    assert_eq!(text, format!("{lacks}: nothing is archived"));
    assert_eq!(remedy, "`archd check` prints what grants it");
    let (_, text, _) = told(|stats| stats.missing_privileges = vec![privilege(true); 3]);
    assert_eq!(text, format!("{lacks}, and 2 more: nothing is archived"));
}

#[test]
fn what_is_worst_comes_first() {
    let mut stats = well();
    stats.watcher = Some(watcher(WatcherState::Paused));
    stats.quarantine_size = 6;
    let kinds: Vec<Kind> = problems(&stats)
        .into_iter()
        .map(|found| found.kind)
        .collect();
    assert_eq!(kinds, [Kind::Watcher, Kind::Quarantine]);
}
