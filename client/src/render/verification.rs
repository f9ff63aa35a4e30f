//! Verifications: as a table, and one as a report, its verdict first.

use std::collections::HashMap;

use order_archiver_api::{
    progress::times_resumed,
    statistics::{length, rounded, thousands},
    v1::{
        Difference, Verdict, Verification, VerificationDepth, VerificationOptions,
        VerificationScope,
    },
    verification::{self, classes},
};

use super::{
    difference,
    grid::{self, Fit},
    ids, paint,
    text::{one_line, words},
    units::{chosen_length, moment, moment_or_dash, rate_limit, some},
};

/// How many examples of a class a report has.
const EXAMPLES: usize = 3;

/// Verifications, one a row.
pub(crate) fn table(verifications: &[Verification]) -> String {
    let header = [
        "ID",
        "STATE",
        "VERDICT",
        "CREATED",
        "DURATION",
        "DELIVERED",
        "VERIFIED",
        "FAILING",
        "NOTES",
    ];
    let length_of_id = ids::length(verifications.iter().map(|one| one.id.as_str()));
    let rows = verifications.iter().map(|one| {
        let counts = one.counts.unwrap_or_default();
        let failing = classes(&counts).into_iter().filter(|class| class.fails);
        [
            ids::short(&one.id, length_of_id),
            verification::state(one),
            verdict_as_word(one),
            moment_or_dash(one.create_time.as_ref()),
            one.duration.as_ref().map_or_else(|| "-".to_owned(), length),
            thousands(counts.delivered),
            thousands(counts.verified),
            thousands(failing.map(|class| class.count).sum()),
            notes(one),
        ]
    });
    let fit = Fit {
        numbers: &header[4..8],
        long: &["NOTES"],
        spare: &[
            "DURATION",
            "DELIVERED",
            "NOTES",
            "VERIFIED",
            "CREATED",
            "STATE",
        ],
    };
    grid::fitted(header, &fit, rows)
}

fn verdict_as_word(verification: &Verification) -> String {
    match verification.verdict() {
        Verdict::Unspecified => "-".to_owned(),
        verdict => words(verdict.as_str_name(), "VERDICT_"),
    }
}

/// What sets a verification apart from one of everything.
fn notes(verification: &Verification) -> String {
    let depth = verification.options.unwrap_or_default().depth();
    let depth = match depth {
        VerificationDepth::Unspecified | VerificationDepth::Content => None,
        depth => Some(words(depth.as_str_name(), "VERIFICATION_DEPTH_")),
    };
    let changes = verification.scope() == VerificationScope::Changes;
    // What holds it back comes first: a narrow screen cuts off the rest.
    let notes: Vec<String> = some(&verification.throttle)
        .into_iter()
        .chain(changes.then(|| "changes".to_owned()))
        .chain(depth)
        .chain(times_resumed(verification.resumes))
        .collect();
    notes.join(" · ")
}

/// The verdict, what it rests on class by class with examples, what was amiss, and what was done.
pub(crate) fn report(verification: &Verification) -> String {
    let parts = [
        headline(verification),
        explained(verification),
        examples(verification),
        warnings(verification),
        card(verification),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("\n\n")
}

/// The verdict in one line; while there is none, how far it is instead of why.
fn headline(verification: &Verification) -> String {
    let verdict = one_line(&verification::verdict(verification));
    match verification.verdict() {
        Verdict::Verified => paint::well(&verdict),
        Verdict::NotVerified => paint::fault(&verdict),
        Verdict::Unspecified => paint::odd(&verdict),
    }
}

/// The classes of which there is something, each with its meaning and what to do.
fn explained(verification: &Verification) -> String {
    let classes = classes(&verification.counts.unwrap_or_default());
    if classes.is_empty() {
        return String::new();
    }
    let rows = classes.into_iter().map(|class| {
        let cells = [class.name.to_owned(), thousands(class.count)];
        (cells, [class.meaning, class.next])
    });
    grid::explained(["CLASS", "COUNT"], "WHAT IT IS, AND WHAT TO DO", rows)
}

/// The first few of each class, and where the others are.
fn examples(verification: &Verification) -> String {
    let mut shown = HashMap::<i32, usize>::new();
    let few = verification.examples.iter().filter(|difference| {
        let shown = shown.entry(difference.class).or_default();
        *shown += 1;
        *shown <= EXAMPLES
    });
    let few: Vec<Difference> = few.cloned().collect();
    if few.is_empty() {
        return String::new();
    }
    let id = &verification.id;
    let id = ids::short(id, ids::length([id.as_str()]));
    let table = difference::examples(&few);
    format!("{table}\n`archctl verify differences {id}` lists them all.")
}

fn warnings(verification: &Verification) -> String {
    let warnings = verification.warnings.iter();
    let warnings: Vec<String> = warnings
        .map(|warning| format!("{} {}", paint::odd("warning:"), one_line(warning)))
        .collect();
    warnings.join("\n")
}

fn card(verification: &Verification) -> String {
    let options = verification.options.unwrap_or_default();
    let what = [
        ("ID", some(&verification.id)),
        ("State", Some(verification::ending(verification))),
        ("Compared", Some(compared(verification))),
        ("All, because", some(&verification.scope_reason)),
        ("Looked at", Some(looked_at(verification))),
    ];
    let history = [
        ("As of", verification.as_of.as_ref().map(moment)),
        ("Created", verification.create_time.as_ref().map(moment)),
        ("Started", verification.start_time.as_ref().map(moment)),
        ("Ended", verification.end_time.as_ref().map(moment)),
        ("Duration", speed(verification)),
        ("Instance", some(&verification.instance)),
        ("Request ID", some(&verification.request_id)),
        (
            "Resumes",
            (verification.resumes > 0).then(|| verification.resumes.to_string()),
        ),
        ("Throttle", some(&verification.throttle)),
        ("Ledger hash", some(&verification.ledger_hash)),
    ];
    let fields = what.into_iter().chain(asked(&options)).chain(history);
    grid::card(fields.filter_map(|(name, value)| Some((name, value?))))
}

fn compared(verification: &Verification) -> String {
    let depth = match verification.options.unwrap_or_default().depth() {
        VerificationDepth::Presence => "only whether each is there",
        VerificationDepth::Unspecified | VerificationDepth::Content => "own fields byte by byte",
        VerificationDepth::References => "own fields byte by byte, and the names of the references",
    };
    let scope = match verification.scope() {
        VerificationScope::Unspecified | VerificationScope::Full => "all orders",
        VerificationScope::Changes => "orders that changed since the last VERIFIED",
    };
    format!("{depth}, of {scope}")
}

fn looked_at(verification: &Verification) -> String {
    let counts = verification.counts.unwrap_or_default();
    let (delivered, archived) = (thousands(counts.delivered), thousands(counts.archived));
    format!("{delivered} delivered orders, {archived} archived ones")
}

fn speed(verification: &Verification) -> Option<String> {
    let length = length(verification.duration.as_ref()?);
    Some(match verification.orders_per_second {
        per_second if per_second > 0.0 => {
            format!("{length}, {} orders/s", rounded(per_second))
        }
        _ => length,
    })
}

/// How it was asked to go about it.
fn asked(options: &VerificationOptions) -> [(&'static str, Option<String>); 3] {
    [
        ("Settle", options.settle.as_ref().map(chosen_length)),
        ("Max rate", options.max_orders_per_second.map(rate_limit)),
        (
            "Max lag",
            options.max_replication_lag.as_ref().map(chosen_length),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::{DifferenceClass, VerificationCounts, VerificationState};
    use prost_types::{Duration, Timestamp};

    use super::*;

    fn verification() -> Verification {
        Verification {
            id: "v-1".to_owned(),
            state: VerificationState::Succeeded.into(),
            verdict: Verdict::Verified.into(),
            verdict_text: "VERIFIED 1,234 of 1,234 delivered orders, as of 2025-10-16T14:23:45Z"
                .to_owned(),
            scope: VerificationScope::Full.into(),
            counts: Some(VerificationCounts {
                delivered: 1_234,
                verified: 1_234,
                archived: 1_234,
                ..VerificationCounts::default()
            }),
            as_of: Some(Timestamp {
                seconds: 1_760_624_625,
                nanos: 0,
            }),
            duration: Some(Duration {
                seconds: 12,
                nanos: 0,
            }),
            orders_per_second: 102.8,
            ledger_hash: "ab".repeat(32),
            ..Verification::default()
        }
    }

    #[test]
    fn where_all_is_well_a_report_is_short() {
        assert_eq!(
            report(&verification()),
            format!(
                "\
VERIFIED 1,234 of 1,234 delivered orders, as of 2025-10-16T14:23:45Z

ID           v-1
State        succeeded
Compared     own fields byte by byte, of all orders
Looked at    1,234 delivered orders, 1,234 archived ones
As of        2025-10-16 14:23:45Z
Duration     12.0s, 103 orders/s
Ledger hash  {}",
                "ab".repeat(32)
            )
        );
    }

    fn not_verified() -> Verification {
        let example = |class: DifferenceClass, number: usize| Difference {
            class: class.into(),
            numero_commande: format!("CMD-{number}"),
            ..Difference::default()
        };
        let missing = (1..=10).map(|number| example(DifferenceClass::Missing, number));
        Verification {
            verdict: Verdict::NotVerified.into(),
            verdict_text: "NOT VERIFIED: 12 missing".to_owned(),
            counts: Some(VerificationCounts {
                delivered: 1_234,
                verified: 1_222,
                missing: 12,
                amended: 1,
                ..VerificationCounts::default()
            }),
            examples: missing
                .chain([example(DifferenceClass::Amended, 77)])
                .collect(),
            warnings: vec!["Commande has no index on numero_commande".to_owned()],
            scope_reason: "the history reaches back to 2025-10-16 only".to_owned(),
            options: Some(VerificationOptions {
                settle: Some(Duration::default()),
                max_orders_per_second: Some(0),
                ..VerificationOptions::default()
            }),
            ..verification()
        }
    }

    #[test]
    fn a_report_says_the_verdict_then_what_fails_it_and_what_to_do() {
        let text = report(&not_verified());
        let (above, below) = text.split_once("\n\nID ").unwrap();
        assert_eq!(
            above,
            "\
NOT VERIFIED: 12 missing

CLASS    COUNT  WHAT IT IS, AND WHAT TO DO
missing     12  delivered, and neither archived nor in quarantine
                `archctl verify repair --class missing` archives them
amended      1  the live order has changed since it was archived; the archive has not
                nothing: a refund is no fault

CLASS    NUMERO  FIELDS  DETAIL
missing  CMD-1
missing  CMD-2
missing  CMD-3
amended  CMD-77
`archctl verify differences v-1` lists them all.

warning: Commande has no index on numero_commande"
        );
        for line in [
            "\nAll, because  the history reaches back to 2025-10-16 only\n",
            "\nSettle        0ms\nMax rate      off\n",
        ] {
            assert!(below.contains(line), "{below}");
        }
    }

    #[test]
    fn without_a_verdict_a_report_says_why() {
        let failed = Verification {
            state: VerificationState::Failed.into(),
            verdict: Verdict::Unspecified.into(),
            verdict_text: String::new(),
            message: "the database was away for 5m".to_owned(),
            ..verification()
        };
        let text = report(&failed);
        assert!(
            text.starts_with("No verdict: failed: the database was away for 5m\n\nID "),
            "{text}"
        );
    }

    #[test]
    fn a_table_has_a_row_for_each_verification() {
        let options = VerificationOptions {
            depth: VerificationDepth::Presence.into(),
            ..VerificationOptions::default()
        };
        let running = Verification {
            state: VerificationState::Running.into(),
            verdict: Verdict::Unspecified.into(),
            scope: VerificationScope::Changes.into(),
            options: Some(options),
            throttle: "a secondary is 12s behind".to_owned(),
            duration: None,
            resumes: 1,
            ..verification()
        };
        assert_eq!(
            table(&[running, not_verified()]),
            "\
ID   STATE      VERDICT       CREATED  DURATION  DELIVERED  VERIFIED  FAILING  NOTES
v-1  running    -             -               -      1,234     1,234        0  a secondary is 12s behind · changes · presence · resumed once
v-1  succeeded  not verified  -           12.0s      1,234     1,222       12"
        );
    }
}
