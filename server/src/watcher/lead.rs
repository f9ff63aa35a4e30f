//! Leading a split watch: what the partitions tell is put together as what the whole does, and the
//! stream is split anew when another number of partitions is wanted.

use std::time::Duration;

use bson::{DateTime, RawDocumentBuf, Timestamp};
use tokio::time::{Instant, interval};
use tracing::{info, warn};

use super::{
    gap::CatchingUp,
    policy::Backoff,
    reader::Reader,
    stream::{Ending, Failure, TICK},
};
use crate::{
    bytes::{
        checkpoint::{Validated, validate},
        raw::Value,
    },
    domain::partition::Partition,
    log_limit::LogLimit,
    store::{
        Error,
        state::snapshot::document,
        watch::{
            lease::{Heartbeat, Lease},
            partition::{HeldPartition, Holding},
            record::{State, Watcher},
        },
    },
};

/// After how long a change of the number of partitions that waits is told of.
const HELD_UP: Duration = Duration::from_secs(60);
/// How often it is told of from then on.
const HELD_UP_AGAIN: Duration = Duration::from_secs(10 * 60);

/// What the partitions come to.
#[derive(Debug, PartialEq)]
struct Whole {
    state: State,
    /// The checkpoint of the partition that is furthest behind, and its time; none before each has
    /// one.
    slowest: Option<(Timestamp, RawDocumentBuf)>,
    last_event: Option<DateTime>,
    waiting_since: Option<DateTime>,
    /// The fault for which one is trying again; empty when none is.
    fault: String,
}

impl Reader {
    /// Leads until the watch is lost, the server stops, or the stream has been split anew.
    pub(super) async fn lead(
        &self,
        lease: Lease,
        watcher: &Watcher,
        catching_up: &CatchingUp,
        backoff: &mut Backoff,
    ) -> Result<Ending, Failure> {
        let (split, was_paused) = (watcher.split, watcher.paused);
        let (mut saved, mut told) = (watcher.position, String::new());
        let mut state = watcher.state;
        let mut signed = Instant::now();
        let held_up = LogLimit::new(1, HELD_UP_AGAIN);
        let mut tick = interval(TICK.min(self.store.beat()));
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.stop.cancelled() => return Ok(Ending::Stopping),
            }
            let watcher = match self.holding(&lease).await? {
                Holding::Goes(watcher, _) => watcher,
                Holding::Lost | Holding::Replaced => return Ok(Ending::Lost),
            };
            if watcher.split != split || watcher.paused != was_paused {
                return Ok(Ending::Again);
            }
            let held = self.store.held_partitions(split).await?;
            let now = self.now().await?;
            let lost = held.iter().find_map(|held| held.lost.clone());
            if let Some(lost) = lost.filter(|_| !watcher.paused) {
                return Err(Failure {
                    error: Error::Unusable(lost),
                    moment: watcher.position,
                });
            }
            let has_gap = !catching_up.is_done();
            let whole = self.whole(watcher.paused, has_gap, &held, now);
            if let Some(until) = watcher.change_waits_until() {
                if let Some(place) = self.place_to_split_at(&watcher, &whole, until, now) {
                    let wanted = watcher.partitions_wanted();
                    let next = split.followed_by(wanted, now.time);
                    if self.store.split_watch(&lease, next, &place).await? {
                        info!(
                            before = split.partitions,
                            partitions = wanted,
                            "the stream is split anew"
                        );
                    }
                    return Ok(Ending::Again);
                }
                tell_what_holds_up(&watcher, &held, until, &held_up);
            }
            // Right after a new starting point nobody has read yet: that is no success.
            if is_read(whole.state) {
                backoff.reset();
            }
            let mut fault = catching_up.take_trouble();
            if whole.fault != told {
                told = whole.fault;
                fault.clone_from(&told);
            }
            let moved = whole.slowest.filter(|(time, _)| Some(*time) > saved);
            let is_news = whole.state != state || !fault.is_empty();
            if moved.is_none() && !is_news && signed.elapsed() < self.store.beat() {
                continue;
            }
            let heartbeat = Heartbeat {
                state: whole.state,
                last_error: &fault,
                checkpoint: moved.as_ref().map(|(_, checkpoint)| checkpoint.as_ref()),
                last_event: whole.last_event,
                waiting_since: whole.waiting_since,
            };
            if !self.store.keep_watch(&lease, &heartbeat).await? {
                return Ok(Ending::Lost);
            }
            (state, signed) = (whole.state, Instant::now());
            saved = moved.map(|(time, _)| time).or(saved);
        }
    }

    /// What these partitions come to.
    fn whole(&self, paused: bool, has_gap: bool, held: &[HeldPartition], now: Timestamp) -> Whole {
        let states: Vec<State> = held.iter().map(HeldPartition::state_now).collect();
        let slowest = held.iter().map(|held| self.place_of(held, now));
        let slowest = slowest
            .collect::<Option<Vec<_>>>()
            .and_then(|places| places.into_iter().min_by_key(|(time, _)| *time));
        let faulty = held
            .iter()
            .find(|held| held.state_now() == State::Retrying && !held.last_error.is_empty());
        Whole {
            state: state_of(paused, has_gap, &states),
            slowest,
            last_event: held.iter().filter_map(|held| held.last_event).max(),
            waiting_since: held.iter().filter_map(|held| held.waiting_since).min(),
            fault: faulty.map_or_else(String::new, |held| {
                format!("partition {}: {}", held.partition.index, held.last_error)
            }),
        }
    }

    /// Where a partition is; none before its first checkpoint, and where that is no good: whoever
    /// reads it finds that out, and says so.
    fn place_of(
        &self,
        held: &HeldPartition,
        now: Timestamp,
    ) -> Option<(Timestamp, RawDocumentBuf)> {
        self.place_in(held.checkpoint.as_ref()?, held.partition, now)
    }

    /// The place that a checkpoint stands for, as it is stored, and its time; none where it is no
    /// good.
    fn place_in(
        &self,
        checkpoint: &Value,
        partition: Partition,
        now: Timestamp,
    ) -> Option<(Timestamp, RawDocumentBuf)> {
        let stored = checkpoint.as_ref();
        let identity = self.store.checkpoint_identity(partition);
        match validate(Some(stored), &identity, now) {
            Validated::Place(checkpoint) => Some((checkpoint.time, document(stored)?)),
            Validated::Time(time) => Some((time, document(stored)?)),
            Validated::Nothing | Validated::Bad(_) => None,
        }
    }

    /// Where the partitions of another number may begin: before it everything is archived. None
    /// while the change has to wait.
    fn place_to_split_at(
        &self,
        watcher: &Watcher,
        whole: &Whole,
        until: Timestamp,
        now: Timestamp,
    ) -> Option<RawDocumentBuf> {
        let slowest = whole.slowest.clone();
        let has_come_up = slowest.as_ref().is_some_and(|(time, _)| *time >= until);
        // During a pause they get no further, and have no need to: they are split where they are.
        if !has_come_up && whole.state != State::Paused {
            return None;
        }
        // An archd that knows of no partitions may have read on alone since.
        let own = watcher.checkpoint.as_ref();
        let own = own.and_then(|own| self.place_in(own, Partition::WHOLE, now));
        let places = slowest.into_iter().chain(own);
        places.max_by_key(|(time, _)| *time).map(|(_, place)| place)
    }
}

/// Tells, after a while and then now and again, which partitions a change of their number waits for.
/// Without a bound: what was never read can't be passed over.
fn tell_what_holds_up(
    watcher: &Watcher,
    held: &[HeldPartition],
    until: Timestamp,
    limit: &LogLimit,
) {
    let said = watcher.wanted.as_ref().and_then(|wanted| wanted.at);
    let waited = said.map_or(0, |said| {
        watcher.now.timestamp_millis() - said.timestamp_millis()
    });
    if u128::try_from(waited).is_ok_and(|waited| waited < HELD_UP.as_millis()) {
        return;
    }
    if limit.admit(Instant::now()).is_none() {
        return;
    }
    let behind = held.iter().filter(|held| held.holds_up(until));
    let behind: Vec<String> = behind
        .map(|held| match held.owner_now() {
            Some(_) => format!("{} ({})", held.partition.index, held.instance),
            None => format!("{} (read by nobody)", held.partition.index),
        })
        .collect();
    warn!(
        partitions = watcher.split.partitions,
        wanted = watcher.partitions_wanted(),
        behind = behind.join(", "),
        "the number of partitions does not change yet: partitions have not come up to the time at which the change was asked for; nothing is left out meanwhile"
    );
}

/// Whether every partition is read.
fn is_read(state: State) -> bool {
    matches!(state, State::Watching | State::CatchingUp)
}

/// What the whole does, where its partitions do this.
fn state_of(paused: bool, has_gap: bool, states: &[State]) -> State {
    let all = |is: fn(&State) -> bool| states.iter().all(is);
    let any = |state: State| states.contains(&state);
    if paused && all(|state| matches!(state, State::Paused | State::Stopped)) {
        State::Paused
    } else if any(State::Unsupported) {
        State::Unsupported
    } else if any(State::Retrying) {
        State::Retrying
    } else if !all(|state| *state == State::Watching) {
        State::Starting
    } else if has_gap {
        State::CatchingUp
    } else {
        State::Watching
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_does_what_the_worst_of_its_partitions_does() {
        use State::{CatchingUp, Paused, Retrying, Starting, Stopped, Unsupported, Watching};
        let table: &[(bool, bool, &[State], State)] = &[
            (false, false, &[Watching, Watching], Watching),
            (false, true, &[Watching, Watching], CatchingUp),
            (false, false, &[Watching, Starting], Starting),
            (false, false, &[Watching, Stopped], Starting),
            (false, true, &[Stopped, Stopped], Starting),
            (false, false, &[Watching, Retrying, Stopped], Retrying),
            (false, false, &[Unsupported, Retrying], Unsupported),
            (true, false, &[Paused, Paused], Paused),
            (true, false, &[Paused, Stopped], Paused),
            (true, false, &[Paused, Watching], Starting),
            (true, true, &[Paused, Retrying], Retrying),
            (false, false, &[Paused, Watching], Starting),
        ];
        for (paused, has_gap, states, whole) in table {
            assert_eq!(
                state_of(*paused, *has_gap, states),
                *whole,
                "{paused} {states:?}"
            );
        }
    }
}
