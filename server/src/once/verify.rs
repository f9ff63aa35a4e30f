//! `archd verify`: one verification as a process of its own.

use std::process::ExitCode;

use order_archiver_api::{
    statistics, v1 as pb,
    verification::{classes, ending, verdict, without_throttle},
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Once, Outcome, once, print};
use crate::{
    config::{Config, Output, VerifyArgs},
    convert,
    domain::verify::{
        plan::{Depth, Scope},
        verdict::Verdict,
    },
    parts::Parts,
    shutdown::{INTERRUPTED, JOB_FAILED, NOT_VERIFIED, SUCCESS},
    store::{
        jobs::{limits::Limits, record::State},
        verifications::{options::Options, record::Verification},
    },
    terminal::{
        Shown, has_colours, one_line,
        paint::{AT_FAULT, ODD, WELL, in_style},
        tame_json,
    },
    verifier::Verifier,
};

/// Runs one verification, or follows the one that is running, until it ends. `stop` cancels it if it
/// was asked for here, and otherwise leaves it to its instance, or to the next one.
pub async fn verify(config: Config, args: VerifyArgs, stop: CancellationToken) -> ExitCode {
    let options = Options {
        depth: match (args.presence, args.references) {
            (true, _) => Depth::Presence,
            (false, true) => Depth::References,
            (false, false) => Depth::Content,
        },
        scope: match args.changes {
            true => Scope::Changes,
            false => Scope::Full,
        },
        settle: args.settle,
        limits: Limits::of_verifications(&config),
    };
    let outcome = once::<Verifier>(&config, args.wait, &options, &stop).await;
    print(outcome, |outcome| {
        (text(&outcome.job, args.output), code(outcome))
    })
}

impl Once for Verifier {
    const WATCH: &'static str = "archctl verify watch";
    const ARCHIVES: bool = false;

    fn of(parts: &Parts) -> &Verifier {
        &parts.verifier
    }

    fn does_what_is_asked(verification: &Verification, asked: &Options) -> bool {
        verification.options.say_what_is_asked(asked)
    }

    fn tell_of_another(verification: &Verification) {
        let (id, instance) = (&verification.head.id, &verification.head.instance);
        let Options { depth, scope, .. } = verification.options;
        let (depth, scope) = (depth.name(), scope.name());
        info!(
            id,
            instance,
            depth,
            scope,
            "a verification that does something else is running; waiting for its end"
        );
    }

    fn shown(verification: &Verification) -> Shown {
        let updated = verification.head.updated;
        let verification = convert::verification(verification.clone(), updated);
        Shown {
            done: verification.counts.unwrap_or_default().delivered,
            total: verification.estimated_total,
            message: without_throttle(&verification),
            throttle: verification.throttle,
        }
    }
}

fn code(outcome: &Outcome<Verification>) -> u8 {
    match (outcome.job.head.state, outcome.job.verdict) {
        _ if !outcome.as_asked => INTERRUPTED,
        (_, Some(Verdict::Verified)) => SUCCESS,
        (_, Some(Verdict::NotVerified)) => NOT_VERIFIED,
        (State::Failed | State::Succeeded, None) => JOB_FAILED,
        (State::Pending | State::Running | State::Cancelling | State::Cancelled, None) => {
            INTERRUPTED
        }
    }
}

fn text(verification: &Verification, output: Output) -> String {
    let now = verification.head.updated;
    let verification = convert::verification(verification.clone(), now);
    match output {
        Output::Json => format!("{}\n", tame_json(&as_json(&verification).to_string())),
        Output::Text => as_text(&verification, has_colours()),
    }
}

/// The verdict first, then what was found of each class and what to do about it.
fn as_text(verification: &pb::Verification, colours: bool) -> String {
    let painted = |style, text: &str| match colours {
        true => in_style(style, text),
        false => text.to_owned(),
    };
    let style = match verification.verdict() {
        pb::Verdict::Verified => WELL,
        pb::Verdict::Unspecified | pb::Verdict::NotVerified => AT_FAULT,
    };
    let mut lines = vec![painted(style, &one_line(&verdict(verification)))];
    for class in classes(&verification.counts.unwrap_or_default()) {
        let counted = format!("{} {}", statistics::thousands(class.count), class.name);
        let counted = match class.fails {
            true => painted(AT_FAULT, &counted),
            false => counted,
        };
        lines.push(format!("  {counted}: {}; {}", class.meaning, class.next));
    }
    if !verification.scope_reason.is_empty() {
        let reason = one_line(&verification.scope_reason);
        lines.push(format!("all orders were looked at: {reason}"));
    }
    let ending = one_line(&ending(verification));
    lines.push(format!(
        "verification {} {ending}",
        one_line(&verification.id)
    ));
    if !verification.ledger_hash.is_empty() {
        lines.push(format!("ledger {}", one_line(&verification.ledger_hash)));
    }
    for warning in &verification.warnings {
        lines.push(format!(
            "{} {}",
            painted(ODD, "warning:"),
            one_line(warning)
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// The figures that a script needs.
fn as_json(verification: &pb::Verification) -> serde_json::Value {
    // Each by its name, so that a new one can't be forgotten.
    let pb::VerificationCounts {
        delivered,
        verified,
        archived,
        missing,
        altered,
        doubled,
        damaged,
        acknowledged,
        amended,
        orphaned,
        not_rebuildable,
        quarantined,
        near_misses,
        names_changed,
    } = verification.counts.unwrap_or_default();
    let duration = verification.duration.unwrap_or_default();
    let options = verification.options.unwrap_or_default();
    serde_json::json!({
        "id": verification.id,
        "state": verification.state().as_str_name(),
        "verdict": verification.verdict().as_str_name(),
        "verdict_text": verification.verdict_text,
        "message": verification.message,
        "depth": options.depth().as_str_name(),
        "scope": verification.scope().as_str_name(),
        "scope_reason": verification.scope_reason,
        "resumes": verification.resumes,
        "delivered": delivered,
        "verified": verified,
        "archived": archived,
        "missing": missing,
        "altered": altered,
        "doubled": doubled,
        "damaged": damaged,
        "acknowledged": acknowledged,
        "amended": amended,
        "orphaned": orphaned,
        "not_rebuildable": not_rebuildable,
        "quarantined": quarantined,
        "near_misses": near_misses,
        "names_changed": names_changed,
        "duration_seconds": duration.seconds as f64 + f64::from(duration.nanos) / 1e9,
        "warnings": verification.warnings,
        "ledger_hash": verification.ledger_hash,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_comes_first_and_each_class_says_what_to_do() {
        let verification = pb::Verification {
            id: "v-1".to_owned(),
            state: pb::VerificationState::Succeeded.into(),
            verdict: pb::Verdict::NotVerified.into(),
            verdict_text: "NOT VERIFIED: 3 missing".to_owned(),
            scope_reason: "the history is lost\u{1b}[2J".to_owned(),
            counts: Some(pb::VerificationCounts {
                missing: 3,
                quarantined: 2,
                ..Default::default()
            }),
            ledger_hash: "ab".to_owned(),
            warnings: vec!["an index is absent".to_owned()],
            ..Default::default()
        };
        let plain = as_text(&verification, false);
        let expected = "\
NOT VERIFIED: 3 missing
  3 missing: delivered, and neither archived nor in quarantine; `archctl verify repair --class missing` archives them
  2 quarantined: delivered, and can't be archived as they are; `archctl quarantine list` says why
all orders were looked at: the history is lost\\u{1b}[2J
verification v-1 succeeded
ledger ab
warning: an index is absent
";
        assert_eq!(plain, expected);
        let coloured = as_text(&verification, true);
        assert!(coloured.starts_with("\u{1b}[31mNOT VERIFIED: 3 missing\u{1b}[0m\n"));
        assert!(coloured.contains("\u{1b}[31m3 missing\u{1b}[0m: delivered"));
    }

    #[test]
    fn the_figures_hold_every_count() {
        let verification = pb::Verification {
            counts: Some(pb::VerificationCounts::default()),
            ..Default::default()
        };
        let json = as_json(&verification);
        // As Rust shows them: `VerificationCounts { delivered: 0, verified: 0, … }`.
        let counts = format!("{:?}", verification.counts.unwrap_or_default());
        let counts = counts.split_once("{ ").map_or("", |(_, counts)| counts);
        for count in counts.trim_end_matches(" }").split(", ") {
            let (name, value) = count.split_once(": ").unwrap_or_default();
            assert_eq!(json[name].to_string(), value, "{name}");
        }
    }
}
