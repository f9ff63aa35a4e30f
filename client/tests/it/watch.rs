//! `archctl watch`: the watcher's card, and steering it.

use tonic::Code;

use crate::{
    fake::{Fake, refusal},
    program::run,
};

#[test]
fn status_is_a_card_and_done_whatever_the_state() {
    let fake = Fake::start();
    let status = run(&fake.endpoint(), &["watch", "status"]);
    assert_eq!((status.code, status.stderr.as_str()), (0, ""));
    for words in [
        "State       stopped: nobody watches since 2025-10-16 14:23:45Z; the last was archd-1\n",
        "Instance    archd-1\n",
        "Lag         -\n",
        "Waiting     60,000 delivered orders\n",
        "Open gaps   1\n",
        "\nArchived:    1,220 orders  (98.9%)\n",
        "b-7             the history was lost\n",
    ] {
        assert!(status.stdout.contains(words), "{}", status.stdout);
    }
}

#[test]
fn status_has_the_contracts_names_in_json() {
    let fake = Fake::start();
    let json = run(&fake.endpoint(), &["watch", "status", "-o", "json"]).json();
    assert_eq!(json["state"], "WATCHER_STATE_STOPPED");
    assert_eq!(json["state_since_time"], "2025-10-16T14:23:45Z");
    assert_eq!(json["waiting"]["orders"], 60_000);
    assert!(json["lag"].is_null(), "{json}");
    assert_eq!(json["open_gaps"][0]["batch_id"], "b-7");
}

#[test]
fn pause_and_resume_show_the_watcher_that_comes_of_it() {
    let fake = Fake::start();
    let paused = run(&fake.endpoint(), &["watch", "pause"]);
    assert_eq!(paused.code, 0, "{paused:?}");
    assert!(
        paused
            .stdout
            .starts_with("State       paused since 2025-10-16 14:23:45Z\n"),
        "{paused:?}"
    );
    assert_eq!(
        paused.stderr,
        "`archctl watch resume` lets it go on from here.\n"
    );
    let resumed = run(&fake.endpoint(), &["watch", "resume"]);
    assert_eq!((resumed.code, resumed.stderr.as_str()), (0, ""));
    assert!(
        resumed.stdout.starts_with("State       starting\n"),
        "{resumed:?}"
    );
}

#[test]
fn a_database_that_was_never_watched_is_a_precondition_with_a_hint() {
    let fake = Fake::start();
    for command in ["status", "pause", "resume"] {
        fake.refuse_next(refusal(
            Code::FailedPrecondition,
            "WATCHER_OFF",
            "nobody has ever watched this database",
            &[],
        ));
        let ended = run(&fake.endpoint(), &["watch", command]);
        assert_eq!(ended.code, 6, "{ended:?}");
        assert_eq!(
            ended.stderr,
            "error: nobody has ever watched this database\n\
             hint: start an archd with its watcher on; `archctl batch start` archives what is delivered by now\n"
        );
    }
}
