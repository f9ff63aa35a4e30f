//! `archctl verify`: one command that ends with the verdict, whose exit code is the verdict's own.

use order_archiver_api::v1::{
    Verdict, Verification, VerificationDepth, VerificationScope, VerificationState,
};
use tonic::Status;

use crate::{
    fake::{
        Fake,
        verification::{ended, running},
    },
    program::{Running, run},
};

#[test]
fn the_verdict_comes_first_and_is_the_exit_code() {
    let failed = Verification {
        state: VerificationState::Failed.into(),
        message: "the database was away for 5m".to_owned(),
        ..running()
    };
    let cancelled = Verification {
        state: VerificationState::Cancelled.into(),
        ..running()
    };
    for (end, first, code) in [
        (ended(Verdict::Verified), "VERIFIED 1,234 of 1,234", 0),
        (ended(Verdict::NotVerified), "NOT VERIFIED: 3 missing", 9),
        (
            failed,
            "No verdict: failed: the database was away for 5m",
            7,
        ),
        (cancelled, "No verdict: cancelled", 1),
    ] {
        let fake = Fake::start();
        for args in [&["verify"][..], &["verify", "watch", "v-1"]] {
            fake.script.verification.send_replace(running());
            let waiting = Running::start(&fake.endpoint(), args);
            waiting.hears("1,234 of 2,000 orders");
            fake.script.verification.send_replace(end.clone());
            let ended = waiting.end();
            assert_eq!(ended.code, code, "{ended:?}");
            assert!(ended.stdout.starts_with(first), "{ended:?}");
        }
    }
}

#[test]
fn what_is_asked_for_is_what_is_sent() {
    let fake = Fake::start();
    let verified = ended(Verdict::Verified);
    fake.script.verification.send_replace(verified);
    run(&fake.endpoint(), &["verify"]);
    let asked = fake.last_request();
    for words in [
        "depth: Content, scope: Full, settle: None, max_orders_per_second: None",
        "max_replication_lag: None",
        "request_id: \"\"",
    ] {
        assert!(asked.contains(words), "{asked}");
    }
    let options = [
        "verify",
        "--references",
        "--changes",
        "--settle",
        "0s",
        "--max-rate",
        "off",
        "--max-lag",
        "2s",
        "--request-id",
        "nightly",
    ];
    run(&fake.endpoint(), &options);
    let asked = fake.last_request();
    for words in [
        "depth: References, scope: Changes",
        "settle: Some(Duration { seconds: 0, nanos: 0 })",
        "max_orders_per_second: Some(0)",
        "max_replication_lag: Some(Duration { seconds: 2, nanos: 0 })",
        "request_id: \"nightly\"",
    ] {
        assert!(asked.contains(words), "{asked}");
    }
    run(&fake.endpoint(), &["verify", "--presence"]);
    assert!(fake.last_request().contains("depth: Presence, scope: Full"));
}

#[test]
fn one_that_looks_at_less_is_not_taken_for_what_was_asked() {
    let less = |change: &dyn Fn(&mut Verification)| {
        let mut verification = ended(Verdict::Verified);
        change(&mut verification);
        verification
    };
    let presence = less(&|one| {
        let options = one.options.as_mut().unwrap();
        options.set_depth(VerificationDepth::Presence);
    });
    let changes = less(&|one| one.set_scope(VerificationScope::Changes));
    let fake = Fake::start();
    for there in [presence, changes] {
        fake.script.verification.send_replace(there);
        for detach in [&[][..], &["--detach"]] {
            let again = ["verify", "--request-id", "again"];
            let short = run(&fake.endpoint(), &[&again, detach].concat());
            assert_eq!(short.code, 6, "{short:?}");
            let told = "Verification v-1 was there already; this is that one. It looks at less";
            assert!(short.stderr.contains(told), "{short:?}");
        }
        let first = run(&fake.endpoint(), &["verify", "--request-id", "first"]);
        assert_eq!(first.code, 0, "{first:?}");
    }
    // That something is missing is true however little was asked.
    let mut alarming = ended(Verdict::NotVerified);
    alarming.set_scope(VerificationScope::Changes);
    fake.script.verification.send_replace(alarming);
    let again = run(&fake.endpoint(), &["verify", "--request-id", "again"]);
    assert_eq!(again.code, 9, "{again:?}");
}

#[test]
fn detached_it_says_how_to_follow() {
    let fake = Fake::start();
    let ended = run(&fake.endpoint(), &["verify", "--detach"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.stdout.starts_with("No verdict: running\n"),
        "{ended:?}"
    );
    let advice = "`archctl verify watch v-1` follows it.";
    assert!(ended.stderr.contains(advice), "{ended:?}");
}

#[test]
fn ctrl_c_leaves_the_verification_running() {
    let fake = Fake::start();
    for args in [&["verify"][..], &["verify", "watch", "latest"]] {
        let waiting = Running::start(&fake.endpoint(), args);
        waiting.hears("1,234 of 2,000 orders");
        waiting.interrupt();
        let told = waiting.hears("Verification v-1 is left running");
        assert!(told.contains("`archctl verify watch v-1`"), "{told}");
        let ended = waiting.end();
        assert_eq!((ended.code, ended.stdout.as_str()), (130, ""));
    }
}

#[test]
fn it_is_followed_across_a_restart_of_the_server() {
    let fake = Fake::start();
    let waiting = Running::start(&fake.endpoint(), &["verify"]);
    waiting.hears("1,234 of 2,000 orders");
    let revive = fake.die();
    waiting.hears("The connection is lost");
    let fake = revive();
    waiting.hears("Connected again.");
    let verified = ended(Verdict::Verified);
    fake.script.verification.send_replace(verified);
    assert_eq!(waiting.end().code, 0);
}

#[test]
fn whoever_can_not_follow_it_is_told_how_to_follow_it_again() {
    let fake = Fake::start();
    fake.refuse_next(Status::internal("a fault of the server"));
    let ended = run(&fake.endpoint(), &["verify"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let advice =
        "Verification v-1 may be running still; `archctl verify watch v-1` follows it again.";
    assert!(ended.stderr.contains(advice), "{ended:?}");
}

#[test]
fn json_has_the_verdict_and_the_same_exit_code() {
    let fake = Fake::start();
    let alarming = ended(Verdict::NotVerified);
    fake.script.verification.send_replace(alarming);
    let ended = run(&fake.endpoint(), &["verify", "-o", "json"]);
    assert_eq!(ended.code, 9, "{ended:?}");
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["already_running"], false);
    let verification = &json["verification"];
    assert_eq!(verification["verdict"], "VERDICT_NOT_VERIFIED");
    assert_eq!(verification["counts"]["missing"], 3);

    let watched = run(
        &fake.endpoint(),
        &["verify", "watch", "v-1", "-o", "ndjson"],
    );
    assert_eq!(watched.code, 9, "{watched:?}");
    assert_eq!(watched.json_lines()[0]["counts"]["altered"], 2);
}

#[test]
fn list_show_and_cancel_name_the_verification() {
    let fake = Fake::start();
    let endpoint = fake.endpoint();
    let states = ["--state", "failed", "--state", "running"];
    let list = run(&endpoint, &[&["verify", "list"], &states[..]].concat());
    assert!(list.stdout.contains("\nv-1  running  -"), "{list:?}");
    let asked = fake.last_request();
    assert!(asked.contains("[Failed, Running]"), "{asked}");
    let show = run(&endpoint, &["verify", "show", "v-1"]);
    assert!(show.stdout.contains("State      running\n"), "{show:?}");
    let cancel = run(&endpoint, &["verify", "cancel", "latest"]);
    assert!(
        cancel.stdout.contains("State      cancelling\n"),
        "{cancel:?}"
    );
    let verified = ended(Verdict::Verified);
    fake.script.verification.send_replace(verified);
    let late = run(&endpoint, &["verify", "cancel", "v-1"]);
    assert_eq!(
        (late.code, late.stderr.as_str()),
        (
            6,
            "error: verification v-1 has ended\nhint: `archctl verify list` shows how verifications ended\n"
        )
    );
    for command in ["show", "cancel", "watch", "differences"] {
        let ended = run(&endpoint, &["verify", command, "v-0"]);
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (3, "error: there is no verification v-0\n"),
            "{command}"
        );
    }
}

#[test]
fn global_options_go_before_a_subcommand_and_those_of_a_start_do_not() {
    let fake = Fake::start();
    let global = run(&fake.endpoint(), &["verify", "-o", "json", "list"]);
    assert_eq!(global.json()[0]["id"], "v-1");
    let start = run(&fake.endpoint(), &["verify", "--presence", "list"]);
    assert_eq!(start.code, 2, "{start:?}");
    assert!(start.stderr.contains("leave them out"), "{start:?}");
    for args in [
        &["--presence", "--references"][..],
        &["--settle", "10"],
        &["--max-rate", "0"],
        &["--max-lag", "0s"],
        &["acknowledge", "CMD-1"],
        &["acknowledge", "CMD-1", "--reason", ""],
        &["repair"],
        &["repair", "CMD-1", "--class", "missing"],
        &["repair", "CMD-1", "--yes"],
        &["repair", "--class", "orphaned"],
        &["ledger", "--expect", "ab"],
        &["differences", "--class", "gossip"],
    ] {
        let ended = run("localhost", &[&["verify"], args].concat());
        assert_eq!(ended.code, 2, "{args:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{args:?}");
    }
}
