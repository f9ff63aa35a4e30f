//! `archctl stats`: the brief's box, and the same figures as JSON.

use crate::{fake::Fake, program::run};

#[test]
fn the_box_is_the_briefs() {
    let fake = Fake::start();
    let stats = run(&fake.endpoint(), &["stats"]);
    assert_eq!((stats.code, stats.stderr.as_str()), (0, ""));
    for line in [
        "│  Found:       1,234 orders                       │",
        "│  Archived:    1,220 orders  (98.9%)              │",
        "│  Duration:    12m 34s                            │",
        "│  Rate:        97 orders/min                      │",
        "│  Last 24h                                        │",
        "│  Watcher lag: 3s                                 │",
        "│  Next batch:  2025-10-16 14:23:45Z               │",
    ] {
        assert!(stats.stdout.contains(line), "{}", stats.stdout);
    }
    assert!(!stats.stdout.contains("NEAR MISS"));
}

#[test]
fn a_window_and_near_misses_are_asked_for() {
    let fake = Fake::start();
    let stats = run(
        &fake.endpoint(),
        &["stats", "--window", "90m", "--near-misses"],
    );
    assert!(
        stats.stdout.contains(
            "NEAR MISS  ORDERS  DIFFERENCE  EXAMPLES\n\"Livrée\"        3  other case  CMD-9\n"
        ),
        "{stats:?}"
    );
    assert!(
        stats
            .stdout
            .ends_with("\n  db.getCollection(\"Commande\").updateMany()\n"),
        "{stats:?}"
    );
    assert!(fake.last_request().contains("seconds: 5400"));
}

#[test]
fn json_has_the_contracts_names_and_numbers() {
    let fake = Fake::start();
    let pretty = run(&fake.endpoint(), &["stats", "-o", "json"]);
    let json = pretty.json();
    assert_eq!(json["lifetime"]["archived"], 1_220);
    assert_eq!(json["window_length"], "86400s");
    assert_eq!(json["watcher_lag"], "3s");
    assert_eq!(json["next_batch_time"], json["read_time"]);
    assert_eq!(json["last_batch"]["state"], "BATCH_STATE_SUCCEEDED");
    assert_eq!(json["near_misses"], serde_json::json!([]));
    assert!(pretty.stdout.lines().count() > 20, "pretty is many lines");

    let compact = run(&fake.endpoint(), &["stats", "-o", "ndjson"]);
    assert_eq!(compact.json_lines(), [json]);
}
