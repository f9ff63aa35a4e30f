//! The house stays as ARCHITECTURE.md describes it: imports run downward, and every file says what it is for.

use std::{
    fs,
    path::{Path, PathBuf},
};

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// What each module may import of this crate.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("config", &["domain"]),
    ("terminal", &[]),
    ("telemetry", &["config", "terminal"]),
    ("shutdown", &["terminal"]),
    ("seeder", &[]),
    ("log_limit", &[]),
    ("store", &["domain", "config", "log_limit"]),
    ("corridor", &["domain", "store", "log_limit"]),
    ("events", &["domain", "store"]),
    ("stats", &["domain", "store"]),
    ("monitor", &["store"]),
    ("presence", &["store"]),
    ("documents", &["monitor", "store"]),
    ("sower", &["domain", "seeder", "store"]),
    ("archiver", &["domain", "store", "corridor", "log_limit"]),
    ("desk", &["domain", "store", "corridor"]),
    ("schedule", &["domain", "store", "archiver"]),
    (
        "watcher",
        &["domain", "store", "corridor", "archiver", "monitor"],
    ),
    (
        "parts",
        &[
            "archiver",
            "config",
            "corridor",
            "desk",
            "documents",
            "monitor",
            "presence",
            "store",
            "watcher",
        ],
    ),
    (
        "grpc",
        &[
            "domain",
            "store",
            "corridor",
            "archiver",
            "desk",
            "events",
            "stats",
            "seeder",
            "sower",
            "monitor",
            "documents",
            "config",
            "log_limit",
            "parts",
        ],
    ),
    (
        "once",
        &[
            "archiver", "config", "grpc", "parts", "shutdown", "store", "terminal",
        ],
    ),
    (
        "check",
        &["config", "domain", "shutdown", "store", "terminal"],
    ),
];

/// Outside crates that one module alone may know.
const SECRETS: &[(&str, &[&str])] = &[
    ("mongodb", &["store"]),
    ("tonic", &["grpc"]),
    ("hyper", &["grpc"]),
    ("hyper_util", &["grpc"]),
    ("order_archiver_api", &["grpc", "once", "terminal"]),
    ("indicatif", &["terminal"]),
    ("anstream", &["terminal"]),
    ("terminal_size", &["terminal"]),
    ("clap", &["config"]),
];

#[test]
fn imports_run_downward() {
    let mut faults = Vec::new();
    for (module, file) in sources() {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
            assert!(
                ["lib", "main"].contains(&module.as_str()),
                "{module} has no place in the table of arrows"
            );
            continue;
        };
        for imported in imports_of_crate(&text_of(&file)) {
            if imported != module && !allowed.contains(&imported.as_str()) {
                faults.push(format!(
                    "{} imports `{imported}`, but `{module}` may import {allowed:?} only",
                    shown(&file)
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn outside_crates_stay_in_their_rooms() {
    let mut faults = Vec::new();
    for (module, file) in sources() {
        let text = text_of(&file);
        for (name, rooms) in SECRETS {
            let known = code(&text).any(|line| line.contains(&format!("{name}::")));
            if known && !rooms.contains(&module.as_str()) {
                faults.push(format!(
                    "{} knows `{name}`, which only {rooms:?} may",
                    shown(&file)
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The files that may have a client of the driver in their hands, and how one gets hold of it.
const CALLERS_OF_THE_DRIVER: [&str; 6] = [
    "store/calls.rs",
    "store/connection.rs",
    "store/cursor.rs",
    // A client of its own, for one greeting.
    "store/diagnosis.rs",
    // What it makes, `store/calls.rs` runs.
    "store/long_call.rs",
    "store/refusal.rs",
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
    for (_, file) in sources()
        .into_iter()
        .filter(|(module, _)| module == "store")
    {
        let allowed = CALLERS_OF_THE_DRIVER
            .iter()
            .any(|name| file.ends_with(name));
        let text = text_of(&file);
        for line in code(&text) {
            if !WAYS_TO_THE_DRIVER.iter().any(|way| has_word(line, way)) {
                continue;
            }
            ways += 1;
            if !allowed {
                faults.push(format!("{}: {line}", shown(&file)));
            }
        }
    }
    assert!(ways > 0, "the ways have other names by now");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    let root = Path::new(CRATE).parent().unwrap();
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

/// A clock that is wrong by hours must change nothing but the date that is stamped on an archived order, and the minute that it
/// is counted under, and the moment at which a batch of the schedule begins: leases, places and delays are told by the clocks of the database, and waiting by one that only counts. `archd check` tells how far it is from the database's.
#[test]
fn the_local_clock_decides_nothing() {
    let asked: Vec<String> = sources()
        .into_iter()
        .map(|(_, file)| file)
        .filter(|file| {
            let clocks = ["SystemTime::now", "DateTime::now", "Utc::now", "Local::now"];
            code(&text_of(file)).any(|line| clocks.iter().any(|clock| line.contains(clock)))
        })
        .map(|file| shown(&file))
        .collect();
    let stamps = [
        "archiver/life.rs",
        "corridor.rs",
        "schedule.rs",
        "sower.rs",
        "store/counting.rs",
        "store/inspect.rs",
    ];
    assert_eq!(asked, stamps.map(|file| format!("server/src/{file}")));
}

fn opens_with_a_sentence(text: &str) -> bool {
    text.starts_with("//! ") || text.starts_with("#![doc = include_str!(")
}

/// The modules behind `crate::…` in `use` items and paths.
fn imports_of_crate(text: &str) -> Vec<String> {
    let code: String = code(text).collect::<Vec<_>>().join("\n");
    let mut names = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(first_names(group)),
            None => names.extend(leading_name(rest)),
        }
    }
    names
}

/// The names at the top level of `{a::b, c::{d, e}}`.
fn first_names(group: &str) -> Vec<String> {
    let (mut names, mut depth, mut expecting) = (Vec::new(), 0, true);
    for (index, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expecting = true,
            _ if expecting && character.is_alphabetic() => {
                names.extend(leading_name(&group[index..]));
                expecting = false;
            }
            _ => {}
        }
    }
    names
}

fn leading_name(text: &str) -> Option<String> {
    let end = text
        .find(|character: char| !character.is_alphanumeric() && character != '_')
        .unwrap_or(text.len());
    let name = &text[..end];
    name.starts_with(char::is_lowercase)
        .then(|| name.to_owned())
}

/// The lines that are no comments, up to the tests.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .filter(|line| !line.trim_start().starts_with("//"))
}

/// Every source file with the top-level module that it belongs to.
fn sources() -> Vec<(String, PathBuf)> {
    let root = Path::new(CRATE).join("src");
    let module = |file: &Path| {
        let first = file
            .strip_prefix(&root)
            .unwrap()
            .components()
            .next()
            .unwrap();
        Path::new(first.as_os_str())
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    };
    rust_files(&root)
        .into_iter()
        .map(|file| (module(&file), file))
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn text_of(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}

fn shown(file: &Path) -> String {
    file.strip_prefix(Path::new(CRATE).parent().unwrap())
        .unwrap()
        .display()
        .to_string()
}
