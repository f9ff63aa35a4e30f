//! Whether all is well, on one line.

use order_archiver_api::{
    problems::Problem,
    progress,
    statistics::thousands,
    text::{cut, one_line},
    v1::{BatchState, GetStatsResponse, Verdict, WatcherState},
};
use tonic_health::pb::health_check_response::ServingStatus;

use super::{paint, units::whole_length, watcher};

/// Whether a server or one of its services can do its work.
pub(crate) fn serving(status: ServingStatus) -> String {
    paint::word(match status {
        ServingStatus::Serving => "serving",
        ServingStatus::NotServing => "not serving",
        ServingStatus::Unknown | ServingStatus::ServiceUnknown => "unknown",
    })
}

/// All that is wrong, or that nothing is and why that is believed, in at most so many columns.
pub(crate) fn line(
    stats: &GetStatsResponse,
    problems: &[Problem],
    columns: Option<usize>,
) -> String {
    let (verdict, story) = match problems {
        [] => ("ok", well(stats)),
        _ => {
            let texts: Vec<&str> = problems.iter().map(|one| one.text.as_str()).collect();
            ("not ok", texts.join("; "))
        }
    };
    let room = columns.map_or(usize::MAX, |most| most.saturating_sub(verdict.len() + 2));
    format!("{}: {}", paint::word(verdict), cut(&one_line(&story), room))
}

/// What is known while nothing is wrong.
pub(crate) fn well(stats: &GetStatsResponse) -> String {
    let watched = stats.watcher.as_ref().and_then(|watcher| {
        let words = match watcher.state() {
            WatcherState::Stopped => return None,
            _ => watcher::state(watcher),
        };
        Some(match &stats.watcher_lag {
            Some(lag) => format!("{words}, {} behind", whole_length(lag)),
            None => words,
        })
    });
    let batch = stats.last_batch.as_ref().map(|batch| match batch.state() {
        BatchState::Running | BatchState::Pending => format!("batch: {}", progress::line(batch)),
        _ => format!("latest batch {}", progress::state(batch)),
    });
    let verified = stats.last_verification.as_ref();
    let verified = verified.filter(|last| last.verdict() == Verdict::Verified);
    let archive = match stats.archive_size {
        1 => "1 order archived".to_owned(),
        orders => format!("{} orders archived", thousands(orders)),
    };
    let parts = [
        watched,
        Some(archive),
        batch,
        verified.map(|_| "VERIFIED".to_owned()),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use order_archiver_api::{
        problems::Kind,
        v1::{Batch, OrderCounts, Verification, Watcher},
    };
    use prost_types::Duration;

    use super::*;

    fn stats() -> GetStatsResponse {
        GetStatsResponse {
            archive_size: 999_900,
            watcher: Some(Watcher {
                state: WatcherState::Watching.into(),
                ..Watcher::default()
            }),
            watcher_lag: Some(Duration {
                seconds: 0,
                nanos: 5,
            }),
            last_batch: Some(Batch {
                state: BatchState::Succeeded.into(),
                ..Batch::default()
            }),
            last_verification: Some(Verification {
                verdict: Verdict::Verified.into(),
                ..Verification::default()
            }),
            ..GetStatsResponse::default()
        }
    }

    #[test]
    fn what_is_well_says_what_that_rests_on() {
        assert_eq!(
            line(&stats(), &[], None),
            "ok: watching, 0s behind, 999,900 orders archived, latest batch succeeded, VERIFIED"
        );
        let running = Batch {
            state: BatchState::Running.into(),
            counts: Some(OrderCounts {
                found: 10,
                ..OrderCounts::default()
            }),
            estimated_total: 40,
            ..Batch::default()
        };
        let batches_alone = GetStatsResponse {
            watcher: Some(Watcher {
                state: WatcherState::Stopped.into(),
                ..Watcher::default()
            }),
            watcher_lag: None,
            last_batch: Some(running),
            last_verification: None,
            ..stats()
        };
        assert_eq!(
            line(&batches_alone, &[], None),
            "ok: 999,900 orders archived, batch: 10 of 40 orders"
        );
    }

    #[test]
    fn what_is_wrong_is_told_alone_and_cut_to_the_screen() {
        let problem = |text: &str| Problem {
            kind: Kind::Watcher,
            text: text.to_owned(),
            remedy: String::new(),
        };
        let problems = [
            problem("nobody watches"),
            problem("6 orders are in quarantine"),
        ];
        assert_eq!(
            line(&stats(), &problems, None),
            "not ok: nobody watches; 6 orders are in quarantine"
        );
        let narrow = line(&stats(), &problems, Some(24));
        assert_eq!(narrow, "not ok: nobody watches;…");
    }
}
