//! Archived orders: as a table, and one as a card that says what is missing.

use order_archiver_api::v1::ArchivedOrder;

use super::{
    grid::{self, Fit},
    units::{bytes, euros, moment, moment_or_dash},
};

/// Archived orders, one a row.
pub(crate) fn table(orders: &[ArchivedOrder]) -> String {
    let header = [
        "NUMERO",
        "ARCHIVED",
        "CLIENT",
        "RESTAURANT",
        "COST",
        "MISSING",
    ];
    let rows = orders.iter().map(|order| {
        [
            order.numero_commande.clone(),
            moment_or_dash(order.date_archivage.as_ref()),
            or_other(order, "nom_client", order.nom_client.clone()),
            or_other(order, "nom_restaurant", order.nom_restaurant.clone()),
            or_other(
                order,
                "coût_commande",
                order.cout_commande.as_deref().map(euros),
            ),
            order.missing_fields.join(", "),
        ]
    });
    let fit = Fit {
        numbers: &["COST"],
        long: &["CLIENT", "RESTAURANT", "MISSING"],
        spare: &["RESTAURANT", "ARCHIVED", "CLIENT"],
    };
    grid::fitted(header, &fit, rows)
}

/// The eight fields by their names in the database, then how the order came here.
pub(crate) fn card(order: &ArchivedOrder) -> String {
    let fields = [
        ("nom_client", order.nom_client.clone()),
        ("email_client", order.email_client.clone()),
        ("nom_livreur", order.nom_livreur.clone()),
        ("nom_restaurant", order.nom_restaurant.clone()),
        ("nom_menu", order.nom_menu.clone()),
        ("prix_menu", order.prix_menu.as_deref().map(euros)),
        ("coût_commande", order.cout_commande.as_deref().map(euros)),
        ("date_commande", order.date_commande.as_ref().map(moment)),
    ]
    .map(|(name, value)| (name, value.unwrap_or_else(|| absence(order, name))));
    let complete = match order.missing_fields.as_slice() {
        [] if !order.incomplete => "yes".to_owned(),
        missing => format!("no, without {}", missing.join(", ")),
    };
    grid::card(
        std::iter::once(("numero_commande", order.numero_commande.clone()))
            .chain(fields)
            .chain([
                ("complete", complete),
                (
                    "date_archivage",
                    moment_or_dash(order.date_archivage.as_ref()),
                ),
                ("archived_by", order.archived_by.clone()),
                ("size", bytes(order.document_bytes)),
            ]),
    )
}

/// A field that is there but is not of the usual type is not missing: it is shown as it is, as
/// JSON.
fn absence(order: &ArchivedOrder, field: &str) -> String {
    if let Some(other) = other(order, field) {
        return other.to_owned();
    }
    let missing = order.missing_fields.iter().any(|missing| missing == field);
    let omitted = order.omitted_fields.iter().any(|omitted| omitted == field);
    if missing {
        "(missing)"
    } else if omitted {
        "(can't be shown here: see --output json)"
    } else {
        "(of another type: see --output json)"
    }
    .to_owned()
}

/// A value, or what stands in its place as JSON, or a dash.
fn or_other(order: &ArchivedOrder, field: &str, value: Option<String>) -> String {
    value.unwrap_or_else(|| other(order, field).unwrap_or("-").to_owned())
}

/// A value of another type than its field usually has, as JSON.
fn other<'o>(order: &'o ArchivedOrder, field: &str) -> Option<&'o str> {
    let mut others = order.other_values.iter();
    let other = others.find(|other| other.name == field)?;
    Some(&other.value_json)
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::OtherValue;
    use prost_types::Timestamp;

    use super::*;

    fn order() -> ArchivedOrder {
        ArchivedOrder {
            numero_commande: "CMD-2025-000001".to_owned(),
            nom_client: Some("Zoé Lefèvre".to_owned()),
            email_client: Some("zoe@example.fr".to_owned()),
            nom_livreur: None,
            nom_restaurant: Some("Chez Noé".to_owned()),
            nom_menu: Some("Bœuf bourguignon".to_owned()),
            prix_menu: None,
            cout_commande: Some("24.9".to_owned()),
            date_commande: None,
            incomplete: true,
            missing_fields: vec!["nom_livreur".to_owned()],
            date_archivage: Some(Timestamp {
                seconds: 1_760_624_625,
                nanos: 0,
            }),
            archived_by: "script v2.0".to_owned(),
            document_json: String::new(),
            document_bytes: 640,
            omitted_fields: vec!["date_commande".to_owned()],
            other_values: Vec::new(),
        }
    }

    #[test]
    fn a_value_of_another_type_is_shown_as_it_is() {
        let other = |name: &str, value_json: &str| OtherValue {
            name: name.to_owned(),
            value_json: value_json.to_owned(),
        };
        let odd = ArchivedOrder {
            nom_restaurant: None,
            cout_commande: None,
            other_values: vec![
                other("nom_restaurant", "[\"Chez\",7]"),
                other("coût_commande", "\"24,90\""),
                other("date_commande", "\"2025-10-16\""),
            ],
            ..order()
        };
        let card = card(&odd);
        for line in [
            "nom_restaurant   [\"Chez\",7]",
            "coût_commande    \"24,90\"",
            "date_commande    \"2025-10-16\"",
        ] {
            assert!(card.contains(line), "{card}");
        }
        let table = table(&[odd]);
        assert!(table.contains("[\"Chez\",7]  \"24,90\""), "{table}");
    }

    #[test]
    fn a_card_says_what_is_missing_and_what_is_odd() {
        assert_eq!(
            card(&order()),
            "\
numero_commande  CMD-2025-000001
nom_client       Zoé Lefèvre
email_client     zoe@example.fr
nom_livreur      (missing)
nom_restaurant   Chez Noé
nom_menu         Bœuf bourguignon
prix_menu        (of another type: see --output json)
coût_commande    24.90 €
date_commande    (can't be shown here: see --output json)
complete         no, without nom_livreur
date_archivage   2025-10-16 14:23:45Z
archived_by      script v2.0
size             640 B"
        );
    }

    #[test]
    fn a_table_has_a_row_for_each_order() {
        let bare = ArchivedOrder {
            numero_commande: "CMD-2".to_owned(),
            ..ArchivedOrder::default()
        };
        assert_eq!(
            table(&[order(), bare]),
            "\
NUMERO           ARCHIVED              CLIENT       RESTAURANT     COST  MISSING
CMD-2025-000001  2025-10-16 14:23:45Z  Zoé Lefèvre  Chez Noé    24.90 €  nom_livreur
CMD-2            -                     -            -                 -"
        );
    }
}
