//! Differences and acknowledgements, as tables.

use order_archiver_api::{
    progress::words,
    v1::{Acknowledgement, Difference},
    verification,
};

use super::{
    grid::{self, Fit},
    units::moment_or_dash,
};

/// Differences, one a row.
pub(crate) fn table(differences: &[Difference]) -> String {
    let header = [
        "CLASS",
        "NUMERO",
        "FIELDS",
        "DETAIL",
        "FIRST SEEN",
        "ACKNOWLEDGED",
        "ORDER ID",
        "ARCHIVE ID",
    ];
    let rows = differences.iter().map(|difference| {
        let acknowledgement = difference.acknowledgement.as_ref();
        [
            verification::class(difference),
            name(difference),
            difference.fields.join(", "),
            difference.detail.clone(),
            moment_or_dash(difference.first_seen.as_ref()),
            acknowledgement.map_or_else(String::new, |noted| {
                format!("by {}: {}", noted.by, noted.reason)
            }),
            difference.order_id_json.clone(),
            difference.archive_id_json.clone(),
        ]
    });
    let fit = Fit {
        numbers: &[],
        long: &["FIELDS", "DETAIL", "ACKNOWLEDGED"],
        spare: &[
            "ARCHIVE ID",
            "ORDER ID",
            "FIRST SEEN",
            "ACKNOWLEDGED",
            "FIELDS",
        ],
    };
    grid::fitted(header, &fit, rows)
}

/// What little there is room for among other things.
pub(crate) fn examples(differences: &[Difference]) -> String {
    let rows = differences.iter().map(|difference| {
        [
            verification::class(difference),
            name(difference),
            difference.fields.join(", "),
            difference.detail.clone(),
        ]
    });
    let fit = Fit {
        numbers: &[],
        long: &["FIELDS", "DETAIL"],
        spare: &["FIELDS"],
    };
    grid::fitted(["CLASS", "NUMERO", "FIELDS", "DETAIL"], &fit, rows)
}

/// What to call it: by its number, or else by an `_id`.
fn name(difference: &Difference) -> String {
    let names = [
        &difference.numero_commande,
        &difference.order_id_json,
        &difference.archive_id_json,
    ];
    let name = names.into_iter().find(|name| !name.is_empty());
    name.cloned().unwrap_or_else(|| "-".to_owned())
}

/// Acknowledgements, one a row.
pub(crate) fn acknowledgements(acknowledgements: &[Acknowledgement]) -> String {
    // `REASON` would be red, as why something failed.
    let header = ["NUMERO", "CLASS", "BY", "TIME", "WHY IT MAY STAY"];
    let rows = acknowledgements.iter().map(|noted| {
        [
            noted.numero_commande.clone(),
            words(noted.class().as_str_name(), "DIFFERENCE_CLASS_"),
            noted.by.clone(),
            moment_or_dash(noted.time.as_ref()),
            noted.reason.clone(),
        ]
    });
    let fit = Fit {
        numbers: &[],
        long: &["BY", "WHY IT MAY STAY"],
        spare: &["TIME", "BY"],
    };
    grid::fitted(header, &fit, rows)
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::DifferenceClass;
    use prost_types::Timestamp;

    use super::*;

    const NOW: Timestamp = Timestamp {
        seconds: 1_760_624_625,
        nanos: 0,
    };

    fn acknowledgement() -> Acknowledgement {
        Acknowledgement {
            numero_commande: "CMD-1".to_owned(),
            class: DifferenceClass::Altered.into(),
            reason: "corrected by hand".to_owned(),
            by: "marie".to_owned(),
            time: Some(NOW),
        }
    }

    #[test]
    fn a_difference_goes_by_its_number_or_else_by_an_id() {
        let altered = Difference {
            class: DifferenceClass::Altered.into(),
            numero_commande: "CMD-1".to_owned(),
            order_id_json: "1".to_owned(),
            archive_id_json: "1".to_owned(),
            fields: vec!["menu.prix".to_owned(), "notes".to_owned()],
            detail: "two fields differ".to_owned(),
            first_seen: Some(NOW),
            acknowledgement: Some(acknowledgement()),
        };
        let orphaned = Difference {
            class: DifferenceClass::Orphaned.into(),
            archive_id_json: "{\"$oid\":\"65f\"}".to_owned(),
            ..Difference::default()
        };
        assert_eq!(
            table(&[altered, orphaned]),
            "\
CLASS     NUMERO          FIELDS            DETAIL             FIRST SEEN            ACKNOWLEDGED                 ORDER ID  ARCHIVE ID
altered   CMD-1           menu.prix, notes  two fields differ  2025-10-16 14:23:45Z  by marie: corrected by hand  1         1
orphaned  {\"$oid\":\"65f\"}                                       -                                                            {\"$oid\":\"65f\"}"
        );
    }

    #[test]
    fn an_acknowledgement_says_who_when_and_why() {
        assert_eq!(
            acknowledgements(&[acknowledgement()]),
            "\
NUMERO  CLASS    BY     TIME                  WHY IT MAY STAY
CMD-1   altered  marie  2025-10-16 14:23:45Z  corrected by hand"
        );
    }
}
