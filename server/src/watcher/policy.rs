//! What the watcher does after a fault: pure decisions.

use std::time::Duration;

use crate::store::{Error, wire::changes::LONG_LOOK};

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Open the stream again from the last place.
    Reopen,
    /// Open it at the moment of the last place: the place itself is no good to this stream.
    FromMoment,
    /// Take a new starting point and catch up: the history is lost, or holds something that can't
    /// be read.
    StartOver,
    /// Wait for somebody to mend the deployment.
    Unsupported,
}

/// What to do after this error.
pub(super) fn after(error: &Error) -> Next {
    match error {
        Error::Unavailable(_)
        | Error::Timeout(_)
        | Error::Slow { .. }
        | Error::NotReady { .. }
        | Error::ArchiveUnfit(_)
        | Error::Denied { .. }
        | Error::State(_)
        | Error::Unauthenticated => Next::Reopen,
        Error::BadPlace { .. } => Next::FromMoment,
        Error::HistoryLost | Error::Refused { .. } | Error::Unusable(_) => Next::StartOver,
        Error::ReplicaSetRequired | Error::IsView { .. } => Next::Unsupported,
    }
}

/// The pause after so many catch-up batches in a row that failed: doubling from 5 s to 5 minutes,
/// each up to a half longer by chance. Every one leaves a document behind, and does again what the
/// last one did in vain.
pub(super) fn before_another_catch_up(failed: u32) -> Duration {
    const SHORTEST: Duration = Duration::from_secs(5);
    const LONGEST: Duration = Duration::from_secs(5 * 60);
    match failed.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => longer(SHORTEST, LONGEST, doublings),
    }
}

/// A pause that was doubled so many times, up to a longest one, and is up to a half longer by
/// chance.
fn longer(shortest: Duration, longest: Duration, doublings: u32) -> Duration {
    let pause = (shortest * 2u32.pow(doublings.min(10))).min(longest);
    pause.mul_f64(1.0 + rand::random::<f64>() / 2.0)
}

/// Ever longer pauses: doubling from 200 ms to 10 s, each up to a half longer by chance so that
/// instances spread.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    /// How many of them were replies that took too long.
    slow: u32,
}

impl Backoff {
    /// The longest pause without its part of chance.
    pub(super) const LONGEST: Duration = Duration::from_secs(10);

    /// The next pause.
    pub(super) fn next(&mut self) -> Duration {
        let pause = longer(Duration::from_millis(200), Backoff::LONGEST, self.failures);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// Whether nothing has worked since the latest fault.
    pub(super) fn is_needed(&self) -> bool {
        self.failures > 0
    }

    /// Notes what the fault was.
    pub(super) fn heed(&mut self, error: &Error) {
        if matches!(error, Error::Timeout(_)) {
            self.slow = self.slow.saturating_add(1);
        }
    }

    /// How long the opening of a stream may take now: the database looks through everything that was
    /// written since the watcher's place before it answers, so one that was too slow for the usual
    /// limit gets twice the time at each attempt.
    pub(super) fn opening(&self, usual: Duration) -> Duration {
        let longest = LONG_LOOK.max(usual);
        (usual * 2u32.pow(self.slow.min(10))).min(longest)
    }

    /// Something worked: the next fault is a first one again.
    pub(super) fn reset(&mut self) {
        *self = Backoff::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_an_answer() {
        let table = [
            (Error::Unavailable(String::new()), Next::Reopen),
            (Error::Timeout(Duration::ZERO), Next::Reopen),
            (
                Error::Denied {
                    command: String::new(),
                },
                Next::Reopen,
            ),
            // Starting over would meet the same archive, and lose the place.
            (Error::ArchiveUnfit(String::new()), Next::Reopen),
            (
                Error::BadPlace {
                    code: 280,
                    name: String::new(),
                },
                Next::FromMoment,
            ),
            (Error::HistoryLost, Next::StartOver),
            (
                Error::Refused {
                    command: String::new(),
                    code: 10334,
                    name: String::new(),
                },
                Next::StartOver,
            ),
            (Error::ReplicaSetRequired, Next::Unsupported),
            (
                Error::IsView {
                    collection: String::new(),
                },
                Next::Unsupported,
            ),
        ];
        for (error, next) in table {
            assert_eq!(after(&error), next, "{error}");
        }
    }

    #[test]
    fn catch_ups_wait_longer_after_each_failure_and_five_minutes_at_most() {
        let table = [(0, 0), (1, 5), (2, 10), (3, 20), (7, 300), (u32::MAX, 300)];
        for (failed, seconds) in table {
            let (pause, least) = (
                before_another_catch_up(failed),
                Duration::from_secs(seconds),
            );
            assert!(
                pause >= least && pause <= least.mul_f64(1.5),
                "{failed}: {pause:?}"
            );
        }
    }

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..12).map(|_| backoff.next()).collect();
        assert!(
            pauses[0] >= Duration::from_millis(200) && pauses[0] <= Duration::from_millis(300),
            "{pauses:?}"
        );
        assert!(
            pauses[11] >= Backoff::LONGEST && pauses[11] <= Backoff::LONGEST.mul_f64(1.5),
            "{pauses:?}"
        );
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(300));
    }

    #[test]
    fn an_opening_gets_more_time_after_each_that_was_too_slow_and_after_no_other_fault() {
        let usual = Duration::from_secs(10);
        let mut backoff = Backoff::default();
        backoff.heed(&Error::Unavailable(String::new()));
        assert_eq!(backoff.opening(usual), usual);
        let mut seconds = Vec::new();
        for _ in 0..20 {
            backoff.heed(&Error::Timeout(usual));
            seconds.push(backoff.opening(usual).as_secs());
        }
        assert_eq!(seconds[..7], [20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(seconds[19], 600);
        let longer = LONG_LOOK * 2;
        assert_eq!(backoff.opening(longer), longer);
        backoff.reset();
        assert_eq!(backoff.opening(usual), usual);
    }
}
