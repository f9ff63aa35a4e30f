//! `archctl instances`: who works on the database, and what each of them holds.

use crate::{fake::Fake, program::run};

#[test]
fn instances_are_a_table() {
    let fake = Fake::start();
    let listed = run(&fake.endpoint(), &["instances", "-o", "wide"]);
    assert_eq!(listed.code, 0, "{listed:?}");
    assert_eq!(
        listed.stdout,
        "\
INSTANCE  ADDRESS          VERSION  SINCE                 HOLDS
archd-1   127.0.0.1:50051  0.1.0    2025-10-16 14:23:45Z  the watch (epoch 3)
archd-2   127.0.0.1:50051  0.1.0    2025-10-16 14:23:45Z  gone since 2025-10-16 14:23:45Z; held nothing
"
    );
    assert_eq!(listed.stderr, "There are more than these.\n");
}

#[test]
fn instances_have_the_contracts_names_in_json() {
    let fake = Fake::start();
    let json = run(&fake.endpoint(), &["instances", "-o", "json"]).json();
    assert_eq!(json[0]["name"], "archd-1");
    assert_eq!(json[0]["watch_epoch"], 3);
    assert_eq!(json[1]["gone"], true);
    assert!(json[1].get("watch_epoch").is_none(), "{json}");
}
