//! The house stays as ARCHITECTURE.md describes it: imports run downward, and every file says what
//! it is for.

mod arrows;
mod files;
mod imports;

use std::path::PathBuf;

use files::{Crate, code, root_of_all, rust_files, shown, text_of};

/// Outside crates that one module alone may know.
const SECRETS: &[(&str, &[&str])] = &[
    ("mongodb", &["store"]),
    ("tonic", &["grpc"]),
    ("axum", &["http"]),
    ("hyper", &["grpc", "http"]),
    ("hyper_util", &["grpc", "http"]),
    (
        "order_archiver_api",
        &["convert", "explain", "grpc", "http", "once", "terminal"],
    ),
    ("indicatif", &["terminal"]),
    ("anstream", &["terminal"]),
    ("terminal_size", &["terminal"]),
    ("clap", &["config"]),
    ("clap_mangen", &["config"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_otlp", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("tracing_opentelemetry", &["telemetry"]),
    ("sd_notify", &["supervisor"]),
    ("windows_service", &["service"]),
    ("tokio_rustls", &["sockets"]),
    ("webpki", &["sockets"]),
];

#[test]
fn outside_crates_stay_in_their_rooms() {
    let mut faults = Vec::new();
    let server = Crate::server();
    for (module, file) in server.files() {
        let text = text_of(file);
        for (name, rooms) in SECRETS {
            let known = code(&text).any(|line| line.contains(&format!("{name}::")));
            let allowed = rooms.iter().any(|room| is_in(module, room));
            if known && !allowed {
                faults.push(format!(
                    "{} knows `{name}`, which only {rooms:?} may",
                    shown(file)
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether a module is this room, or one in it.
fn is_in(module: &str, room: &str) -> bool {
    let mut names = module.split("::").skip(1);
    room.split("::").all(|name| names.next() == Some(name))
}

/// The files that may hold a client of the driver, and how one gets hold of it.
const CALLERS_OF_THE_DRIVER: [&str; 7] = [
    "store/wire/access.rs",
    "store/wire/calls.rs",
    "store/wire/connection.rs",
    "store/wire/cursor.rs",
    // A client of its own, for one greeting.
    "store/wire/diagnosis.rs",
    "store/wire/link.rs",
    // What it makes, `calls.rs` runs.
    "store/wire/long_call.rs",
];
const WAYS_TO_THE_DRIVER: [&str; 3] = [".link()", "link.client", "Client"];

/// Whether a line holds this, and not only as the beginning of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let mut places = line.match_indices(word);
    places.any(|(at, _)| !line[at + word.len()..].starts_with(char::is_alphanumeric))
}

#[test]
fn nobody_calls_the_driver_but_by_the_one_way_that_outlives_whoever_leaves() {
    let mut faults = Vec::new();
    let mut ways = 0;
    let server = Crate::server();
    for (_, file) in server.files().filter(|(module, _)| is_in(module, "store")) {
        let allowed = CALLERS_OF_THE_DRIVER
            .iter()
            .any(|name| file.ends_with(name));
        let text = text_of(file);
        for line in code(&text) {
            if !WAYS_TO_THE_DRIVER.iter().any(|way| has_word(line, way)) {
                continue;
            }
            ways += 1;
            if !allowed {
                faults.push(format!("{}: {line}", shown(file)));
            }
        }
    }
    assert!(ways > 0, "the ways have other names by now");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let root = root_of_all();
    let folders = [
        "server/src",
        "server/tests",
        "server/benches",
        "server/examples",
        "client/src",
        "client/tests",
        "devkit/src",
        "devkit/tests",
        "proto",
    ];
    let mut files: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| rust_files(&root.join(folder)))
        .collect();
    files.push(root.join("build.rs"));
    let silent: Vec<_> = files
        .iter()
        .filter(|file| !opens_with_a_sentence(&text_of(file)))
        .map(|file| shown(file))
        .collect();
    assert!(
        silent.is_empty(),
        "these files do not open with a `//!` sentence: {silent:?}"
    );
}

/// A clock that is wrong by hours must change nothing but the dates that are stamped on orders, the
/// minute that an order is counted under, the time at which a scheduled batch begins, and the day that
/// the log's file is begun anew: leases, checkpoints and delays are told by the clocks of the database, and waiting by one that only
/// counts. A certificate is valid or not by it, too. `archd check` tells how far it is from the database's.
#[test]
fn the_local_clock_decides_nothing() {
    let clocks = ["SystemTime::now", "DateTime::now", "Utc::now", "Local::now"];
    let server = Crate::server();
    let asked: Vec<&str> = server
        .files()
        .filter(|(_, file)| {
            code(&text_of(file)).any(|line| clocks.iter().any(|clock| line.contains(clock)))
        })
        .map(|(module, _)| module)
        .collect();
    let may_ask = [
        "archiver::run",
        "pipeline",
        "schedule",
        "seed::writer",
        "sockets::listener",
        "sockets::tls",
        "store::counters::collector",
        "store::deployment::inspector",
        "telemetry::file",
    ];
    assert_eq!(asked, may_ask.map(|module| format!("crate::{module}")));
}

fn opens_with_a_sentence(text: &str) -> bool {
    text.starts_with("//! ") || text.starts_with("#![doc = include_str!(")
}
