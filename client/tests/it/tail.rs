//! `archctl tail`: events as they happen, across a restart of the server.

use serde_json::Value;

use crate::{
    fake::{
        Fake,
        news::{archived, heartbeat},
    },
    program::Running,
};

#[test]
fn an_event_is_a_line_and_a_heartbeat_is_none() {
    let fake = Fake::start();
    let tail = Running::start(&fake.endpoint(), &["tail", "--limit", "1"]);
    fake.await_tail();
    fake.publish(heartbeat());
    fake.publish(archived("CMD-1"));
    let ended = tail.end();
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, "2025-10-16 14:23:45Z  archived        CMD-1\n")
    );
}

#[test]
fn heartbeats_are_shown_on_demand() {
    let fake = Fake::start();
    let tail = Running::start(&fake.endpoint(), &["tail", "--heartbeats"]);
    fake.await_tail();
    fake.publish(heartbeat());
    assert_eq!(tail.line(), "2025-10-16 14:23:45Z  heartbeat");
}

#[test]
fn both_kinds_of_json_are_a_line_an_event() {
    let fake = Fake::start();
    for format in ["json", "ndjson"] {
        let tail = Running::start(&fake.endpoint(), &["tail", "--output", format]);
        fake.await_tail();
        fake.publish(archived("CMD-1"));
        let event: Value = serde_json::from_str(&tail.line()).unwrap();
        assert_eq!(event["kind"], "EVENT_KIND_ARCHIVED");
        assert_eq!(event["time"], "2025-10-16T14:23:45Z");
        assert_eq!(event["order"]["numero_commande"], "CMD-1");
    }
}

#[test]
fn kinds_are_chosen_by_the_server() {
    let fake = Fake::start();
    let _tail = Running::start(
        &fake.endpoint(),
        &["tail", "--kind", "conflict", "--kind", "batch-finished"],
    );
    fake.await_tail();
    let asked = fake.last_request();
    assert!(
        asked.contains("[Conflict, BatchFinished]") || asked.contains("[4, 8]"),
        "{asked}"
    );
}

#[test]
fn a_restart_of_the_server_is_survived_and_told() {
    let fake = Fake::start();
    let tail = Running::start(&fake.endpoint(), &["tail"]);
    fake.await_tail();
    fake.publish(archived("CMD-1"));
    assert!(tail.line().ends_with("CMD-1"));
    let revive = fake.die();
    tail.hears("The connection is lost; trying again");
    let fake = revive();
    tail.hears("Connected again; events of the meantime are not shown.");
    fake.await_tail();
    fake.publish(archived("CMD-2"));
    assert!(tail.line().ends_with("CMD-2"));
}

#[test]
fn ctrl_c_is_a_clean_end() {
    let fake = Fake::start();
    let tail = Running::start(&fake.endpoint(), &["tail"]);
    fake.await_tail();
    fake.publish(archived("CMD-1"));
    tail.line();
    tail.interrupt();
    let ended = tail.end();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

#[test]
fn ctrl_c_while_the_server_is_away_is_a_clean_end_too() {
    let fake = Fake::start();
    let tail = Running::start(&fake.endpoint(), &["tail"]);
    fake.await_tail();
    // The line shows that the stream is open on this side, too.
    fake.publish(archived("CMD-1"));
    tail.line();
    drop(fake.die());
    tail.hears("The connection is lost");
    tail.interrupt();
    assert_eq!(tail.end().code, 0);
}
