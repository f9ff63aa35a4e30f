//! `archctl seed`: a summary at the end, and a clean end while live.

use crate::{
    fake::Fake,
    program::{Running, run},
};

#[test]
fn a_seeding_ends_with_the_orders_by_status() {
    let fake = Fake::start();
    let ended = run(
        &fake.endpoint(),
        &["seed", "--orders", "1500", "--seed", "-7"],
    );
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, "STATUS  ORDERS\nlivrée   1,500\nall      1,500\n")
    );
    assert_eq!(
        ended.stderr,
        "Client: 0 of 1,500\n1,500 documents written\n"
    );
}

#[test]
fn flags_reach_the_server_and_defaults_stay_its_own() {
    let fake = Fake::start();
    run(&fake.endpoint(), &["seed"]);
    let asked = fake.last_request();
    for words in [
        "seed: None",
        "orders: None",
        "dangling_share: None",
        "until_time: None",
        "append: false",
    ] {
        assert!(asked.contains(words), "{asked}");
    }
    let args = [
        "seed",
        "--seed",
        "7",
        "--dangling-share",
        "0.5",
        "--until",
        "2025-10-01",
        "--months",
        "12",
        "--append",
    ];
    run(&fake.endpoint(), &args);
    let asked = fake.last_request();
    for words in [
        "seed: Some(7)",
        "dangling_share: Some(0.5)",
        "seconds: 1759276800",
        "months: 12",
        "append: true",
    ] {
        assert!(asked.contains(words), "{asked}");
    }
}

#[test]
fn json_is_the_last_message_and_ndjson_each() {
    let fake = Fake::start();
    assert_eq!(
        run(&fake.endpoint(), &["seed", "-o", "json"]).json()["phase"],
        "SEED_PHASE_WRITTEN"
    );
    let lines = run(&fake.endpoint(), &["seed", "-o", "ndjson"]).json_lines();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["collection"], "Client");
}

#[test]
fn ctrl_c_while_live_is_a_clean_end() {
    let fake = Fake::start();
    let args = [
        "seed",
        "--orders",
        "10",
        "--live",
        "120",
        "--live-lifetime",
        "30s",
    ];
    let live = Running::start(&fake.endpoint(), &args);
    live.hears("live: 10 livrée");
    live.interrupt();
    let ended = live.end();
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (0, "STATUS  ORDERS\nlivrée      10\nall         10\n")
    );
    let asked = fake.last_request();
    assert!(
        asked.contains("live_orders_per_minute: 120") && asked.contains("seconds: 30"),
        "{asked}"
    );
}
