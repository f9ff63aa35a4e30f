//! A service's life as its manager is told it: starting, running, stopping, stopped. Knows no Windows,
//! so that it can be held to it anywhere.

use std::{io, pin::pin, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::shutdown::INTERRUPTED;

/// How often a manager hears that something goes on that takes long.
pub(super) const BEAT: Duration = Duration::from_secs(3);
/// What a manager is asked to be patient for until the next beat.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a service takes beyond the grace period to leave.
pub(super) const FAREWELL: Duration = Duration::from_secs(10);

/// Where a service is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It does not serve yet.
    StartPending {
        /// Grows as long as it gets on.
        checkpoint: u32,
        /// How long the next sign of life may take.
        hint: Duration,
    },
    /// It serves.
    Running,
    /// It was told to stop, and finishes what is under way.
    StopPending {
        /// Grows as long as it gets on.
        checkpoint: u32,
        /// How long it may take from here on.
        hint: Duration,
    },
    /// It has ended.
    Stopped {
        /// With the code that a process would have left with.
        code: u8,
    },
}

/// Somebody who wants to hear of it.
pub(super) trait Manager {
    /// Tells of a phase.
    fn tell(&self, phase: Phase) -> io::Result<()>;
}

/// What changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// It serves from now on.
    Up,
    /// It is told to stop.
    Stop,
    /// Time passes.
    Beat,
    /// It has ended, with this code.
    Ended(u8),
}

/// A life, by the time since it began. Pure.
#[derive(Debug)]
struct Life {
    /// How long it may take to stop.
    stopping: Duration,
    checkpoint: u32,
    is_up: bool,
    /// When it must have stopped, once it was told to.
    end: Option<Duration>,
}

impl Life {
    /// One that has the grace period to finish what is under way.
    fn of(grace: Duration) -> Life {
        Life {
            stopping: grace + FAREWELL,
            checkpoint: 1,
            is_up: false,
            end: None,
        }
    }

    /// Whether the manager waits for it to get on.
    fn is_pending(&self) -> bool {
        !self.is_up || self.end.is_some()
    }

    /// The phase at some time.
    fn phase(&self, now: Duration) -> Phase {
        let checkpoint = self.checkpoint;
        match (self.end, self.is_up) {
            (Some(end), _) => Phase::StopPending {
                checkpoint,
                hint: end.saturating_sub(now),
            },
            (None, true) => Phase::Running,
            (None, false) => Phase::StartPending {
                checkpoint,
                hint: PATIENCE,
            },
        }
    }

    /// The phase after what was heard at some time.
    fn hear(&mut self, heard: Heard, now: Duration) -> Phase {
        match heard {
            Heard::Ended(code) => return Phase::Stopped { code },
            Heard::Beat if self.end.is_some_and(|end| now >= end) => {
                return Phase::Stopped { code: INTERRUPTED };
            }
            Heard::Beat => self.checkpoint += 1,
            Heard::Up => self.is_up = true,
            Heard::Stop => {
                self.end = Some(now + self.stopping);
                self.checkpoint = 1;
            }
        }
        self.phase(now)
    }
}

/// Tells a manager of `work` from its start to its end, and returns its code. It serves from when
/// `up` is cancelled, and has the grace period from when `stop` is; what has not ended by then is
/// left behind.
pub(super) async fn live(
    manager: &impl Manager,
    grace: Duration,
    up: CancellationToken,
    stop: CancellationToken,
    work: impl Future<Output = u8>,
) -> u8 {
    let began = Instant::now();
    let mut work = pin!(work);
    let mut life = Life::of(grace);
    tell(manager, life.phase(Duration::ZERO));
    loop {
        let heard = tokio::select! {
            biased;
            code = &mut work => Heard::Ended(code),
            () = stop.cancelled(), if life.end.is_none() => Heard::Stop,
            () = up.cancelled(), if !life.is_up => Heard::Up,
            () = sleep(BEAT), if life.is_pending() => Heard::Beat,
        };
        let phase = life.hear(heard, began.elapsed());
        if let (Heard::Beat, Phase::Stopped { .. }) = (heard, phase) {
            error!("the grace period is over; the service leaves what did not end behind");
        }
        tell(manager, phase);
        if let Phase::Stopped { code } = phase {
            return code;
        }
    }
}

/// A manager that can't be told is no reason to archive nothing.
fn tell(manager: &impl Manager, phase: Phase) {
    if let Err(error) = manager.tell(phase) {
        warn!(%error, ?phase, "the service manager can't be told");
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use parking_lot::Mutex;

    use super::{
        Heard::{Beat, Ended, Stop, Up},
        *,
    };
    use crate::shutdown::{BAD_SETTINGS, SUCCESS};

    const GRACE: Duration = Duration::from_secs(20);

    fn starting(checkpoint: u32) -> Phase {
        Phase::StartPending {
            checkpoint,
            hint: PATIENCE,
        }
    }

    fn stopping(checkpoint: u32, seconds: u64) -> Phase {
        let hint = Duration::from_secs(seconds);
        Phase::StopPending { checkpoint, hint }
    }

    /// That a life in which this is heard, each at its second, is told like that.
    fn assert_told(heard: &[(u64, Heard)], expected: &[Phase]) {
        let mut life = Life::of(GRACE);
        let mut told = vec![life.phase(Duration::ZERO)];
        for (second, heard) in heard {
            told.push(life.hear(*heard, Duration::from_secs(*second)));
        }
        assert_eq!(told, expected, "{heard:?}");
    }

    #[test]
    fn a_life_is_told_in_order_with_what_is_left_of_it() {
        let well = Phase::Stopped { code: SUCCESS };
        assert_told(
            &[(1, Up), (9, Stop), (10, Ended(SUCCESS))],
            &[starting(1), Phase::Running, stopping(1, 30), well],
        );
        // What takes long gives signs of life, and less and less is left.
        assert_told(
            &[
                (3, Beat),
                (6, Beat),
                (7, Up),
                (8, Stop),
                (11, Beat),
                (14, Beat),
                (15, Ended(0)),
            ],
            &[
                starting(1),
                starting(2),
                starting(3),
                Phase::Running,
                stopping(1, 30),
                stopping(2, 27),
                stopping(3, 24),
                well,
            ],
        );
        // It may be told to stop before it serves, and serve no more.
        assert_told(
            &[(1, Stop), (2, Up), (3, Ended(0))],
            &[starting(1), stopping(1, 30), stopping(1, 29), well],
        );
        // It may end by itself, with a code that says why.
        let bad = Phase::Stopped { code: BAD_SETTINGS };
        assert_told(&[(1, Ended(BAD_SETTINGS))], &[starting(1), bad]);
        assert_told(
            &[(1, Up), (99, Ended(BAD_SETTINGS))],
            &[starting(1), Phase::Running, bad],
        );
        // It may hang while it stops.
        assert_told(
            &[(0, Up), (1, Stop), (30, Beat), (31, Beat)],
            &[
                starting(1),
                Phase::Running,
                stopping(1, 30),
                stopping(2, 1),
                Phase::Stopped { code: INTERRUPTED },
            ],
        );
    }

    /// One that remembers what it was told, and does the next thing each time.
    #[derive(Default)]
    struct Told {
        phases: Mutex<Vec<Phase>>,
        is_deaf: bool,
        up: CancellationToken,
        stop: CancellationToken,
    }

    impl Manager for Told {
        fn tell(&self, phase: Phase) -> io::Result<()> {
            self.phases.lock().push(phase);
            match phase {
                Phase::StartPending { .. } => self.up.cancel(),
                Phase::Running => self.stop.cancel(),
                _ => {}
            }
            match self.is_deaf {
                true => Err(io::ErrorKind::BrokenPipe.into()),
                false => Ok(()),
            }
        }
    }

    #[tokio::test]
    async fn a_service_starts_runs_stops_and_has_stopped_whether_it_is_heard_or_not() {
        for is_deaf in [false, true] {
            let manager = Told {
                is_deaf,
                ..Told::default()
            };
            let (up, stop) = (manager.up.clone(), manager.stop.clone());
            let work = async {
                stop.cancelled().await;
                // What is under way when it is told to stop, it finishes after that.
                tokio::task::yield_now().await;
                SUCCESS
            };
            let code = live(&manager, GRACE, up, stop.clone(), work).await;
            assert_eq!(code, SUCCESS);
            let phases = manager.phases.into_inner();
            assert!(
                matches!(
                    phases[..],
                    [
                        Phase::StartPending { .. },
                        Phase::Running,
                        Phase::StopPending { hint, .. },
                        Phase::Stopped { code: SUCCESS },
                    ] if hint == GRACE + FAREWELL
                ),
                "{phases:?}"
            );
        }
    }

    #[tokio::test]
    async fn one_that_ends_by_itself_says_its_code_and_never_ran() {
        let manager = Told::default();
        let (up, stop) = (manager.up.clone(), manager.stop.clone());
        let code = live(&manager, GRACE, up, stop, ready(BAD_SETTINGS)).await;
        assert_eq!(code, BAD_SETTINGS);
        let phases = manager.phases.into_inner();
        assert_eq!(phases, [starting(1), Phase::Stopped { code: BAD_SETTINGS }]);
    }
}
