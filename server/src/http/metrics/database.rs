//! What is of the whole database: the same from every instance, and absent while it is not known.

use bson::{DateTime, Timestamp};

use super::instance::flag;
use crate::{
    domain::{
        counts::Counts,
        verify::{class::Class, verdict::Verdict},
    },
    metrics::{
        Metrics,
        names::{self, Metric},
    },
    observe::figures::Figures,
    store::{
        batches::record::{Batch, StopReason},
        jobs::record::State,
        verifications::record::Verification,
        watch::{
            record::{State as Watching, Watcher, apart},
            waiting::Waiting,
        },
    },
};

/// Writes all that the figures tell.
pub(super) fn write(metrics: &Metrics, figures: &Figures) {
    let to = Gauges {
        metrics,
        now: figures.stats.read,
    };
    let stats = &figures.stats;
    for (metric, counts) in [
        (&names::LIFETIME_ORDERS, &stats.sums.lifetime),
        (&names::LAST_HOUR_ORDERS, &stats.sums.window),
    ] {
        for (fate, orders) in [
            ("archived", counts.archived),
            ("incomplete", counts.incomplete),
            ("quarantined", counts.errors),
            ("gone", counts.gone),
        ] {
            to.count_of(metric, fate, orders);
        }
    }
    to.count(&names::ARCHIVE_ORDERS, stats.archive_size);
    to.count(&names::QUARANTINE_ORDERS, stats.quarantine_size);
    let oldest = figures.oldest_quarantined;
    let oldest = oldest.map_or(0.0, |oldest| to.seconds_since(oldest));
    to.set(&names::QUARANTINE_OLDEST, oldest);
    if let Some(instances) = figures.instances {
        to.set(&names::INSTANCES, instances as f64);
    }
    if let Ok(Some(watcher)) = &stats.watcher {
        to.watcher(watcher, figures);
    }
    if let Some((oldest, latest)) = figures.oldest_history.zip(figures.latest_write) {
        to.set(&names::OPLOG_WINDOW, between(oldest, latest));
    }
    if let Some(batch) = &stats.last_batch {
        to.batch(batch);
    } else {
        to.set(&names::BATCH_RUNNING, 0.0);
    }
    to.moment(&names::BATCH_SUCCESS, figures.batch_succeeded);
    to.set(&names::VERIFICATION_RUNNING, flag(figures.verifies));
    if let Some(verification) = &stats.last_verification {
        to.verification(verification);
    }
    to.moment(&names::VERIFICATION_SUCCESS, figures.verified);
}

/// Where they are written to.
struct Gauges<'a> {
    metrics: &'a Metrics,
    /// The database's clock when the figures were read.
    now: DateTime,
}

impl Gauges<'_> {
    fn set(&self, metric: &Metric, value: f64) {
        self.metrics.gauge(metric, &[]).set(value);
    }

    fn count(&self, metric: &Metric, count: i64) {
        self.set(metric, count as f64);
    }

    fn set_of(&self, metric: &Metric, label: &str, value: f64) {
        self.metrics.gauge(metric, &[label]).set(value);
    }

    fn count_of(&self, metric: &Metric, label: &str, count: i64) {
        self.set_of(metric, label, count as f64);
    }

    /// A moment as seconds since 1970; 0 before there was one.
    fn moment(&self, metric: &Metric, moment: Option<DateTime>) {
        let millis = moment.map_or(0, DateTime::timestamp_millis);
        self.set(metric, millis as f64 / 1_000.0);
    }

    fn seconds_since(&self, moment: DateTime) -> f64 {
        let millis = self.now.timestamp_millis() - moment.timestamp_millis();
        millis.max(0) as f64 / 1_000.0
    }

    fn watcher(&self, watcher: &Watcher, figures: &Figures) {
        self.set(&names::WATCHED, flag(watcher.is_watched()));
        for state in Watching::ALL {
            let is_so = flag(state == watcher.state_now());
            self.set_of(&names::WATCHER_STATE, state.name(), is_so);
        }
        if let Some(since) = watcher.since_now() {
            self.set(&names::WATCHER_STATE_AGE, self.seconds_since(since));
        }
        if let Some(lag) = figures.stats.watcher_lag {
            self.set(&names::WATCHER_LAG, lag.as_secs_f64());
        }
        self.set(&names::WATCHER_GAP, flag(watcher.gap.is_some()));
        let partitions = f64::from(watcher.split.partitions);
        self.set(&names::WATCH_PARTITIONS, partitions);
        for (partition, lag) in &figures.partition_lags {
            let lag = lag.as_secs_f64();
            self.set_of(&names::WATCH_PARTITION_LAG, &partition.to_string(), lag);
        }
        let waiting = figures.stats.unwatched.as_ref();
        if let Some(Waiting::Exactly(orders) | Waiting::AtLeast(orders)) =
            waiting.map(|unwatched| &unwatched.waiting)
        {
            self.count(&names::WATCHER_WAITING, *orders);
        }
        if let Some((oldest, position)) = figures.oldest_history.zip(watcher.position) {
            self.set(&names::OPLOG_HEADROOM, between(oldest, position));
        }
    }

    fn batch(&self, batch: &Batch) {
        let Batch { head, counts, .. } = batch;
        let runs = !head.state.is_final();
        self.set(&names::BATCH_RUNNING, flag(runs));
        if runs && head.estimated_total > 0 {
            let ratio = counts.found as f64 / head.estimated_total as f64;
            self.set(&names::BATCH_PROGRESS, ratio.min(1.0));
        }
        let is_held_back = runs && !head.throttle.is_empty();
        self.set(&names::BATCH_THROTTLED, flag(is_held_back));
        let Counts {
            found,
            archived,
            duplicates,
            incomplete,
            errors,
            gone,
        } = *counts;
        for (fate, orders) in [
            ("found", found),
            ("archived", archived),
            ("duplicate", duplicates),
            ("incomplete", incomplete),
            ("error", errors),
            ("gone", gone),
        ] {
            self.count_of(&names::BATCH_ORDERS, fate, orders);
        }
        for state in State::ALL {
            let is_so = flag(state == head.state);
            self.set_of(&names::BATCH_STATE, state.name(), is_so);
        }
        let unbalanced = batch.stop_reason == Some(StopReason::Unbalanced);
        self.set(&names::BATCH_UNBALANCED, flag(unbalanced));
        if let Some(started) = head.started {
            let end = head.ended.unwrap_or(self.now);
            let millis = end.timestamp_millis() - started.timestamp_millis();
            let seconds = millis.max(0) as f64 / 1_000.0;
            self.set(&names::BATCH_DURATION, seconds);
        }
        let near_misses = batch.near_misses.iter().map(|miss| miss.orders);
        let beyond = batch.near_misses_beyond.orders;
        let near_misses = near_misses.fold(beyond, i64::saturating_add);
        self.count(&names::NEAR_MISSES, near_misses);
    }

    fn verification(&self, verification: &Verification) {
        let is_verified = verification.verdict == Some(Verdict::Verified);
        self.set(&names::VERIFIED, flag(is_verified));
        let counts = &verification.counts;
        self.count(&names::VERIFICATION_ORDERS, counts.delivered);
        for class in Class::ALL {
            self.count_of(&names::DIFFERENCES, class.name(), counts.of(class));
        }
    }
}

fn between(earlier: Timestamp, later: Timestamp) -> f64 {
    apart(later, earlier).as_secs_f64()
}
