//! The names of all metrics, what each of them says, and by which labels: whoever records one, the
//! documents, the alerts and the dashboards take them from here.
//!
//! What this instance did is a counter or a histogram, and begins anew with the process. What is of
//! the whole database is a gauge, and the same from every instance: take the largest, not the sum.

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it is to be read.
    pub kind: Kind,
    /// What it is of.
    pub of: Of,
    /// What its series are told apart by.
    pub labels: &'static [Label],
    /// What it says, in a sentence.
    pub help: &'static str,
}

/// How a metric is to be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// It only grows, until the process ends.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Observations, counted by the edges of these buckets.
    Histogram(&'static [f64]),
}

/// What a metric is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// This instance: add up those of all instances.
    Instance,
    /// The database: the same from every instance. Absent while it is not known.
    Database,
}

/// A label, with the values that it takes: a bounded number of them.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values, for people.
    pub values: &'static str,
}

/// The edges of everything that is timed, in seconds. Orders should be archived within 2 s, and a
/// lag of 30 s is an alarm.
pub const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
];

const SOURCE: Label = Label {
    name: "source",
    values: "`rpc` (callers), `batch`, `watch` (the watcher)",
};
const FATE: Label = Label {
    name: "fate",
    values: "`archived`, `duplicate` (it was archived before), `quarantined` (newly), `still_quarantined`, `gone` (deleted before it was read), `not_delivered`",
};
const STEP: Label = Label {
    name: "step",
    values: "`gather` (reading the orders and what they refer to), `prepare` (judging and enriching them), `write` (inserting them, until a majority has confirmed it), `quarantine`",
};
const OUTCOME: Label = Label {
    name: "outcome",
    values: "`done`, `failed` (they are tried again, or the caller is told)",
};
const SERVICE: Label = Label {
    name: "service",
    values: "the services of the contract, health and reflection; `unknown` for any other",
};
const METHOD: Label = Label {
    name: "method",
    values: "their methods; `unknown` for any other",
};
const CODE: Label = Label {
    name: "code",
    values: "the codes of gRPC, such as `OK` and `NOT_FOUND`; `CANCELLED` also where the caller left",
};
const PORT: Label = Label {
    name: "port",
    values: "`grpc`, `http`",
};

/// The version that runs.
pub const BUILD_INFO: Metric = gauge(
    "order_archiver_build_info",
    &[Label {
        name: "version",
        values: "the version of archd",
    }],
    "Always 1, with the version of this archd.",
);
/// How long the process has run.
pub const UPTIME: Metric = gauge(
    "order_archiver_uptime_seconds",
    &[],
    "How long this process has run.",
);
/// Orders by source and fate.
pub const ORDERS: Metric = counter(
    "order_archiver_orders_total",
    &[SOURCE, FATE],
    "Orders that went through this instance's pipeline, by what brought them and what became of them. What a batch finds archived without reading the order is not among them.",
);
/// Archived orders with a field missing.
pub const INCOMPLETE: Metric = counter(
    "order_archiver_orders_incomplete_total",
    &[SOURCE],
    "Of the orders that this instance archived, those with a field missing.",
);
/// How long orders waited until they were archived.
pub const ARCHIVE_LATENCY: Metric = histogram(
    "order_archiver_archive_latency_seconds",
    &[Label {
        name: "source",
        values: "`rpc` (from the call on), `watch` (from the change of the status on)",
    }],
    "How long the orders that this instance archived had waited until a majority of the database held them.",
);
/// Chunks by source and outcome.
pub const CHUNKS: Metric = counter(
    "order_archiver_chunks_total",
    &[SOURCE, OUTCOME],
    "Chunks of orders that this instance sent through its pipeline.",
);
/// How long each step of a chunk took.
pub const CHUNK_STEPS: Metric = histogram(
    "order_archiver_chunk_step_duration_seconds",
    &[SOURCE, STEP],
    "How long the steps of a chunk of orders took in this instance.",
);
/// Calls by method and code.
pub const RPCS: Metric = counter(
    "order_archiver_rpcs_total",
    &[SERVICE, METHOD, CODE],
    "Calls that this instance has answered.",
);
/// How long calls took.
pub const RPC_DURATION: Metric = histogram(
    "order_archiver_rpc_duration_seconds",
    &[SERVICE, METHOD],
    "How long calls took, until their answer was sent; streams are not among them.",
);
/// Calls under way.
pub const RPCS_IN_FLIGHT: Metric = gauge(
    "order_archiver_rpcs_in_flight",
    &[],
    "Calls that this instance is answering, streams among them.",
);
/// Open connections.
pub const CONNECTIONS: Metric = gauge(
    "order_archiver_connections",
    &[PORT],
    "Connections of callers that are open.",
);
/// When the certificate expires.
pub const CERTIFICATE_EXPIRES: Metric = gauge(
    "order_archiver_certificate_expires_timestamp_seconds",
    &[],
    "When the certificate of this instance's listeners expires; absent without TLS.",
);
/// Whether the database can be worked with.
pub const DATABASE_UP: Metric = gauge(
    "order_archiver_database_up",
    &[],
    "1 while this instance can work with the database, 0 while it is away, or not fit for archiving.",
);
/// How many calls to one server of the database there may be at once.
pub const POOL_SIZE: Metric = gauge(
    "order_archiver_database_pool_size",
    &[],
    "How many connections to one server of the database this instance may have.",
);
/// Calls to the database under way.
pub const POOL_IN_USE: Metric = gauge(
    "order_archiver_database_pool_in_use",
    &[],
    "Calls to the database that are under way.",
);
/// Calls to the database that wait.
pub const POOL_WAITING: Metric = gauge(
    "order_archiver_database_pool_waiting",
    &[],
    "Calls to the database that wait for a connection.",
);
/// Whether this instance watches.
pub const HOLDS_WATCH: Metric = gauge(
    "order_archiver_holds_watch",
    &[],
    "1 if this instance has the watch: at most one on a database does.",
);
/// How many partitions of the watch this instance reads.
pub const PARTITIONS_READ: Metric = gauge(
    "order_archiver_partitions_read",
    &[],
    "Partitions of a split watch that this instance reads; 0 where the watch is not split.",
);
/// Documents of archd's own that can't be read.
pub const UNREADABLE: Metric = gauge(
    "order_archiver_unreadable_documents",
    &[],
    "Documents of archd's own that something stands still for, because they can't be read; `archd state` lists them.",
);
/// Privileges that the database user lacks.
pub const MISSING_PRIVILEGES: Metric = gauge(
    "order_archiver_missing_privileges",
    &[],
    "Privileges that this instance's database user lacks and that something stands still without; `archd check` names them.",
);
/// Lines that the log left out.
pub const LOG_DROPPED: Metric = counter(
    "order_archiver_log_lines_dropped_total",
    &[],
    "Lines of the log that were left out, because they were not taken fast enough or could not be written.",
);
/// When the schedule is due next.
pub const SCHEDULE_NEXT: Metric = gauge(
    "order_archiver_schedule_next_timestamp_seconds",
    &[],
    "When this instance's schedule is due next; absent without one.",
);
/// When the schedule was due last.
pub const SCHEDULE_DUE: Metric = gauge(
    "order_archiver_schedule_due_timestamp_seconds",
    &[],
    "When this instance's schedule was due for the last time; absent without one.",
);
/// How old the figures of the database are.
pub const FIGURES_AGE: Metric = gauge(
    "order_archiver_figures_age_seconds",
    &[],
    "How long ago this instance read the figures of the database; they are absent while it can't.",
);

/// Orders for all time.
pub const LIFETIME_ORDERS: Metric = of_database(
    "order_archiver_lifetime_orders",
    &[Label {
        name: "fate",
        values: "`archived`, `incomplete` (of those), `quarantined`, `gone`",
    }],
    "Orders that any instance has decided on, since counting began.",
);
/// Orders of the last hour.
pub const LAST_HOUR_ORDERS: Metric = of_database(
    "order_archiver_last_hour_orders",
    &[Label {
        name: "fate",
        values: "`archived`, `incomplete` (of those), `quarantined`, `gone`",
    }],
    "The same in the hour before, to the minute.",
);
/// The size of the archive.
pub const ARCHIVE_ORDERS: Metric = of_database(
    "order_archiver_archive_orders",
    &[],
    "Orders that the archive holds, by the database's own count.",
);
/// The size of the quarantine.
pub const QUARANTINE_ORDERS: Metric = of_database(
    "order_archiver_quarantine_orders",
    &[],
    "Orders in quarantine.",
);
/// How long the oldest order has been in quarantine.
pub const QUARANTINE_OLDEST: Metric = of_database(
    "order_archiver_quarantine_oldest_age_seconds",
    &[],
    "How long the first of the orders in quarantine has been there; 0 when there is none.",
);
/// Whether orders are archived as they are delivered.
pub const WATCHED: Metric = of_database(
    "order_archiver_watcher_watched",
    &[],
    "1 while an instance archives orders as they are delivered, or is about to, 0 while none does; absent before any ever did.",
);
/// What the watcher is doing.
pub const WATCHER_STATE: Metric = of_database(
    "order_archiver_watcher_state",
    &[Label {
        name: "state",
        values: "`starting`, `catching_up`, `watching`, `paused`, `retrying`, `unsupported`, `stopped`",
    }],
    "1 for what the watcher is doing, 0 for all else.",
);
/// How long the watcher has been doing that.
pub const WATCHER_STATE_AGE: Metric = of_database(
    "order_archiver_watcher_state_age_seconds",
    &[],
    "How long the watcher has been doing that.",
);
/// How far the watcher is behind.
pub const WATCHER_LAG: Metric = of_database(
    "order_archiver_watcher_lag_seconds",
    &[],
    "How far the watcher is behind the latest write of the database; absent while no instance watches.",
);
/// Whether there is a gap in the watcher's history.
pub const WATCHER_GAP: Metric = of_database(
    "order_archiver_watcher_gap_open",
    &[],
    "1 while the watcher has a gap in its history that no batch has made up for yet.",
);
/// Into how many partitions the watch is split.
pub const WATCH_PARTITIONS: Metric = of_database(
    "order_archiver_watch_partitions",
    &[],
    "Into how many partitions the watch is split: 1 where one instance reads all changes.",
);
/// How far each partition is behind.
pub const WATCH_PARTITION_LAG: Metric = of_database(
    "order_archiver_watch_partition_lag_seconds",
    &[Label {
        name: "partition",
        values: "`0` to `63`",
    }],
    "How far the partition of a split watch is behind the latest write of the database; absent while nobody reads it.",
);
/// Orders that wait while nobody watches.
pub const WATCHER_WAITING: Metric = of_database(
    "order_archiver_watcher_waiting_orders",
    &[],
    "Orders that were delivered since the watcher stopped or paused, at least; absent while one works.",
);
/// How long the history still reaches back behind the watcher's position.
pub const OPLOG_HEADROOM: Metric = of_database(
    "order_archiver_oplog_headroom_seconds",
    &[],
    "How far the database's history reaches back behind the watcher's position: at 0 the watcher loses its place. Absent without the privilege to see it.",
);
/// How long the history reaches back.
pub const OPLOG_WINDOW: Metric = of_database(
    "order_archiver_oplog_window_seconds",
    &[],
    "How much time the database's history covers. Absent without the privilege to see it.",
);
/// Whether a batch runs.
pub const BATCH_RUNNING: Metric = of_database(
    "order_archiver_batch_running",
    &[],
    "1 while a batch runs, or waits to be taken up.",
);
/// How far the batch is that runs.
pub const BATCH_PROGRESS: Metric = of_database(
    "order_archiver_batch_progress_ratio",
    &[],
    "How much of the running batch is done, from 0 to 1; absent while none runs, or while it has not counted its orders.",
);
/// Whether the running batch is held back.
pub const BATCH_THROTTLED: Metric = of_database(
    "order_archiver_batch_throttled",
    &[],
    "1 while one of its limits holds the running batch back.",
);
/// The counts of the latest batch.
pub const BATCH_ORDERS: Metric = of_database(
    "order_archiver_batch_orders",
    &[Label {
        name: "fate",
        values: "`found`, and of those `archived`, `duplicate`, `error`; `incomplete` (of the archived); `gone`",
    }],
    "What became of the orders of the latest batch.",
);
/// How the latest batch stands.
pub const BATCH_STATE: Metric = of_database(
    "order_archiver_batch_state",
    &[Label {
        name: "state",
        values: "`pending`, `running`, `cancelling`, `succeeded`, `failed`, `cancelled`",
    }],
    "1 for how the latest batch stands, 0 for all else.",
);
/// Whether the books of the latest batch balance.
pub const BATCH_UNBALANCED: Metric = of_database(
    "order_archiver_batch_unbalanced",
    &[],
    "1 if the books of the latest batch do not balance.",
);
/// How long the latest batch took.
pub const BATCH_DURATION: Metric = of_database(
    "order_archiver_batch_duration_seconds",
    &[],
    "How long the latest batch took that has ended, or has taken so far.",
);
/// When a batch last succeeded.
pub const BATCH_SUCCESS: Metric = of_database(
    "order_archiver_batch_last_success_timestamp_seconds",
    &[],
    "When the latest batch ended that succeeded and was no dry run, by the database's clock; 0 before the first.",
);
/// Orders whose status only looks like the delivered one.
pub const NEAR_MISSES: Metric = of_database(
    "order_archiver_near_miss_orders",
    &[],
    "Orders whose status only looks like the delivered one, as the latest batch found them.",
);
/// Whether a verification runs.
pub const VERIFICATION_RUNNING: Metric = of_database(
    "order_archiver_verification_running",
    &[],
    "1 while a verification runs, or waits to be taken up.",
);
/// The latest verdict.
pub const VERIFIED: Metric = of_database(
    "order_archiver_verification_verified",
    &[],
    "1 if the latest verification that has ended says VERIFIED, 0 if it says NOT VERIFIED or has failed; absent before the first.",
);
/// When a verification last ended well.
pub const VERIFICATION_SUCCESS: Metric = of_database(
    "order_archiver_verification_last_success_timestamp_seconds",
    &[],
    "When the latest verification ended that compared the orders' fields, not their presence alone, and says VERIFIED, by the database's clock; 0 before the first.",
);
/// What the latest verification looked at.
pub const VERIFICATION_ORDERS: Metric = of_database(
    "order_archiver_verification_orders",
    &[],
    "Delivered orders that the latest verification looked at that has ended.",
);
/// What the latest verification found.
pub const DIFFERENCES: Metric = of_database(
    "order_archiver_verification_differences",
    &[Label {
        name: "class",
        values: "`missing`, `altered`, `doubled`, `damaged`, which fail the verdict; `amended`, `orphaned`, `not_rebuildable`, `quarantined`, `near_miss`, `names_changed`",
    }],
    "Differences that the latest verification found that has ended; those that were acknowledged are not among them.",
);
/// Living instances.
pub const INSTANCES: Metric = of_database(
    "order_archiver_instances",
    &[],
    "Processes of archd that work on the database and live. Absent without the privilege to see them.",
);

/// All of them, in the order in which they are documented.
pub const ALL: &[Metric] = &[
    BUILD_INFO,
    UPTIME,
    ORDERS,
    INCOMPLETE,
    ARCHIVE_LATENCY,
    CHUNKS,
    CHUNK_STEPS,
    RPCS,
    RPC_DURATION,
    RPCS_IN_FLIGHT,
    CONNECTIONS,
    CERTIFICATE_EXPIRES,
    DATABASE_UP,
    POOL_SIZE,
    POOL_IN_USE,
    POOL_WAITING,
    HOLDS_WATCH,
    PARTITIONS_READ,
    UNREADABLE,
    MISSING_PRIVILEGES,
    LOG_DROPPED,
    SCHEDULE_NEXT,
    SCHEDULE_DUE,
    FIGURES_AGE,
    LIFETIME_ORDERS,
    LAST_HOUR_ORDERS,
    ARCHIVE_ORDERS,
    QUARANTINE_ORDERS,
    QUARANTINE_OLDEST,
    WATCHED,
    WATCHER_STATE,
    WATCHER_STATE_AGE,
    WATCHER_LAG,
    WATCHER_GAP,
    WATCH_PARTITIONS,
    WATCH_PARTITION_LAG,
    WATCHER_WAITING,
    OPLOG_HEADROOM,
    OPLOG_WINDOW,
    BATCH_RUNNING,
    BATCH_PROGRESS,
    BATCH_THROTTLED,
    BATCH_ORDERS,
    BATCH_STATE,
    BATCH_UNBALANCED,
    BATCH_DURATION,
    BATCH_SUCCESS,
    NEAR_MISSES,
    VERIFICATION_RUNNING,
    VERIFIED,
    VERIFICATION_SUCCESS,
    VERIFICATION_ORDERS,
    DIFFERENCES,
    INSTANCES,
];

const fn counter(name: &'static str, labels: &'static [Label], help: &'static str) -> Metric {
    metric(name, Kind::Counter, Of::Instance, labels, help)
}

const fn gauge(name: &'static str, labels: &'static [Label], help: &'static str) -> Metric {
    metric(name, Kind::Gauge, Of::Instance, labels, help)
}

const fn histogram(name: &'static str, labels: &'static [Label], help: &'static str) -> Metric {
    metric(name, Kind::Histogram(SECONDS), Of::Instance, labels, help)
}

const fn of_database(name: &'static str, labels: &'static [Label], help: &'static str) -> Metric {
    metric(name, Kind::Gauge, Of::Database, labels, help)
}

const fn metric(
    name: &'static str,
    kind: Kind,
    of: Of,
    labels: &'static [Label],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        of,
        labels,
        help,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_keep_to_the_conventions_of_prometheus() {
        let mut names = BTreeSet::new();
        for metric in ALL {
            let name = metric.name;
            assert!(names.insert(name), "{name} stands there twice");
            assert!(name.starts_with("order_archiver_"), "{name}");
            let is_counter = metric.kind == Kind::Counter;
            assert_eq!(name.ends_with("_total"), is_counter, "{name}");
            let is_timed = matches!(metric.kind, Kind::Histogram(_));
            assert!(!is_timed || name.ends_with("_seconds"), "{name}");
            let is_gauge = metric.kind == Kind::Gauge;
            assert!(metric.of == Of::Instance || is_gauge, "{name}");
            assert!(metric.help.ends_with('.'), "{name}");
        }
        for edge in [2.0, 30.0] {
            assert!(SECONDS.contains(&edge), "an edge at {edge} s");
        }
    }
}
