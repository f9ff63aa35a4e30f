//! How often the log tells of the same thing: so many times in a span of time, and what it leaves
//! out is counted.

use std::{mem::take, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

/// A limit on lines that tell of one thing.
#[derive(Debug)]
pub(crate) struct LogLimit {
    most: u32,
    span: Duration,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// When the span of time began with a first line.
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl LogLimit {
    /// At most so many lines in such a span of time.
    pub(crate) fn new(most: u32, span: Duration) -> LogLimit {
        LogLimit {
            most,
            span,
            told: Mutex::default(),
        }
    }

    /// Whether a line may be written now, with how many were left out before it. None leaves it
    /// out.
    pub(crate) fn admit(&self, now: Instant) -> Option<u64> {
        let mut told = self.told.lock();
        if told.since.is_none_or(|since| now - since >= self.span) {
            told.since = Some(now);
            told.lines = 0;
        }
        if told.lines == self.most {
            told.left_out += 1;
            return None;
        }
        told.lines += 1;
        Some(take(&mut told.left_out))
    }

    /// How many lines were left out since this was last asked, or since the last line.
    pub(crate) fn left_out(&self) -> u64 {
        let mut told = self.told.lock();
        take(&mut told.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_are_written_at_once_and_the_next_ones_when_the_span_is_over() {
        const SPAN: Duration = Duration::from_secs(60);
        let (limit, now) = (LogLimit::new(2, SPAN), Instant::now());
        assert_eq!((limit.admit(now), limit.admit(now)), (Some(0), Some(0)));
        assert_eq!((limit.admit(now), limit.admit(now)), (None, None));
        assert_eq!(limit.admit(now + SPAN), Some(2));
        assert_eq!(limit.admit(now + SPAN), Some(0));
    }

    #[test]
    fn what_is_left_out_is_counted_once() {
        const SPAN: Duration = Duration::from_secs(10);
        let (limit, now) = (LogLimit::new(1, SPAN), Instant::now());
        assert_eq!(limit.admit(now), Some(0));
        assert_eq!((limit.admit(now), limit.admit(now)), (None, None));
        assert_eq!((limit.left_out(), limit.left_out()), (2, 0));
        assert_eq!(limit.admit(now + SPAN), Some(0));
    }
}
