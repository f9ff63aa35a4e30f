//! A gRPC status in words, with the `google.rpc` details that came with it.

use std::{collections::HashMap, error::Error, time::Duration};

use order_archiver_api::{REQUEST_ID, v1::ErrorReason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{commands, hint, report::Report, tls};
use crate::{exit::Exit, values::Address};

const IS_IT_RUNNING: &str = "is archd running? Start it with `archd`, or say where it is with --endpoint, ARCHCTL_ENDPOINT or a profile";

/// Whether asking again may help: the server is away for now, or the connection to it broke.
pub(crate) fn is_passing(status: &Status) -> bool {
    status.code() == Code::Unavailable
        || (is_unreachable(status) && !tls::is_fault(status))
        || cursor_to_come_back_with(status).is_some()
}

/// Where a reader whom the server gave up waiting for may go on.
pub(crate) fn cursor_to_come_back_with(status: &Status) -> Option<String> {
    if status.code() != Code::ResourceExhausted {
        return None;
    }
    status.get_details_error_info()?.metadata.remove("cursor")
}

/// What came with a refusal for this reason; nothing when there was another reason.
pub(crate) fn metadata(status: &Status, reason: ErrorReason) -> Option<HashMap<String, String>> {
    let info = status.get_details_error_info()?;
    let known = ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason));
    (known == Some(reason)).then_some(info.metadata)
}

/// Puts a status into words.
pub(super) fn report(status: &Status, endpoint: &Address, timeout: Duration) -> Report {
    let mut report = in_words(status, endpoint, timeout);
    let id = status.metadata().get(REQUEST_ID);
    if let Some(id) = id.and_then(|id| id.to_str().ok()) {
        let why = format!(
            "request id: {id}, which is on each line that the log of archd has of this call"
        );
        report.why.push(why);
    }
    report
}

fn in_words(status: &Status, endpoint: &Address, timeout: Duration) -> Report {
    let details = status.get_error_details();
    if is_deadline(status) {
        return Report {
            exit: Exit::Unreachable,
            what: format!("no answer from {endpoint} in time"),
            why: deadline_causes(status, timeout),
            hint: Some("asking again is safe; --timeout 60s waits longer".to_owned()),
        };
    }
    if is_unreachable(status) {
        return Report {
            exit: Exit::Unreachable,
            what: format!("archd at {endpoint} can't be reached"),
            why: vec![source_chain(status)],
            hint: tls::mend(status, endpoint)
                .or_else(|| tls::guess(status, endpoint))
                .or_else(|| Some(IS_IT_RUNNING.to_owned())),
        };
    }
    if is_foreign(status) {
        return Report {
            exit: Exit::Unreachable,
            what: format!("what answers at {endpoint} is not archd"),
            why: vec![status.message().to_owned()],
            hint: Some(
                "say where archd is with --endpoint, ARCHCTL_ENDPOINT or a profile".to_owned(),
            ),
        };
    }
    Report {
        exit: exit(status.code()),
        what: what(status),
        why: why(&details),
        hint: hint::of(status.code(), &details),
    }
}

/// tonic answers CANCELLED for a deadline of its own, on either side of the wire.
fn is_deadline(status: &Status) -> bool {
    status.code() == Code::DeadlineExceeded
        || (status.code() == Code::Cancelled && status.message() == "Timeout expired")
}

/// A status that has a source was made on this side: the server never spoke.
pub(crate) fn is_unreachable(status: &Status) -> bool {
    status.source().is_some() && !is_deadline(status)
}

/// tonic makes this status of an HTTP answer that is no gRPC.
fn is_foreign(status: &Status) -> bool {
    status.message().starts_with("grpc-status header missing")
        || status.message().starts_with("invalid compression flag")
}

fn deadline_causes(status: &Status, timeout: Duration) -> Vec<String> {
    match status.code() {
        Code::Cancelled => vec![format!(
            "it took longer than {}",
            humantime::format_duration(timeout)
        )],
        _ => vec![what(status)],
    }
}

fn exit(code: Code) -> Exit {
    match code {
        Code::InvalidArgument => Exit::Usage,
        Code::NotFound => Exit::NotFound,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => Exit::Unreachable,
        Code::Unauthenticated | Code::PermissionDenied => Exit::Denied,
        Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => Exit::Conflict,
        _ => Exit::Failure,
    }
}

/// What the server says; some servers and proxies say nothing but the code.
fn what(status: &Status) -> String {
    match status.message() {
        "" => status.code().description().to_lowercase(),
        message => commands::named(message),
    }
}

/// Every offending field and every condition that does not hold.
fn why(details: &ErrorDetails) -> Vec<String> {
    let fields = details
        .bad_request()
        .into_iter()
        .flat_map(|bad| &bad.field_violations);
    let conditions = details
        .precondition_failure()
        .into_iter()
        .flat_map(|failure| &failure.violations);
    fields
        .map(|violation| labelled(&violation.field, &violation.description))
        .chain(conditions.map(|violation| labelled(&violation.subject, &violation.description)))
        .collect()
}

fn labelled(label: &str, text: &str) -> String {
    let text = commands::named(text);
    if label.is_empty() {
        text
    } else {
        format!("{label}: {text}")
    }
}

/// The causes from the outside in, each once: neighbours in the chain like to repeat each other.
fn source_chain(status: &Status) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut source = status.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // tonic's outermost cause says no more than that there is one.
        if text != "transport error" && !causes.iter().any(|known| known.contains(&text)) {
            causes.push(text);
        }
        source = cause.source();
    }
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;
    use crate::values::address;

    fn told(status: &Status) -> Report {
        report(
            status,
            &address("archive.internal").unwrap(),
            Duration::from_secs(10),
        )
    }

    #[test]
    fn every_code_has_its_exit() {
        for (code, wanted) in [
            (Code::Unknown, Exit::Failure),
            (Code::Internal, Exit::Failure),
            (Code::Unimplemented, Exit::Failure),
            (Code::OutOfRange, Exit::Failure),
            (Code::Cancelled, Exit::Failure),
            (Code::InvalidArgument, Exit::Usage),
            (Code::NotFound, Exit::NotFound),
            (Code::Unavailable, Exit::Unreachable),
            (Code::DeadlineExceeded, Exit::Unreachable),
            (Code::ResourceExhausted, Exit::Unreachable),
            (Code::Unauthenticated, Exit::Denied),
            (Code::PermissionDenied, Exit::Denied),
            (Code::FailedPrecondition, Exit::Conflict),
            (Code::AlreadyExists, Exit::Conflict),
            (Code::Aborted, Exit::Conflict),
        ] {
            assert_eq!(told(&Status::new(code, "because")).exit, wanted, "{code:?}");
        }
    }

    #[test]
    fn every_bad_field_is_named() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("page_size", "must not be negative");
        details.add_bad_request_violation("archived_to", "is before archived_from");
        let status =
            Status::with_error_details(Code::InvalidArgument, "two fields are bad", details);
        assert_eq!(
            told(&status).to_string(),
            "two fields are bad\n  - page_size: must not be negative\n  - archived_to: is before archived_from"
        );
    }

    #[test]
    fn a_condition_that_fails_is_named_with_its_hint() {
        let mut details = ErrorDetails::new();
        details.add_precondition_failure_violation(
            "STATUS",
            "CMD-1",
            "status is en_cours, expected livrée",
        );
        details.set_error_info(
            "NOT_DELIVERED",
            "orderarchiver.v1",
            [("status".to_owned(), "en_cours".to_owned())],
        );
        let status =
            Status::with_error_details(Code::FailedPrecondition, "CMD-1 is not delivered", details);
        assert_eq!(
            told(&status).to_string(),
            "CMD-1 is not delivered\n  - CMD-1: status is en_cours, expected livrée\n\
             hint: it can be archived once it is delivered; `archctl tail` shows when it is, and `archctl orders why CMD-1` this order"
        );
    }

    #[test]
    fn nobody_is_told_to_wait_for_an_order_that_only_looks_delivered() {
        let metadata = [("near_miss".to_owned(), "CASE".to_owned())];
        let details = ErrorDetails::with_error_info("NOT_DELIVERED", "orderarchiver.v1", metadata);
        let status =
            Status::with_error_details(Code::FailedPrecondition, "it only looks so", details);
        let hint = told(&status).hint.unwrap();
        assert!(hint.starts_with("waiting does not help; `archctl stats --near-misses`"));
    }

    #[test]
    fn tonics_own_deadline_is_told_as_one() {
        let report = told(&Status::cancelled("Timeout expired"));
        assert_eq!(report.exit, Exit::Unreachable);
        assert_eq!(
            report.what,
            "no answer from http://archive.internal:50051 in time"
        );
        assert_eq!(report.why, ["it took longer than 10s"]);
    }

    #[test]
    fn a_transport_error_shows_its_causes() {
        let refused =
            std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let report = told(&Status::from_error(Box::new(refused)));
        assert_eq!(report.exit, Exit::Unreachable);
        assert_eq!(
            report.what,
            "archd at http://archive.internal:50051 can't be reached"
        );
        assert_eq!(report.why, ["connection refused"]);
        assert!(
            report
                .hint
                .is_some_and(|hint| hint.starts_with("is archd running?"))
        );
    }

    #[test]
    fn a_retry_delay_becomes_advice() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(2)));
        let report = told(&Status::with_error_details(
            Code::Unavailable,
            "the database is away",
            details,
        ));
        assert_eq!(report.hint.as_deref(), Some("try again in 2s"));
    }

    #[test]
    fn a_call_that_the_server_answered_is_named_as_in_its_log() {
        let mut status = Status::not_found("there is no order CMD-1");
        let id = "0198c0de-1";
        status
            .metadata_mut()
            .insert(REQUEST_ID, id.parse().unwrap());
        let report = told(&status);
        assert_eq!(
            report.to_string(),
            "there is no order CMD-1\n  - request id: 0198c0de-1, which is on each line that the log of archd has of this call"
        );
    }

    #[test]
    fn a_silent_status_still_says_something() {
        assert!(
            !told(&Status::new(Code::PermissionDenied, ""))
                .what
                .is_empty()
        );
    }
}
