//! What people see on a terminal: colours unless refused, times in their zone, and progress that
//! tells first what matters.

use std::thread;

use order_archiver_api::v1::{Batch, BatchState};

use crate::{
    fake::{Fake, batch},
    program::{Running, archctl, run, run_on_terminal},
};

/// The start of every colour.
const ESCAPE: char = '\u{1b}';

#[test]
fn colours_are_for_terminals_that_take_them() {
    let fake = Fake::start();
    fake.script.batch.send_replace(batch(BatchState::Failed));
    let list = ["batch", "list"];
    let shown = run_on_terminal(&fake.endpoint(), &list, &[]);
    assert!(
        shown.stdout.contains("\u{1b}[31mfailed\u{1b}[0m"),
        "{shown:?}"
    );
    for refusal in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let plain = run_on_terminal(&fake.endpoint(), &list, &[refusal]);
        assert!(!plain.stdout.contains(ESCAPE), "{plain:?}");
        assert!(plain.stdout.contains("failed"), "{plain:?}");
    }
    let piped = run(&fake.endpoint(), &list);
    assert!(!piped.stdout.contains(ESCAPE), "{piped:?}");
    let json = run_on_terminal(&fake.endpoint(), &["batch", "list", "-o", "json"], &[]);
    assert!(!json.stdout.contains(ESCAPE), "{json:?}");
}

#[test]
fn times_are_in_the_zone_of_the_reader_and_in_utc_in_json() {
    let fake = Fake::start();
    for (flag, wanted) in [
        (
            &["--time-zone", "Europe/Paris"][..],
            "2025-10-16 16:23:45+02",
        ),
        (
            &["--time-zone", "Asia/Kolkata"],
            "2025-10-16 19:53:45+05:30",
        ),
        (&["--time-zone", "UTC"], "2025-10-16 14:23:45Z"),
        (&[], "2025-10-16 14:23:45Z"),
    ] {
        let args = [&["watch", "status"], flag].concat();
        let card = run(&fake.endpoint(), &args);
        assert!(
            card.stdout.contains(&format!("Position    {wanted}\n")),
            "{card:?}"
        );
        let json = run(&fake.endpoint(), &[&args[..], &["-o", "json"]].concat()).json();
        assert_eq!(json["position_time"], "2025-10-16T14:23:45Z");
    }
    // The machine's own zone, and the variable.
    for (variable, value) in [("TZ", "WAT-1"), ("ARCHCTL_TIME_ZONE", "Africa/Lagos")] {
        let mut status = archctl(&["watch", "status"]);
        status
            .env("ARCHCTL_ENDPOINT", fake.endpoint())
            .env_remove("ARCHCTL_TIME_ZONE")
            .env("TZ", "UTC0")
            .env(variable, value);
        let output = String::from_utf8(status.output().unwrap().stdout).unwrap();
        assert!(
            output.contains("2025-10-16 15:23:45+01"),
            "{variable}: {output}"
        );
    }
    let unknown = run(
        &fake.endpoint(),
        &["watch", "status", "--time-zone", "Paris"],
    );
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("Europe/Paris"), "{unknown:?}");
}

/// The one batch, held back.
fn throttled() -> Batch {
    Batch {
        throttle: "a secondary is 12s behind".to_owned(),
        ..batch(BatchState::Running)
    }
}

#[test]
fn what_holds_a_batch_back_is_read_before_the_bar() {
    let fake = Fake::start();
    fake.script.batch.send_replace(throttled());
    let endpoint = fake.endpoint();
    let watching =
        thread::spawn(move || run_on_terminal(&endpoint, &["batch", "watch", "b-1"], &[]));
    // Whoever follows it from now on is shown at least how it ended, held back still.
    while fake.script.batch.receiver_count() == 0 {
        thread::yield_now();
    }
    fake.script
        .batch
        .send_modify(|batch| batch.set_state(BatchState::Succeeded));
    let shown = watching.join().unwrap();
    let reason = shown.stdout.find("a secondary is 12s behind");
    let bar = shown.stdout.find('█');
    assert!(reason.is_some() && reason < bar, "{shown:?}");
}

#[test]
fn without_a_terminal_progress_is_told_seldom() {
    let fake = Fake::start();
    let waiting = Running::start(&fake.endpoint(), &["batch", "watch", "b-1", "-o", "ndjson"]);
    waiting.hears("1,234 of 2,000 orders");
    for found in 2..50 {
        let mut state = batch(BatchState::Running);
        state.counts.as_mut().unwrap().found = found;
        fake.script.batch.send_replace(state);
        // Each state has arrived before the next one is made.
        while !waiting.line().contains(&format!("\"found\":{found},")) {}
    }
    fake.script.batch.send_replace(batch(BatchState::Succeeded));
    let ended = waiting.end();
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.starts_with("Batch b-1 succeeded"), "{ended:?}");
}

#[test]
fn nothing_is_cut_when_everything_is_asked_for() {
    let fake = Fake::start();
    let long = "held to 500 orders a second ".repeat(20);
    fake.script.batch.send_replace(Batch {
        id: "019a2b3c-7d1e-7000-8000-000000000001".to_owned(),
        throttle: long.clone(),
        ..batch(BatchState::Running)
    });
    let list = run(&fake.endpoint(), &["batch", "list"]);
    assert!(list.stdout.contains('…'), "{list:?}");
    assert!(list.stdout.contains("\n019a2b3c-7d1e  running"), "{list:?}");
    assert!(
        list.stdout.lines().all(|line| line.chars().count() <= 100),
        "{list:?}"
    );
    let wide = run(&fake.endpoint(), &["batch", "list", "-o", "wide"]);
    for words in [
        "019a2b3c-7d1e-7000-8000-000000000001",
        "DUPLICATES",
        long.trim(),
    ] {
        assert!(wide.stdout.contains(words), "{wide:?}");
    }
}
