//! Where every failure meets its gRPC code, and nowhere else. Each status carries what a program
//! needs to react.

use std::{collections::HashMap, sync::LazyLock, time::Duration};

use order_archiver_api::v1::ErrorReason;
use tokio::time::Instant;
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::{
    access::{identity::Unidentified, right::Right},
    convert::near_misses::kind_name,
    domain::{judge::Refusal, near_miss::NearMiss, text::cut},
    log_limit::LogLimit,
    pipeline::Outcome,
    store::{Error, jobs::ids::SHORTEST},
};

/// Who gives the reasons: `google.rpc.ErrorInfo.domain`.
const DOMAIN: &str = "orderarchiver.v1";
/// How often the log tells of calls that fail for what somebody has to mend: callers may ask at any
/// rate.
static FAILED_CALLS: LazyLock<LogLimit> =
    LazyLock::new(|| LogLimit::new(5, Duration::from_secs(60)));

/// The trailer that repeats the reason.
const REASON: &str = "error-reason";
/// When a caller should try again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The longest message, in bytes. It travels twice in the headers, escaped, and many clients take 8
/// KiB of headers in all.
const LONGEST_MESSAGE: usize = 1_024;
/// The most of a message that the violation of a precondition repeats, in bytes.
const LONGEST_DESCRIPTION: usize = 256;

/// The status of a failure of the database.
pub(crate) fn of_error(error: &Error) -> Status {
    match error {
        Error::Unavailable(_) | Error::Timeout(_) | Error::Slow { .. } | Error::NotReady { .. } => {
            retry(
                Code::Unavailable,
                ErrorReason::DatabaseUnavailable,
                format!("{error}; try again in a moment"),
            )
        }
        Error::Denied { command } => {
            let details = info(
                ErrorReason::DatabasePrivilege,
                [("action", command.as_str())],
            );
            detailed(Code::PermissionDenied, error.to_string(), details)
        }
        Error::ReplicaSetRequired => precondition(
            ErrorReason::ReplicaSetRequired,
            "database",
            error.to_string(),
            [],
        ),
        Error::HistoryLost => history_lost(None),
        Error::BadPlace { .. } => bad_cursor(),
        Error::State(fault) => {
            let reason = match fault.is_newer() {
                true => ErrorReason::StateNewer,
                false => ErrorReason::StateUnreadable,
            };
            let name = fault.name();
            precondition(reason, &name, error.to_string(), [("document", &name)])
        }
        // Somebody has to mend this, so no program is to ask again by itself.
        Error::Unauthenticated
        | Error::ArchiveUnfit(_)
        | Error::Unusable(_)
        | Error::Refused { .. }
        | Error::IsView { .. } => {
            if let Some(left_out) = FAILED_CALLS.admit(Instant::now()) {
                tracing::error!(%error, left_out, "a call failed");
            }
            precondition(
                ErrorReason::DatabaseUnusable,
                "database",
                error.to_string(),
                [],
            )
        }
    }
}

/// A caller who waits for less is told of the deadline: a sound database may take as long for an
/// answer.
const SHORT_DEADLINE: Duration = Duration::from_secs(1);

/// The database did not answer within the caller's deadline, or the server's own limit for a call.
pub(crate) fn too_slow(limit: Duration, is_the_callers: bool) -> Status {
    if is_the_callers && limit < SHORT_DEADLINE {
        return detailed(
            Code::DeadlineExceeded,
            format!(
                "there was no answer within {limit:.1?}, nine tenths of the deadline; asking again, with a longer one, is safe"
            ),
            info(ErrorReason::Deadline, []),
        );
    }
    retry(
        Code::Unavailable,
        ErrorReason::DatabaseUnavailable,
        format!("the database did not answer within {limit:.1?}; asking again is safe"),
    )
}

/// The server is stopping.
pub(crate) fn stopping() -> Status {
    retry(
        Code::Unavailable,
        ErrorReason::Stopping,
        "the server is stopping; ask again, another instance or this one will answer".to_owned(),
    )
}

/// Nobody is known by what the call shows.
pub(crate) fn unidentified(why: Unidentified) -> Status {
    detailed(
        Code::Unauthenticated,
        format!(
            "{why}; send a token of archd's in the metadata `authorization: Bearer …`, or connect with a client certificate (archctl: --token-file, or --cert and --key)"
        ),
        info(ErrorReason::Unauthenticated, []),
    )
}

/// Whoever makes the call lacks this right.
pub(crate) fn lacks(right: Right) -> Status {
    detailed(
        Code::PermissionDenied,
        format!("this call needs the right `{right}`, which its caller does not have"),
        info(ErrorReason::PermissionDenied, [("right", right.into())]),
    )
}

/// A call that may not go unnoted could not be noted.
pub(crate) fn unaudited(error: &Error) -> Status {
    let status = of_error(error);
    let message = format!(
        "nothing was done, as the audit log can't be written: {}",
        status.message()
    );
    Status::with_error_details_and_metadata(
        status.code(),
        bounded(message),
        status.get_error_details(),
        status.metadata().clone(),
    )
}

/// A fault of the server itself.
pub(crate) fn internal() -> Status {
    detailed(
        Code::Internal,
        "a fault of the server; its log says more",
        info(ErrorReason::Internal, []),
    )
}

/// What the transport says of its own accord, in the form that every error has here.
pub(crate) fn of_transport(status: Status) -> Status {
    let reason = match status.code() {
        // tonic says so of a message over its size limit, which is over it however often it is
        // sent.
        Code::OutOfRange | Code::ResourceExhausted => {
            return detailed(
                Code::ResourceExhausted,
                status.message(),
                info(ErrorReason::LimitReached, []),
            );
        }
        Code::Unimplemented => ErrorReason::NotYetAvailable,
        Code::Internal => ErrorReason::Internal,
        _ => return status,
    };
    detailed(status.code(), status.message(), info(reason, []))
}

/// The same status with the id of its call among its details.
pub(super) fn with_request_id(status: Status, request_id: &str) -> Status {
    let mut details = status.get_error_details();
    details.set_request_info(request_id, "");
    Status::with_error_details_and_metadata(
        status.code(),
        status.message(),
        details,
        status.metadata().clone(),
    )
}

/// The rest of a request did not arrive.
pub(crate) fn request_too_slow(limit: Duration) -> Status {
    detailed(
        Code::DeadlineExceeded,
        format!("the rest of the request did not arrive within {limit:?}; nothing was done"),
        info(ErrorReason::Deadline, []),
    )
}

/// Nothing happens on a stream of orders.
pub(crate) fn stream_idle(limit: Duration) -> Status {
    detailed(
        Code::DeadlineExceeded,
        format!(
            "nothing was asked for {limit:?}; each request has been answered, open another stream for more"
        ),
        info(ErrorReason::Deadline, []),
    )
}

/// The messages of a stream are not read.
pub(crate) fn not_read(patience: Duration) -> Status {
    limit_reached(format!("nothing was read for {patience:?}; call again"))
}

/// Too many at once.
pub(crate) fn limit_reached(what: String) -> Status {
    retry(Code::ResourceExhausted, ErrorReason::LimitReached, what)
}

/// A reader of events has left its messages unread; `cursor` is where it can go on.
pub(crate) fn reader_too_slow(patience: Duration, cursor: &str) -> Status {
    let mut details = info(ErrorReason::LimitReached, [("cursor", cursor)]);
    details.set_retry_info(Some(RETRY_DELAY));
    detailed(
        Code::ResourceExhausted,
        format!("nothing was read for {patience:?}; tail again from the last cursor"),
        details,
    )
}

/// The history ends before what was asked for; `oldest` is how far it reaches.
pub(crate) fn history_lost(oldest: Option<&str>) -> Status {
    let reach = oldest.map_or(String::new(), |oldest| {
        format!("; it reaches back to {oldest}")
    });
    let message = format!(
        "the database's history no longer reaches back that far{reach}; tail from there or from now, and read what is missing from the archive"
    );
    let details = match oldest {
        Some(oldest) => info(ErrorReason::HistoryLost, [("oldest_time", oldest)]),
        None => info(ErrorReason::HistoryLost, []),
    };
    detailed(Code::OutOfRange, message, details)
}

/// A cursor that is no place in this database's history.
pub(crate) fn bad_cursor() -> Status {
    let mut violations = Violations::default();
    violations.check_for(
        ErrorReason::InvalidCursor,
        false,
        "cursor",
        "is no cursor of this database; begin without it, or with a since_time",
    );
    violations.into_result().err().unwrap_or_else(stopping)
}

/// Nothing has that name.
pub(crate) fn not_found(kind: &str, name: &str, message: String) -> Status {
    let mut details = info(ErrorReason::NotFound, []);
    details.set_resource_info(kind, name, "", message.clone());
    detailed(Code::NotFound, message, details)
}

/// What was asked is not possible as things are.
pub(crate) fn precondition<const N: usize>(
    reason: ErrorReason,
    subject: &str,
    message: String,
    metadata: [(&str, &str); N],
) -> Status {
    let message = bounded(message);
    let description = cut(&message, LONGEST_DESCRIPTION);
    let mut details = info(reason, metadata);
    details.add_precondition_failure_violation(name(reason), subject, description);
    detailed(Code::FailedPrecondition, message, details)
}

/// The request id belongs to another request.
pub(crate) fn request_id_reused(request_id: &str) -> Status {
    let message =
        format!("request_id {request_id:?} was used with other options; choose a new one");
    detailed(
        Code::AlreadyExists,
        message,
        info(ErrorReason::RequestIdReused, [("request_id", request_id)]),
    )
}

/// There is no job of this kind and id, or none whose id begins so.
pub(crate) fn no_job(kind: &str, list: &str, id: &str) -> Status {
    not_found(
        kind,
        id,
        format!(
            "there is no {kind} {id}; {list} shows those that there are, and the first {SHORTEST} \
             characters or more of an id will do"
        ),
    )
}

/// A job that has ended can't be changed.
pub(crate) fn job_ended(reason: ErrorReason, kind: &str, id: &str) -> Status {
    precondition(reason, id, format!("{kind} {id} has ended already"), [])
}

/// An order that was met and is not in the archive under its number.
pub(crate) fn of_outcome(numero: &str, outcome: &Outcome) -> Option<Status> {
    match outcome {
        Outcome::Archived(_) | Outcome::Duplicate(_) => None,
        Outcome::NotDelivered {
            near_miss: Some(miss),
            ..
        } => Some(looks_delivered(numero, miss)),
        Outcome::NotDelivered {
            status,
            near_miss: None,
        } => Some(precondition(
            ErrorReason::NotDelivered,
            numero,
            format!(
                "order {numero} is not delivered: its status is {status}; it will be archived once it is"
            ),
            [("status", status)],
        )),
        Outcome::Quarantined {
            entry,
            refusal: Refusal { reason, detail },
            ..
        } => Some(precondition(
            ErrorReason::Quarantined,
            numero,
            format!("order {numero} is in quarantine as {entry}: {detail}"),
            [
                ("quarantine_id", entry),
                ("quarantine_reason", reason.name()),
            ],
        )),
    }
}

/// An order that nobody need wait for: its status only looks like the delivered one.
fn looks_delivered(numero: &str, miss: &NearMiss) -> Status {
    let said = format!(
        "order {numero} is not delivered: its status {} only looks like the delivered one ({}), and it is not archived before somebody mends that",
        miss.escaped(),
        miss.difference
    );
    let with_mend = format!("{said}; mend: {}", miss.mend);
    let message = match miss.mend.is_empty() || with_mend.len() > LONGEST_MESSAGE {
        true => format!("{said}; GetStats with include_near_misses lists such statuses"),
        false => with_mend,
    };
    let kind = miss.kind.map_or("", kind_name);
    let metadata = [("status", miss.status.as_str()), ("near_miss", kind)];
    precondition(ErrorReason::NotDelivered, numero, message, metadata)
}

/// The reason that a status gives, without its prefix.
pub(crate) fn reason_of(status: &Status) -> String {
    status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default()
}

/// Everything that is wrong with the fields of a request, to be told at once.
#[derive(Default)]
pub(crate) struct Violations {
    found: Vec<FieldViolation>,
    reason: Option<ErrorReason>,
}

impl Violations {
    /// Notes what is wrong with a field, and how to mend it, unless it is all right.
    pub(crate) fn check(
        &mut self,
        all_right: bool,
        field: &str,
        mend: impl Into<String>,
    ) -> &mut Self {
        if !all_right {
            self.found.push(FieldViolation::new(field, mend));
        }
        self
    }

    /// The same, for a fault that has a reason of its own.
    pub(crate) fn check_for(
        &mut self,
        reason: ErrorReason,
        all_right: bool,
        field: &str,
        mend: impl Into<String>,
    ) -> &mut Self {
        if !all_right {
            self.reason = Some(reason);
        }
        self.check(all_right, field, mend)
    }

    /// Notes a text of more than so many bytes.
    pub(crate) fn check_length(&mut self, field: &str, text: &str, most: usize) -> &mut Self {
        let length = text.len();
        self.check(
            length <= most,
            field,
            format!("must be at most {most} bytes, not {length}"),
        )
    }

    /// Notes a page token that was altered, or belongs to a list with other filters.
    pub(crate) fn check_page_token(&mut self, all_right: bool) -> &mut Self {
        self.check_for(
            ErrorReason::InvalidPageToken,
            all_right,
            "page_token",
            "is not the next_page_token of a list with these filters; begin without it",
        )
    }

    /// An error that names every field with a fault.
    pub(crate) fn into_result(self) -> Result<(), Status> {
        if self.found.is_empty() {
            return Ok(());
        }
        let faults: Vec<String> = self
            .found
            .iter()
            .map(|fault| format!("{} {}", fault.field, fault.description))
            .collect();
        let mut details = info(self.reason.unwrap_or(ErrorReason::InvalidField), []);
        details.set_bad_request(self.found);
        Err(detailed(Code::InvalidArgument, faults.join("; "), details))
    }
}

/// A status with its details. Their reason also travels as a text of its own, for clients that have
/// no use for the rest.
fn detailed(code: Code, message: impl Into<String>, details: ErrorDetails) -> Status {
    let reason = details.error_info().map(|info| info.reason.parse());
    let mut metadata = MetadataMap::new();
    if let Some(Ok(reason)) = reason {
        metadata.insert(REASON, reason);
    }
    Status::with_error_details_and_metadata(code, message, details, metadata)
}

/// One field of a request is at fault.
pub(crate) fn bad_field(field: &str, mend: impl Into<String>) -> Status {
    let mut violations = Violations::default();
    violations.check(false, field, mend);
    violations.into_result().err().unwrap_or_else(internal)
}

fn retry(code: Code, reason: ErrorReason, message: String) -> Status {
    let mut details = info(reason, []);
    details.set_retry_info(Some(RETRY_DELAY));
    detailed(code, bounded(message), details)
}

/// A message that is not too long for headers.
fn bounded(message: String) -> String {
    if message.len() <= LONGEST_MESSAGE {
        return message;
    }
    // A command that is cut in the middle mends nothing.
    let said = message
        .split_once("; mend: ")
        .map_or(message.as_str(), |(said, _)| said);
    let said = cut(said, LONGEST_MESSAGE);
    format!("{said}; `archd check` says all of it and what mends it")
}

fn info<const N: usize>(reason: ErrorReason, metadata: [(&str, &str); N]) -> ErrorDetails {
    let metadata: HashMap<String, String> = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    ErrorDetails::with_error_info(name(reason), DOMAIN, metadata)
}

fn name(reason: ErrorReason) -> &'static str {
    reason.as_str_name().trim_start_matches("ERROR_REASON_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::near_miss_kind::Kind;

    #[test]
    fn a_short_deadline_is_no_fault_of_the_database() {
        for (millis, is_the_callers, code) in [
            (8, true, Code::DeadlineExceeded),
            (999, true, Code::DeadlineExceeded),
            (999, false, Code::Unavailable),
            (1_000, true, Code::Unavailable),
            (9_000, true, Code::Unavailable),
        ] {
            let status = too_slow(Duration::from_millis(millis), is_the_callers);
            assert_eq!(status.code(), code, "{millis} ms");
            assert_eq!(
                status.get_details_retry_info().is_some(),
                code == Code::Unavailable
            );
        }
    }

    #[test]
    fn the_headers_of_a_status_stay_below_8_kib_however_much_there_is_to_say() {
        let long = |part: &str| part.repeat(10_000 / part.len());
        for text in [long("{ é } "), long("x"), format!("a; mend: {}", long("y"))] {
            for error in [
                Error::Unusable(text.clone()),
                Error::Unavailable(text.clone()),
            ] {
                let status = of_error(&error);
                assert!(status.message().contains("`archd check`"), "{status:?}");
                assert!(!status.message().contains("yy"), "{status:?}");
                let response = status.into_http::<()>();
                let headers = response.headers().iter();
                let size: usize = headers
                    .map(|(name, value)| name.as_str().len() + value.len() + 32)
                    .sum();
                assert!(size < 8 * 1024, "{size}");
            }
        }
        let short = of_error(&Error::Unusable("a; mend: b".to_owned()));
        assert_eq!(short.metadata().get(REASON).unwrap(), "DATABASE_UNUSABLE");
        assert!(short.message().ends_with("a; mend: b"), "{short:?}");
    }

    #[test]
    fn nobody_is_told_to_wait_for_an_order_that_only_looks_delivered() {
        let told = |mend: &str, status: &str| {
            let miss = NearMiss {
                status: status.to_owned(),
                kind: Some(Kind::AccentForm),
                difference: "decomposed accent: e + U+0301".to_owned(),
                mend: mend.to_owned(),
                ..NearMiss::default()
            };
            let outcome = Outcome::NotDelivered {
                status: miss.status.clone(),
                near_miss: Some(Box::new(miss)),
            };
            of_outcome(&"é".repeat(128), &outcome).unwrap()
        };
        let status = told("db.x()", "\"livre\u{301}e\"");
        assert!(status.message().contains(r#"status "livre\u0301e" only"#));
        assert!(status.message().ends_with("; mend: db.x()"), "{status:?}");
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "NOT_DELIVERED");
        assert_eq!(info.metadata["near_miss"], "ACCENT_FORM");
        // The longest there are.
        for mend in ["", &"m".repeat(1_024)] {
            let status = told(mend, &"\u{301}".repeat(128));
            assert!(status.message().ends_with("lists such statuses"));
            let headers = status.into_http::<()>();
            let headers = headers.headers().iter();
            let size: usize = headers
                .map(|(name, value)| name.as_str().len() + value.len() + 32)
                .sum();
            assert!(size < 8 * 1024, "{size}");
        }
    }
}
