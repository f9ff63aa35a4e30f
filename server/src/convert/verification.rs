//! Verifications, their options and their counts.

use bson::DateTime;
use order_archiver_api::v1 as pb;

use super::{
    job::{at_most, pace, warnings, whole_millis},
    time::{duration, timestamp},
};
use crate::{
    domain::verify::{
        class::Class,
        counts::Counts,
        plan::{Depth, Scope},
        verdict::Verdict,
    },
    store::{
        jobs::{limits::Limits, record::State},
        verifications::{
            options::{DEFAULT_SETTLE, Options},
            record::Verification,
        },
    },
};

/// The options of a request, once its violations have been checked.
pub(crate) fn verification_options(options: &pb::VerificationOptions) -> Options {
    Options {
        depth: match options.depth() {
            pb::VerificationDepth::Presence => Depth::Presence,
            pb::VerificationDepth::Unspecified | pb::VerificationDepth::Content => Depth::Content,
            pb::VerificationDepth::References => Depth::References,
        },
        scope: match options.scope() {
            pb::VerificationScope::Unspecified | pb::VerificationScope::Full => Scope::Full,
            pb::VerificationScope::Changes => Scope::Changes,
        },
        settle: whole_millis(options.settle.as_ref()).unwrap_or(DEFAULT_SETTLE),
        limits: Limits {
            max_orders_per_second: options.max_orders_per_second.and_then(at_most),
            max_replication_lag: whole_millis(options.max_replication_lag.as_ref()),
            max_write_latency: None,
        },
    }
}

fn options(options: &Options) -> pb::VerificationOptions {
    let Limits {
        max_orders_per_second,
        max_replication_lag,
        ..
    } = options.limits;
    pb::VerificationOptions {
        depth: match options.depth {
            Depth::Presence => pb::VerificationDepth::Presence,
            Depth::Content => pb::VerificationDepth::Content,
            Depth::References => pb::VerificationDepth::References,
        }
        .into(),
        scope: scope(options.scope).into(),
        settle: Some(duration(options.settle)),
        max_orders_per_second: max_orders_per_second
            .map(|most| i32::try_from(most).unwrap_or(i32::MAX)),
        max_replication_lag: max_replication_lag.map(duration),
    }
}

pub(crate) fn verification(verification: Verification, now: DateTime) -> pb::Verification {
    let (took, orders_per_second) = pace(&verification.head, verification.counts.delivered, now);
    let head = verification.head;
    pb::Verification {
        id: head.id,
        state: verification_state(head.state).into(),
        verdict: match verification.verdict {
            None => pb::Verdict::Unspecified,
            Some(Verdict::Verified) => pb::Verdict::Verified,
            Some(Verdict::NotVerified) => pb::Verdict::NotVerified,
        }
        .into(),
        verdict_text: verification.verdict_text,
        message: head.message,
        options: Some(options(&verification.options)),
        scope: scope(verification.scope).into(),
        scope_reason: verification.scope_reason,
        counts: Some(counts(&verification.counts)),
        estimated_total: head.estimated_total,
        as_of: verification.as_of.and_then(timestamp),
        create_time: timestamp(head.created),
        start_time: head.started.and_then(timestamp),
        end_time: head.ended.and_then(timestamp),
        update_time: timestamp(head.updated),
        instance: head.instance,
        request_id: head.request_id.unwrap_or_default(),
        warnings: warnings(head.warnings),
        examples: Vec::new(),
        duration: Some(duration(took)),
        orders_per_second,
        throttle: head.throttle,
        resumes: head.resumes,
        ledger_hash: verification.ledger_hash,
    }
}

fn counts(counts: &Counts) -> pb::VerificationCounts {
    pb::VerificationCounts {
        delivered: counts.delivered,
        verified: counts.verified,
        archived: counts.archived,
        missing: counts.of(Class::Missing),
        altered: counts.of(Class::Altered),
        doubled: counts.of(Class::Doubled),
        damaged: counts.of(Class::Damaged),
        acknowledged: counts.acknowledged,
        amended: counts.of(Class::Amended),
        orphaned: counts.of(Class::Orphaned),
        not_rebuildable: counts.of(Class::NotRebuildable),
        quarantined: counts.of(Class::Quarantined),
        near_misses: counts.of(Class::NearMiss),
        names_changed: counts.of(Class::NamesChanged),
    }
}

fn scope(scope: Scope) -> pb::VerificationScope {
    match scope {
        Scope::Full => pb::VerificationScope::Full,
        Scope::Changes => pb::VerificationScope::Changes,
    }
}

fn verification_state(state: State) -> pb::VerificationState {
    match state {
        State::Pending => pb::VerificationState::Pending,
        State::Running => pb::VerificationState::Running,
        State::Cancelling => pb::VerificationState::Cancelling,
        State::Succeeded => pb::VerificationState::Succeeded,
        State::Failed => pb::VerificationState::Failed,
        State::Cancelled => pb::VerificationState::Cancelled,
    }
}

/// The state of the contract as our own; none for the one that is not used.
pub(crate) fn state_of_verification(state: pb::VerificationState) -> Option<State> {
    let mut states = State::ALL.into_iter();
    states.find(|own| verification_state(*own) == state)
}
