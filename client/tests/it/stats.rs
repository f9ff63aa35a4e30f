//! `archctl stats`: the brief's box, and the same figures as JSON.

use std::sync::Arc;

use order_archiver_api::v1::GetStatsResponse;
use tonic::Status;

use crate::{
    fake::Fake,
    program::{Running, run},
    pty::Terminal,
};

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

/// Figures that a test can tell apart.
fn archive_of<const ORDERS: i64>(figures: &mut GetStatsResponse) {
    figures.archive_size = ORDERS;
}

#[test]
fn figures_are_watched_across_a_restart_of_the_server_until_ctrl_c() {
    let fake = Fake::start();
    let watching = Running::start(&fake.endpoint(), &["stats", "--watch=1ms", "-o", "json"]);
    assert!(watching.line().contains("\"archive_size\":1220,"));
    *fake.script.figures.lock().unwrap() = archive_of::<7>;
    while !watching.line().contains("\"archive_size\":7,") {}
    let (script, revive) = (Arc::clone(&fake.script), fake.die());
    watching.hears("The connection is lost; trying again");
    *script.figures.lock().unwrap() = archive_of::<8>;
    let fake = revive();
    watching.hears("Connected again.");
    while !watching.line().contains("\"archive_size\":8,") {}
    // A database that is away passes, too.
    fake.refuse_next(Status::unavailable("the database is away"));
    watching.hears("Connected again.");
    watching.interrupt();
    assert_eq!(watching.end().code, 0);
}

#[test]
fn a_first_answer_that_fails_ends_the_watch() {
    let fake = Fake::start();
    fake.refuse_next(Status::unavailable("the database is away"));
    let ended = run(&fake.endpoint(), &["stats", "--watch"]);
    assert_eq!(ended.code, 4, "{ended:?}");
}

#[test]
fn watched_figures_stay_in_one_place_of_the_terminal() {
    let fake = Fake::start();
    let mut terminal = Terminal::with((80, 40), &fake.endpoint(), &["stats", "--watch=50ms"]);
    terminal.shows("Archive:     1,220 orders");
    *fake.script.figures.lock().unwrap() = archive_of::<7>;
    terminal.shows("Archive:     7 orders");
    let screen = terminal.screen();
    assert_eq!(screen.matches("STATISTICS OUTPUT").count(), 1, "{screen}");
    assert!(!screen.contains("1,220 orders\n"), "{screen}");
    terminal.press("\u{3}");
    assert_eq!(terminal.end(), 0);

    let mut low = Terminal::with((80, 10), &fake.endpoint(), &["stats", "--watch=50ms"]);
    low.shows("more lines for a higher terminal");
    assert!(
        low.screen().contains("STATISTICS OUTPUT"),
        "{}",
        low.screen()
    );
}
