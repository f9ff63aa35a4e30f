//! `archctl tail`: events as they happen, across a restart of the server.

use std::sync::Arc;

use order_archiver_api::v1::{
    Batch, BatchState, BatchStopReason, EventKind, TailEventsResponse, WatcherState,
    tail_events_response::Event,
};
use serde_json::Value;
use tonic::{Code, Status};

use crate::{
    fake::{
        Fake, batch,
        news::{archived, heartbeat},
        refusal,
        watcher::{gap, watcher},
    },
    program::{Running, run, run_on_terminal_of},
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
fn a_long_line_is_cut_to_the_width_of_a_terminal_and_nowhere_else() {
    let fake = Fake::start();
    let number = format!("CMD-{}", "é".repeat(150));
    fake.publish(archived(&number));
    let tail = ["tail", "--since", "2025-10-16", "--limit", "1"];
    for columns in [60, 120] {
        let cut = run_on_terminal_of(columns, &fake.endpoint(), &tail, &[("NO_COLOR", "1")]);
        let line = cut.stdout.lines().find(|line| line.contains("archived"));
        let line = line.unwrap().trim_end();
        assert!(line.ends_with("éé…"), "{cut:?}");
        assert_eq!(line.chars().count(), columns, "{cut:?}");
    }
    for format in ["wide", "json", "ndjson"] {
        let whole = [&tail[..], &["-o", format]].concat();
        let whole = run_on_terminal_of(60, &fake.endpoint(), &whole, &[]);
        assert!(whole.stdout.contains(&number), "{whole:?}");
    }
    let piped = run(&fake.endpoint(), &tail);
    assert!(
        piped.stdout.ends_with(&format!("  {number}\n")),
        "{piped:?}"
    );
}

#[test]
fn what_became_of_a_batch_is_seen_in_eighty_columns() {
    let fake = Fake::start();
    let failed = Batch {
        id: "019a2b3c-9a00-7000-8000-000000000002".to_owned(),
        stop_reason: BatchStopReason::Database.into(),
        ..batch(BatchState::Failed)
    };
    fake.publish(TailEventsResponse {
        kind: EventKind::BatchFinished.into(),
        event: Some(Event::Batch(failed)),
        ..archived("")
    });
    let tail = ["tail", "--since", "2025-10-16", "--limit", "1"];
    let shown = run_on_terminal_of(80, &fake.endpoint(), &tail, &[]);
    let told = "  \u{1b}[31mbatch finished\u{1b}[0m  019a2b3c-9a00  failed (the database was a…";
    assert!(shown.stdout.contains(told), "{shown:?}");
    let piped = run(&fake.endpoint(), &tail);
    let told = "  019a2b3c-9a00-7000-8000-000000000002  failed (the database was away or refused) · 1,234 of";
    assert!(piped.stdout.contains(told), "{piped:?}");
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
    let (script, revive) = (Arc::clone(&fake.script), fake.die());
    tail.hears("The connection is lost; trying again");
    script.publish(archived("CMD-2"));
    let fake = revive();
    tail.hears("Connected again; nothing was missed.");
    fake.publish(archived("CMD-3"));
    assert!(tail.line().ends_with("CMD-2"));
    assert!(tail.line().ends_with("CMD-3"));
}

#[test]
fn a_heartbeat_moves_the_place_although_it_is_not_shown() {
    let fake = Fake::start();
    let tail = Running::start(&fake.endpoint(), &["tail", "--kind", "archived"]);
    fake.await_tail();
    fake.publish(archived("CMD-1"));
    fake.publish(heartbeat());
    fake.break_tails(Status::unavailable("the server is stopping"));
    tail.hears("Connected again; nothing was missed.");
    let asked = fake.last_request();
    assert!(asked.contains("Cursor(\"c-2\")"), "{asked}");
    assert!(
        asked.contains("[Archived]") || asked.contains("[2]"),
        "{asked}"
    );
}

#[test]
fn a_tail_starts_where_it_is_told_to() {
    let fake = Fake::start();
    for number in ["CMD-1", "CMD-2", "CMD-3"] {
        fake.publish(archived(number));
    }
    let after = run(
        &fake.endpoint(),
        &["tail", "--cursor", "c-1", "--limit", "2"],
    );
    assert!(after.stdout.contains("CMD-2") && !after.stdout.contains("CMD-1"));
    let since = run(
        &fake.endpoint(),
        &["tail", "--since", "2025-10-16", "--limit", "3"],
    );
    assert!(since.stdout.contains("CMD-1"), "{since:?}");
    let asked = fake.last_request();
    assert!(
        asked.contains("SinceTime(Timestamp { seconds: 1760572800"),
        "{asked}"
    );
    let both = run(
        &fake.endpoint(),
        &["tail", "--since", "10m", "--cursor", "c-1"],
    );
    assert_eq!(both.code, 2, "{both:?}");
}

#[test]
fn a_reader_that_fell_behind_goes_on_from_its_place() {
    let fake = Fake::start();
    let tail = Running::start(&fake.endpoint(), &["tail"]);
    fake.await_tail();
    fake.publish(archived("CMD-1"));
    tail.line();
    fake.break_tails(refusal(
        Code::ResourceExhausted,
        "LIMIT_REACHED",
        "nothing was read for a minute",
        &[("cursor", "c-1")],
    ));
    tail.hears("The server gave up waiting for this reader; going on");
    tail.hears("Connected again; nothing was missed.");
    assert!(fake.last_request().contains("Cursor(\"c-1\")"));
    fake.publish(archived("CMD-2"));
    assert!(tail.line().ends_with("CMD-2"));
}

#[test]
fn too_many_readers_is_final() {
    let fake = Fake::start();
    fake.refuse_next(refusal(
        Code::ResourceExhausted,
        "LIMIT_REACHED",
        "64 readers tail already",
        &[],
    ));
    let ended = run(&fake.endpoint(), &["tail"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(
        ended.stderr.starts_with("error: 64 readers tail already\n"),
        "{ended:?}"
    );
}

#[test]
fn history_that_is_lost_while_the_server_was_away_is_told() {
    let fake = Fake::start();
    let tail = Running::start(&fake.endpoint(), &["tail"]);
    fake.await_tail();
    fake.publish(archived("CMD-1"));
    tail.line();
    fake.refuse_next(refusal(
        Code::OutOfRange,
        "HISTORY_LOST",
        "the history no longer reaches back",
        &[("oldest_time", "2025-10-16T15:00:00Z")],
    ));
    fake.break_tails(Status::unavailable("the server is stopping"));
    tail.hears("The connection is lost");
    let ended = tail.end();
    assert_eq!(ended.code, 1);
    assert_eq!(
        ended.stderr,
        "error: the database's history no longer reaches back to where this tail was
  - lost to this tail: every event from 2025-10-16 14:23:45Z to 2025-10-16 15:00:00Z
  - only the news is lost: `archctl stats` and `archctl orders list` show what was archived
hint: `archctl tail --since 2025-10-16T15:00:00Z` goes on with what is left, `archctl tail` from now
"
    );
}

#[test]
fn a_refusal_leaves_the_cursor_to_go_on_with() {
    let fake = Fake::start();
    let tail = Running::start(&fake.endpoint(), &["tail"]);
    fake.await_tail();
    fake.publish(archived("CMD-1"));
    tail.line();
    fake.break_tails(Status::internal("a fault"));
    tail.hears("`archctl tail --cursor c-1` goes on from here.");
    assert_eq!(tail.end().code, 1);
}

#[test]
fn a_cursor_of_another_database_says_how_to_start_anew() {
    let fake = Fake::start();
    fake.refuse_next(refusal(
        Code::InvalidArgument,
        "INVALID_CURSOR",
        "the cursor is of another database",
        &[],
    ));
    let ended = run(&fake.endpoint(), &["tail", "--cursor", "-x"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(fake.last_request().contains("Cursor(\"-x\")"));
    assert_eq!(
        ended.stderr,
        "error: the cursor is of another database\n\
         hint: `archctl tail` starts from now, and `archctl tail --since 10m` a while ago\n"
    );
}

#[test]
fn the_watchers_news_are_lines_too() {
    let fake = Fake::start();
    let args = ["watcher-state", "gap-opened", "gap-closed"];
    let args = args.map(|kind| format!("--kind={kind}"));
    let tail = Running::start(&fake.endpoint(), &["tail", &args[0], &args[1], &args[2]]);
    fake.await_tail();
    tail.hears(
        "Waiting for events of the kind watcher state, gap opened, gap closed on every instance",
    );
    let asked = fake.last_request();
    assert!(
        asked.contains("[WatcherState, GapOpened, GapClosed]") || asked.contains("[9, 10, 11]"),
        "{asked}"
    );
    for (kind, event, wanted) in [
        (
            EventKind::WatcherState,
            Event::Watcher(watcher(WatcherState::CatchingUp)),
            "watcher state   archd-1  catching up, 1 gap open",
        ),
        (
            EventKind::GapOpened,
            Event::Gap(gap()),
            "gap opened      2025-10-16 14:23:45Z to 2025-10-16 14:23:45Z: the history was lost; catch-up batch b-7",
        ),
        (
            EventKind::GapClosed,
            Event::Gap(gap()),
            "gap closed      2025-10-16 14:23:45Z to 2025-10-16 14:23:45Z; by catch-up batch b-7",
        ),
    ] {
        fake.publish(TailEventsResponse {
            kind: kind.into(),
            event: Some(event),
            ..archived("")
        });
        assert_eq!(tail.line(), format!("2025-10-16 14:23:45Z  {wanted}"));
    }
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
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (
            0,
            "Waiting for all kinds of events on every instance; Ctrl-C ends it.\n\
             `archctl tail --cursor c-1` goes on from here.\n"
        )
    );
}

#[test]
fn ctrl_c_in_json_is_silent_since_every_event_has_its_cursor() {
    let fake = Fake::start();
    let tail = Running::start(&fake.endpoint(), &["tail", "-o", "ndjson"]);
    fake.await_tail();
    fake.publish(archived("CMD-1"));
    assert!(tail.line().contains("\"cursor\":\"c-1\""));
    tail.interrupt();
    let ended = tail.end();
    assert_eq!(ended.code, 0);
    assert!(!ended.stderr.contains("--cursor"), "{ended:?}");
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
