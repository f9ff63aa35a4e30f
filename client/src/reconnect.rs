//! Following a stream across a server's restart: when to try again, how soon, and for how long.

use std::time::Duration;

use tokio::time::sleep;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{fault::is_passing, output::say};

const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(5);

/// A stream that is opened again when it breaks.
pub(crate) struct Reconnect {
    /// Whether the server was ever there: a first call that fails is more likely a wrong address
    /// than a restart.
    known: bool,
    /// Failures in a row.
    failures: u32,
    /// How many of them are too many; none is for whoever waits until stopped.
    patience: Option<u32>,
}

impl Reconnect {
    /// Tries for ever once the server has answered.
    pub(crate) fn endless() -> Self {
        Self {
            known: false,
            failures: 0,
            patience: None,
        }
    }

    /// Gives up when the server stays away for about a minute.
    pub(crate) fn bounded() -> Self {
        Self {
            known: false,
            failures: 0,
            patience: Some(15),
        }
    }

    /// The stream is open; may be said of each of its messages. Tells whether it was broken.
    pub(crate) fn opened(&mut self, meanwhile: &str) -> bool {
        let was_broken = self.failures > 0;
        if was_broken {
            say(&format!("Connected again{meanwhile}."));
        }
        self.known = true;
        self.failures = 0;
        was_broken
    }

    /// The stream is broken: waits until it is time to open it again, or gives the status back when
    /// that is of no use.
    pub(crate) async fn lost(&mut self, status: Status) -> Result<(), Status> {
        let Some(delay) = self.next_delay(&status) else {
            return Err(status);
        };
        if self.failures == 1 {
            say(match status.code() {
                Code::ResourceExhausted => "The server gave up waiting for this reader; going on …",
                _ => "The connection is lost; trying again until the server is back …",
            });
        }
        sleep(delay).await;
        Ok(())
    }

    fn next_delay(&mut self, status: &Status) -> Option<Duration> {
        let exhausted = self
            .patience
            .is_some_and(|patience| self.failures >= patience);
        if !self.known || exhausted || !is_passing(status) {
            return None;
        }
        let delay = delay(self.failures, asked_for(status));
        self.failures = self.failures.saturating_add(1);
        Some(delay)
    }
}

/// Twice as long after each failure, and as long as the server asks for, within bounds.
fn delay(failures: u32, asked_for: Option<Duration>) -> Duration {
    let grown = SHORTEST.saturating_mul(2_u32.saturating_pow(failures));
    grown.max(asked_for.unwrap_or_default()).min(LONGEST)
}

fn asked_for(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_grows_within_bounds() {
        let delays: Vec<u128> = (0..7)
            .map(|failures| delay(failures, None).as_millis())
            .collect();
        assert_eq!(delays, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
        assert_eq!(delay(u32::MAX, None), LONGEST);
        assert_eq!(
            delay(0, Some(Duration::from_secs(2))),
            Duration::from_secs(2)
        );
        assert_eq!(delay(0, Some(Duration::from_secs(3_600))), LONGEST);
    }

    #[test]
    fn a_first_call_that_fails_is_not_tried_again() {
        assert_eq!(
            Reconnect::endless().next_delay(&Status::unavailable("away")),
            None
        );
    }

    #[test]
    fn a_bounded_stream_gives_up_after_a_minute() {
        let mut reconnect = Reconnect::bounded();
        reconnect.opened("");
        let waited: Duration =
            std::iter::from_fn(|| reconnect.next_delay(&Status::unavailable("away"))).sum();
        assert_eq!(
            waited.as_millis(),
            250 + 500 + 1_000 + 2_000 + 4_000 + 10 * 5_000
        );
    }

    #[test]
    fn an_endless_stream_is_patient_anew_after_each_success() {
        let mut reconnect = Reconnect::endless();
        for _ in 0..2 {
            reconnect.opened("");
            assert_eq!(
                reconnect.next_delay(&Status::unavailable("away")),
                Some(SHORTEST)
            );
            assert!((0..100).all(|_| reconnect.next_delay(&Status::unavailable("away")).is_some()));
        }
    }

    #[test]
    fn a_refusal_is_final() {
        let mut reconnect = Reconnect::endless();
        reconnect.opened("");
        assert_eq!(
            reconnect.next_delay(&Status::not_found("no such batch")),
            None
        );
    }
}
