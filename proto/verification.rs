//! How a verification stands, in words: on one line while it runs, and what each class of
//! differences means and asks for.

use crate::{
    progress::{left, times_resumed, words},
    statistics::{rounded, thousands},
    text::one_line,
    v1::{Difference, Verdict, Verification, VerificationCounts, VerificationState},
};

/// How far a verification is, on one line.
pub fn line(verification: &Verification) -> String {
    let throttle = &verification.throttle;
    let throttle = (!throttle.is_empty()).then(|| one_line(throttle));
    parts(verification, throttle).join(" · ")
}

/// The same without what holds the verification back, for whoever shows that elsewhere.
pub fn without_throttle(verification: &Verification) -> String {
    parts(verification, None).join(" · ")
}

fn parts(verification: &Verification, throttle: Option<String>) -> Vec<String> {
    if verification.state() == VerificationState::Pending {
        return vec!["waiting to begin".to_owned()];
    }
    let resumed = times_resumed(verification.resumes);
    // It has the figures.
    if verification.verdict() != Verdict::Unspecified {
        return std::iter::once(one_line(&verdict(verification)))
            .chain(resumed)
            .collect();
    }
    let counts = verification.counts.unwrap_or_default();
    let is_running = verification.state() == VerificationState::Running;
    let mut parts = Vec::new();
    // What a narrow terminal cuts off is at the end, so an ending stands before its figures.
    if !is_running {
        parts.push(one_line(&ending(verification)));
    }
    let delivered = thousands(counts.delivered);
    parts.push(match verification.estimated_total {
        0 => format!("{delivered} orders"),
        total => format!("{delivered} of {} orders", thousands(total)),
    });
    let per_second = verification.orders_per_second;
    if per_second > 0.0 {
        parts.push(format!("{}/s", rounded(per_second)));
    }
    if is_running {
        let rest = verification.estimated_total - counts.delivered;
        parts.extend(left(rest, per_second).map(|left| format!("{left} left")));
    }
    parts.extend(throttle);
    let failing = classes(&counts).into_iter().filter(|class| class.fails);
    parts.extend(failing.map(|class| format!("{} {}", thousands(class.count), class.name)));
    parts.extend(resumed);
    parts
}

/// The verdict in one line, or that there is none, and why.
pub fn verdict(verification: &Verification) -> String {
    match (verification.verdict(), verification.verdict_text.as_str()) {
        (Verdict::Unspecified, _) => format!("No verdict: {}", ending(verification)),
        (Verdict::Verified, "") => "VERIFIED".to_owned(),
        (Verdict::NotVerified, "") => "NOT VERIFIED".to_owned(),
        (_, text) => text.to_owned(),
    }
}

/// How a verification ended, or that it has not, and why.
pub fn ending(verification: &Verification) -> String {
    let state = state(verification);
    match verification.message.as_str() {
        "" => state,
        message => format!("{state}: {message}"),
    }
}

/// The state of a verification as a word.
pub fn state(verification: &Verification) -> String {
    words(verification.state().as_str_name(), "VERIFICATION_STATE_")
}

/// The class of a difference as a word.
pub fn class(difference: &Difference) -> String {
    words(difference.class().as_str_name(), "DIFFERENCE_CLASS_")
}

/// What was counted under one name.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// The class as a word; `acknowledged` stands for what somebody has looked into.
    pub name: &'static str,
    /// How many there are, in orders or archived documents.
    pub count: i64,
    /// Whether it fails the verdict.
    pub fails: bool,
    /// What it is.
    pub meaning: &'static str,
    /// What to do about it.
    pub next: &'static str,
}

/// The classes of which there is something, those that fail the verdict first.
pub fn classes(counts: &VerificationCounts) -> Vec<Class> {
    let fails = |name, count, meaning, next| Class {
        name,
        count,
        fails: true,
        meaning,
        next,
    };
    let stays = |name, count, meaning, next| Class {
        fails: false,
        ..fails(name, count, meaning, next)
    };
    let all = [
        fails(
            "missing",
            counts.missing,
            "delivered, and neither archived nor in quarantine",
            "`archctl verify repair --class missing` archives them",
        ),
        fails(
            "altered",
            counts.altered,
            "what is archived is not the live order, and it can't be told that only that changed",
            "`archctl verify repair --class altered` says what it would replace",
        ),
        fails(
            "doubled",
            counts.doubled,
            "archived twice: under one number, or once by its _id and once by its number",
            "`archctl verify repair --class doubled` says what it would take out",
        ),
        fails(
            "damaged",
            counts.damaged,
            "what the archive notes beside the order does not agree with it",
            "`archctl verify repair --class damaged` says what it would replace",
        ),
        stays(
            "acknowledged",
            counts.acknowledged,
            "of the classes above; somebody has looked into them",
            "`archctl verify acknowledgements` says who, and why they may stay",
        ),
        stays(
            "amended",
            counts.amended,
            "the live order has changed since it was archived; the archive has not",
            "nothing: a refund is no fault",
        ),
        stays(
            "orphaned",
            counts.orphaned,
            "archived, and no live order belongs to it",
            "nothing where orders are purged; else look where they came from",
        ),
        stays(
            "not rebuildable",
            counts.not_rebuildable,
            "fields of the order are absent, as the script before archd left it",
            "nothing: what is there agrees",
        ),
        stays(
            "quarantined",
            counts.quarantined,
            "delivered, and can't be archived as they are",
            "`archctl quarantine list` says why",
        ),
        stays(
            "near miss",
            counts.near_misses,
            "the status only looks like the delivered one",
            "`archctl stats --near-misses` has the commands that mend them",
        ),
        stays(
            "names changed",
            counts.names_changed,
            "the archive has other names than today's references",
            "nothing where names have rightly changed",
        ),
    ];
    all.into_iter().filter(|class| class.count > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::DifferenceClass;

    fn running() -> Verification {
        Verification {
            state: VerificationState::Running.into(),
            counts: Some(VerificationCounts {
                delivered: 1_234,
                verified: 1_229,
                missing: 3,
                altered: 2,
                amended: 7,
                ..VerificationCounts::default()
            }),
            estimated_total: 100_000,
            orders_per_second: 1_234.0,
            ..Verification::default()
        }
    }

    #[test]
    fn progress_says_how_far_how_fast_and_what_fails_so_far() {
        assert_eq!(
            line(&running()),
            "1,234 of 100,000 orders · 1,234/s · 1m 21s left · 3 missing · 2 altered"
        );
        let held_back = Verification {
            state: VerificationState::Cancelling.into(),
            estimated_total: 0,
            throttle: "a secondary is 12s behind".to_owned(),
            resumes: 2,
            ..running()
        };
        assert_eq!(
            line(&held_back),
            "cancelling · 1,234 orders · 1,234/s · a secondary is 12s behind · 3 missing · \
             2 altered · resumed 2 times"
        );
        assert!(!without_throttle(&held_back).contains("secondary"));
        let pending = Verification {
            state: VerificationState::Pending.into(),
            ..running()
        };
        assert_eq!(line(&pending), "waiting to begin");
    }

    #[test]
    fn a_verdict_stands_for_all_figures_and_its_absence_has_a_reason() {
        let ended = Verification {
            state: VerificationState::Succeeded.into(),
            verdict: Verdict::NotVerified.into(),
            verdict_text: "NOT VERIFIED: 3 missing, 2 altered".to_owned(),
            ..running()
        };
        assert_eq!(line(&ended), "NOT VERIFIED: 3 missing, 2 altered");
        let failed = Verification {
            state: VerificationState::Failed.into(),
            message: "the database was away for 5m".to_owned(),
            ..running()
        };
        let why = "failed: the database was away for 5m";
        assert_eq!(verdict(&failed), format!("No verdict: {why}"));
        assert!(line(&failed).starts_with(&format!("{why} · 1,234 of")));
    }

    #[test]
    fn classes_that_fail_come_first_and_empty_ones_not_at_all() {
        let named: Vec<_> = classes(&running().counts.unwrap())
            .into_iter()
            .map(|class| (class.name, class.count, class.fails))
            .collect();
        assert_eq!(
            named,
            [
                ("missing", 3, true),
                ("altered", 2, true),
                ("amended", 7, false)
            ]
        );
    }

    #[test]
    fn every_class_of_the_contract_is_explained_under_its_name() {
        let one_of_each = VerificationCounts {
            delivered: 1,
            verified: 1,
            archived: 1,
            missing: 1,
            altered: 1,
            doubled: 1,
            damaged: 1,
            acknowledged: 1,
            amended: 1,
            orphaned: 1,
            not_rebuildable: 1,
            quarantined: 1,
            near_misses: 1,
            names_changed: 1,
        };
        let explained: Vec<_> = classes(&one_of_each)
            .into_iter()
            .map(|class| class.name)
            .filter(|name| *name != "acknowledged")
            .collect();
        let of_the_contract = (1..)
            .map_while(|number| DifferenceClass::try_from(number).ok())
            .map(|number| {
                class(&Difference {
                    class: number.into(),
                    ..Difference::default()
                })
            });
        assert_eq!(explained, of_the_contract.collect::<Vec<_>>());
    }
}
