//! What the log tells of a verification: how far it is, and what it says.

use tracing::{error, info, warn};

use crate::{
    domain::verify::{class::Class, counts::Counts, verdict::Verdict},
    store::{
        jobs::record::State,
        verifications::{progress::Ended, record::Verification},
    },
};

/// How far a verification is.
pub(super) fn progress(verification: &Verification) {
    let Counts {
        delivered,
        archived,
        ..
    } = verification.counts;
    let (total, throttle) = (
        verification.head.estimated_total,
        &verification.head.throttle,
    );
    info!(
        delivered,
        total, archived, throttle, "verification under way"
    );
}

/// A verdict that is not good is told as what it is: something that somebody has to see to.
pub(super) fn end(ended: &Ended) {
    let Counts {
        delivered,
        verified,
        archived,
        acknowledged,
        ..
    } = ended.counts;
    let ledger = &ended.ledger_hash;
    for warning in &ended.warnings {
        warn!("{warning}");
    }
    match &ended.verdict {
        Some((Verdict::Verified, text)) => {
            info!(
                delivered,
                verified, archived, acknowledged, ledger, "{text}"
            );
        }
        Some((Verdict::NotVerified, text)) => error!(
            delivered,
            verified,
            archived,
            acknowledged,
            ledger,
            differences = differences(&ended.counts),
            "{text}; `archctl verify differences latest` names them, `archctl verify repair` mends them"
        ),
        None if ended.state == State::Failed => {
            error!(
                delivered,
                archived, "verification failed: {}", ended.message
            );
        }
        None => info!(
            state = ended.state.name(),
            delivered, archived, "verification ended"
        ),
    }
}

/// How many differences there are of each class, in a line.
fn differences(counts: &Counts) -> String {
    let there = Class::ALL.into_iter().filter(|class| counts.of(*class) > 0);
    let told = there.map(|class| format!("{} {}", counts.of(class), class.name()));
    told.collect::<Vec<_>>().join(", ")
}
