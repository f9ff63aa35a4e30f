//! Settings come from the right place, are all checked, keep their secret, and are documented as
//! they are.

// A test that cannot go on has failed.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, env, fs, net::SocketAddr, path::PathBuf, time::Duration};

use archd::config::{
    BatchReads, Config, InForce, LogFormat, Problem, Profile, SETTINGS, Values, cli::cli, docs,
    setting::Form,
};

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

fn from_environment(pairs: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    Config::load(&Values::new(), &values(pairs), &Values::new())
}

fn lines(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("{problem}\n"))
        .collect()
}

#[test]
fn without_any_setting_the_defaults_hold() {
    let config = from_environment(&[("HOSTNAME", "pod-7")]).unwrap();
    assert_eq!(config.mongodb_uri.expose(), "mongodb://127.0.0.1:27017");
    assert_eq!(config.database, "livraison");
    assert_eq!(config.profile, Profile::Production);
    assert_eq!(config.listen, SocketAddr::from(([127, 0, 0, 1], 50051)));
    assert_eq!(config.http, Some(SocketAddr::from(([127, 0, 0, 1], 9464))));
    assert_eq!(config.http_hosts, [""; 0]);
    assert_eq!(config.collections.orders, "Commande");
    assert_eq!(config.collections.clients, "Client");
    assert_eq!(config.collections.couriers, "Livreur");
    assert_eq!(config.collections.restaurants, "Restaurants");
    assert_eq!(config.collections.menus, "Menu");
    assert_eq!(config.collections.archive, "Historique");
    assert_eq!(config.collections.prefix, "archd_");
    assert_eq!(config.delivered_status, "livr\u{e9}e");
    assert_eq!(config.archived_by, "script v2.0");
    assert_eq!(config.chunk_size, 1000);
    assert_eq!(config.retry_attempts, 5);
    assert_eq!(config.operation_timeout, Duration::from_secs(10));
    assert_eq!(config.request_timeout, Duration::from_secs(10));
    assert_eq!(config.shutdown_grace, Duration::from_secs(20));
    assert_eq!(config.shutdown_delay, Duration::ZERO);
    assert_eq!(config.max_connections, 0);
    assert_eq!(config.max_tail_readers, 64);
    assert_eq!(config.lease, Duration::from_secs(15));
    assert_eq!(config.max_orders_per_second, 0);
    assert_eq!(config.max_replication_lag, Some(Duration::from_secs(10)));
    assert_eq!(config.max_write_latency, Duration::from_secs(2));
    assert_eq!(config.verify_max_rate, 5_000);
    assert_eq!(config.batch_reads, BatchReads::Primary);
    let schedule = config.schedule.map(|schedule| schedule.to_string());
    assert_eq!(schedule.as_deref(), Some("0 2 * * * in Europe/Paris"));
    assert!(!config.schedule_catch_up);
    assert!(config.verify);
    let week = Duration::from_secs(7 * 24 * 60 * 60);
    assert_eq!(config.verify_full_every, week);
    assert!(config.reflection);
    assert_eq!(config.instance, format!("pod-7-{}", std::process::id()));
    assert_eq!(config.log_filter, "info,mongodb=warn");
    assert_eq!(config.log_format, LogFormat::Auto);
    assert_eq!(config.log_file, None);
    assert_eq!(config.otlp_endpoint, None);
    assert_eq!(config.tls, None);
    let hour = Duration::from_secs(60 * 60);
    assert_eq!(config.max_connection_age, Some(hour));
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_the_default() {
    let name = "ARCHD_ARCHIVED_BY";
    for (flag, environment, file, winner) in [
        (None, None, None, "script v2.0"),
        (None, None, Some("file"), "file"),
        (None, Some("environment"), None, "environment"),
        (None, Some("environment"), Some("file"), "environment"),
        (Some("flag"), None, None, "flag"),
        (Some("flag"), None, Some("file"), "flag"),
        (Some("flag"), Some("environment"), None, "flag"),
        (Some("flag"), Some("environment"), Some("file"), "flag"),
        // An empty value counts as none.
        (Some(""), Some("environment"), None, "environment"),
        (Some(""), Some(""), Some("file"), "file"),
        (Some(""), Some(""), Some(""), "script v2.0"),
    ] {
        let source = |value: Option<&str>| match value {
            Some(value) => values(&[(name, value)]),
            None => Values::new(),
        };
        let config = Config::load(&source(flag), &source(environment), &source(file)).unwrap();
        assert_eq!(
            config.archived_by, winner,
            "{flag:?} {environment:?} {file:?}"
        );
    }
}

#[test]
fn every_setting_arrives_in_its_own_field() {
    let config = from_environment(&[
        ("MONGODB_URI", "mongodb+srv://host/"),
        ("MONGODB_DATABASE", "d"),
        ("ARCHD_PROFILE", "simulation"),
        ("ARCHD_LISTEN", "[::1]:1"),
        ("ARCHD_HTTP", "[::1]:2"),
        ("ARCHD_HTTP_HOSTS", "A.b, c_1"),
        ("ARCHD_AUTH_FILE", "w"),
        ("ARCHD_TLS_CERT", "t"),
        ("ARCHD_TLS_KEY", "k"),
        ("ARCHD_TLS_CLIENT_CA", "a"),
        ("ARCHD_INSECURE_LISTEN", "true"),
        ("ARCHD_COLLECTION_ORDERS", "o"),
        ("ARCHD_COLLECTION_CLIENTS", "c"),
        ("ARCHD_COLLECTION_COURIERS", "l"),
        ("ARCHD_COLLECTION_RESTAURANTS", "r"),
        ("ARCHD_COLLECTION_MENUS", "m"),
        ("ARCHD_COLLECTION_ARCHIVE", "h"),
        ("ARCHD_COLLECTION_PREFIX", "_"),
        ("ARCHD_DELIVERED_STATUS", "done"),
        ("ARCHD_ARCHIVED_BY", "me"),
        ("ARCHD_CHUNK_SIZE", "7"),
        ("ARCHD_RETRY_ATTEMPTS", "0"),
        ("ARCHD_OPERATION_TIMEOUT", "100ms"),
        ("ARCHD_REQUEST_TIMEOUT", "5m"),
        ("ARCHD_SHUTDOWN_DELAY", "1s"),
        ("ARCHD_SHUTDOWN_GRACE", "0s"),
        ("ARCHD_MAX_CONNECTIONS", "9"),
        ("ARCHD_MAX_CONNECTION_AGE", "1s"),
        ("ARCHD_MAX_TAIL_READERS", "1"),
        ("ARCHD_WATCH", "false"),
        ("ARCHD_WATCH_PARTITIONS", "4"),
        ("ARCHD_LEASE", "1s"),
        ("ARCHD_MAX_RATE", "9"),
        ("ARCHD_MAX_LAG", "off"),
        ("ARCHD_MAX_WRITE_LATENCY", "1ms"),
        ("ARCHD_VERIFY_MAX_RATE", "8"),
        ("ARCHD_BATCH_READS", "secondary"),
        ("ARCHD_SCHEDULE", "5 4 * * *"),
        ("ARCHD_SCHEDULE_ZONE", "UTC"),
        ("ARCHD_SCHEDULE_CATCH_UP", "true"),
        ("ARCHD_VERIFY", "off"),
        ("ARCHD_VERIFY_FULL_EVERY", "1d"),
        ("ARCHD_REFLECTION", "false"),
        ("ARCHD_INSTANCE", "i"),
        ("ARCHD_LOG", "debug"),
        ("ARCHD_LOG_FORMAT", "json"),
        ("ARCHD_LOG_FILE", "f"),
        ("ARCHD_LOG_FILE_SIZE", "2"),
        ("ARCHD_LOG_FILES", "3"),
        ("ARCHD_OTLP_ENDPOINT", "http://c:4317"),
        ("HOSTNAME", "n"),
    ])
    .unwrap();
    assert_eq!(
        format!("{config:?}"),
        "Config { mongodb_uri: MongodbUri(***), mongodb_uri_file: None, database: \"d\", profile: Simulation, listen: [::1]:1, \
         http: Some([::1]:2), http_hosts: [\"a.b\", \"c_1\"], auth_file: Some(\"w\"), tls: Some(TlsFiles { certificate: \"t\", key: \"k\", client_ca: Some(\"a\") }), max_connection_age: Some(1s), collections: Collections { orders: \"o\", clients: \"c\", couriers: \"l\", restaurants: \"r\", menus: \"m\", \
         archive: \"h\", prefix: \"_\" }, delivered_status: \"done\", archived_by: \"me\", chunk_size: 7, \
         retry_attempts: 0, operation_timeout: 100ms, request_timeout: 300s, shutdown_grace: 0ns, shutdown_delay: 1s, \
         max_connections: 9, max_tail_readers: 1, watch: false, watch_partitions: 4, lease: 1s, max_orders_per_second: 9, max_replication_lag: None, \
         max_write_latency: 1ms, verify_max_rate: 8, batch_reads: Secondary, schedule: Some(Schedule(5 4 * * * in UTC)), schedule_catch_up: true, verify: false, verify_full_every: 86400s, reflection: false, instance: \"i\", host: \"n\", log_filter: \"debug\", log_format: Json, \
         log_file: Some(LogFileSettings { path: \"f\", most_bytes: 2097152, kept: 3 }), otlp_endpoint: Some(\"http://c:4317\"), \
         warnings: [], notes: [], in_force: InForce { given: \"MONGODB_URI=(hidden) MONGODB_DATABASE=d ARCHD_PROFILE=simulation ARCHD_LISTEN=[::1]:1 ARCHD_HTTP=[::1]:2 ARCHD_HTTP_HOSTS='A.b, c_1' ARCHD_AUTH_FILE=w ARCHD_TLS_CERT=t ARCHD_TLS_KEY=k ARCHD_TLS_CLIENT_CA=a ARCHD_INSECURE_LISTEN=true ARCHD_COLLECTION_ORDERS=o \
         ARCHD_COLLECTION_CLIENTS=c ARCHD_COLLECTION_COURIERS=l ARCHD_COLLECTION_RESTAURANTS=r ARCHD_COLLECTION_MENUS=m ARCHD_COLLECTION_ARCHIVE=h \
         ARCHD_COLLECTION_PREFIX=_ ARCHD_DELIVERED_STATUS=done ARCHD_ARCHIVED_BY=me ARCHD_CHUNK_SIZE=7 ARCHD_RETRY_ATTEMPTS=0 ARCHD_OPERATION_TIMEOUT=100ms \
         ARCHD_REQUEST_TIMEOUT=5m ARCHD_SHUTDOWN_DELAY=1s ARCHD_SHUTDOWN_GRACE=0s ARCHD_MAX_CONNECTIONS=9 ARCHD_MAX_CONNECTION_AGE=1s ARCHD_MAX_TAIL_READERS=1 ARCHD_WATCH=false ARCHD_WATCH_PARTITIONS=4 ARCHD_LEASE=1s \
         ARCHD_MAX_RATE=9 ARCHD_MAX_LAG=off ARCHD_MAX_WRITE_LATENCY=1ms ARCHD_VERIFY_MAX_RATE=8 ARCHD_BATCH_READS=secondary ARCHD_SCHEDULE='5 4 * * *' \
         ARCHD_SCHEDULE_ZONE=UTC ARCHD_SCHEDULE_CATCH_UP=true ARCHD_VERIFY=off ARCHD_VERIFY_FULL_EVERY=1d ARCHD_REFLECTION=false ARCHD_INSTANCE=i ARCHD_LOG=debug ARCHD_LOG_FORMAT=json ARCHD_LOG_FILE=f ARCHD_LOG_FILE_SIZE=2 ARCHD_LOG_FILES=3 ARCHD_OTLP_ENDPOINT=(hidden)\", defaults: \"\" } }"
    );
}

#[test]
fn the_settings_in_force_show_what_holds_and_no_uri() {
    let config = from_environment(&[
        ("ARCHD_PROFILE", "simulation"),
        ("ARCHD_ARCHIVED_BY", "mongodb://u:canary@h"),
    ])
    .unwrap();
    let InForce { given, defaults } = config.in_force;
    assert_eq!(given, "ARCHD_PROFILE=simulation ARCHD_ARCHIVED_BY=(hidden)");
    let instance = format!("ARCHD_INSTANCE={}", config.instance);
    for shown in [
        "MONGODB_URI=(hidden) MONGODB_DATABASE=livraison_simulation ARCHD_LISTEN=127.0.0.1:50051",
        "ARCHD_SCHEDULE='0 2 * * *'",
        &instance,
    ] {
        assert!(defaults.contains(shown), "{shown}: {defaults}");
    }
}

#[test]
fn every_bad_setting_is_named_at_once() {
    let bad: Vec<(&str, &str)> = SETTINGS
        .iter()
        .map(|setting| {
            let value = match setting.form {
                Form::Uri => "http://example.org",
                Form::Database => "a database",
                Form::Collection { .. } => "$cmd",
                Form::Text { .. } => " ",
                Form::Choice(_) => "perhaps",
                Form::Address | Form::AddressOrOff => "localhost",
                Form::Hosts => "a:80",
                Form::Whole { .. } => "4294967296",
                Form::Time { .. } | Form::TimeOrOff { .. } => "10",
                Form::ScheduleOrOff => "0 0 30 2 *",
                Form::Zone => "Europe/Lutetia",
                Form::Filter => "archd=loud",
                Form::FileOrOff => " ",
                Form::CollectorOrOff => "https://collector:4317",
            };
            (setting.name, value)
        })
        .collect();
    let problems = from_environment(&bad).unwrap_err();
    let named: Vec<&str> = problems
        .iter()
        .map(|problem| problem.name.as_str())
        .collect();
    let all: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(named, all);
    assert_eq!(lines(&problems).lines().count(), SETTINGS.len());
    assert!(lines(&problems).contains(
        "ARCHD_CHUNK_SIZE=\"4294967296\" (environment) is out of range; give a whole number from 1 to 1000\n"
    ));
}

#[test]
fn limits_are_where_the_help_says() {
    let long = |length| "x".repeat(length);
    for (name, good, bad) in [
        (
            "MONGODB_URI",
            "mongodb://h".to_owned(),
            "mongodb://".to_owned(),
        ),
        ("MONGODB_DATABASE", long(63), long(64)),
        ("MONGODB_DATABASE", "caf\u{e9}".to_owned(), "a.b".to_owned()),
        (
            "MONGODB_DATABASE",
            "administration".to_owned(),
            "admin".to_owned(),
        ),
        ("ARCHD_COLLECTION_MENUS", long(150), long(151)),
        ("ARCHD_COLLECTION_MENUS", "a.b".to_owned(), "a.".to_owned()),
        (
            "ARCHD_COLLECTION_MENUS",
            "systems".to_owned(),
            "system.users".to_owned(),
        ),
        ("ARCHD_COLLECTION_PREFIX", long(60), long(61)),
        ("ARCHD_ARCHIVED_BY", long(256), long(257)),
        ("ARCHD_ARCHIVED_BY", "a b".to_owned(), "a\nb".to_owned()),
        ("ARCHD_INSTANCE", long(128), long(129)),
        ("ARCHD_LEASE", "1s".to_owned(), "999ms".to_owned()),
        ("ARCHD_LEASE", "5m".to_owned(), "301s".to_owned()),
        ("ARCHD_MAX_LAG", "off".to_owned(), "Off".to_owned()),
        ("ARCHD_MAX_LAG", "100ms".to_owned(), "0s".to_owned()),
        ("ARCHD_MAX_WRITE_LATENCY", "5m".to_owned(), "off".to_owned()),
        (
            "ARCHD_BATCH_READS",
            "secondary".to_owned(),
            "secondaryPreferred".to_owned(),
        ),
        ("ARCHD_SCHEDULE", "off".to_owned(), "never".to_owned()),
        (
            "ARCHD_SCHEDULE",
            "0 0 29 2 *".to_owned(),
            "0 0 30 2 *".to_owned(),
        ),
        (
            "ARCHD_SCHEDULE",
            "*/2 * * * * *".to_owned(),
            "0 0 2 * * * 2027".to_owned(),
        ),
        (
            "ARCHD_SCHEDULE_ZONE",
            "America/Los_Angeles".to_owned(),
            "Paris".to_owned(),
        ),
        ("ARCHD_CHUNK_SIZE", "1".to_owned(), "0".to_owned()),
        ("ARCHD_CHUNK_SIZE", "1000".to_owned(), "1001".to_owned()),
        ("ARCHD_RETRY_ATTEMPTS", "20".to_owned(), "21".to_owned()),
        ("ARCHD_RETRY_ATTEMPTS", "0".to_owned(), "-1".to_owned()),
        (
            "ARCHD_OPERATION_TIMEOUT",
            "100ms".to_owned(),
            "99ms".to_owned(),
        ),
        (
            "ARCHD_OPERATION_TIMEOUT",
            "5m".to_owned(),
            "301s".to_owned(),
        ),
        (
            "ARCHD_MAX_TAIL_READERS",
            "10000".to_owned(),
            "10001".to_owned(),
        ),
        (
            "ARCHD_LISTEN",
            "127.0.0.1:0".to_owned(),
            "0.0.0.0".to_owned(),
        ),
        ("ARCHD_LISTEN", "[::1]:1".to_owned(), "off".to_owned()),
        ("ARCHD_HTTP", "off".to_owned(), "9464".to_owned()),
        ("ARCHD_HTTP", "127.0.0.1:0".to_owned(), "Off".to_owned()),
        ("ARCHD_HTTP_HOSTS", "a,b.c".to_owned(), "a,,b".to_owned()),
        ("ARCHD_HTTP_HOSTS", long(63), long(64)),
        (
            "ARCHD_DELIVERED_STATUS",
            "\u{e9}".to_owned(),
            "\u{fffd}".to_owned(),
        ),
    ] {
        if let Err(problems) = from_environment(&[(name, &good)]) {
            panic!("{}", lines(&problems));
        }
        let problems = from_environment(&[(name, &bad)]).unwrap_err();
        assert_eq!(problems.len(), 1, "{name} {bad}");
        assert_eq!(problems[0].name, name);
    }
}

#[test]
fn two_collections_never_share_a_name() {
    let problems = from_environment(&[
        ("ARCHD_COLLECTION_ARCHIVE", "Commande"),
        ("ARCHD_COLLECTION_MENUS", "archd_menus"),
    ])
    .unwrap_err();
    assert_eq!(
        lines(&problems),
        "ARCHD_COLLECTION_MENUS=\"archd_menus\" (environment) begins with \"archd_\", as the server's own collections \
         do; change it, or ARCHD_COLLECTION_PREFIX\n\
         ARCHD_COLLECTION_ARCHIVE=\"Commande\" (environment) is the name in ARCHD_COLLECTION_ORDERS too; give each \
         collection a name of its own\n"
    );
    // A name that is bad by itself is told once, and its default is not held against the others.
    let problems = from_environment(&[
        ("ARCHD_COLLECTION_ARCHIVE", "$"),
        ("ARCHD_COLLECTION_ORDERS", "Historique"),
    ])
    .unwrap_err();
    assert_eq!(problems.len(), 1, "{}", lines(&problems));
}

#[test]
fn two_ports_are_never_one() {
    let loads = |listen, http| {
        let both = [
            ("ARCHD_LISTEN", listen),
            ("ARCHD_HTTP", http),
            ("ARCHD_INSECURE_LISTEN", "true"),
        ];
        from_environment(&both).map(|config| config.http)
    };
    for (listen, http) in [
        ("127.0.0.1:1", "127.0.0.1:1"),
        ("0.0.0.0:1", "127.0.0.1:1"),
        ("[::1]:1", "0.0.0.0:1"),
    ] {
        assert_eq!(
            lines(&loads(listen, http).unwrap_err()),
            format!(
                "ARCHD_HTTP={http:?} (environment) is the port in ARCHD_LISTEN too; give each a port of its own\n"
            )
        );
    }
    for (listen, http) in [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:1", "127.0.0.2:1"),
        ("127.0.0.1:1", "off"),
    ] {
        assert!(loads(listen, http).is_ok(), "{listen} {http}");
    }
}

#[test]
fn the_simulation_has_a_database_of_its_own() {
    let simulation = ("ARCHD_PROFILE", "simulation");
    let database = |pairs: &[_]| from_environment(pairs).unwrap().database;
    assert_eq!(database(&[simulation]), "livraison_simulation");
    assert_eq!(
        database(&[simulation, ("MONGODB_DATABASE", "mine")]),
        "mine"
    );

    let one = Config::simulation("mongodb://h", "test").unwrap();
    let other = Config::simulation("mongodb://h", "test").unwrap();
    assert_eq!(one.profile, Profile::Simulation);
    assert_eq!(one.database, "test");
    assert_ne!(one.instance, other.instance);
    assert!(Config::simulation("h", "a b").is_err_and(|problems| problems.len() == 2));
}

#[test]
fn a_secret_can_be_read_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("uri");
    let load = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        from_environment(&[("MONGODB_URI_FILE", path.to_str().unwrap())])
    };
    for content in ["mongodb://h", "mongodb://h\n", "mongodb://h\r\n"] {
        let config = load(content.as_bytes()).unwrap();
        assert_eq!(config.mongodb_uri.expose(), "mongodb://h", "{content:?}");
        assert!(config.warnings.is_empty());
    }
    // Neither an empty file nor a missing one may fall back to the default: it would be another
    // database.
    for (content, wrong) in [
        (&b"\n"[..], "is an empty file"),
        (&b"canary-s3cret"[..], "does not begin with"),
        (&b"mongodb://\xff"[..], "cannot be read"),
    ] {
        let told = lines(&load(content).unwrap_err());
        assert!(told.contains(wrong), "{told}");
        assert!(!told.contains("canary"), "{told}");
    }
    fs::remove_file(&path).unwrap();
    let pairs = [("MONGODB_URI_FILE", path.to_str().unwrap())];
    let told = lines(&from_environment(&pairs).unwrap_err());
    assert!(
        told.starts_with("MONGODB_URI_FILE=") && told.contains("cannot be read"),
        "{told}"
    );
}

#[test]
fn a_secret_given_twice_is_refused_wherever_it_was_given() {
    let direct = values(&[("MONGODB_URI", "mongodb://u:canary-s3cret@h")]);
    let file = values(&[("MONGODB_URI_FILE", "/run/secrets/uri")]);
    let none = Values::new();
    let mut both = direct.clone();
    both.extend(file.clone());
    for (environment, dotenv) in [
        (&both, &none),
        (&none, &both),
        (&direct, &file),
        (&file, &direct),
    ] {
        let problems = Config::load(&none, environment, dotenv).unwrap_err();
        assert_eq!(problems.len(), 1);
        let told = lines(&problems);
        assert!(
            told.contains("is given twice, also as MONGODB_URI_FILE"),
            "{told}"
        );
        assert!(!told.contains("canary"), "{told}");
    }
}

#[test]
fn a_secret_has_no_flag() {
    for setting in SETTINGS {
        assert_eq!(setting.secret, setting.flag.is_none(), "{}", setting.name);
    }
}

#[test]
fn the_password_is_never_shown() {
    const URI: &str = "mongodb://archd:canary-s3cret@db.example.org/?replicaSet=rs0";
    let config = from_environment(&[
        ("MONGODB_URI", URI),
        ("MONGODB_URL", URI),
        ("ARCHD_LISTEN", "0.0.0.0:1"),
        ("ARCHD_INSECURE_LISTEN", "true"),
    ])
    .unwrap();
    assert_eq!(config.mongodb_uri.expose(), URI);
    assert_eq!(config.warnings.len(), 2);
    let mut shown = format!("{config:?} {config:#?} {:?}", config.warnings);

    // A URI that has strayed into any setting, and a secret without its scheme.
    for setting in SETTINGS {
        for value in [URI, "archd:canary-s3cret@db"] {
            if let Err(problems) = from_environment(&[(setting.name, value)])
                && (setting.secret || value == URI)
            {
                shown += &format!("{} {problems:?}", lines(&problems));
            }
        }
    }
    shown += &cli().render_long_help().to_string();
    assert!(shown.contains("MONGODB_URI (environment) does not begin with"));
    assert!(!shown.contains("canary"), "{shown}");
}

#[test]
fn names_like_those_of_settings_that_are_none_are_warned_of_once_and_never_refused() {
    let warnings = |pairs: &[(&str, &str)]| from_environment(pairs).unwrap().warnings;
    let warned = warnings(&[
        ("ARCHD_LISNE", "x"),
        ("archd_log", "x"),
        ("MONGODB_URL_FILE", "x"),
        // What Kubernetes gives the pods of a service named archd.
        ("ARCHD_PORT", "tcp://10.0.0.1:50051"),
        ("ARCHD_SERVICE_HOST", "10.0.0.1"),
    ]);
    assert_eq!(warned.len(), 1, "{warned:?}");
    for told in [
        "ARCHD_LISNE (environment; is ARCHD_LISTEN meant?)",
        "archd_log (environment; is ARCHD_LOG meant?)",
        "MONGODB_URL_FILE (environment; is MONGODB_URI_FILE meant?)",
        "ARCHD_PORT (environment",
        "ARCHD_SERVICE_HOST (environment)",
    ] {
        assert!(warned[0].contains(told), "{told}: {warned:?}");
    }
    let others = [
        ("ARCHCTL_ENDPOINT", "x"),
        ("MONGODB_HOST", "x"),
        ("PATH", "x"),
    ];
    assert_eq!(warnings(&others), [""; 0]);
}

#[test]
fn a_setting_has_one_name_as_a_flag_and_as_a_variable() {
    for setting in SETTINGS {
        let name = setting.name.to_lowercase().replace('_', "-");
        if let Some(flag) = setting.flag {
            let named = ["archd-", "mongodb-"].map(|prefix| format!("{prefix}{flag}"));
            assert!(named.contains(&name), "{} and --{flag}", setting.name);
        }
    }
}

#[test]
fn localhost_is_an_address() {
    let listens = |value| from_environment(&[("ARCHD_LISTEN", value)]).map(|config| config.listen);
    assert_eq!(
        listens("localhost:50051").unwrap().to_string(),
        "127.0.0.1:50051"
    );
    for bad in [
        "localhost",
        "localhost:",
        "localhost:x",
        "localhost:65536",
        "host:1",
    ] {
        assert!(listens(bad).is_err(), "{bad}");
    }
}

#[test]
fn others_are_served_with_tls_and_authentication_or_where_that_is_allowed_by_name() {
    const TLS: &[(&str, &str)] = &[("ARCHD_TLS_CERT", "c"), ("ARCHD_TLS_KEY", "k")];
    const AUTH: (&str, &str) = ("ARCHD_AUTH_FILE", "a");
    let with_auth = [TLS, &[AUTH]].concat();
    let with_client_ca = [TLS, &[AUTH, ("ARCHD_TLS_CLIENT_CA", "a")]].concat();
    let (neither, no_clients) = (
        "without TLS and without authentication",
        "without authentication",
    );
    for (listen, is_reached) in [
        ("127.0.0.1:1", false),
        ("[::1]:1", false),
        ("[::ffff:127.0.0.1]:1", false),
        ("localhost:1", false),
        ("0.0.0.0:1", true),
        ("[::]:1", true),
        ("192.0.2.1:1", true),
    ] {
        for (setting, other) in [
            ("ARCHD_LISTEN", "ARCHD_HTTP"),
            ("ARCHD_HTTP", "ARCHD_LISTEN"),
        ] {
            let listens = [(setting, listen), (other, "127.0.0.1:2")];
            for (more, lacks) in [
                (&[][..], Some(neither)),
                (TLS, Some(no_clients)),
                (&[AUTH], Some("without TLS")),
                (&with_auth, None),
                (&with_client_ca, None),
            ] {
                let given = [&listens, more].concat();
                let allowed = [&given[..], &[("ARCHD_INSECURE_LISTEN", "true")]].concat();
                let case = format!("{setting}={listen} {more:?}");
                let mentions = |texts: &[String]| {
                    let of_it = texts.iter().filter(|text| text.contains(setting));
                    of_it.filter(|text| text.contains(lacks.unwrap())).count()
                };
                match (lacks, is_reached) {
                    (None, _) => {
                        let config = from_environment(&given).unwrap();
                        assert_eq!(
                            (config.warnings.len(), config.notes.len()),
                            (0, 0),
                            "{case}"
                        );
                    }
                    (Some(_), false) => {
                        let config = from_environment(&given).unwrap();
                        assert_eq!(config.warnings.len(), 0, "{case}");
                        assert_eq!(mentions(&config.notes), 1, "{case}: {:?}", config.notes);
                    }
                    (Some(lacks), true) => {
                        let refused = lines(&from_environment(&given).unwrap_err());
                        let told = format!(
                            "{setting}={listen:?} (environment) is an address that other machines may reach, {lacks}; give"
                        );
                        assert!(refused.starts_with(&told), "{case}: {refused}");
                        assert!(refused.contains("ARCHD_INSECURE_LISTEN=true"), "{refused}");
                        let config = from_environment(&allowed).unwrap();
                        assert_eq!(
                            mentions(&config.warnings),
                            1,
                            "{case}: {:?}",
                            config.warnings
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn files_of_tls_are_of_no_use_alone() {
    for (given, others) in [
        ("ARCHD_TLS_CERT", &["ARCHD_TLS_KEY"][..]),
        ("ARCHD_TLS_KEY", &["ARCHD_TLS_CERT"]),
        (
            "ARCHD_TLS_CLIENT_CA",
            &["ARCHD_TLS_CERT", "ARCHD_AUTH_FILE"],
        ),
    ] {
        let refused = lines(&from_environment(&[(given, "a.pem")]).unwrap_err());
        assert_eq!(refused.lines().count(), others.len(), "{refused}");
        for (line, other) in refused.lines().zip(others) {
            let told =
                format!("{given}=\"a.pem\" (environment) is of no use without {other}; give both");
            assert!(line.starts_with(&told), "{line}");
        }
    }
}

#[test]
fn the_default_instance_is_always_valid() {
    // An empty name of the host counts as none, and the system is asked.
    let own = from_environment(&[]).unwrap().instance;
    assert_eq!(from_environment(&[("HOSTNAME", "")]).unwrap().instance, own);

    let host = "h\u{e9}\n".repeat(500);
    let config = from_environment(&[("HOSTNAME", &host)]).unwrap();
    let again = from_environment(&[("ARCHD_INSTANCE", &config.instance)]).unwrap();
    assert_eq!(again.instance, config.instance);
}

#[test]
fn no_two_settings_share_a_name_or_a_flag() {
    let names: BTreeSet<_> = SETTINGS.iter().map(|setting| setting.name).collect();
    let flags: BTreeSet<_> = SETTINGS.iter().filter_map(|setting| setting.flag).collect();
    assert_eq!(names.len(), SETTINGS.len());
    assert_eq!(
        flags.len(),
        SETTINGS
            .iter()
            .filter(|setting| setting.flag.is_some())
            .count()
    );
    cli().debug_assert();
}

/// Compares a text with a file of the repository, or writes the file when `UPDATE_DOCS` is set.
fn is_kept_in(path: &str, text: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, text).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    // Git may have changed the ends of lines on Windows.
    assert_eq!(
        kept.replace("\r\n", "\n"),
        text,
        "{} is out of date: UPDATE_DOCS=1 cargo test --workspace",
        file.display()
    );
}

#[test]
fn the_example_of_an_env_file_is_up_to_date() {
    is_kept_in("../.env.example", &docs::env_example());
}

#[test]
fn the_example_of_an_env_file_holds_the_defaults() {
    let uncommented: String = docs::env_example()
        .lines()
        .filter_map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')))
        .map(|line| format!("{line}\n"))
        .collect();
    let read: Values = dotenvy::from_read_iter(uncommented.as_bytes())
        .map(|entry| entry.unwrap())
        .collect();
    let defaults: Values = SETTINGS
        .iter()
        .map(|setting| (setting.name.to_owned(), setting.default.to_owned()))
        .collect();
    assert_eq!(read, defaults);
}

#[test]
fn the_help_is_up_to_date() {
    let mut cli = cli().term_width(100);
    cli.build();
    is_kept_in("tests/help/archd.txt", &cli.render_long_help().to_string());
    for command in [
        "batch",
        "check",
        "functions",
        "serve",
        "state",
        "verify",
        "watch",
    ] {
        let help = cli.find_subcommand_mut(command).unwrap().render_long_help();
        is_kept_in(
            &format!("tests/help/archd-{command}.txt"),
            &help.to_string(),
        );
    }
}

#[test]
fn the_table_for_the_documents_has_a_row_for_each_setting() {
    let table = docs::markdown_table();
    let rows: Vec<&str> = table.lines().skip(2).collect();
    assert_eq!(rows.len(), SETTINGS.len());
    for (row, setting) in rows.iter().zip(SETTINGS) {
        assert!(row.starts_with(&format!("| `{}`", setting.name)), "{row}");
        assert_eq!(row.replace("\\|", "").matches('|').count(), 5, "{row}");
    }
}
