//! Bulk reads: a batch's pages and its looks at the archive's index, from a secondary where the
//! settings want it and one keeps up.
//!
//! Nothing is missed there: like every read these see no less than what lies before the horizon, at
//! least the beginning of the batch, so a secondary that lags catches up before it answers. One
//! that can't in time costs a short try, and then the primary answers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bson::{RawDocument, RawDocumentBuf};
use mongodb::options::ReadPreference;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::timeout;
use tracing::{info, warn};

use super::command::Answer;
use crate::store::{Error, Store, encoding::document::joined};

/// The most that a secondary may take over one read.
const TRY: Duration = Duration::from_secs(2);
/// For how long no secondary is asked after one has failed: tries in vain cost a batch a sixteenth
/// of its time at most.
const REST: Duration = Duration::from_secs(30);

impl Store {
    /// Runs a reading command of a batch, given without its read options, until `bytes` have come;
    /// the flag says whether rows are left. One that is too much for the time it has fails at once.
    pub(in crate::store) async fn bulk_rows(
        &self,
        command: &RawDocument,
        bytes: usize,
    ) -> Result<(Vec<RawDocumentBuf>, bool), Error> {
        let from_secondary = match &self.secondaries {
            Some(secondaries) => self.ask_secondary(secondaries, command, bytes).await,
            None => None,
        };
        let answer = match from_secondary {
            Some(answer) => answer,
            None => {
                let command = joined(&[command, &self.read_options()]);
                self.answer_in_time(&command, bytes).await?
            }
        };
        // What the rows refer to is read next, and must not be older than they are: not even from a
        // primary elected just now.
        if let Some(time) = answer.time {
            self.has_read_up_to(time);
        }
        Ok((answer.rows, answer.cut))
    }

    /// None when the primary has to answer.
    async fn ask_secondary(
        &self,
        secondaries: &Secondaries,
        command: &RawDocument,
        bytes: usize,
    ) -> Option<Answer> {
        let since = Instant::now();
        if !secondaries.breaker().admits(since) {
            return None;
        }
        let limit = self.policy.operation_timeout.min(TRY);
        let command = joined(&[command, &self.read_options_within(limit)]);
        // A set without a secondary answers at once, by its primary.
        let member = ReadPreference::SecondaryPreferred { options: None };
        let answer = timeout(limit, self.ask(&command, bytes, member)).await;
        match answer.unwrap_or(Err(Error::Timeout(limit))) {
            Ok(answer) => {
                if secondaries.breaker().succeeded(since) {
                    info!("a secondary keeps up again: the batch reads from it");
                }
                Some(answer)
            }
            Err(error) => {
                if secondaries.breaker().failed(Instant::now()) {
                    warn!(%error, "no secondary keeps up: the batch reads from the primary until one does");
                }
                None
            }
        }
    }
}

/// The secondaries, as those who read in bulk know them. Clones share what they know.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Secondaries(Arc<Mutex<CircuitBreaker>>);

impl Secondaries {
    fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.0.lock()
    }
}

/// Whether to ask a secondary.
#[derive(Debug, Default)]
struct CircuitBreaker {
    /// When a secondary failed, or was last tried again; none while they are trusted.
    lost: Option<Instant>,
}

impl CircuitBreaker {
    /// Whether a read may be tried on a secondary. After a failure and a rest one read is, on
    /// behalf of all.
    fn admits(&mut self, now: Instant) -> bool {
        match self.lost {
            None => true,
            Some(lost) if now < lost + REST => false,
            Some(_) => {
                self.lost = Some(now);
                true
            }
        }
    }

    /// Notes that a read has succeeded which began then; whether that is news. One that began
    /// before the failure proves nothing.
    fn succeeded(&mut self, since: Instant) -> bool {
        let regained = self.lost.is_some_and(|lost| since >= lost);
        if regained {
            self.lost = None;
        }
        regained
    }

    /// Notes that a read has failed; whether that is news.
    fn failed(&mut self, now: Instant) -> bool {
        self.lost.replace(now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secondary_that_failed_is_left_alone_until_one_read_has_proved_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = CircuitBreaker::default();
        assert!(breaker.admits(at(0)) && breaker.admits(at(0)));
        assert!(!breaker.succeeded(at(0)), "no news");

        assert!(breaker.failed(at(2)));
        assert!(!breaker.failed(at(2)), "said once");
        assert!(!breaker.succeeded(at(1)), "under way when the other failed");
        assert!(!breaker.admits(at(31)));

        assert!(breaker.admits(at(32)));
        assert!(!breaker.admits(at(32)), "one at a time");
        assert!(!breaker.failed(at(34)), "no change of mind");
        assert!(!breaker.admits(at(63)));

        assert!(breaker.admits(at(64)));
        assert!(breaker.succeeded(at(64)));
        assert!(breaker.admits(at(64)) && breaker.admits(at(64)));
        assert!(breaker.failed(at(65)), "said again");
    }
}
