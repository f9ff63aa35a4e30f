//! What a list or the figures leave out because the server can't read it is said, in every format.

use order_archiver_api::v1::UnreadableDocument;

use crate::{fake::Fake, program::run};

const PROBLEMS: [&str; 2] = [
    "archd_batches/bad can't be read: its field `epoch` is of type string",
    "archd_batches/newer has format 2",
];

fn fake() -> Fake {
    let fake = Fake::start();
    let documents = PROBLEMS.map(|problem| UnreadableDocument {
        name: "archd_batches/bad".to_owned(),
        problem: problem.to_owned(),
        newer: false,
    });
    *fake.script.unreadable.lock().unwrap() = documents.into();
    fake
}

#[test]
fn lists_say_what_they_leave_out_in_every_format() {
    let fake = fake();
    for list in ["batch", "quarantine", "verify"] {
        for format in ["table", "json", "ndjson"] {
            let ended = run(&fake.endpoint(), &[list, "list", "-o", format]);
            assert_eq!(ended.code, 0, "{ended:?}");
            for problem in PROBLEMS {
                let line = format!("Left out: {problem}\n");
                assert!(ended.stderr.contains(&line), "{ended:?}");
                assert!(!ended.stdout.contains(problem), "{ended:?}");
            }
        }
    }
}

#[test]
fn the_figures_are_followed_by_what_they_leave_out() {
    let fake = fake();
    let ended = run(&fake.endpoint(), &["stats"]);
    let told = PROBLEMS.map(|problem| format!("Left out: {problem}\n"));
    assert!(ended.stdout.ends_with(&told.concat()), "{ended:?}");
    let json = run(&fake.endpoint(), &["stats", "-o", "json"]).json();
    assert_eq!(json["unreadable"][1]["problem"], PROBLEMS[1]);
}
