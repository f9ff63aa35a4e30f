//! History that is gone: which events a tail can't show any more, and how to go on.

use order_archiver_api::v1::{ErrorReason, tail_events_request::Start};
use tonic::Status;

use super::place::Place;
use crate::{
    exit::Exit,
    fault::{Report, metadata},
    render::units::moment,
    shell, values,
};

/// Says what is lost when the history no longer reaches back to the place.
pub(super) fn report(status: &Status, place: &Place) -> Option<Report> {
    let metadata = metadata(status, ErrorReason::HistoryLost)?;
    let oldest = metadata.get("oldest_time");
    let from = match (&place.time, &place.start) {
        (Some(time), _) => format!("from {}", moment(time)),
        (None, Some(Start::Cursor(cursor))) => format!("after the cursor {cursor}"),
        _ => "before now".to_owned(),
    };
    let to = oldest.map_or_else(
        || "up to a moment that the server can't see".to_owned(),
        |oldest| {
            // The moment in the words of every other line, or in the server's own when it is no
            // moment.
            let oldest =
                values::moment(oldest).map_or_else(|_| oldest.clone(), |time| moment(&time));
            format!("to {oldest}")
        },
    );
    let hint = match oldest {
        Some(oldest) => format!(
            "`archctl tail --since {}` goes on with what is left, `archctl tail` from now",
            shell::word(oldest)
        ),
        None => "`archctl tail` goes on from now".to_owned(),
    };
    Some(Report {
        exit: Exit::Failure,
        what: "the database's history no longer reaches back to where this tail was".to_owned(),
        why: vec![
            format!("lost to this tail: every event {from} {to}"),
            "only the news is lost: `archctl stats` and `archctl orders list` show what was archived"
                .to_owned(),
        ],
        hint: Some(hint),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use prost_types::Timestamp;
    use tonic::Code;
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    fn status(oldest: Option<&str>) -> Status {
        let metadata: HashMap<String, String> = oldest
            .map(|oldest| ("oldest_time".to_owned(), oldest.to_owned()))
            .into_iter()
            .collect();
        let details = ErrorDetails::with_error_info("HISTORY_LOST", "orderarchiver.v1", metadata);
        Status::with_error_details(Code::OutOfRange, "the history is gone", details)
    }

    fn told(oldest: Option<&str>, place: &Place) -> String {
        report(&status(oldest), place).unwrap().to_string()
    }

    #[test]
    fn a_moment_bounds_what_is_lost() {
        let since = Timestamp {
            seconds: 1_760_624_625,
            nanos: 0,
        };
        assert_eq!(
            told(
                Some("2025-10-16T15:23:45Z"),
                &Place::new(Some(Start::SinceTime(since)))
            ),
            "\
the database's history no longer reaches back to where this tail was
  - lost to this tail: every event from 2025-10-16 14:23:45Z to 2025-10-16 15:23:45Z
  - only the news is lost: `archctl stats` and `archctl orders list` show what was archived
hint: `archctl tail --since 2025-10-16T15:23:45Z` goes on with what is left, `archctl tail` from now"
        );
    }

    #[test]
    fn what_is_not_known_is_not_claimed() {
        let place = Place::new(Some(Start::Cursor("c-1".to_owned())));
        let text = told(None, &place);
        assert!(
            text.contains("after the cursor c-1 up to a moment that the server can't see"),
            "{text}"
        );
        assert!(
            text.ends_with("hint: `archctl tail` goes on from now"),
            "{text}"
        );
    }

    #[test]
    fn another_refusal_is_no_loss() {
        assert_eq!(
            report(&Status::out_of_range("another"), &Place::new(None)),
            None
        );
    }
}
