//! The figures step by step.

use order_archiver_api::v1 as pb;

use super::{batch::counts, time::timestamp};
use crate::{domain::latency::LatencyHistogram, store::counters::series::Point};

/// A step of a series.
pub(crate) fn stats_point(point: &Point) -> pb::StatsPoint {
    pb::StatsPoint {
        start_time: timestamp(point.start),
        counts: Some(counts(point.tally.counts)),
        latency: Some(latency(point.tally.latency)),
    }
}

fn latency(histogram: LatencyHistogram) -> pb::LatencyHistogram {
    pb::LatencyHistogram {
        counts: histogram.counts.to_vec(),
    }
}
