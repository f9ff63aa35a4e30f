//! The table of settings. A new one is a row here and a field of `Config`; flags, help and
//! documents follow by themselves.

use std::time::Duration;

use super::setting::{Form, OFF, Setting};
use crate::domain::{order::LARGEST_CHUNK, partition::MOST_PARTITIONS};

/// The database of the simulation profile, so that made-up orders never meet real ones by default.
pub(crate) const SIMULATION_DATABASE: &str = "livraison_simulation";

/// Every setting, in the order in which help and documents list them.
pub const SETTINGS: &[Setting] = &[
    MONGODB_URI,
    MONGODB_DATABASE,
    PROFILE,
    LISTEN,
    HTTP,
    HTTP_HOSTS,
    AUTH_FILE,
    TLS_CERT,
    TLS_KEY,
    TLS_CLIENT_CA,
    INSECURE_LISTEN,
    COLLECTION_ORDERS,
    COLLECTION_CLIENTS,
    COLLECTION_COURIERS,
    COLLECTION_RESTAURANTS,
    COLLECTION_MENUS,
    COLLECTION_ARCHIVE,
    COLLECTION_PREFIX,
    DELIVERED_STATUS,
    ARCHIVED_BY,
    CHUNK_SIZE,
    RETRY_ATTEMPTS,
    OPERATION_TIMEOUT,
    REQUEST_TIMEOUT,
    SHUTDOWN_DELAY,
    SHUTDOWN_GRACE,
    MAX_CONNECTIONS,
    MAX_CONNECTION_AGE,
    MAX_TAIL_READERS,
    WATCH,
    WATCH_PARTITIONS,
    LEASE,
    MAX_RATE,
    MAX_LAG,
    MAX_WRITE_LATENCY,
    VERIFY_MAX_RATE,
    BATCH_READS,
    SCHEDULE,
    SCHEDULE_ZONE,
    SCHEDULE_CATCH_UP,
    VERIFY,
    VERIFY_FULL_EVERY,
    REFLECTION,
    INSTANCE,
    LOG,
    LOG_FORMAT,
    LOG_FILE,
    LOG_FILE_SIZE,
    LOG_FILES,
    OTLP_ENDPOINT,
];

/// The settings that name a collection of the platform: no two of them may name the same.
pub const COLLECTIONS: [Setting; 6] = [
    COLLECTION_ORDERS,
    COLLECTION_CLIENTS,
    COLLECTION_COURIERS,
    COLLECTION_RESTAURANTS,
    COLLECTION_MENUS,
    COLLECTION_ARCHIVE,
];

/// Where MongoDB is.
pub const MONGODB_URI: Setting = Setting {
    name: "MONGODB_URI",
    flag: None,
    form: Form::Uri,
    default: "mongodb://127.0.0.1:27017",
    help: "Where MongoDB is, with the credentials.",
    secret: true,
};

/// The database.
pub const MONGODB_DATABASE: Setting = Setting {
    name: "MONGODB_DATABASE",
    flag: Some("database"),
    form: Form::Database,
    default: "livraison",
    help: "The database of the orders and of their archive; by default livraison_simulation under the simulation profile.",
    secret: false,
};

/// What the server is for.
pub const PROFILE: Setting = Setting {
    name: "ARCHD_PROFILE",
    flag: Some("profile"),
    form: Form::Choice(&["production", "simulation"]),
    default: "production",
    help: "What the server is for: only the simulation profile may seed made-up data.",
    secret: false,
};

/// Where gRPC is served.
pub const LISTEN: Setting = Setting {
    name: "ARCHD_LISTEN",
    flag: Some("listen"),
    form: Form::Address,
    default: "127.0.0.1:50051",
    help: "Where gRPC is served; an address that other machines may reach needs TLS and authentication.",
    secret: false,
};

/// Where HTTP is served.
pub const HTTP: Setting = Setting {
    name: "ARCHD_HTTP",
    flag: Some("http"),
    form: Form::AddressOrOff,
    default: "127.0.0.1:9464",
    help: "Where serve and watch answer HTTP: the page, /livez, /readyz, /metrics and what the page asks for; an address that other machines may reach needs TLS and authentication.",
    secret: false,
};

/// The names under which HTTP is served.
pub const HTTP_HOSTS: Setting = Setting {
    name: "ARCHD_HTTP_HOSTS",
    flag: Some("http-hosts"),
    form: Form::Hosts,
    default: "",
    help: "The names of this machine by which HTTP may be asked, beside localhost and IP addresses; a request for any other name is refused, as it may be a web page's that pretends to be this machine.",
    secret: false,
};

/// Who may call.
pub const AUTH_FILE: Setting = Setting {
    name: "ARCHD_AUTH_FILE",
    flag: Some("auth-file"),
    form: Form::FileOrOff,
    default: OFF,
    help: "The file that says who may do what, by tokens and names of client certificates (docs/security.md), read again when it changes; off asks nobody who they are.",
    secret: false,
};

/// The server's certificate.
pub const TLS_CERT: Setting = Setting {
    name: "ARCHD_TLS_CERT",
    flag: Some("tls-cert"),
    form: Form::FileOrOff,
    default: OFF,
    help: "The server's certificate and, after it, those between it and the root, as PEM; gRPC and HTTP then speak TLS alone. The files of TLS are read again when they change, and on SIGHUP.",
    secret: false,
};

/// Its key.
pub(crate) const TLS_KEY: Setting = Setting {
    name: "ARCHD_TLS_KEY",
    flag: Some("tls-key"),
    form: Form::FileOrOff,
    default: OFF,
    help: "The private key of the certificate in ARCHD_TLS_CERT, as PEM without a passphrase.",
    secret: false,
};

/// The authorities that vouch for clients.
pub const TLS_CLIENT_CA: Setting = Setting {
    name: "ARCHD_TLS_CLIENT_CA",
    flag: Some("tls-client-ca"),
    form: Form::FileOrOff,
    default: OFF,
    help: "The certificates of the authorities that vouch for clients, as PEM: clients are then asked for a certificate, and one that none of these vouches for is refused.",
    secret: false,
};

/// Whether anybody may be served.
pub const INSECURE_LISTEN: Setting = Setting {
    name: "ARCHD_INSECURE_LISTEN",
    flag: Some("insecure-listen"),
    form: Form::Choice(&["true", "false"]),
    default: "false",
    help: "Whether other machines may be served without TLS or without authentication, as behind a proxy that sees to both.",
    secret: false,
};

/// The collection of the live orders.
pub(crate) const COLLECTION_ORDERS: Setting = Setting {
    name: "ARCHD_COLLECTION_ORDERS",
    flag: Some("collection-orders"),
    form: Form::Collection { most: 150 },
    default: "Commande",
    help: "The collection of the live orders, unlike every other collection.",
    secret: false,
};

/// The collection of the clients.
pub(crate) const COLLECTION_CLIENTS: Setting = Setting {
    name: "ARCHD_COLLECTION_CLIENTS",
    flag: Some("collection-clients"),
    form: Form::Collection { most: 150 },
    default: "Client",
    help: "The collection of the clients, unlike every other collection.",
    secret: false,
};

/// The collection of the couriers.
pub(crate) const COLLECTION_COURIERS: Setting = Setting {
    name: "ARCHD_COLLECTION_COURIERS",
    flag: Some("collection-couriers"),
    form: Form::Collection { most: 150 },
    default: "Livreur",
    help: "The collection of the couriers, unlike every other collection.",
    secret: false,
};

/// The collection of the restaurants.
pub(crate) const COLLECTION_RESTAURANTS: Setting = Setting {
    name: "ARCHD_COLLECTION_RESTAURANTS",
    flag: Some("collection-restaurants"),
    form: Form::Collection { most: 150 },
    default: "Restaurants",
    help: "The collection of the restaurants, unlike every other collection.",
    secret: false,
};

/// The collection of the menus.
pub(crate) const COLLECTION_MENUS: Setting = Setting {
    name: "ARCHD_COLLECTION_MENUS",
    flag: Some("collection-menus"),
    form: Form::Collection { most: 150 },
    default: "Menu",
    help: "The collection of the menus, unlike every other collection.",
    secret: false,
};

/// The collection of the archived orders.
pub(crate) const COLLECTION_ARCHIVE: Setting = Setting {
    name: "ARCHD_COLLECTION_ARCHIVE",
    flag: Some("collection-archive"),
    form: Form::Collection { most: 150 },
    default: "Historique",
    help: "The collection of the archived orders, unlike every other collection.",
    secret: false,
};

/// What the names of the server's own collections begin with.
pub(crate) const COLLECTION_PREFIX: Setting = Setting {
    name: "ARCHD_COLLECTION_PREFIX",
    flag: Some("collection-prefix"),
    form: Form::Collection { most: 60 },
    default: "archd_",
    help: "What the names of the server's own collections begin with, and no other collection's.",
    secret: false,
};

/// The status of the orders to archive.
pub(crate) const DELIVERED_STATUS: Setting = Setting {
    name: "ARCHD_DELIVERED_STATUS",
    flag: Some("delivered-status"),
    form: Form::Text { most: 256 },
    default: "livrée",
    help: "The status of the orders to archive, compared byte by byte.",
    secret: false,
};

/// What the archive notes as its author.
pub(crate) const ARCHIVED_BY: Setting = Setting {
    name: "ARCHD_ARCHIVED_BY",
    flag: Some("archived-by"),
    form: Form::Text { most: 256 },
    default: "script v2.0",
    help: "What the archive notes as its author.",
    secret: false,
};

/// The most orders in a chunk.
pub(crate) const CHUNK_SIZE: Setting = Setting {
    name: "ARCHD_CHUNK_SIZE",
    flag: Some("chunk-size"),
    form: Form::Whole {
        least: 1,
        most: LARGEST_CHUNK,
    },
    default: "1000",
    help: "The most orders that are read, enriched and written together.",
    secret: false,
};

/// How many times a failed call is tried again.
pub(crate) const RETRY_ATTEMPTS: Setting = Setting {
    name: "ARCHD_RETRY_ATTEMPTS",
    flag: Some("retry-attempts"),
    form: Form::Whole { least: 0, most: 20 },
    default: "5",
    help: "How many times a failed call to the database is tried again.",
    secret: false,
};

/// The most that one call to the database may take.
pub(crate) const OPERATION_TIMEOUT: Setting = Setting {
    name: "ARCHD_OPERATION_TIMEOUT",
    flag: Some("operation-timeout"),
    form: Form::Time {
        least: Duration::from_millis(100),
        most: Duration::from_secs(5 * 60),
    },
    default: "10s",
    help: "The most that one call to the database may take.",
    secret: false,
};

/// The most that one unary RPC may take.
pub(crate) const REQUEST_TIMEOUT: Setting = Setting {
    name: "ARCHD_REQUEST_TIMEOUT",
    flag: Some("request-timeout"),
    form: Form::Time {
        least: Duration::from_millis(100),
        most: Duration::from_secs(5 * 60),
    },
    default: "10s",
    help: "The most that one unary RPC may take.",
    secret: false,
};

/// How long callers have to go elsewhere after the signal to stop.
pub(crate) const SHUTDOWN_DELAY: Setting = Setting {
    name: "ARCHD_SHUTDOWN_DELAY",
    flag: Some("shutdown-delay"),
    form: Form::Time {
        least: Duration::ZERO,
        most: Duration::from_secs(5 * 60),
    },
    default: "0s",
    help: "How long serve goes on taking calls after the signal to stop, while /readyz and health say that callers are to go elsewhere: as long as a balancer needs to hear of it. ARCHD_SHUTDOWN_GRACE begins then.",
    secret: false,
};

/// How long work in flight may go on after the signal to stop.
pub(crate) const SHUTDOWN_GRACE: Setting = Setting {
    name: "ARCHD_SHUTDOWN_GRACE",
    flag: Some("shutdown-grace"),
    form: Form::Time {
        least: Duration::ZERO,
        most: Duration::from_secs(5 * 60),
    },
    default: "20s",
    help: "How long work in flight may go on after the signal to stop.",
    secret: false,
};

/// The most connections that callers may have open at one time.
pub(crate) const MAX_CONNECTIONS: Setting = Setting {
    name: "ARCHD_MAX_CONNECTIONS",
    flag: Some("max-connections"),
    form: Form::Whole {
        least: 0,
        most: 100_000,
    },
    default: "0",
    help: "The most connections that callers may have open at one time; 0 means up to 10,000. Never more than the limit of open files (ulimit -n) leaves beside the database's connections.",
    secret: false,
};

/// How old a connection over TLS may become.
pub(crate) const MAX_CONNECTION_AGE: Setting = Setting {
    name: "ARCHD_MAX_CONNECTION_AGE",
    flag: Some("max-connection-age"),
    form: Form::TimeOrOff {
        least: Duration::from_secs(1),
        most: Duration::from_secs(30 * 24 * 60 * 60),
    },
    default: "1h",
    help: "How old a connection over TLS may become, give or take a tenth: the client is then told to connect again, and calls under way are answered before it ends.",
    secret: false,
};

/// The most readers that may tail the events at one time.
pub(crate) const MAX_TAIL_READERS: Setting = Setting {
    name: "ARCHD_MAX_TAIL_READERS",
    flag: Some("max-tail-readers"),
    form: Form::Whole {
        least: 1,
        most: 10_000,
    },
    default: "64",
    help: "The most readers that may tail the events at one time.",
    secret: false,
};

/// Whether the watcher runs beside the services.
pub(crate) const WATCH: Setting = Setting {
    name: "ARCHD_WATCH",
    flag: Some("watch"),
    form: Form::Choice(&["true", "false"]),
    default: "true",
    help: "Whether serve also watches for delivered orders and archives them at once; one instance on a database does, the others are on standby, or share its partitions.",
    secret: false,
};

/// Into how many partitions the watcher's stream is split.
pub(crate) const WATCH_PARTITIONS: Setting = Setting {
    name: "ARCHD_WATCH_PARTITIONS",
    flag: Some("watch-partitions"),
    form: Form::Whole {
        least: 1,
        most: MOST_PARTITIONS,
    },
    default: "1",
    help: "Into how many partitions the changes of the orders are split, each read by one instance at a time; each costs the database one more reading of its history (docs/scale.md). The instance whose watcher began last decides for all.",
    secret: false,
};

/// How long a silent instance keeps what it does.
pub(crate) const LEASE: Setting = Setting {
    name: "ARCHD_LEASE",
    flag: Some("lease"),
    form: Form::Time {
        least: Duration::from_secs(1),
        most: Duration::from_secs(5 * 60),
    },
    default: "15s",
    help: "How long this instance may be silent, by the database's clock, before another one takes its watch, its batch or its verification over.",
    secret: false,
};

/// The most orders that a batch meets in a second.
pub(crate) const MAX_RATE: Setting = Setting {
    name: "ARCHD_MAX_RATE",
    flag: Some("max-rate"),
    form: Form::Whole {
        least: 0,
        most: 1_000_000,
    },
    default: "0",
    help: "The most orders that a batch meets in a second, unless it is told otherwise; 0 means no limit.",
    secret: false,
};

/// How far behind a secondary may be before a batch waits.
pub(crate) const MAX_LAG: Setting = Setting {
    name: "ARCHD_MAX_LAG",
    flag: Some("max-lag"),
    form: Form::TimeOrOff {
        least: Duration::from_millis(100),
        most: Duration::from_secs(60 * 60),
    },
    default: "10s",
    help: "A batch or a verification waits while a secondary that is not delayed on purpose is further behind than this, unless it is told otherwise.",
    secret: false,
};

/// How long the insert of a chunk may take before a batch slows down.
pub(crate) const MAX_WRITE_LATENCY: Setting = Setting {
    name: "ARCHD_MAX_WRITE_LATENCY",
    flag: Some("max-write-latency"),
    form: Form::Time {
        least: Duration::from_millis(1),
        most: Duration::from_secs(5 * 60),
    },
    default: "2s",
    help: "A batch slows down while the insert of a chunk takes longer than this, unless it is told otherwise.",
    secret: false,
};

/// The most orders that a verification looks at in a second.
pub(crate) const VERIFY_MAX_RATE: Setting = Setting {
    name: "ARCHD_VERIFY_MAX_RATE",
    flag: Some("verify-max-rate"),
    form: Form::Whole {
        least: 0,
        most: 1_000_000,
    },
    default: "5000",
    help: "The most orders that a verification looks at in a second, unless it is told otherwise; 0 means no limit.",
    secret: false,
};

/// Where a batch reads in bulk.
pub(crate) const BATCH_READS: Setting = Setting {
    name: "ARCHD_BATCH_READS",
    flag: Some("batch-reads"),
    form: Form::Choice(&["primary", "secondary"]),
    default: "primary",
    help: "Which member of the replica set a batch or a verification reads its orders and the archive's index from; for secondary the primary stands in while none keeps up.",
    secret: false,
};

/// When a batch starts by itself.
pub(crate) const SCHEDULE: Setting = Setting {
    name: "ARCHD_SCHEDULE",
    flag: Some("schedule"),
    form: Form::ScheduleOrOff,
    default: "0 2 * * *",
    help: "When serve starts a batch by itself; however many instances serve a database, each time makes one batch. A time of day is due once on each of its days, whatever the clocks do: at its first pass when they repeat it, at the end of the gap when they skip it. An expression with all 24 hours recurs instead: it is due as often as the clocks show its times.",
    secret: false,
};

/// The time zone of the schedule.
pub(crate) const SCHEDULE_ZONE: Setting = Setting {
    name: "ARCHD_SCHEDULE_ZONE",
    flag: Some("schedule-zone"),
    form: Form::Zone,
    default: "Europe/Paris",
    help: "The time zone of ARCHD_SCHEDULE, the same on every instance of a database.",
    secret: false,
};

/// Whether a missed time is made up for.
pub(crate) const SCHEDULE_CATCH_UP: Setting = Setting {
    name: "ARCHD_SCHEDULE_CATCH_UP",
    flag: Some("schedule-catch-up"),
    form: Form::Choice(&["true", "false"]),
    default: "false",
    help: "Whether serve, when it starts, makes the latest batch of ARCHD_SCHEDULE if no instance has.",
    secret: false,
};

/// What is verified after the batch of the schedule.
pub(crate) const VERIFY: Setting = Setting {
    name: "ARCHD_VERIFY",
    flag: Some("verify"),
    form: Form::Choice(&["changes", "off"]),
    default: "changes",
    help: "What serve verifies once a batch of ARCHD_SCHEDULE has succeeded: what has changed since the latest verification that ended VERIFIED, or everything when ARCHD_VERIFY_FULL_EVERY says so.",
    secret: false,
};

/// How long after a verification of everything the next one is due.
pub(crate) const VERIFY_FULL_EVERY: Setting = Setting {
    name: "ARCHD_VERIFY_FULL_EVERY",
    flag: Some("verify-full-every"),
    form: Form::Time {
        least: Duration::ZERO,
        most: Duration::from_secs(30 * 24 * 60 * 60),
    },
    default: "7d",
    help: "Where ARCHD_VERIFY is changes: how old the latest verification of all orders may be before everything is verified again; 0s does so each time.",
    secret: false,
};

/// Whether clients may ask the server for its contract.
pub(crate) const REFLECTION: Setting = Setting {
    name: "ARCHD_REFLECTION",
    flag: Some("reflection"),
    form: Form::Choice(&["true", "false"]),
    default: "true",
    help: "Whether clients such as grpcurl may ask the server for its contract.",
    secret: false,
};

/// The name of this process.
pub const INSTANCE: Setting = Setting {
    name: "ARCHD_INSTANCE",
    flag: Some("instance"),
    form: Form::Text { most: 128 },
    default: "",
    help: "The name of this process, unlike that of every other server on the database; by default the host's name, a dash and the process id.",
    secret: false,
};

/// Which log lines are written.
pub(crate) const LOG: Setting = Setting {
    name: "ARCHD_LOG",
    flag: Some("log"),
    form: Form::Filter,
    default: "info,mongodb=warn",
    help: "Which log lines are written.",
    secret: false,
};

/// What log lines look like.
pub(crate) const LOG_FORMAT: Setting = Setting {
    name: "ARCHD_LOG_FORMAT",
    flag: Some("log-format"),
    form: Form::Choice(&["auto", "text", "json", "ecs"]),
    default: "auto",
    help: "What log lines look like; auto is text on a terminal and JSON anywhere else, ecs is JSON under the names of the Elastic Common Schema.",
    secret: false,
};

/// Where the log is written beside standard error.
pub(crate) const LOG_FILE: Setting = Setting {
    name: "ARCHD_LOG_FILE",
    flag: Some("log-file"),
    form: Form::FileOrOff,
    default: OFF,
    help: "The file that the log is written to beside standard error, begun anew each day of UTC and at ARCHD_LOG_FILE_SIZE; of its own for each process.",
    secret: false,
};

/// How large the log's file becomes.
pub(crate) const LOG_FILE_SIZE: Setting = Setting {
    name: "ARCHD_LOG_FILE_SIZE",
    flag: Some("log-file-size"),
    form: Form::Whole {
        least: 1,
        most: 10_240,
    },
    default: "100",
    help: "How large ARCHD_LOG_FILE becomes before it is begun anew, in MiB.",
    secret: false,
};

/// How many files of the log are kept.
pub(crate) const LOG_FILES: Setting = Setting {
    name: "ARCHD_LOG_FILES",
    flag: Some("log-files"),
    form: Form::Whole {
        least: 1,
        most: 1_000,
    },
    default: "14",
    help: "How many files are kept of ARCHD_LOG_FILE, the one that is written included; the oldest goes first.",
    secret: false,
};

/// Where spans are sent.
pub(crate) const OTLP_ENDPOINT: Setting = Setting {
    name: "ARCHD_OTLP_ENDPOINT",
    flag: Some("otlp-endpoint"),
    form: Form::CollectorOrOff,
    default: OFF,
    help: "The OpenTelemetry collector that spans of calls and chunks are sent to, by OTLP over gRPC in plain text.",
    secret: false,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_may_be_given() {
        for setting in SETTINGS
            .iter()
            .filter(|setting| !setting.default.is_empty())
        {
            let faults = setting.form.faults(setting.default);
            assert!(faults.is_empty(), "{}: {faults:?}", setting.name);
        }
    }
}
