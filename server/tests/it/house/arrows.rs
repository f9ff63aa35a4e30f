//! Imports run downward, from room to room, and in no circle.

use std::collections::{BTreeMap, BTreeSet};

use super::{files::Crate, is_in};

/// What each room may import, the lowest first: a room that may import `store` may import every
/// room in it, and all may use what [`OF_ALL`] names.
const ARROWS: &[(&str, &[&str])] = &[
    ("bytes", &[]),
    ("domain", &["bytes"]),
    ("hangups", &[]),
    ("files", &["hangups"]),
    ("config", &["domain", "files"]),
    ("log_queue", &[]),
    ("terminal", &["log_queue"]),
    ("telemetry", &["config", "log_queue", "terminal"]),
    ("shutdown", &["terminal"]),
    ("progress", &[]),
    ("log_limit", &[]),
    ("peer", &[]),
    ("access", &["domain", "files", "log_limit", "peer"]),
    ("metrics", &[]),
    (
        "sockets",
        &["config", "files", "log_limit", "peer", "metrics"],
    ),
    ("store::encoding", &["bytes", "domain"]),
    ("store::state", &["bytes", "domain", "store::encoding"]),
    (
        "store::wire",
        &["bytes", "config", "store::encoding", "store::state"],
    ),
    (
        "store::deployment",
        &[
            "bytes",
            "domain",
            "store::encoding",
            "store::state",
            "store::wire",
        ],
    ),
    ("store::archive", KEEPERS),
    ("store::quarantine", KEEPERS),
    ("store::counters", KEEPERS),
    ("store::differences", KEEPERS),
    ("store::acknowledgements", KEEPERS),
    ("store::ledger", KEEPERS),
    ("store::replaced", KEEPERS),
    ("store::audit", KEEPERS),
    (
        "store::orders",
        &[
            "bytes",
            "domain",
            "config",
            "log_limit",
            "store::encoding",
            "store::state",
            "store::wire",
            "store::deployment",
            "store::archive",
        ],
    ),
    ("store::jobs", KEEPERS),
    (
        "store::batches",
        &[
            "bytes",
            "domain",
            "config",
            "log_limit",
            "store::encoding",
            "store::state",
            "store::wire",
            "store::deployment",
            "store::counters",
            "store::jobs",
        ],
    ),
    (
        "store::watch",
        &[
            "bytes",
            "domain",
            "config",
            "log_limit",
            "store::encoding",
            "store::state",
            "store::wire",
            "store::deployment",
            "store::orders",
        ],
    ),
    (
        "store::verify",
        &[
            "bytes",
            "domain",
            "config",
            "log_limit",
            "store::encoding",
            "store::state",
            "store::wire",
            "store::deployment",
            "store::archive",
            "store::orders",
            "store::quarantine",
        ],
    ),
    (
        "store::verifications",
        &[
            "bytes",
            "domain",
            "config",
            "log_limit",
            "store::encoding",
            "store::state",
            "store::wire",
            "store::deployment",
            "store::jobs",
            "store::verify",
        ],
    ),
    (
        "store",
        &[
            "bytes",
            "domain",
            "config",
            "log_limit",
            "metrics",
            "store::encoding",
            "store::state",
            "store::wire",
            "store::deployment",
            "store::orders",
            "store::archive",
            "store::quarantine",
            "store::counters",
            "store::jobs",
            "store::acknowledgements",
            "store::ledger",
            "store::replaced",
            "store::audit",
            "store::batches",
            "store::watch",
            "store::differences",
            "store::verify",
            "store::verifications",
        ],
    ),
    ("seed", &["domain", "store"]),
    ("privileges", &["config", "store"]),
    (
        "observe",
        &[
            "bytes",
            "domain",
            "config",
            "progress",
            "store",
            "privileges",
        ],
    ),
    ("supervisor", &["domain", "hangups", "observe", "progress"]),
    (
        "pipeline",
        &["bytes", "domain", "log_limit", "metrics", "store"],
    ),
    (
        "coalescer",
        &["bytes", "domain", "progress", "store", "pipeline"],
    ),
    ("repair", &["bytes", "domain", "store", "pipeline"]),
    ("jobs", &["store"]),
    (
        "archiver",
        &["bytes", "domain", "log_limit", "store", "pipeline", "jobs"],
    ),
    (
        "verifier",
        &["bytes", "domain", "log_limit", "store", "jobs"],
    ),
    (
        "schedule",
        &["domain", "store", "jobs", "archiver", "verifier"],
    ),
    (
        "watcher",
        &[
            "bytes",
            "domain",
            "log_limit",
            "store",
            "observe",
            "pipeline",
            "archiver",
        ],
    ),
    (
        "parts",
        &[
            "config",
            "metrics",
            "progress",
            "store",
            "observe",
            "pipeline",
            "coalescer",
            "archiver",
            "verifier",
            "watcher",
        ],
    ),
    (
        "convert",
        &["bytes", "domain", "store", "privileges", "observe"],
    ),
    ("explain", &["bytes", "domain", "store", "convert"]),
    (
        "grpc",
        &[
            "bytes",
            "domain",
            "config",
            "telemetry",
            "log_limit",
            "peer",
            "access",
            "sockets",
            "metrics",
            "store",
            "seed",
            "privileges",
            "observe",
            "pipeline",
            "coalescer",
            "repair",
            "jobs",
            "archiver",
            "verifier",
            "parts",
            "convert",
            "explain",
        ],
    ),
    (
        "http",
        &[
            "bytes",
            "domain",
            "config",
            "log_limit",
            "telemetry",
            "peer",
            "access",
            "sockets",
            "metrics",
            "store",
            "observe",
            "parts",
            "convert",
            "explain",
        ],
    ),
    (
        "once",
        &[
            "domain", "config", "terminal", "shutdown", "store", "jobs", "archiver", "verifier",
            "parts", "convert", "grpc", "http",
        ],
    ),
    ("service", &["config", "terminal", "shutdown"]),
    (
        "check",
        &[
            "domain",
            "config",
            "terminal",
            "shutdown",
            "store",
            "privileges",
        ],
    ),
    // What follows is no part of the product.
    (
        "fuzz",
        &[
            "access", "bytes", "domain", "config", "sockets", "store", "grpc",
        ],
    ),
    ("limits_document", &["grpc", "http", "sockets"]),
];

/// What the rooms of the store that keep something each may import.
const KEEPERS: &[&str] = &[
    "bytes",
    "domain",
    "config",
    "log_limit",
    "store::encoding",
    "store::state",
    "store::wire",
    "store::deployment",
];

/// What `store/mod.rs` defines for every room in it.
const OF_ALL: [&str; 5] = [
    "crate::store",
    "crate::store::Store",
    "crate::store::Error",
    "crate::store::Names",
    "crate::store::Inspector",
];

/// The room of a module; none of the root, which may import everything.
fn room(module: &str) -> Option<&'static str> {
    let rooms = ARROWS.iter().map(|(room, _)| *room);
    let around = rooms.filter(|room| is_in(module, room));
    let innermost = around.max_by_key(|room| room.len());
    assert!(
        innermost.is_some() || module == "crate",
        "`{module}` has no place in the table of arrows"
    );
    innermost
}

#[test]
fn imports_run_downward() {
    let server = Crate::server();
    let faults: BTreeSet<String> = server
        .paths()
        .filter(|(_, path)| !is_of_all(path))
        .filter_map(|(module, path)| {
            let (from, to) = (room(module)?, room(server.holder(&path)).unwrap_or("crate"));
            let (_, allowed) = ARROWS.iter().find(|(room, _)| *room == from)?;
            let around = to.split("::").next().unwrap();
            let may = from == to || allowed.contains(&to) || allowed.contains(&around);
            (!may).then(|| format!("{module} names `{path}`, and `{from}` may not import `{to}`"))
        })
        .collect();
    let faults: Vec<String> = faults.into_iter().collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether a path leads to what all rooms of the store may use.
fn is_of_all(path: &str) -> bool {
    path == OF_ALL[0]
        || OF_ALL[1..]
            .iter()
            .any(|all| path == *all || path.starts_with(&format!("{all}::")))
}

#[test]
fn the_arrows_make_no_circle() {
    for (at, (room, allowed)) in ARROWS.iter().enumerate() {
        for below in *allowed {
            assert!(
                ARROWS[..at].iter().any(|(other, _)| other == below),
                "`{room}` may import `{below}`, which does not stand before it"
            );
        }
    }
}

#[test]
fn no_two_files_of_different_rooms_import_each_other() {
    let server = Crate::server();
    let imports = imports(&server, |path| !is_of_all(path));
    let mutual = |from: &&(String, String)| {
        room(&from.0) != room(&from.1) && imports.contains(&(from.1.clone(), from.0.clone()))
    };
    let faults: Vec<_> = imports.iter().filter(mutual).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_file_of_the_client_is_part_of_a_circle() {
    let imports = imports(&Crate::client(), |_| true);
    let mut below: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in &imports {
        below.entry(from).or_default().push(to);
    }
    let reaches_itself = |start: &str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![start]);
        while let Some(module) = next.pop() {
            let unseen = below.get(module).into_iter().flatten();
            next.extend(unseen.filter(|module| seen.insert(**module)));
        }
        seen.contains(start)
    };
    let faults: Vec<&&str> = below.keys().filter(|file| reaches_itself(file)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Which file imports which other one, by paths that count.
fn imports(of: &Crate, counts: impl Fn(&str) -> bool) -> BTreeSet<(String, String)> {
    let paths = of.paths().filter(|(_, path)| counts(path));
    let imports = paths.map(|(module, path)| (module.to_owned(), of.holder(&path).to_owned()));
    let imports: BTreeSet<_> = imports.filter(|(from, to)| from != to).collect();
    assert!(!imports.is_empty(), "nothing was read");
    imports
}
