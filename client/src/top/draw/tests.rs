//! Golden screens, for looking through with `cat`: `client/tests/golden/top-*.txt`. `UPDATE_DOCS=1
//! cargo test --workspace` rewrites them.

use std::{env, fs, path::PathBuf};

use chrono::DateTime;
use order_archiver_api::v1::{
    Batch, BatchState, BatchStopReason, EventKind, GetStatsResponse, Instance, LatencyHistogram,
    NearMiss, OrderCounts, OrderEvent, QuarantineEntry, QuarantineReason, StatsPoint,
    TailEventsResponse, Verdict, Verification, VerificationState, WaitingOrders, Watcher,
    WatcherState, tail_events_response::Event,
};
use prost_types::{Duration, Timestamp};
use ratatui::{Terminal, backend::TestBackend};

use super::*;
use crate::top::{
    ask::{Figures, News},
    keys::Key,
};

const NOW: i64 = 1_760_624_625;

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

fn lasts(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

fn counts(archived: i64, errors: i64) -> OrderCounts {
    OrderCounts {
        found: archived + errors,
        archived,
        incomplete: archived / 27,
        errors,
        ..OrderCounts::default()
    }
}

/// A day that is busy at noon and in the evening, and had an error in it.
fn day() -> Vec<StatsPoint> {
    let archived = |step: i64| {
        let from = |noon: i64, most: i64| (most - (step - noon).pow(2) * 3).max(0);
        from(37, 400) + from(58, 900) + 12
    };
    let point = |step: i64| StatsPoint {
        start_time: at(NOW - 86_400 + step * 1_200),
        counts: Some(counts(archived(step), i64::from(step == 41))),
        latency: Some(LatencyHistogram {
            counts: vec![archived(step), 8, 2, 1, 0, 0, 0, 0, 0, 0],
        }),
    };
    (0..73).map(point).collect()
}

fn well() -> Figures {
    let watcher = Watcher {
        state: WatcherState::Watching.into(),
        instance: "archd-1".to_owned(),
        position_time: at(NOW - 1),
        state_since_time: at(NOW - 90_000),
        lag: lasts(0),
        wall_lag: Some(Duration {
            seconds: 0,
            nanos: 40_000_000,
        }),
        history_headroom: lasts(187_200),
        ..Watcher::default()
    };
    Figures {
        stats: GetStatsResponse {
            database: "livraison".to_owned(),
            read_time: at(NOW),
            window: Some(counts(12_340, 0)),
            lifetime: Some(counts(1_999_900, 100)),
            archived_per_hour: 514.2,
            archive_size: 1_999_900,
            watcher: Some(watcher.clone()),
            watcher_lag: lasts(0),
            last_batch: Some(Batch {
                id: "019a2b3c-7d1e-7000-8000-000000000001".to_owned(),
                state: BatchState::Succeeded.into(),
                stop_reason: BatchStopReason::Exhausted.into(),
                counts: Some(counts(54, 0)),
                ..Batch::default()
            }),
            last_verification: Some(Verification {
                state: VerificationState::Succeeded.into(),
                verdict: Verdict::Verified.into(),
                verdict_text:
                    "VERIFIED 1,999,900 of 1,999,900 delivered orders, as of 2025-10-16T00:10:00Z"
                        .to_owned(),
                end_time: at(NOW - 51_000),
                ..Verification::default()
            }),
            next_batch_time: at(NOW + 34_575),
            series: day(),
            ..GetStatsResponse::default()
        },
        watcher: Some(watcher),
        instances: vec![
            instance("archd-1", 300_000, "10.0.0.1:50051", Some(3)),
            instance("archd-2", 3_000, "10.0.0.2:50051", None),
        ],
        ..Figures::default()
    }
}

fn instance(name: &str, age: i64, address: &str, watch_epoch: Option<i64>) -> Instance {
    Instance {
        name: name.to_owned(),
        address: address.to_owned(),
        version: "0.1.0".to_owned(),
        start_time: at(NOW - age),
        may_watch: true,
        watch_epoch,
        ..Instance::default()
    }
}

/// The same when much is amiss, and a batch runs.
fn ill() -> Figures {
    let mut figures = well();
    let paused = Watcher {
        state: WatcherState::Paused.into(),
        state_since_time: at(NOW - 7_205),
        lag: lasts(7_206),
        wall_lag: None,
        waiting: Some(WaitingOrders {
            orders: 60_000,
            at_least: true,
            ..WaitingOrders::default()
        }),
        ..figures.watcher.unwrap_or_default()
    };
    let stats = &mut figures.stats;
    stats.watcher = Some(paused.clone());
    figures.watcher = Some(paused);
    stats.watcher_lag = lasts(7_206);
    stats.window = Some(OrderCounts {
        gone: 2,
        ..counts(12_340, 3)
    });
    stats.quarantine_size = 3;
    stats.last_batch = Some(Batch {
        id: "019a2b3d-0001-7000-8000-000000000003".to_owned(),
        state: BatchState::Running.into(),
        counts: Some(counts(45_000, 1)),
        estimated_total: 100_000,
        orders_per_second: 1_234.0,
        throttle: "a secondary is 12s behind, and the limit is 10s".to_owned(),
        near_misses: vec![
            NearMiss {
                status_escaped: "\"Livr\u{e9}e\"".to_owned(),
                orders: 3,
                difference: "other case".to_owned(),
                examples: vec!["CMD-2025-000009".to_owned(), "CMD-2025-000010".to_owned()],
                ..NearMiss::default()
            },
            NearMiss {
                status_escaped: "\"livre\\u0301e\"".to_owned(),
                orders: 41,
                difference: "decomposed accent: e + U+0301".to_owned(),
                ..NearMiss::default()
            },
        ],
        ..Batch::default()
    });
    stats.last_verification = Some(Verification {
        id: "v-1".to_owned(),
        verdict: Verdict::NotVerified.into(),
        verdict_text: "NOT VERIFIED: 12 missing, 2 altered, as of 2025-10-16T00:10:00Z".to_owned(),
        ..stats.last_verification.clone().unwrap_or_default()
    });
    let entry =
        |number: Option<&str>, reason: QuarantineReason, attempts, detail: &str| QuarantineEntry {
            numero_commande: number.map(str::to_owned),
            reason: reason.into(),
            attempts,
            last_seen_time: at(NOW - i64::from(attempts) * 60),
            detail: detail.to_owned(),
            ..QuarantineEntry::default()
        };
    figures.quarantine = vec![
        entry(
            Some("CMD-2025-000003"),
            QuarantineReason::NumberConflict,
            3,
            "another order is archived under CMD-2025-000003: give one of them a number of its own",
        ),
        entry(
            None,
            QuarantineReason::NoUsableNumber,
            12,
            "numero_commande is missing",
        ),
        entry(
            Some("CMD\u{1b}[2J"),
            QuarantineReason::Refused,
            1,
            "the database refused it with code 2",
        ),
    ];
    figures
}

/// A model that heard this, with some events.
fn model(figures: Figures) -> Model {
    let mut model = Model::new("http://127.0.0.1:50051".to_owned());
    model.hear(News::Figures(Box::new(figures)));
    for number in 1..=9 {
        let (kind, missing_fields) = match number % 4 {
            0 => (EventKind::Incomplete, vec!["nom_livreur".to_owned()]),
            _ => (EventKind::Archived, Vec::new()),
        };
        model.hear(News::Event(Box::new(TailEventsResponse {
            time: at(NOW - 60 + number),
            kind: kind.into(),
            event: Some(Event::Order(OrderEvent {
                numero_commande: format!("CMD-2025-00000{number}"),
                missing_fields,
                ..OrderEvent::default()
            })),
            ..TailEventsResponse::default()
        })));
    }
    model
}

fn pressed(mut model: Model, keys: &[Key]) -> Model {
    for key in keys {
        let _ = model.press(*key);
    }
    model
}

/// The screen as text.
fn drawn(model: &Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model)).unwrap();
    let buffer = terminal.backend().buffer();
    let rows = buffer.content.chunks(width.max(1).into());
    let rows = rows.map(|row| {
        let row: String = row.iter().map(|cell| cell.symbol()).collect();
        row.trim_end().to_owned() + "\n"
    });
    rows.collect()
}

fn screens(width: u16, height: u16) -> String {
    let mut away = model(well());
    away.hear(News::NoAnswer("the database is away".to_owned()));
    away.now =
        away.shown().answered.unwrap_or(DateTime::UNIX_EPOCH) + chrono::TimeDelta::seconds(81);
    let screens = [
        ("All is well", model(well())),
        ("Much is amiss", model(ill())),
        (
            "The quarantine, by attempts, downwards",
            pressed(
                model(ill()),
                &[Key::List(2), Key::PreviousList, Key::NextList],
            ),
        ),
        (
            "The quarantine, by number",
            pressed(
                model(ill()),
                &[Key::List(2), Key::Sort, Key::Sort, Key::Reverse],
            ),
        ),
        ("Near misses", pressed(model(ill()), &[Key::List(3)])),
        ("Instances", pressed(model(well()), &[Key::NextList])),
        (
            "Held still, and scrolled",
            pressed(model(well()), &[Key::Pause, Key::Down]),
        ),
        ("The keys", pressed(model(well()), &[Key::Help])),
        ("The database is away", away),
    ];
    let screens =
        screens.map(|(name, model)| format!("# {name}\n{}\n", drawn(&model, width, height)));
    screens.concat()
}

#[test]
fn every_screen_is_as_in_the_golden_files() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (width, height) in [(80, 24), (120, 40)] {
        let path = folder.join(format!("top-{width}x{height}.txt"));
        let drawn = screens(width, height);
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, &drawn).unwrap();
        }
        let written = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            written, drawn,
            "{path:?} is out of date: UPDATE_DOCS=1 rewrites it"
        );
    }
}

#[test]
fn a_screen_that_is_too_small_says_so() {
    let text = drawn(&model(well()), 40, 10);
    assert!(
        text.starts_with(
            "archctl top takes 60 columns and 16\nlines; here are 40 and 10. q quits."
        ),
        "{text}"
    );
    for (width, height) in [(0, 0), (1, 1), (60, 16), (61, 19), (500, 200)] {
        drawn(&pressed(model(ill()), &[Key::Help]), width, height);
    }
}

#[test]
fn a_server_that_never_answered_has_a_screen() {
    let mut model = Model::new("http://127.0.0.1:50051".to_owned());
    model.hear(News::NoAnswer("the database is away".to_owned()));
    let text = drawn(&model, 80, 24);
    assert!(
        text.contains(" NO ANSWER  the database is away; trying again"),
        "{text}"
    );
    assert!(!text.contains("Archive "), "{text}");
}

#[test]
fn a_name_cannot_steer_the_screen() {
    let text = drawn(&pressed(model(ill()), &[Key::List(2)]), 120, 40);
    assert!(text.contains("CMD\\u{1b}[2J"), "{text}");
}
