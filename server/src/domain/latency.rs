//! How long orders wait until they are archived, as a small histogram.

use std::{ops::AddAssign, time::Duration};

/// Where the histogram's counts end, in milliseconds; one more counts what took longer. Orders
/// should be archived within 2 s, and a lag of 30 s is an alarm.
pub const EDGES: [u64; 9] = [100, 250, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/// Orders by how long they waited: of each count those that waited at most until its edge, and
/// longer than the edge before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatencyHistogram {
    /// A count for each edge, and the last for what took longer.
    pub counts: [i64; EDGES.len() + 1],
}

impl LatencyHistogram {
    /// Counts an order.
    pub fn add(&mut self, latency: Duration) {
        let is_beyond = |edge: &u64| latency > Duration::from_millis(*edge);
        self.counts[EDGES.partition_point(is_beyond)] += 1;
    }
}

impl AddAssign for LatencyHistogram {
    fn add_assign(&mut self, other: LatencyHistogram) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_counted_up_to_its_edge_and_no_further() {
        let mut histogram = LatencyHistogram::default();
        for millis in [
            0, 99, 100, 101, 2_000, 2_001, 30_000, 60_000, 60_001, 86_400_000,
        ] {
            histogram.add(Duration::from_millis(millis));
        }
        histogram.add(Duration::from_nanos(100_000_001));
        assert_eq!(histogram.counts, [3, 2, 0, 0, 1, 1, 0, 1, 1, 2]);
    }
}
