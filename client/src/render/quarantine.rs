//! Quarantined orders: as a table, a card, a line, and what a retry came to.

use order_archiver_api::{
    statistics::thousands,
    v1::{QuarantineEntry, Release, ReleaseCause, RetryResult},
};

use super::{
    grid::{self, Fit},
    ids,
    text::{by_whom, words},
    units::{bytes, moment_or_dash},
};

/// Quarantined orders, one a row.
pub(crate) fn table(entries: &[QuarantineEntry]) -> String {
    let header = ["ID", "NUMERO", "REASON", "ATTEMPTS", "LAST SEEN"];
    let length = ids::length(entries.iter().map(|entry| entry.id.as_str()));
    let rows = entries.iter().map(|entry| {
        [
            ids::short(&entry.id, length),
            number(entry),
            reason(entry),
            thousands(entry.attempts.into()),
            moment_or_dash(entry.last_seen_time.as_ref()),
        ]
    });
    let fit = Fit {
        numbers: &["ATTEMPTS"],
        long: &["NUMERO"],
        spare: &["ATTEMPTS", "LAST SEEN", "NUMERO"],
    };
    grid::fitted(header, &fit, rows)
}

/// Everything about one entry but the order's own document.
pub(crate) fn card(entry: &QuarantineEntry) -> String {
    grid::card([
        ("ID", entry.id.clone()),
        ("Order", entry.order_id_json.clone()),
        ("Numero", number(entry)),
        ("Reason", reason(entry)),
        ("Detail", entry.detail.clone()),
        ("Attempts", thousands(entry.attempts.into())),
        ("First seen", moment_or_dash(entry.first_seen_time.as_ref())),
        ("Last seen", moment_or_dash(entry.last_seen_time.as_ref())),
        ("Size", bytes(entry.document_bytes)),
    ])
}

/// One entry on a line, under its id or the beginning of that.
pub(crate) fn line(entry: &QuarantineEntry, id: &str) -> String {
    format!(
        "{}  {id}  {}: {}",
        number(entry),
        reason(entry),
        entry.detail
    )
}

/// That an order leaves the quarantine, and why.
pub(crate) fn release_story(entry: &QuarantineEntry, id: &str, release: &Release) -> String {
    let whom = || by_whom(&release.peer, &release.instance);
    let why = match (release.cause(), release.instance.is_empty()) {
        (ReleaseCause::Archived, true) => "in the archive by now".to_owned(),
        (ReleaseCause::Archived, false) => format!("archived, tried again {}", whom()),
        (_, true) => "dropped".to_owned(),
        (_, false) => format!("dropped {}", whom()),
    };
    format!("{}  {id}  {why}", number(entry))
}

/// What became of each entry that was tried again.
pub(crate) fn retried(results: &[RetryResult]) -> String {
    let length = ids::length(results.iter().map(|result| result.id.as_str()));
    let rows = results.iter().map(|result| {
        [
            ids::short(&result.id, length),
            words(result.outcome().as_str_name(), "RETRY_OUTCOME_"),
            result.detail.clone(),
        ]
    });
    grid::table(["ID", "OUTCOME", "DETAIL"], &[], rows)
}

fn number(entry: &QuarantineEntry) -> String {
    entry
        .numero_commande
        .clone()
        .unwrap_or_else(|| "-".to_owned())
}

fn reason(entry: &QuarantineEntry) -> String {
    words(entry.reason().as_str_name(), "QUARANTINE_REASON_")
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::{QuarantineReason, RetryOutcome};

    use super::*;

    fn entry() -> QuarantineEntry {
        QuarantineEntry {
            id: "q-1".to_owned(),
            order_id_json: "{\"$oid\":\"65f\"}".to_owned(),
            reason: QuarantineReason::NoUsableNumber.into(),
            detail: "numero_commande is null: give it one".to_owned(),
            attempts: 3,
            document_bytes: 2_048,
            ..QuarantineEntry::default()
        }
    }

    #[test]
    fn an_entry_as_row_and_card() {
        assert_eq!(
            table(&[entry()]),
            "\
ID   NUMERO  REASON            ATTEMPTS  LAST SEEN
q-1  -       no usable number         3  -"
        );
        assert_eq!(
            card(&entry()),
            "\
ID          q-1
Order       {\"$oid\":\"65f\"}
Numero      -
Reason      no usable number
Detail      numero_commande is null: give it one
Attempts    3
First seen  -
Last seen   -
Size        2.0 KiB"
        );
    }

    #[test]
    fn a_retry_says_what_it_came_to() {
        let result = RetryResult {
            id: "q-1".to_owned(),
            outcome: RetryOutcome::StillQuarantined.into(),
            detail: "still no number".to_owned(),
        };
        assert_eq!(
            retried(&[result]),
            "ID   OUTCOME            DETAIL\nq-1  still quarantined  still no number"
        );
    }
}
