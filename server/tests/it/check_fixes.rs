//! What `archd check` advises mends what it is for: each command that it can print is run in the
//! shell, and the check is ok then.

mod batch_indexes;
mod cases;
mod mended;
mod server_advice;

use std::{collections::BTreeMap, fs, path::Path};

use cases::CASES;

/// What becomes of the fixes that a place in the code can print.
enum How {
    /// These cases run them.
    Run(&'static [&'static str]),
    /// Another test runs them.
    By(&'static str),
    /// Nothing can: this is why.
    Never(&'static str),
}

use How::{By, Never, Run};

/// Every place that prints fixes: its file and function, how many there are, and how each is shown,
/// in their order.
const SITES: &[(&str, &[How])] = &[
    (
        "archive.rs shape",
        &[
            Run(&[
                "capped",
                "time series",
                "view",
                "expiring",
                "expiring by its unique index",
                "clustered and expiring",
                // The one for a sharded archive: there is no sharded cluster here.
            ]),
            Run(&["validator"]),
        ],
    ),
    (
        "archive.rs unique_index",
        &[
            Run(&["unique index hidden"]),
            Run(&["its name taken by a collated one"]),
            Never("a build ends by itself"),
            Run(&[
                "unique index missing",
                "its name taken by one that is not unique",
                "its name taken by a sparse one",
                "its name taken by a partial one",
            ]),
            Run(&[
                "a text twice",
                "a number twice",
                "lists that share a member",
                "documents twice",
                "no number",
                "lists without a number",
                "no number beside a text twice",
            ]),
            Never(
                "the command of the missing index, where a call is too short to look for doubles",
            ),
        ],
    ),
    (
        "archive.rs other_unique_indexes",
        &[Run(&["further unique indexes"])],
    ),
    (
        "collation.rs of_archive",
        &[Never("archd has to be stopped while the archive is copied")],
    ),
    (
        "data.rs collections",
        &[Never("only the operator knows what a collection is called")],
    ),
    (
        "data.rs state",
        &[Never(
            "a command of archd's own, which the tests of its documents run",
        )],
    ),
    (
        "data.rs indexes",
        &[Run(&[
            "no index for joins and pages",
            "indexes hidden",
            "indexes that leave orders out",
            "collated collections",
        ])],
    ),
    (
        "data.rs archived_ids",
        &[Never(
            "only the operator knows which of two orders is right",
        )],
    ),
    (
        "deployment.rs connection",
        &[
            Never("a mongod that is too old"),
            Never("a mongod that is too new"),
            Never("the distance to the database"),
        ],
    ),
    (
        "deployment.rs no_connection",
        &[Never("the database is away, or MONGODB_URI is wrong")],
    ),
    (
        "deployment.rs replica_set",
        &[
            Never("members of the set are down"),
            Never("mongod is to be started otherwise"),
            Never("mongod is to be started otherwise"),
            Never("a sharded cluster"),
        ],
    ),
    (
        "deployment.rs majority",
        &[Never("members of the set are down")],
    ),
    (
        "deployment.rs history",
        &[Never("the reach of the oplog takes hours to grow")],
    ),
    (
        "deployment.rs clocks",
        &[Never("the clocks of two machines")],
    ),
    (
        "finding.rs note",
        &[
            Never("the database went away"),
            Never("a code that archd does not know"),
        ],
    ),
    (
        "ids.rs ids",
        &[Never("only the operator knows what the ids are to become")],
    ),
    (
        "privileges.rs needed",
        &[
            Never("only the operator knows the password"),
            By("check_privileges"),
        ],
    ),
    ("privileges.rs optional", &[By("check_privileges")]),
    ("privileges.rs beyond", &[By("check_privileges")]),
];

/// The places in the code of the check that print a fix: each file and function, and how many there
/// are in it.
fn sites() -> BTreeMap<String, usize> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/check");
    let mut sites = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let file = path.file_name().unwrap().to_str().unwrap();
        let mut function = "";
        for line in text.lines().take_while(|line| *line != "#[cfg(test)]") {
            if let Some((_, rest)) = line.split_once("fn ") {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                function = &rest[..end.unwrap_or(rest.len())];
            }
            let prints = ["Finding::warning(", "Finding::failed("];
            let count: usize = prints.iter().map(|word| line.matches(word).count()).sum();
            if count > 0 {
                *sites.entry(format!("{file} {function}")).or_default() += count;
            }
        }
    }
    sites
}

#[test]
fn every_fix_is_either_run_or_in_the_list_of_those_that_cannot_be() {
    let listed: BTreeMap<String, usize> = SITES
        .iter()
        .map(|(site, how)| ((*site).to_owned(), how.len()))
        .collect();
    assert_eq!(
        sites(),
        listed,
        "a place that prints a fix is not in SITES, or not so often"
    );
    let mut run: Vec<&str> = Vec::new();
    for how in SITES.iter().flat_map(|(_, how)| how.iter()) {
        match how {
            Run(cases) => run.extend(*cases),
            By(module) => {
                let file = format!("{}/tests/it/{module}.rs", env!("CARGO_MANIFEST_DIR"));
                let text = fs::read_to_string(file).unwrap();
                assert!(text.contains("mongosh("), "{module} runs no shell");
            }
            Never(why) => assert!(!why.is_empty()),
        }
    }
    run.sort_unstable();
    let mut cases: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    cases.sort_unstable();
    assert_eq!(
        run, cases,
        "the cases that are run, and those that SITES names"
    );
}
