//! How this instance fares: what is looked up when somebody asks.

use chrono::DateTime;
use tokio::time::Instant;

use crate::{
    domain::schedule::Schedule,
    metrics::{Counter, Gauge, Metrics, names},
    parts::Parts,
    store::state::holds::Hold,
    telemetry,
};

/// What is looked up.
#[derive(Clone)]
pub(in crate::http) struct Instance {
    started: Instant,
    uptime: Gauge,
    database_up: Gauge,
    pool_size: Gauge,
    pool_in_use: Gauge,
    pool_waiting: Gauge,
    holds_watch: Gauge,
    partitions: Gauge,
    unreadable: Gauge,
    missing_privileges: Gauge,
    log_dropped: Counter,
}

impl Instance {
    pub(in crate::http) fn new(metrics: &Metrics) -> Instance {
        let version = env!("CARGO_PKG_VERSION");
        metrics.gauge(&names::BUILD_INFO, &[version]).set(1.0);
        let gauge = |metric| metrics.gauge(metric, &[]);
        Instance {
            started: Instant::now(),
            uptime: gauge(&names::UPTIME),
            database_up: gauge(&names::DATABASE_UP),
            pool_size: gauge(&names::POOL_SIZE),
            pool_in_use: gauge(&names::POOL_IN_USE),
            pool_waiting: gauge(&names::POOL_WAITING),
            holds_watch: gauge(&names::HOLDS_WATCH),
            partitions: gauge(&names::PARTITIONS_READ),
            unreadable: gauge(&names::UNREADABLE),
            missing_privileges: gauge(&names::MISSING_PRIVILEGES),
            log_dropped: metrics.counter(&names::LOG_DROPPED, &[]),
        }
    }

    /// Looks again.
    pub(super) fn refresh(&self, parts: &Parts) {
        let holds = parts.store.holds();
        let watches = holds
            .borrow()
            .iter()
            .any(|hold| matches!(hold, Hold::Watch(_)));
        let partitions = holds.borrow();
        let partitions = partitions
            .iter()
            .filter(|hold| matches!(hold, Hold::Partition(_)))
            .count();
        let pool = parts.store.pool();
        self.uptime.set(self.started.elapsed());
        self.database_up.set(flag(parts.monitor.check().is_ok()));
        self.pool_size.set(f64::from(pool.size));
        self.pool_in_use.set(pool.in_use as f64);
        self.pool_waiting.set(pool.waiting as f64);
        self.holds_watch.set(flag(watches));
        self.partitions.set(partitions as f64);
        self.unreadable.set(parts.documents.faults().len() as f64);
        let missing = parts.privileges.essential();
        self.missing_privileges.set(missing as f64);
        self.log_dropped.absolute(telemetry::dropped());
    }
}

/// When the schedule is due, and was, at a moment of the database's clock.
pub(super) fn due(metrics: &Metrics, schedule: &Schedule, now: bson::DateTime) {
    let Some(now) = DateTime::from_timestamp_millis(now.timestamp_millis()) else {
        return;
    };
    for (metric, time) in [
        (&names::SCHEDULE_DUE, schedule.latest_until(now)),
        (&names::SCHEDULE_NEXT, schedule.next_after(now)),
    ] {
        if let Some(time) = time {
            metrics.gauge(metric, &[]).set(time.timestamp() as f64);
        }
    }
}

/// A yes or a no, as Prometheus has it.
pub(super) fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}
