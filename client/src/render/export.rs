//! An archived order as a line of CSV (RFC 4180): every value as it is, for programs.

use chrono::{DateTime, SecondsFormat};
use order_archiver_api::v1::ArchivedOrder;
use prost_types::Timestamp;

/// The names of the columns: those of the database.
pub(crate) const HEADER: [&str; 13] = [
    "numero_commande",
    "date_commande",
    "nom_client",
    "email_client",
    "nom_livreur",
    "nom_restaurant",
    "nom_menu",
    "prix_menu",
    "coût_commande",
    "incomplete",
    "missing_fields",
    "date_archivage",
    "archived_by",
];

/// The values of an order. A field that is null or absent is empty; a value of another type is its
/// Extended JSON.
pub(crate) fn row(order: &ArchivedOrder) -> [String; 13] {
    let other = |name: &str| {
        let mut others = order.other_values.iter();
        let other = others.find(|other| other.name == name);
        other.map_or_else(String::new, |other| other.value_json.clone())
    };
    let or_other =
        |name: &str, value: &Option<String>| value.clone().unwrap_or_else(|| other(name));
    let date_or_other = |name: &str, date: &Option<Timestamp>| {
        date.as_ref()
            .and_then(rfc3339)
            .unwrap_or_else(|| other(name))
    };
    let archived_by = Some(order.archived_by.clone()).filter(|by| !by.is_empty());
    [
        order.numero_commande.clone(),
        date_or_other("date_commande", &order.date_commande),
        or_other("nom_client", &order.nom_client),
        or_other("email_client", &order.email_client),
        or_other("nom_livreur", &order.nom_livreur),
        or_other("nom_restaurant", &order.nom_restaurant),
        or_other("nom_menu", &order.nom_menu),
        or_other("prix_menu", &order.prix_menu),
        or_other("coût_commande", &order.cout_commande),
        order.incomplete.to_string(),
        order.missing_fields.join(" "),
        date_or_other("date_archivage", &order.date_archivage),
        or_other("archived_by", &archived_by),
    ]
}

fn rfc3339(time: &Timestamp) -> Option<String> {
    let nanos = u32::try_from(time.nanos).ok()?;
    let time = DateTime::from_timestamp(time.seconds, nanos)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::OtherValue;

    use super::*;

    #[test]
    fn a_line_has_every_value_as_it_is() {
        let order = ArchivedOrder {
            numero_commande: "CMD-1".to_owned(),
            nom_client: Some("Zoé \"la\" Martin,\nfille".to_owned()),
            cout_commande: Some("24.90".to_owned()),
            date_commande: Some(Timestamp {
                seconds: 1_760_624_625,
                nanos: 7_000_000,
            }),
            incomplete: true,
            missing_fields: vec!["nom_livreur".to_owned(), "nom_menu".to_owned()],
            archived_by: "script v2.0".to_owned(),
            other_values: vec![OtherValue {
                name: "prix_menu".to_owned(),
                value_json: "\"12,50\"".to_owned(),
            }],
            ..ArchivedOrder::default()
        };
        let mut lines = csv::Writer::from_writer(Vec::new());
        lines.write_record(row(&order)).unwrap();
        let line = String::from_utf8(lines.into_inner().unwrap()).unwrap();
        assert_eq!(
            line,
            "CMD-1,2025-10-16T14:23:45.007Z,\"Zoé \"\"la\"\" Martin,\nfille\",,,,,\"\"\"12,50\"\"\",24.90,true,nom_livreur nom_menu,,script v2.0\n"
        );
    }
}
