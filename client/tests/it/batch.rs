//! `archctl batch`: starting, following to every end, and leaving it running.

use order_archiver_api::v1::{Batch, BatchOptions, BatchState, BatchStopReason};
use tonic::Status;

use crate::{
    fake::{Fake, batch},
    program::{Running, run},
};

#[test]
fn start_says_how_to_follow() {
    let fake = Fake::start();
    let args = [
        "batch",
        "start",
        "--limit",
        "10000",
        "--before",
        "2025-10-01",
        "--create-indexes",
        "--max-runtime",
        "2h",
        "--max-rate",
        "500",
        "--max-lag",
        "2s",
        "--max-write-latency",
        "500ms",
        "--request-id",
        "nightly",
    ];
    let ended = run(&fake.endpoint(), &args);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.stdout.starts_with("ID     b-1\nState  running\n"),
        "{ended:?}"
    );
    assert!(
        ended
            .stderr
            .contains("`archctl batch watch b-1` follows it."),
        "{ended:?}"
    );
    let asked = fake.last_request();
    for words in [
        "limit: 10000",
        "seconds: 1759276800",
        "create_indexes: true",
        "validate_only: false",
        "max_runtime: Some(Duration { seconds: 7200, nanos: 0 })",
        "max_orders_per_second: Some(500)",
        "max_replication_lag: Some(Duration { seconds: 2, nanos: 0 })",
        "max_write_latency: Some(Duration { seconds: 0, nanos: 500000000 })",
        "request_id: \"nightly\"",
    ] {
        assert!(asked.contains(words), "{asked}");
    }
}

#[test]
fn a_batch_that_was_there_is_told() {
    let fake = Fake::start();
    let ended = run(
        &fake.endpoint(),
        &["batch", "start", "--request-id", "again", "-o", "json"],
    );
    assert_eq!(ended.json()["already_running"], true);
    assert!(
        ended.stderr.contains("Batch b-1 was there already"),
        "{ended:?}"
    );
}

#[test]
fn what_is_not_given_is_left_to_the_server() {
    let fake = Fake::start();
    run(&fake.endpoint(), &["batch", "start"]);
    let asked = fake.last_request();
    for words in [
        "max_runtime: None",
        "max_orders_per_second: None",
        "max_replication_lag: None",
        "max_write_latency: None",
    ] {
        assert!(asked.contains(words), "{asked}");
    }
}

/// The one batch as a dry run.
fn dry_run(state: BatchState) -> Batch {
    let options = BatchOptions {
        validate_only: true,
        ..BatchOptions::default()
    };
    Batch {
        options: Some(options),
        ..batch(state)
    }
}

#[test]
fn a_dry_run_says_that_it_only_predicts() {
    let fake = Fake::start();
    fake.script.batch.send_replace(dry_run(BatchState::Running));
    let waiting = Running::start(&fake.endpoint(), &["batch", "start", "--dry-run", "--wait"]);
    waiting.hears("dry run · 1,234 of 2,000 orders");
    assert!(fake.last_request().contains("validate_only: true"));
    fake.script
        .batch
        .send_replace(dry_run(BatchState::Succeeded));
    let ended = waiting.end();
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended
            .stdout
            .contains("DRY RUN: A PREDICTION, NOTHING WAS WRITTEN"),
        "{ended:?}"
    );
    let list = run(&fake.endpoint(), &["batch", "list"]);
    assert!(list.stdout.trim_end().ends_with("dry run"), "{list:?}");
}

#[test]
fn a_dry_run_is_not_taken_for_a_batch_nor_a_batch_for_a_dry_run() {
    let fake = Fake::start();
    let ended = |there: &Batch, flags: &[&str]| {
        fake.script.batch.send_replace(there.clone());
        let again = ["batch", "start", "--request-id", "again"];
        run(&fake.endpoint(), &[&again, flags].concat())
    };
    let (batch, dry_run) = (batch(BatchState::Succeeded), dry_run(BatchState::Succeeded));
    for wait in [&[][..], &["--wait"]] {
        let other = ended(&dry_run, wait);
        assert_eq!(other.code, 6, "{other:?}");
        assert!(other.stderr.contains("It is a dry run"), "{other:?}");
        let other = ended(&batch, &[&["--dry-run"], wait].concat());
        assert_eq!(other.code, 6, "{other:?}");
        assert!(other.stderr.contains("It is no dry run"), "{other:?}");
        assert_eq!(ended(&batch, wait).code, 0);
        assert_eq!(ended(&dry_run, &[&["--dry-run"], wait].concat()).code, 0);
    }
}

#[test]
fn tune_sends_what_is_given_and_shows_what_holds_now() {
    let fake = Fake::start();
    let ended = run(
        &fake.endpoint(),
        &[
            "batch",
            "tune",
            "b-1",
            "--max-rate",
            "1500",
            "--max-lag",
            "2s",
        ],
    );
    assert_eq!(ended.code, 0, "{ended:?}");
    for line in ["Max rate  1,500 orders/s\n", "Max lag   2.0s\n"] {
        assert!(ended.stdout.contains(line), "{ended:?}");
    }
    assert_eq!(
        fake.last_request(),
        "TuneBatchRequest { id: \"b-1\", max_orders_per_second: Some(1500), \
         max_replication_lag: Some(Duration { seconds: 2, nanos: 0 }), max_write_latency: None }"
    );
    let ended = run(
        &fake.endpoint(),
        &["batch", "tune", "b-1", "--max-rate", "off"],
    );
    assert!(ended.stdout.contains("Max rate  off\n"), "{ended:?}");
}

#[test]
fn waiting_ends_with_the_box_and_the_batchs_own_exit() {
    for (state, reason, code) in [
        (BatchState::Succeeded, BatchStopReason::Exhausted, 0),
        (BatchState::Succeeded, BatchStopReason::MaxRuntime, 0),
        (BatchState::Failed, BatchStopReason::Database, 7),
        (BatchState::Failed, BatchStopReason::Unbalanced, 8),
        (BatchState::Cancelled, BatchStopReason::Cancelled, 1),
    ] {
        let fake = Fake::start();
        let waiting = Running::start(&fake.endpoint(), &["batch", "start", "--wait"]);
        waiting.hears("1,234 of 2,000 orders");
        fake.script.batch.send_replace(Batch {
            stop_reason: reason.into(),
            ..batch(state)
        });
        let ended = waiting.end();
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(
            ended
                .stdout
                .contains("│  Archived:    1,220 orders  (98.9%)"),
            "{ended:?}"
        );
        assert!(
            ended.stdout.contains("│  Duration:    12m 34s"),
            "{ended:?}"
        );
    }
}

#[test]
fn waiting_in_json_prints_the_start_with_its_end() {
    let fake = Fake::start();
    fake.script.batch.send_replace(batch(BatchState::Succeeded));
    let json = run(
        &fake.endpoint(),
        &["batch", "start", "--wait", "-o", "json"],
    )
    .json();
    assert_eq!(json["batch"]["state"], "BATCH_STATE_SUCCEEDED");
    assert_eq!(json["already_running"], false);
}

#[test]
fn ctrl_c_leaves_the_batch_running() {
    let fake = Fake::start();
    for args in [
        &["batch", "start", "--wait"][..],
        &["batch", "watch", "b-1"],
    ] {
        let waiting = Running::start(&fake.endpoint(), args);
        waiting.hears("1,234 of 2,000 orders");
        waiting.interrupt();
        let told = waiting.hears("is left running");
        assert!(told.contains("`archctl batch watch b-1`"), "{told}");
        let ended = waiting.end();
        assert_eq!((ended.code, ended.stdout.as_str()), (130, ""));
    }
}

#[test]
fn the_latest_batch_is_followed_by_its_own_id() {
    let fake = Fake::start();
    let waiting = Running::start(&fake.endpoint(), &["batch", "watch", "latest"]);
    waiting.hears("1,234 of 2,000 orders");
    waiting.interrupt();
    let told = waiting.hears("is left running");
    assert!(told.contains("`archctl batch watch b-1`"), "{told}");
}

#[test]
fn whoever_can_not_follow_a_batch_is_told_how_to_follow_it_again() {
    let fake = Fake::start();
    for args in [
        &["batch", "start", "--wait"][..],
        &["batch", "watch", "b-1"],
    ] {
        fake.refuse_next(Status::internal("a fault of the server"));
        let ended = run(&fake.endpoint(), args);
        assert_ne!(ended.code, 0, "{ended:?}");
        let advice = "`archctl batch watch b-1` follows it again.";
        assert!(ended.stderr.contains(advice), "{ended:?}");
    }
    let ended = run(&fake.endpoint(), &["batch", "watch", "b-2"]);
    assert!(!ended.stderr.contains("follows it again"), "{ended:?}");
}

#[test]
fn watch_goes_on_when_the_server_is_back() {
    let fake = Fake::start();
    let waiting = Running::start(&fake.endpoint(), &["batch", "watch", "b-1"]);
    waiting.hears("1,234 of 2,000 orders");
    let revive = fake.die();
    waiting.hears("The connection is lost");
    let fake = revive();
    waiting.hears("Connected again.");
    fake.script.batch.send_replace(batch(BatchState::Succeeded));
    assert_eq!(waiting.end().code, 0);
}

#[test]
fn watch_in_ndjson_is_a_line_a_state() {
    let fake = Fake::start();
    let watching = Running::start(&fake.endpoint(), &["batch", "watch", "b-1", "-o", "ndjson"]);
    assert!(watching.line().contains("BATCH_STATE_RUNNING"));
    fake.script.batch.send_replace(batch(BatchState::Succeeded));
    assert!(watching.line().contains("BATCH_STATE_SUCCEEDED"));
    let ended = watching.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""));
}

#[test]
fn show_list_and_cancel_name_the_batch() {
    let fake = Fake::start();
    let endpoint = fake.endpoint();
    assert!(
        run(&endpoint, &["batch", "show", "b-1"])
            .stdout
            .contains("State  running")
    );
    assert!(
        run(&endpoint, &["batch", "cancel", "b-1"])
            .stdout
            .contains("State  cancelling")
    );
    let list = run(
        &endpoint,
        &["batch", "list", "--state", "failed", "--state", "running"],
    );
    assert!(list.stdout.contains("\nb-1  running"), "{list:?}");
    let asked = fake.last_request();
    assert!(
        asked.contains("page_size: 20")
            && asked.contains("[Failed, Running]") | asked.contains("[5, 2]"),
        "{asked}"
    );
    for command in [
        &["show"][..],
        &["cancel"],
        &["tune", "--max-rate=1"],
        &["watch"],
    ] {
        let ended = run(&endpoint, &[&["batch"], command, &["b-0"]].concat());
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (3, "error: there is no batch b-0\n")
        );
    }
}
