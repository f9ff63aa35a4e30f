//! `archctl verify ledger`: the whole chain is checked on this side, and the first entry at fault is
//! named.

use order_archiver_api::v1::LedgerEntry;
use tonic::Status;

use crate::{
    fake::{Fake, verification::ledger},
    program::run,
};

fn with(entries: &[LedgerEntry]) -> Fake {
    let fake = Fake::start();
    *fake.script.ledger.lock().unwrap() = entries.to_vec();
    fake
}

#[test]
fn an_intact_ledger_says_so_first_and_lists_the_newest_last() {
    let entries = ledger(120);
    let newest = &entries[119].hash;
    let fake = with(&entries);
    // The chain goes on from page to page, even where one has to be asked for again.
    fake.refuse_next(Status::unavailable("the server is stopping"));
    let ended = run(&fake.endpoint(), &["verify", "ledger"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let first = format!("The ledger is intact: 120 entries, newest {newest}");
    assert_eq!(lines[0], first);
    // A verdict, a blank line, a header, and twenty entries.
    assert_eq!(lines.len(), 23, "{ended:?}");
    assert!(
        lines[22].starts_with("  120  2025-10-16 14:23:45Z  not verified"),
        "{ended:?}"
    );
    assert!(
        ended
            .stderr
            .contains("Only a hash that was noted elsewhere"),
        "{ended:?}"
    );
}

#[test]
fn the_hash_that_was_noted_has_to_be_there() {
    let entries = ledger(7);
    let fake = with(&entries);
    let expect = |hash: &str| run(&fake.endpoint(), &["verify", "ledger", "--expect", hash]);
    let newest = expect(&entries[6].hash.to_uppercase());
    assert_eq!(newest.code, 0, "{newest:?}");
    assert!(newest.stdout.contains(", as expected\n"), "{newest:?}");
    assert_eq!(newest.stderr, "");
    let earlier = expect(&entries[2].hash);
    assert_eq!(earlier.code, 0, "{earlier:?}");
    assert!(
        earlier.stdout.contains("the expected hash in entry 3,"),
        "{earlier:?}"
    );

    let never = expect(&"ab".repeat(32));
    assert_eq!(never.code, 10, "{never:?}");
    assert!(
        never
            .stderr
            .contains("error: the ledger is not intact: no entry has the hash abab")
    );
    // A chain that somebody has cut is a whole chain all the same.
    let noted = entries[6].hash.clone();
    fake.script.ledger.lock().unwrap().truncate(6);
    let cut = run(&fake.endpoint(), &["verify", "ledger", "--expect", &noted]);
    assert_eq!(cut.code, 10, "{cut:?}");
}

#[test]
fn the_first_entry_at_fault_is_named_in_every_format() {
    let mut entries = ledger(60);
    entries[54].record = entries[54].record.replace("1234", "1235");
    entries[57].record = "{}".to_owned();
    let fake = with(&entries);
    for format in ["table", "json", "ndjson"] {
        let ended = run(&fake.endpoint(), &["verify", "ledger", "-o", format]);
        assert_eq!(ended.code, 10, "{ended:?}");
        let told = "error: the ledger is not intact: entry 55 has the hash ";
        assert!(ended.stderr.starts_with(told), "{ended:?}");
        assert!(!ended.stdout.contains("is intact"), "{ended:?}");
        assert!(ended.stdout.contains("60"), "{ended:?}");
    }
}

#[test]
fn json_has_the_newest_and_ndjson_all_entries_as_they_were_hashed() {
    let entries = ledger(60);
    let fake = with(&entries);
    let json = run(&fake.endpoint(), &["verify", "ledger", "-o", "json"]);
    assert!(
        json.stderr.starts_with("The ledger is intact: 60 entries"),
        "{json:?}"
    );
    let json = json.json();
    assert_eq!(json.as_array().unwrap().len(), 20);
    assert_eq!(json[19]["record"], entries[59].record);
    let lines = run(&fake.endpoint(), &["verify", "ledger", "-o", "ndjson"]).json_lines();
    assert_eq!(lines.len(), 60);
    assert_eq!(lines[0]["record"], entries[0].record);
    let args = ["verify", "ledger", "-o", "ndjson", "--limit", "2"];
    let lines = run(&fake.endpoint(), &args).json_lines();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["sequence"], 60);
}

#[test]
fn a_ledger_without_entries_is_intact() {
    let fake = Fake::start();
    let ended = run(&fake.endpoint(), &["verify", "ledger"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (0, "The ledger is intact: it has no entries yet.\n", "")
    );
}
