//! What became of an order that was asked for, on one line.

use order_archiver_api::v1::{
    ArchiveFailure, ArchiveOrdersResponse, ArchiveOutcome, ArchiveResult,
    archive_orders_response::Answer,
};

use super::{
    paint,
    text::{one_line, words},
};

/// One answer of many.
pub(crate) fn answer(response: &ArchiveOrdersResponse) -> String {
    match &response.answer {
        Some(Answer::Result(done)) => result(done),
        Some(Answer::Failure(failed)) => failure(failed),
        None => "the server gave no answer".to_owned(),
    }
}

/// An order that is in the archive.
pub(crate) fn result(result: &ArchiveResult) -> String {
    let outcome = match result.outcome() {
        ArchiveOutcome::Duplicate => "already archived".to_owned(),
        outcome => words(outcome.as_str_name(), "ARCHIVE_OUTCOME_"),
    };
    let missing = match result.missing_fields.as_slice() {
        [] if result.incomplete => ", incomplete".to_owned(),
        [] => String::new(),
        fields => format!(", without {}", fields.join(", ")),
    };
    let (number, missing) = (one_line(&result.numero_commande), one_line(&missing));
    let outcome = match result.incomplete {
        true => paint::odd(&outcome),
        false => paint::word(&outcome),
    };
    format!("{number}  {outcome}{missing}")
}

fn failure(failure: &ArchiveFailure) -> String {
    let reason = if failure.reason.is_empty() {
        "failed".to_owned()
    } else {
        words(&failure.reason, "")
    };
    let (number, message) = (
        one_line(&failure.numero_commande),
        one_line(&failure.message),
    );
    format!("{number}  {}: {message}", paint::fault(&one_line(&reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_one_line() {
        let archived = ArchiveResult {
            numero_commande: "CMD-1".to_owned(),
            outcome: ArchiveOutcome::Archived.into(),
            ..ArchiveResult::default()
        };
        let incomplete = ArchiveResult {
            incomplete: true,
            missing_fields: vec!["nom_livreur".to_owned(), "prix_menu".to_owned()],
            ..archived.clone()
        };
        let duplicate = ArchiveResult {
            outcome: ArchiveOutcome::Duplicate.into(),
            ..archived.clone()
        };
        let failed = ArchiveFailure {
            numero_commande: "CMD\n2".to_owned(),
            code: 9,
            reason: "NOT_DELIVERED".to_owned(),
            message: "its status is en_cours".to_owned(),
        };
        for (told, wanted) in [
            (Some(Answer::Result(archived)), "CMD-1  archived"),
            (
                Some(Answer::Result(incomplete)),
                "CMD-1  archived, without nom_livreur, prix_menu",
            ),
            (Some(Answer::Result(duplicate)), "CMD-1  already archived"),
            (
                Some(Answer::Failure(failed)),
                "CMD\\n2  not delivered: its status is en_cours",
            ),
            (None, "the server gave no answer"),
        ] {
            assert_eq!(answer(&ArchiveOrdersResponse { answer: told }), wanted);
        }
    }
}
