//! Rate: when the next orders are due so that no ten seconds see more than they may. Pure: the
//! caller tells the time.
//!
//! Orders are taken in portions, each due when the one before has taken its time at that rate.
//! Whoever is late, because a page took long to read or a timer to fire, catches up on one portion
//! and no more; and only a third of a second's worth is under way at once. So when the database
//! stops answering and comes back, ten seconds see less than a twentieth more than their share.

use std::time::Duration;

use tokio::time::Instant;

/// How long one portion is to take, and by how much the next one may be late without losing its
/// time.
const PORTION: Duration = Duration::from_millis(80);
/// How long what is under way at once is to take.
const UNDER_WAY: Duration = Duration::from_millis(330);

/// A rate, and when it allows for more.
#[derive(Debug)]
pub(super) struct Rate {
    /// Orders a second; 0 means no limit.
    most: u32,
    /// When the orders that were taken have taken their time.
    due: Instant,
    /// Orders that were taken and are not done yet.
    under_way: usize,
}

impl Rate {
    pub(super) fn new(most: u32, now: Instant) -> Rate {
        Rate {
            most,
            due: now,
            under_way: 0,
        }
    }

    /// Orders a second; 0 means no limit.
    pub(super) fn most(&self) -> u32 {
        self.most
    }

    /// The most orders to take at once.
    pub(super) fn portion(&self) -> usize {
        match self.most {
            0 => usize::MAX,
            most => worth(PORTION, most).max(1),
        }
    }

    /// Whether so much is under way that no portion of this size may be added to it.
    pub(super) fn is_full(&self, portion: usize) -> bool {
        let most = worth(UNDER_WAY, self.most);
        self.most > 0 && self.under_way > 0 && self.under_way.saturating_add(portion) > most
    }

    /// Notes that so many of the orders that were taken are done.
    pub(super) fn done(&mut self, orders: usize) {
        self.under_way = self.under_way.saturating_sub(orders);
    }

    /// When the next portion may be taken; none when that is now.
    pub(super) fn wait(&self, now: Instant) -> Option<Instant> {
        (self.most > 0 && now < self.due).then_some(self.due)
    }

    /// Notes that so many orders were taken by whoever was let in at that moment.
    pub(super) fn took(&mut self, orders: usize, let_in: Instant) {
        self.under_way += orders;
        if self.most > 0 {
            let earliest = let_in.checked_sub(PORTION).unwrap_or(let_in);
            self.due = self.due.max(earliest) + time_of(orders as f64, self.most);
        }
    }

    /// Another rate from now on: what is still owed at the old one takes as long as it does at the
    /// new one.
    pub(super) fn tune(&mut self, most: u32, now: Instant) {
        if most == self.most {
            return;
        }
        let owed = self.due.saturating_duration_since(now).as_secs_f64() * f64::from(self.most);
        self.most = most;
        self.due = match most {
            0 => now,
            most => now + time_of(owed, most),
        };
    }
}

/// How many orders a length of time is worth.
fn worth(length: Duration, most: u32) -> usize {
    (f64::from(most) * length.as_secs_f64()) as usize
}

fn time_of(orders: f64, most: u32) -> Duration {
    Duration::from_secs_f64(orders / f64::from(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader of pages, and the moments at which it has taken how many orders.
    struct Reader {
        rate: Rate,
        now: Instant,
        taken: Vec<(Instant, usize)>,
    }

    const CHUNK: usize = 1_000;

    impl Reader {
        fn new(most: u32) -> Reader {
            let now = Instant::now();
            Reader {
                rate: Rate::new(most, now),
                now,
                taken: Vec::new(),
            }
        }

        /// Takes pages for so long; each takes so long to read, and timers fire a little late.
        fn read(&mut self, length: Duration, page: Duration) {
            let end = self.now + length;
            while self.now < end {
                if let Some(due) = self.rate.wait(self.now) {
                    self.now = due + Duration::from_micros(1_300);
                }
                let let_in = self.now;
                let orders = self.rate.portion().min(CHUNK);
                self.now += page;
                self.rate.took(orders, let_in);
                self.rate.done(orders);
                self.taken.push((self.now, orders));
            }
        }

        /// The least and the most that was taken in any ten seconds, as a share of a rate.
        fn extremes(&self, most: u32) -> (f64, f64) {
            const STRETCH: Duration = Duration::from_secs(10);
            let share = |from: Instant| {
                let within = self
                    .taken
                    .iter()
                    .filter(|(at, _)| *at > from && *at <= from + STRETCH);
                within.map(|(_, orders)| *orders as f64).sum::<f64>() / (f64::from(most) * 10.0)
            };
            let last = self.now - STRETCH;
            let starts = self
                .taken
                .iter()
                .map(|(at, _)| *at)
                .filter(|at| *at <= last);
            starts
                .flat_map(|at| [share(at), share(at - Duration::from_nanos(1))])
                .fold((f64::MAX, 0.0), |(least, most), share| {
                    (least.min(share), share.max(most))
                })
        }
    }

    #[test]
    fn every_rate_is_kept_within_a_twentieth_over_any_ten_seconds() {
        for most in [1, 7, 20, 500, 3_000, 8_000, 20_000] {
            for page in [0, 5, 30] {
                let mut reader = Reader::new(most);
                reader.read(Duration::from_secs(25), Duration::from_millis(page));
                let (least, highest) = reader.extremes(most);
                // One order more or less is a tenth at one a second.
                let slack = 0.05_f64.max(1.0 / f64::from(most) / 10.0 + 1e-9);
                assert!(highest <= 1.0 + slack, "{most}, {page} ms: {highest}");
                assert!(least >= 1.0 - slack, "{most}, {page} ms: {least}");
            }
        }
    }

    #[test]
    fn a_pause_of_whatever_length_is_not_made_up_for() {
        for most in [500, 3_000, 8_000, 20_000] {
            for pause in [1, 5, 60] {
                let mut reader = Reader::new(most);
                reader.read(Duration::from_secs(12), Duration::from_millis(5));
                // The page that meets the pause takes all of it, and comes with those that were
                // under way.
                reader.read(Duration::from_nanos(1), Duration::from_secs(pause));
                let mut under_way = Rate::new(most, reader.now);
                for (at, orders) in reader.taken.iter_mut().rev() {
                    if under_way.is_full(*orders) {
                        break;
                    }
                    under_way.took(*orders, reader.now);
                    *at = reader.now;
                }
                reader.read(Duration::from_secs(12), Duration::from_millis(5));
                let (_, highest) = reader.extremes(most);
                assert!(highest <= 1.05, "{most}, {pause} s: {highest}");
            }
        }
    }

    #[test]
    fn a_new_rate_holds_at_once() {
        for (before, after) in [(1, 600), (20_000, 500), (500, 0), (0, 500), (0, 1)] {
            let mut reader = Reader::new(before);
            reader.read(Duration::from_micros(1), Duration::from_millis(1));
            reader.rate.tune(after, reader.now);
            let wait = reader.rate.wait(reader.now).map(|due| due - reader.now);
            let most = PORTION.max(time_of(1.0, after.max(1)));
            assert!(
                wait.unwrap_or_default() <= most * 40,
                "{before} to {after}: {wait:?}"
            );
            if after == 600 {
                assert!(
                    wait.unwrap_or_default() <= Duration::from_millis(2),
                    "{wait:?}"
                );
            }
        }
    }
}
