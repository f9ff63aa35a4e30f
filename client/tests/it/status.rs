//! `archctl status`: one line and an exit code, for scripts.

use order_archiver_api::v1::WatcherState;
use tonic::Status;

use crate::{
    fake::{Fake, watcher::watcher},
    program::{run, run_on_terminal_of},
};

/// A server with which nothing is wrong.
fn well() -> Fake {
    let fake = Fake::start();
    *fake.script.figures.lock().unwrap() = |figures| figures.quarantine_size = 0;
    fake
}

#[test]
fn all_is_well_in_one_line_and_exit_code_0() {
    let fake = well();
    let status = run(&fake.endpoint(), &["status"]);
    assert_eq!((status.code, status.stderr.as_str()), (0, ""));
    assert_eq!(
        status.stdout,
        "ok: 1,220 orders archived, latest batch succeeded\n"
    );
    let json = run(&fake.endpoint(), &["status", "-o", "json"]).json();
    assert_eq!(json, serde_json::json!({ "ok": true, "problems": [] }));
}

#[test]
fn what_is_wrong_is_one_line_with_what_mends_it_beside_and_exit_code_11() {
    let fake = Fake::start();
    *fake.script.figures.lock().unwrap() = |figures| {
        let mut paused = watcher(WatcherState::Paused);
        paused.open_gaps.clear();
        figures.watcher = Some(paused);
    };
    let status = run(&fake.endpoint(), &["status"]);
    assert_eq!(status.code, 11, "{status:?}");
    assert_eq!(
        status.stdout,
        "not ok: the watcher is paused for 0s; 60,000 delivered orders wait; 6 orders are in quarantine\n"
    );
    assert_eq!(
        status.stderr,
        "watcher: `archctl watch resume` lets it go on\n\
         quarantine: `archctl quarantine list` says why, and what mends it\n"
    );
    let json = run(&fake.endpoint(), &["status", "-o", "json"]);
    assert_eq!((json.code, json.stderr.as_str()), (11, ""));
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["ok"], false);
    assert_eq!(json["problems"][0]["kind"], "watcher");
    assert_eq!(json["problems"][1]["text"], "6 orders are in quarantine");
    let narrow = run_on_terminal_of(40, &fake.endpoint(), &["status"], &[("NO_COLOR", "1")]);
    assert!(
        narrow
            .stdout
            .starts_with("not ok: the watcher is paused for 0s; 6…\r\n"),
        "{narrow:?}"
    );
}

#[test]
fn a_problem_that_is_ignored_is_none() {
    let fake = Fake::start();
    let status = run(&fake.endpoint(), &["status", "--ignore", "quarantine"]);
    assert_eq!((status.code, status.stderr.as_str()), (0, ""));
    let other = run(&fake.endpoint(), &["status", "--ignore", "watcher"]);
    assert_eq!(other.code, 11, "{other:?}");
}

#[test]
fn a_server_without_its_database_is_unavailable() {
    let fake = well();
    fake.refuse_next(Status::unavailable("the database is away"));
    let status = run(&fake.endpoint(), &["status"]);
    assert_eq!((status.code, status.stdout.as_str()), (4, ""));
    assert!(status.stderr.starts_with("error: the database is away\n"));
}
