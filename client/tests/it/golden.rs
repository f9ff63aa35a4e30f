//! What people see, at four widths, with colours and without: `client/tests/golden/`, for looking
//! through with `cat`. `UPDATE_DOCS=1 cargo test --workspace` rewrites it.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use order_archiver_api::{
    text::columns,
    v1::{
        ArchivedOrder, Batch, BatchOptions, BatchState, BatchStopReason, Difference,
        DifferenceClass, EventKind, NearMiss, OrderEvent, QuarantineEntry, QuarantineReason,
        TailEventsResponse, Verdict, Verification, VerificationCounts, VerificationDepth,
        VerificationOptions, VerificationScope, VerificationState, tail_events_response::Event,
    },
};
use prost_types::Timestamp;

use crate::{
    fake::{
        Fake, batch,
        news::{NOW, archived},
        verification::{self, difference, ended, ledger},
        watcher::gap,
    },
    program::{archctl, run_on_terminal_of},
};

/// What is shown of each screen.
const COMMANDS: &[&str] = &[
    "archive CMD-2025-000001 INCOMPLETE-2 TWICE-3 EN-COURS",
    "batch list",
    "batch list -o wide",
    "batch show 019a2b3c",
    "batch watch 019a2b3c",
    "orders list",
    "orders show CMD-2025-000001",
    "orders why CMD-2025-000001 --history",
    "orders why CMD-2025-000009",
    "quarantine list",
    "quarantine show q65f0c3",
    "quarantine retry q-1 q-2",
    "stats --near-misses",
    "status",
    "health",
    "watch status",
    "watch status --time-zone Europe/Paris",
    "verify",
    "verify list",
    "verify show 019a2b3e-0002",
    "verify show 019a2b3e-0003",
    "verify differences",
    "verify acknowledge CMD-2025-000012 --reason corrected",
    "verify repair --class missing --class altered --class damaged --class doubled",
    "verify repair CMD-2025-000012 HELD --yes --reason corrected",
    "verify ledger",
    "tail --since 2025-10-16 --limit 10",
    "tail --since 2025-10-16 --limit 3 -o wide",
    "seed --orders 1500",
    "batch show nothing",
];

#[test]
fn every_screen_is_as_in_the_golden_files() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let fake = fake();
    let mut screens = BTreeMap::new();
    for width in [40, 80, 120, 200] {
        let plain = screen(&fake, width, false);
        let coloured = screen(&fake, width, true);
        assert_eq!(without_colours(&coloured), plain, "colours move nothing");
        assert!(!plain.contains('\u{1b}'), "NO_COLOR is heard");
        screens.insert(format!("{width}.txt"), plain);
        screens.insert(format!("{width}-colours.txt"), coloured);
    }
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for (name, screen) in &screens {
            fs::write(folder.join(name), screen).unwrap();
        }
    }
    for (name, screen) in &screens {
        let written = fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert_eq!(
            written, *screen,
            "tests/golden/{name} is out of date: UPDATE_DOCS=1 rewrites it"
        );
    }
}

#[test]
fn no_table_is_wider_than_its_screen() {
    let fake = fake();
    for width in [40, 80, 120, 200] {
        for command in COMMANDS.iter().filter(|command| command.contains(" list")) {
            let shown = shown(&fake, command, width, false).0;
            let widest = shown.lines().map(columns).max().unwrap_or(0);
            assert!(
                widest <= width || command.contains("wide"),
                "{command} at {width}:\n{shown}"
            );
        }
    }
}

/// Every command and what it prints, as somebody with such a terminal sees it.
fn screen(fake: &Fake, width: usize, colours: bool) -> String {
    let commands = COMMANDS.iter().map(|command| {
        let (stdout, stderr) = shown(fake, command, width, colours);
        format!("$ archctl {command}\n{stdout}{stderr}\n")
    });
    commands.collect()
}

fn shown(fake: &Fake, command: &str, width: usize, colours: bool) -> (String, String) {
    let args: Vec<&str> = command.split(' ').collect();
    // Its lines are cut for a terminal alone.
    if args[0] == "tail" {
        let refusal = [("NO_COLOR", "1")];
        let variables = if colours { &[][..] } else { &refusal };
        let shown = run_on_terminal_of(width, &fake.endpoint(), &args, variables);
        return (shown.stdout.replace('\r', ""), shown.stderr);
    }
    let mut command = archctl(&args);
    command
        .env("ARCHCTL_ENDPOINT", fake.endpoint())
        .env("COLUMNS", width.to_string())
        .env("CLICOLOR_FORCE", "1");
    if !colours {
        command.env("NO_COLOR", "1");
    }
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain + rest
}

/// A server on which there is something of everything.
fn fake() -> Fake {
    let fake = Fake::start();
    let full = Batch {
        id: "019a2b3c-7d1e-7000-8000-000000000001".to_owned(),
        stop_reason: BatchStopReason::Exhausted.into(),
        create_time: Some(NOW),
        start_time: Some(NOW),
        end_time: Some(NOW),
        instance: "archd-1".to_owned(),
        warnings: vec!["Menu has no index on id_menu: make one with --create-indexes".to_owned()],
        near_misses: vec![NearMiss {
            status_json: "\"Livrée\"".to_owned(),
            orders: 3,
            examples: vec!["CMD-2025-000009".to_owned(), "CMD-2025-000010".to_owned()],
            status_escaped: "\"Livrée\"".to_owned(),
            difference: "other case".to_owned(),
            mend: "db.getCollection(\"Commande\").updateMany({ status: \"Livrée\" }, { $set: { status: \"livrée\" } })".to_owned(),
            ..NearMiss::default()
        }],
        ..batch(BatchState::Succeeded)
    };
    let failed = Batch {
        id: "019a2b3c-9a00-7000-8000-000000000002".to_owned(),
        state: BatchState::Failed.into(),
        stop_reason: BatchStopReason::Database.into(),
        message: "the database was away for 5m".to_owned(),
        near_misses: Vec::new(),
        ..full.clone()
    };
    let running = Batch {
        id: "019a2b3d-0001-7000-8000-000000000003".to_owned(),
        throttle: "a secondary is 12s behind, and the limit is 10s".to_owned(),
        options: Some(BatchOptions {
            limit: 10_000,
            max_orders_per_second: Some(500),
            ..BatchOptions::default()
        }),
        resumes: 1,
        end_time: None,
        ..batch(BatchState::Running)
    };
    let running = Batch {
        create_time: Some(NOW),
        ..running
    };
    *fake.script.listed.lock().unwrap() = vec![running, failed];
    fake.script.batch.send_replace(full);

    let complete = ArchivedOrder {
        numero_commande: "CMD-2025-000001".to_owned(),
        nom_client: Some("Zoé Lefèvre".to_owned()),
        email_client: Some("zoe.lefevre@example.fr".to_owned()),
        nom_livreur: Some("Ali Benali".to_owned()),
        nom_restaurant: Some("Le Bistrot du Canal Saint-Martin".to_owned()),
        nom_menu: Some("Bœuf bourguignon".to_owned()),
        prix_menu: Some("12.5".to_owned()),
        cout_commande: Some("24.9".to_owned()),
        date_commande: Some(NOW),
        date_archivage: Some(NOW),
        archived_by: "script v2.0".to_owned(),
        document_bytes: 640,
        ..ArchivedOrder::default()
    };
    let odd = ArchivedOrder {
        numero_commande: "CMD-2025-000002".to_owned(),
        nom_client: Some("山田 太郎".to_owned()),
        nom_livreur: None,
        prix_menu: None,
        cout_commande: Some("1050".to_owned()),
        incomplete: true,
        missing_fields: vec!["nom_livreur".to_owned(), "prix_menu".to_owned()],
        ..complete.clone()
    };
    *fake.script.shown.lock().unwrap() = vec![odd, complete];

    *fake.script.quarantined.lock().unwrap() = vec![QuarantineEntry {
        id: "q65f0c3a1b2c3d4e5f6071829".to_owned(),
        order_id_json: "{\"$oid\":\"65f0c3a1b2c3d4e5f6071829\"}".to_owned(),
        numero_commande: Some("CMD-2025-000003".to_owned()),
        reason: QuarantineReason::NumberConflict.into(),
        detail: "another order is archived under CMD-2025-000003: give one of them a number of its own, then retry this entry"
            .to_owned(),
        attempts: 3,
        first_seen_time: Some(NOW),
        last_seen_time: Some(NOW),
        document_bytes: 2_048,
        ..QuarantineEntry::default()
    }];

    verified_orders(&fake);

    let event = |kind: EventKind, event| TailEventsResponse {
        kind: kind.into(),
        event: Some(event),
        ..archived("")
    };
    let batches = fake.script.listed.lock().unwrap().clone();
    let entry = fake.script.quarantined.lock().unwrap()[0].clone();
    let incomplete = OrderEvent {
        numero_commande: "CMD-2025-000002".to_owned(),
        missing_fields: vec!["nom_livreur".to_owned()],
        ..OrderEvent::default()
    };
    for event in [
        archived("CMD-2025-000001"),
        event(EventKind::Incomplete, Event::Order(incomplete)),
        event(EventKind::Conflict, Event::Quarantine(entry)),
        event(EventKind::BatchStarted, Event::Batch(batches[0].clone())),
        event(EventKind::BatchProgress, Event::Batch(batches[0].clone())),
        event(EventKind::BatchFinished, Event::Batch(batches[1].clone())),
        event(EventKind::GapOpened, Event::Gap(gap())),
        event(
            EventKind::VerificationStarted,
            Event::Verification(verification::running()),
        ),
        event(
            EventKind::VerificationProgress,
            Event::Verification(verification::running()),
        ),
        event(
            EventKind::VerificationFinished,
            Event::Verification(not_verified()),
        ),
    ] {
        fake.publish(TailEventsResponse {
            time: Some(Timestamp { ..NOW }),
            ..event
        });
    }
    fake
}

/// A verification that found something of every class.
fn not_verified() -> Verification {
    Verification {
        id: "019a2b3e-0001-7000-8000-000000000001".to_owned(),
        verdict_text:
            "NOT VERIFIED: 12 missing, 2 altered, 1 doubled, 1 damaged, as of 2025-10-16T14:23:45Z"
                .to_owned(),
        scope_reason: "the database's history reaches back to 2025-10-16T09:00:00Z only".to_owned(),
        counts: Some(VerificationCounts {
            delivered: 1_000_000,
            verified: 999_984,
            archived: 1_000_007,
            missing: 12,
            altered: 2,
            doubled: 1,
            damaged: 1,
            acknowledged: 1,
            amended: 4,
            orphaned: 8,
            not_rebuildable: 50,
            quarantined: 6,
            near_misses: 3,
            names_changed: 1_200,
        }),
        options: Some(VerificationOptions {
            depth: VerificationDepth::References.into(),
            scope: VerificationScope::Changes.into(),
            max_orders_per_second: Some(5_000),
            ..VerificationOptions::default()
        }),
        start_time: Some(NOW),
        instance: "archd-1".to_owned(),
        orders_per_second: 83_333.0,
        warnings: vec!["Commande has no index on numero_commande".to_owned()],
        examples: found(),
        ..ended(Verdict::NotVerified)
    }
}

fn found() -> Vec<Difference> {
    let missing = (1..=4).map(|number| {
        let number = format!("CMD-2025-00000{number}");
        difference(DifferenceClass::Missing, &number)
    });
    let altered = Difference {
        order_id_json: "{\"$oid\":\"65f0c3a1b2c3d4e5f6071829\"}".to_owned(),
        archive_id_json: "{\"$oid\":\"65f0c3a1b2c3d4e5f6071829\"}".to_owned(),
        fields: vec!["articles".to_owned(), "notes".to_owned()],
        detail: "two fields are not those of the live order".to_owned(),
        ..difference(DifferenceClass::Altered, "CMD-2025-000012")
    };
    let held = difference(DifferenceClass::Damaged, "HELD");
    let orphaned = Difference {
        archive_id_json: "4711".to_owned(),
        ..difference(DifferenceClass::Orphaned, "")
    };
    missing.chain([altered, held, orphaned]).collect()
}

/// Verifications, what the last one found, and the ledger.
fn verified_orders(fake: &Fake) {
    let verified = Verification {
        id: "019a2b3e-0002-7000-8000-000000000002".to_owned(),
        ..ended(Verdict::Verified)
    };
    let failed = Verification {
        id: "019a2b3e-0003-7000-8000-000000000003".to_owned(),
        state: VerificationState::Failed.into(),
        message: "the database was away for 5m".to_owned(),
        scope: VerificationScope::Changes.into(),
        throttle: "a secondary is 12s behind, and the limit is 10s".to_owned(),
        resumes: 1,
        ..verification::running()
    };
    *fake.script.verifications.lock().unwrap() = vec![failed, verified];
    fake.script.verification.send_replace(not_verified());
    *fake.script.differences.lock().unwrap() = found();
    *fake.script.ledger.lock().unwrap() = ledger(3);
}
