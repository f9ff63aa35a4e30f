//! `archctl orders`: pages are followed, and their end is told.

use crate::{
    fake::{Fake, archive::ARCHIVED},
    program::run,
};

#[test]
fn pages_are_followed_to_the_end() {
    let fake = Fake::start();
    let all = run(
        &fake.endpoint(),
        &["orders", "list", "--limit", "2000", "-o", "json"],
    );
    let orders = all.json();
    let orders = orders.as_array().unwrap();
    assert_eq!(orders.len(), ARCHIVED);
    assert_eq!(orders[119]["numero_commande"], "CMD-119");
    assert_eq!(orders[0]["nom_livreur"], serde_json::Value::Null);
    assert_eq!(all.stderr, "");

    let lines = run(
        &fake.endpoint(),
        &["orders", "list", "--limit", "2000", "-o", "ndjson"],
    );
    assert_eq!(lines.json_lines(), *orders);
}

#[test]
fn a_limit_cuts_and_says_so() {
    let fake = Fake::start();
    for (args, shown, told) in [
        (
            &["orders", "list"][..],
            50,
            "Only the first 50 are shown; --limit shows more.\n",
        ),
        (
            &["orders", "list", "--limit", "70"],
            70,
            "Only the first 70 are shown; --limit shows more.\n",
        ),
        (&["orders", "list", "--limit", "120"], 120, ""),
    ] {
        let ended = run(&fake.endpoint(), args);
        assert_eq!(
            (ended.stdout.lines().count() - 1, ended.stderr.as_str()),
            (shown, told)
        );
        assert!(
            ended.stdout.starts_with("NUMERO   ARCHIVED  CLIENT"),
            "{ended:?}"
        );
    }
}

#[test]
fn filters_reach_the_server() {
    let fake = Fake::start();
    let args = [
        "orders",
        "list",
        "--from",
        "2025-10-01",
        "--to",
        "2025-10-02T00:00:00Z",
        "--prefix",
        "CMD-2025-",
    ];
    for (flag, wanted) in [
        ("--incomplete", "incomplete: Some(true)"),
        ("--complete", "incomplete: Some(false)"),
    ] {
        run(&fake.endpoint(), &[&args[..], &[flag]].concat());
        let asked = fake.last_request();
        for words in [
            wanted,
            "seconds: 1759276800",
            "seconds: 1759363200",
            "numero_prefix: \"CMD-2025-\"",
        ] {
            assert!(asked.contains(words), "{asked}");
        }
    }
    run(&fake.endpoint(), &["orders", "list"]);
    assert!(fake.last_request().contains("incomplete: None"));
}

#[test]
fn one_order_is_a_card_and_its_document_json() {
    let fake = Fake::start();
    let card = run(&fake.endpoint(), &["orders", "show", "CMD-1"]);
    assert!(
        card.stdout
            .starts_with("numero_commande  CMD-1\nnom_client       Zoé Lefèvre\n"),
        "{card:?}"
    );
    let json = run(&fake.endpoint(), &["orders", "show", "CMD-1", "-o", "json"]).json();
    assert_eq!(json["document_json"], "{\"status\":\"livrée\"}");
    assert_eq!(run(&fake.endpoint(), &["orders", "show", "CODE-5"]).code, 3);
}
