//! All settings of a process, typed, and checked one by one and against each other.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use uuid::Uuid;

use super::{
    exposure,
    problem::Problem,
    setting::{OFF, Setting, address, hosts},
    sources::{Chosen, InForce, Sources, Values},
    table::*,
    unknown,
    uri::{self, MongodbUri},
};
use crate::domain::schedule::Schedule;

/// Every setting of the server. Its `Debug` form may be logged: the only secret hides itself.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where MongoDB is, with the credentials.
    pub mongodb_uri: MongodbUri,
    /// The file that this was read from, where `MONGODB_URI_FILE` gave it; read again when the
    /// database refuses the password.
    pub mongodb_uri_file: Option<PathBuf>,
    /// The database of the orders and of their archive.
    pub database: String,
    /// What the server is for.
    pub profile: Profile,
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// Where HTTP is served; none means nowhere.
    pub http: Option<SocketAddr>,
    /// The names under which it is served, beside `localhost` and IP addresses, in small letters.
    pub http_hosts: Vec<String>,
    /// The file that says who may do what; none means that nobody is asked who they are.
    pub auth_file: Option<PathBuf>,
    /// The files of TLS; none means that plain text is spoken.
    pub tls: Option<TlsFiles>,
    /// How old a connection over TLS may become; none means any age.
    pub max_connection_age: Option<Duration>,
    /// The names of the collections.
    pub collections: Collections,
    /// The status that makes an order ready for the archive, compared byte by byte.
    pub delivered_status: String,
    /// What the archive notes as its author.
    pub archived_by: String,
    /// The most orders that are read, enriched and written together.
    pub chunk_size: usize,
    /// How many times a failed call to the database is tried again.
    pub retry_attempts: u32,
    /// The most that one call to the database may take.
    pub operation_timeout: Duration,
    /// The most that one unary RPC may take.
    pub request_timeout: Duration,
    /// How long work in flight may go on after the signal to stop.
    pub shutdown_grace: Duration,
    /// How long `serve` takes calls after the signal to stop, while callers are sent elsewhere.
    pub shutdown_delay: Duration,
    /// The most connections that callers may have open at one time; 0 means as many as there are
    /// files for.
    pub max_connections: usize,
    /// The most readers that may tail the events at one time.
    pub max_tail_readers: usize,
    /// Whether the watcher runs beside the services.
    pub watch: bool,
    /// Into how many partitions the watcher's stream is to be split.
    pub watch_partitions: u32,
    /// How long this instance may be silent before another one takes over what it
    /// does.
    pub lease: Duration,
    /// The most orders that a batch meets in a second unless it is told otherwise; 0 means no
    /// limit.
    pub max_orders_per_second: u32,
    /// A batch waits while a secondary is further behind, unless it is told otherwise; none means
    /// that it never waits.
    pub max_replication_lag: Option<Duration>,
    /// A batch slows down while the insert of a chunk takes longer, unless it is told otherwise.
    pub max_write_latency: Duration,
    /// The most orders that a verification looks at in a second unless it is told otherwise; 0 means
    /// no limit.
    pub verify_max_rate: u32,
    /// Where a batch reads in bulk.
    pub batch_reads: BatchReads,
    /// When `serve` starts a batch by itself; none means never.
    pub schedule: Option<Schedule>,
    /// Whether `serve`, when it starts, makes the latest batch of the schedule if no instance has.
    pub schedule_catch_up: bool,
    /// Whether what has changed is verified once a batch of the schedule has succeeded.
    pub verify: bool,
    /// How old the latest verification of all orders may be before the schedule starts another.
    pub verify_full_every: Duration,
    /// Whether clients may ask the server for its contract.
    pub reflection: bool,
    /// The name of this process among the servers of one database.
    pub instance: String,
    /// The name of the machine that it runs on; empty when that is not known.
    pub host: String,
    /// Which log lines are written, in the syntax of `tracing_subscriber::EnvFilter`.
    pub log_filter: String,
    /// What the log lines look like.
    pub log_format: LogFormat,
    /// The file that they are written to beside standard error.
    pub log_file: Option<LogFileSettings>,
    /// Where spans are sent, if they are.
    pub otlp_endpoint: Option<String>,
    /// What is allowed and yet worth a look, a sentence each, to be logged once the log is open.
    pub warnings: Vec<String>,
    /// What is as it is by default and yet to be known of the listeners, a sentence each, to be
    /// logged by those who listen.
    pub notes: Vec<String>,
    /// Every setting as it was read, to be logged too.
    pub in_force: InForce,
}

/// What a server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// The platform's own data, which nothing may make up.
    Production,
    /// Made-up data: seeding is allowed, in a database of its own.
    Simulation,
}

/// Which member of a replica set a batch reads in bulk from: its orders, and the archive's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchReads {
    /// The primary.
    Primary,
    /// A secondary, as long as one keeps up; else the primary.
    Secondary,
}

/// What log lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON anywhere else.
    Auto,
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
    /// The same, under the names of the Elastic Common Schema.
    Ecs,
}

/// A file of the log, and those of before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFileSettings {
    /// Where it is.
    pub path: PathBuf,
    /// How large it becomes before it is begun anew.
    pub most_bytes: u64,
    /// How many files are kept, this one included.
    pub kept: usize,
}

/// The files by which the server proves what it is, and knows who is a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, and those between it and the root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities that vouch for clients; none means that no client is asked for a
    /// certificate.
    pub client_ca: Option<PathBuf>,
}

/// The names of the collections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collections {
    /// The live orders.
    pub orders: String,
    /// The clients who ordered.
    pub clients: String,
    /// The couriers who delivered.
    pub couriers: String,
    /// The restaurants.
    pub restaurants: String,
    /// The menus.
    pub menus: String,
    /// The archived orders.
    pub archive: String,
    /// What the names of the server's own collections begin with.
    pub prefix: String,
}

impl Config {
    /// Chooses each setting from the flags, else the environment, else the `.env` file, else its
    /// default, and checks them all.
    ///
    /// It looks at nothing but its arguments, the files that `…_FILE` names and, for the default of
    /// `ARCHD_INSTANCE`, the name of the host.
    ///
    /// # Errors
    ///
    /// Every bad setting, not only the first.
    pub fn load(
        flags: &Values,
        environment: &Values,
        dotenv: &Values,
    ) -> Result<Config, Vec<Problem>> {
        let sources = Sources {
            flags,
            environment,
            dotenv,
        };
        let (chosen, mut problems) = sources.choose();
        problems.extend(clashes(&chosen, &problems));
        let exposure = exposure::of(&chosen, &problems);
        problems.extend(exposure.problems);
        if !problems.is_empty() {
            return Err(problems);
        }

        let profile = match chosen.text(&PROFILE).as_str() {
            "simulation" => Profile::Simulation,
            _ => Profile::Production,
        };
        let listen =
            address(&chosen.text(&LISTEN)).expect("the form was checked when the value was chosen");
        let http = chosen.address_unless_off(&HTTP);
        let http_hosts = chosen.text(&HTTP_HOSTS);
        let http_hosts = hosts(&http_hosts).filter(|host| !host.is_empty());
        let database = match (chosen.is_given(&MONGODB_DATABASE), profile) {
            (false, Profile::Simulation) => SIMULATION_DATABASE.to_owned(),
            _ => chosen.text(&MONGODB_DATABASE),
        };
        let instance = match chosen.is_given(&INSTANCE) {
            true => chosen.text(&INSTANCE),
            false => instance(environment),
        };
        let mut warnings: Vec<String> = unknown::warning(&sources).into_iter().collect();
        warnings.extend(exposure.warnings);
        warnings.extend(uri::warnings(&chosen.text(&MONGODB_URI)));
        Ok(Config {
            mongodb_uri: chosen.parsed(&MONGODB_URI),
            mongodb_uri_file: sources.file_of(&MONGODB_URI),
            in_force: chosen.in_force(&database, &instance),
            database,
            profile,
            listen,
            http,
            tls: tls_files(&chosen),
            max_connection_age: chosen.time_unless_off(&MAX_CONNECTION_AGE),
            notes: exposure.notes,
            http_hosts: http_hosts.map(str::to_ascii_lowercase).collect(),
            auth_file: chosen.text_unless_off(&AUTH_FILE).map(PathBuf::from),
            collections: Collections {
                orders: chosen.text(&COLLECTION_ORDERS),
                clients: chosen.text(&COLLECTION_CLIENTS),
                couriers: chosen.text(&COLLECTION_COURIERS),
                restaurants: chosen.text(&COLLECTION_RESTAURANTS),
                menus: chosen.text(&COLLECTION_MENUS),
                archive: chosen.text(&COLLECTION_ARCHIVE),
                prefix: chosen.text(&COLLECTION_PREFIX),
            },
            delivered_status: chosen.text(&DELIVERED_STATUS),
            archived_by: chosen.text(&ARCHIVED_BY),
            chunk_size: chosen.parsed(&CHUNK_SIZE),
            retry_attempts: chosen.parsed(&RETRY_ATTEMPTS),
            operation_timeout: chosen.time(&OPERATION_TIMEOUT),
            request_timeout: chosen.time(&REQUEST_TIMEOUT),
            shutdown_grace: chosen.time(&SHUTDOWN_GRACE),
            shutdown_delay: chosen.time(&SHUTDOWN_DELAY),
            max_connections: chosen.parsed(&MAX_CONNECTIONS),
            max_tail_readers: chosen.parsed(&MAX_TAIL_READERS),
            watch: chosen.parsed(&WATCH),
            watch_partitions: chosen.parsed(&WATCH_PARTITIONS),
            lease: chosen.time(&LEASE),
            max_orders_per_second: chosen.parsed(&MAX_RATE),
            max_replication_lag: chosen.time_unless_off(&MAX_LAG),
            max_write_latency: chosen.time(&MAX_WRITE_LATENCY),
            verify_max_rate: chosen.parsed(&VERIFY_MAX_RATE),
            batch_reads: match chosen.text(&BATCH_READS).as_str() {
                "secondary" => BatchReads::Secondary,
                _ => BatchReads::Primary,
            },
            schedule: chosen.schedule_unless_off(&SCHEDULE, &SCHEDULE_ZONE),
            schedule_catch_up: chosen.parsed(&SCHEDULE_CATCH_UP),
            verify: chosen.text(&VERIFY) != OFF,
            verify_full_every: chosen.time(&VERIFY_FULL_EVERY),
            reflection: chosen.parsed(&REFLECTION),
            instance,
            host: host(environment),
            log_filter: chosen.text(&LOG),
            log_format: match chosen.text(&LOG_FORMAT).as_str() {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                "ecs" => LogFormat::Ecs,
                _ => LogFormat::Auto,
            },
            log_file: chosen
                .text_unless_off(&LOG_FILE)
                .map(|path| LogFileSettings {
                    path: path.into(),
                    most_bytes: chosen.parsed::<u64>(&LOG_FILE_SIZE) * 1024 * 1024,
                    kept: chosen.parsed(&LOG_FILES),
                }),
            otlp_endpoint: chosen.text_unless_off(&OTLP_ENDPOINT),
            warnings,
        })
    }

    /// The defaults under the simulation profile, with a random instance and without watcher,
    /// schedule and HTTP: what a test or a demonstration starts from, in which nothing happens that it did
    /// not ask for.
    ///
    /// # Errors
    ///
    /// When the URI or the name of the database is bad.
    pub fn simulation(uri: &str, database: &str) -> Result<Config, Vec<Problem>> {
        let instance = format!("simulation-{}", Uuid::new_v4());
        let values = [
            (MONGODB_URI, uri),
            (MONGODB_DATABASE, database),
            (PROFILE, "simulation"),
            (WATCH, "false"),
            (SCHEDULE, OFF),
            (HTTP, OFF),
            (INSTANCE, &instance),
        ]
        .map(|(setting, value)| (setting.name.to_owned(), value.to_owned()));
        Config::load(&Values::new(), &Values::from(values), &Values::new())
    }
}

/// Values that are good by themselves, and not beside each other: two ports that are one, names of
/// collections that are the same, or that fall among the server's own. Those that are bad anyway
/// are left alone.
fn clashes(chosen: &Chosen, bad: &[Problem]) -> Vec<Problem> {
    let good = |setting: &Setting| bad.iter().all(|problem| problem.name != setting.name);
    let collections: Vec<Setting> = COLLECTIONS.into_iter().filter(good).collect();
    let mut problems = Vec::new();
    if good(&LISTEN) && good(&HTTP) && is_taken(chosen) {
        problems.push(chosen.problem(
            &HTTP,
            format!("is the port in {} too", LISTEN.name),
            "give each a port of its own",
        ));
    }
    let prefix = chosen.text(&COLLECTION_PREFIX);
    for (at, setting) in collections.iter().enumerate() {
        let name = chosen.text(setting);
        if let Some(other) = collections[..at]
            .iter()
            .find(|other| chosen.text(other) == name)
        {
            problems.push(chosen.problem(
                setting,
                format!("is the name in {} too", other.name),
                "give each collection a name of its own",
            ));
        }
        if good(&COLLECTION_PREFIX) && name.starts_with(&prefix) {
            problems.push(chosen.problem(
                setting,
                format!("begins with {prefix:?}, as the server's own collections do"),
                "change it, or ARCHD_COLLECTION_PREFIX",
            ));
        }
    }
    problems
}

/// Whether HTTP is to be served where gRPC is.
fn is_taken(chosen: &Chosen) -> bool {
    let grpc = chosen.address_unless_off(&LISTEN);
    let Some((grpc, http)) = grpc.zip(chosen.address_unless_off(&HTTP)) else {
        return false;
    };
    let is_every = grpc.ip().is_unspecified() || http.ip().is_unspecified();
    // Port 0 is another one each time.
    grpc.port() == http.port() && grpc.port() != 0 && (is_every || grpc.ip() == http.ip())
}

fn tls_files(chosen: &Chosen) -> Option<TlsFiles> {
    let file = |setting| chosen.text_unless_off(setting).map(PathBuf::from);
    Some(TlsFiles {
        certificate: file(&TLS_CERT)?,
        key: file(&TLS_KEY)?,
        client_ca: file(&TLS_CLIENT_CA),
    })
}

/// A name for this process: its host and its number there.
fn instance(environment: &Values) -> String {
    let host = host(environment);
    let host = if host.is_empty() { "archd" } else { &host };
    format!("{host}-{}", std::process::id())
}

/// The name of this machine; empty when it is not known.
fn host(environment: &Values) -> String {
    let host = ["HOSTNAME", "COMPUTERNAME"]
        .iter()
        .filter_map(|name| environment.get(*name).cloned())
        .find(|host| !host.is_empty())
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .unwrap_or_default();
    // No host name in use is longer than 64 characters; whatever stands in the environment may be.
    host.chars()
        .filter(char::is_ascii_graphic)
        .take(64)
        .collect()
}
