//! What to do about a refusal, by its reason.

use std::time::Duration;

use order_archiver_api::v1::ErrorReason;
use tonic::Code;
use tonic_types::ErrorDetails;

use crate::shell;

/// The next step, when there is one that the server's own message can't know.
pub(super) fn of(code: Code, details: &ErrorDetails) -> Option<String> {
    by_reason(details)
        .or_else(|| retry(details))
        .or_else(|| by_code(code))
}

fn by_reason(details: &ErrorDetails) -> Option<String> {
    let info = details.error_info()?;
    if let Some(hint) = not_archived(details) {
        return Some(hint);
    }
    let hint = match ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason))? {
        ErrorReason::NotDelivered if info.metadata.contains_key("near_miss") => {
            return Some(format!(
                "waiting does not help; `archctl stats --near-misses` lists such statuses with the commands that mend them{}",
                why(details)
            ));
        }
        ErrorReason::NotDelivered => {
            return Some(format!(
                "it can be archived once it is delivered; `archctl tail` shows when it is{}",
                why(details)
            ));
        }
        ErrorReason::Quarantined => {
            let id = info.metadata.get("quarantine_id")?;
            return Some(format!("`archctl quarantine show {id}` shows why"));
        }
        ErrorReason::SimulationOff => {
            "seed data belongs to a simulation; ask an archd that runs as one"
        }
        ErrorReason::CollectionNotEmpty => "--append writes beside the data that is there",
        ErrorReason::BatchEnded => "`archctl batch list` shows how batches ended",
        ErrorReason::VerificationEnded => "`archctl verify list` shows how verifications ended",
        ErrorReason::NotConfirmed => {
            "--yes with --reason TEXT replaces them; each document that is replaced is kept"
        }
        ErrorReason::RequestIdReused => {
            "choose another --request-id, or repeat the first command exactly"
        }
        ErrorReason::InvalidPageToken => "run the command again from the first page",
        ErrorReason::InvalidCursor => {
            "`archctl tail` starts from now, and `archctl tail --since 10m` a while ago"
        }
        ErrorReason::WatcherOff => {
            "start an archd with its watcher on; `archctl batch start` archives what is delivered by now"
        }
        ErrorReason::DatabasePrivilege => {
            "`archd check` names every missing privilege with its fix"
        }
        ErrorReason::Unauthenticated => {
            "`archctl auth token new` makes a token, and the line by which archd knows it"
        }
        ErrorReason::PermissionDenied => {
            "whoever keeps the file of ARCHD_AUTH_FILE can give the right"
        }
        ErrorReason::ReplicaSetRequired => "`archd check` says how to make a replica set of it",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Whoever looks for an order in the archive wants to know why it is not there.
fn not_archived(details: &ErrorDetails) -> Option<String> {
    let resource = details.resource_info()?;
    (resource.resource_type == "archived order").then(|| {
        format!(
            "`archctl orders why {}` says where it stands, and what to do",
            shell::word(&resource.resource_name)
        )
    })
}

/// Where to look at the order that a condition fails for.
fn why(details: &ErrorDetails) -> String {
    let failure = details.precondition_failure();
    let subject = failure.and_then(|failure| failure.violations.first());
    subject.map_or_else(String::new, |violation| {
        let number = shell::word(&violation.subject);
        format!(", and `archctl orders why {number}` this order")
    })
}

fn retry(details: &ErrorDetails) -> Option<String> {
    let delay = details.retry_info()?.retry_delay?;
    // Nobody waits for nanoseconds: the next whole second is soon enough.
    let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
    Some(format!(
        "try again in {}",
        humantime::format_duration(Duration::from_secs(seconds.max(1)))
    ))
}

fn by_code(code: Code) -> Option<String> {
    let hint = match code {
        Code::Unavailable => "try again in a moment",
        Code::Unimplemented => {
            "this archd does not have it; archctl and archd may be of different releases"
        }
        Code::Internal | Code::Unknown | Code::DataLoss => "the log of archd holds the cause",
        _ => return None,
    };
    Some(hint.to_owned())
}
