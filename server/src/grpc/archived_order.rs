//! An archived order as a message: its fields in types that every language has, and what those
//! can't hold.

use bson::RawDocument;
use order_archiver_api::v1 as pb;
use prost_types::Timestamp;

use crate::{
    bytes::raw::{self, ValueRef, kind},
    convert::{self, Document},
    domain::{
        enrich::{ARCHIVED_BY, DATE_ARCHIVAGE, INCOMPLETE, MISSING_FIELDS},
        order::NUMERO,
    },
    store::{
        archive::read::missing_fields,
        encoding::ext_json::{self, Form},
    },
};

/// The longest text of an archived field that a message carries, in bytes.
const LONGEST_TEXT: usize = 64 * 1024;

/// The message of an archived order, with its document where a form of it is asked for.
pub(super) fn archived_order(document: &RawDocument, form: Option<Form>) -> pb::ArchivedOrder {
    let mut fields = Fields {
        document,
        omitted: Vec::new(),
        others: Vec::new(),
    };
    let whole_numero = raw::find(document, NUMERO).and_then(ValueRef::as_str);
    let numero_commande = convert::numero(whole_numero.unwrap_or_default());
    if numero_commande.len() < whole_numero.map_or(0, str::len) {
        fields.omit(NUMERO);
    }
    let missing_fields = missing_fields(document);
    let has_list = fields
        .value(MISSING_FIELDS)
        .is_some_and(|list| list.kind == kind::ARRAY);
    let incomplete = match fields.value(INCOMPLETE).and_then(ValueRef::as_bool) {
        Some(incomplete) if has_list => incomplete,
        _ => !missing_fields.is_empty(),
    };
    let mut order = pb::ArchivedOrder {
        numero_commande,
        nom_client: fields.text("nom_client"),
        email_client: fields.text("email_client"),
        nom_livreur: fields.text("nom_livreur"),
        nom_restaurant: fields.text("nom_restaurant"),
        nom_menu: fields.text("nom_menu"),
        prix_menu: fields.amount("prix_menu"),
        cout_commande: fields.amount("coût_commande"),
        date_commande: fields.time("date_commande"),
        incomplete,
        missing_fields,
        date_archivage: fields.time(DATE_ARCHIVAGE),
        archived_by: fields.text(ARCHIVED_BY).unwrap_or_default(),
        document_json: String::new(),
        document_bytes: i64::try_from(document.as_bytes().len()).unwrap_or(i64::MAX),
        omitted_fields: fields.omitted,
        other_values: fields.others,
    };
    let document = match form {
        Some(form) => Document::Given(document, form),
        None => Document::NotAsked,
    };
    order.document_json = document.json(&mut order.omitted_fields);
    order
}

/// Fields of an archived order as a message carries them. What it can't carry is left out, and
/// named.
struct Fields<'a> {
    document: &'a RawDocument,
    omitted: Vec<String>,
    others: Vec<pb::OtherValue>,
}

impl<'a> Fields<'a> {
    fn text(&mut self, name: &str) -> Option<String> {
        let text = self.value(name).and_then(ValueRef::as_str);
        let short = text.filter(|text| text.len() <= LONGEST_TEXT);
        self.or_other(name, text.is_some(), short.map(str::to_owned))
    }

    fn time(&mut self, name: &str) -> Option<Timestamp> {
        let date = self.value(name).and_then(ValueRef::as_date);
        self.or_other(name, date.is_some(), date.and_then(convert::timestamp))
    }

    fn amount(&mut self, name: &str) -> Option<String> {
        let amount = self.value(name).and_then(amount);
        // NaN and infinity are numbers of the database, and no amounts.
        let is_finite = |amount: &String| amount.ends_with(|last: char| last.is_ascii_digit());
        self.or_other(name, amount.is_some(), amount.filter(is_finite))
    }

    fn value(&self, name: &str) -> Option<ValueRef<'a>> {
        raw::find(self.document, name)
    }

    /// The value of a field, if the message has a place for it; else it is shown as it is, and also
    /// named where it is of the usual type.
    fn or_other<T>(&mut self, name: &str, is_usual: bool, value: Option<T>) -> Option<T> {
        let there = self.value(name).filter(|value| !value.is_null());
        let Some(other) = there.filter(|_| value.is_none()) else {
            return value;
        };
        let shown = (other.bytes.len() <= LONGEST_TEXT).then(|| ext_json::shown(other, usize::MAX));
        let shown = shown.filter(|shown| shown.len() <= LONGEST_TEXT);
        if is_usual || shown.is_none() {
            self.omit(name);
        }
        self.others.extend(shown.map(|value_json| pb::OtherValue {
            name: name.to_owned(),
            value_json,
        }));
        None
    }

    fn omit(&mut self, name: &str) {
        self.omitted.push(name.to_owned());
    }
}

/// A number as exact decimal text.
fn amount(value: ValueRef<'_>) -> Option<String> {
    Some(match value.kind {
        kind::INT32 => i32::from_le_bytes(value.fixed()?).to_string(),
        kind::INT64 => i64::from_le_bytes(value.fixed()?).to_string(),
        kind::DOUBLE => f64::from_le_bytes(value.fixed()?).to_string(),
        kind::DECIMAL => bson::Decimal128::from_bytes(value.fixed()?).to_string(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use bson::DateTime;
    use prost::Message;

    use super::*;

    #[test]
    fn what_a_message_cannot_carry_is_left_out_by_name() {
        let document = bson::rawdoc! {
            "numero_commande": "x".repeat(5_000_000), "nom_client": "x".repeat(5_000_000), "email_client": "a@b.fr",
            "nom_menu": "x".repeat(LONGEST_TEXT), "prix_menu": f64::NAN, "coût_commande": f64::NEG_INFINITY,
            "date_commande": DateTime::from_millis(253_402_300_800_000), "date_archivage": DateTime::MIN,
            "missing_fields": ["nom_livreur", 5, "x".repeat(5_000_000)],
        };
        let order = archived_order(&document, Some(Form::Canonical));
        assert!(order.encoded_len() < 128 * 1024, "{}", order.encoded_len());
        let left_out = [
            "numero_commande",
            "nom_client",
            "prix_menu",
            "coût_commande",
            "date_commande",
            "date_archivage",
            "document_json",
        ];
        assert_eq!(order.omitted_fields, left_out);
        assert_eq!(order.nom_client, None);
        assert_eq!(order.email_client.as_deref(), Some("a@b.fr"));
        assert_eq!(order.missing_fields, ["nom_livreur"]);
        assert!(order.numero_commande.len() <= 1_024 && order.numero_commande.starts_with("xxx"));
        let infinite: bson::Decimal128 = "Infinity".parse().unwrap();
        let order = archived_order(&bson::rawdoc! { "prix_menu": infinite }, None);
        assert_eq!(
            (order.prix_menu, order.omitted_fields),
            (None, vec!["prix_menu".to_owned()])
        );
    }

    #[test]
    fn what_another_program_archived_says_what_is_absent_and_shows_what_is_of_another_type() {
        let document = bson::rawdoc! {
            "numero_commande": "CMD-1", "nom_client": "Zoé", "email_client": bson::RawBson::Null, "nom_menu": 7_i64,
            "prix_menu": "12,50", "coût_commande": f64::NAN, "date_commande": "2025-10-16", "incomplete": false,
        };
        let order = archived_order(&document, None);
        assert!(order.incomplete);
        assert_eq!(
            order.missing_fields,
            ["email_client", "nom_livreur", "nom_restaurant"]
        );
        let others: Vec<(&str, &str)> = order
            .other_values
            .iter()
            .map(|other| (other.name.as_str(), other.value_json.as_str()))
            .collect();
        assert_eq!(
            others,
            [
                ("nom_menu", "7"),
                ("prix_menu", "\"12,50\""),
                ("coût_commande", "{\"$numberDouble\":\"NaN\"}"),
                ("date_commande", "\"2025-10-16\""),
            ]
        );
        assert_eq!(order.omitted_fields, ["coût_commande"]);
        let empty = bson::rawdoc! { "missing_fields": [], "incomplete": true };
        let order = archived_order(&empty, None);
        assert!(order.incomplete && order.missing_fields.is_empty());
    }

    #[test]
    fn amounts_are_exact_text() {
        let document = bson::rawdoc! { "a": 12.5, "b": 12_i64, "c": "12,5", "d": -3 };
        let amounts =
            ["a", "b", "c", "d"].map(|field| raw::find(&document, field).and_then(amount));
        assert_eq!(
            amounts,
            [
                Some("12.5".to_owned()),
                Some("12".to_owned()),
                None,
                Some("-3".to_owned())
            ]
        );
    }
}
