//! `archctl quarantine`: listing, retrying, and dropping only after a yes.

use crate::{fake::Fake, program::run};

#[test]
fn entries_are_listed_and_shown() {
    let fake = Fake::start();
    let list = run(
        &fake.endpoint(),
        &["quarantine", "list", "--reason", "number-conflict"],
    );
    assert!(
        list.stdout.contains("\nq-2  -       no usable number"),
        "{list:?}"
    );
    let asked = fake.last_request();
    assert!(
        asked.contains("[NumberConflict]") || asked.contains("[2]"),
        "{asked}"
    );

    let card = run(&fake.endpoint(), &["quarantine", "show", "q-2"]);
    assert!(card.stdout.starts_with("ID          q-2\n"), "{card:?}");
    assert!(fake.last_request().contains("with_documents: true"));

    let absent = run(&fake.endpoint(), &["quarantine", "show", "q-0"]);
    assert_eq!(absent.code, 3);
    assert!(
        absent
            .stderr
            .starts_with("error: no quarantined order has the id q-0\n"),
        "{absent:?}"
    );
}

#[test]
fn a_retry_that_leaves_an_order_behind_is_a_failure() {
    let fake = Fake::start();
    assert_eq!(
        run(&fake.endpoint(), &["quarantine", "retry", "q-1"]).code,
        0
    );
    let ended = run(&fake.endpoint(), &["quarantine", "retry", "q-1", "q-2"]);
    assert_eq!(ended.code, 1);
    assert_eq!(
        ended.stdout,
        "ID   OUTCOME            DETAIL\nq-1  archived\nq-2  still quarantined\n"
    );
}

#[test]
fn dropping_needs_a_yes() {
    let fake = Fake::start();
    let refused = run(&fake.endpoint(), &["quarantine", "drop", "q-1"]);
    assert_eq!(refused.code, 2);
    assert_eq!(
        refused.stderr,
        "error: dropping needs a yes, and nobody is here to ask\nhint: add --yes\n"
    );
    assert_eq!(fake.last_request(), "", "the server was not asked");

    let dropped = run(
        &fake.endpoint(),
        &["quarantine", "drop", "--yes", "q-1", "q-2"],
    );
    assert_eq!((dropped.code, dropped.stdout.as_str()), (0, "2 dropped\n"));
}
