//! Judge: decides from a bundle what is to become of its order, and which fields the archive will
//! miss.

use super::{
    order::{Bundle, LONGEST_ID, NUMERO, Reference, STATUS},
    text::cut,
};
use crate::bytes::raw::{Value, ValueRef};

/// The most of a number that a sentence quotes, in bytes.
const LONGEST_QUOTE: usize = 256;

/// The eight fields that make an archived order complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// "Prénom Nom" of the client.
    NomClient,
    /// The client's e-mail address.
    EmailClient,
    /// "Prénom Nom" of the courier.
    NomLivreur,
    /// The restaurant's name.
    NomRestaurant,
    /// The menu's name.
    NomMenu,
    /// The menu's price.
    PrixMenu,
    /// What the order cost, carried by the order itself.
    CoutCommande,
    /// When it was ordered, carried by the order itself.
    DateCommande,
}

impl Field {
    /// The fields that enrichment adds, in the order in which the archive holds them.
    pub(crate) const ENRICHED: [Field; 6] = [
        Field::NomClient,
        Field::EmailClient,
        Field::NomLivreur,
        Field::NomRestaurant,
        Field::NomMenu,
        Field::PrixMenu,
    ];

    /// All eight, in the order in which people are told of them.
    pub const ALL: [Field; 8] = [
        Field::NomClient,
        Field::EmailClient,
        Field::NomLivreur,
        Field::NomRestaurant,
        Field::NomMenu,
        Field::PrixMenu,
        Field::CoutCommande,
        Field::DateCommande,
    ];

    /// The field's name in the archive.
    pub const fn name(self) -> &'static str {
        match self {
            Field::NomClient => "nom_client",
            Field::EmailClient => "email_client",
            Field::NomLivreur => "nom_livreur",
            Field::NomRestaurant => "nom_restaurant",
            Field::NomMenu => "nom_menu",
            Field::PrixMenu => "prix_menu",
            Field::CoutCommande => "coût_commande",
            Field::DateCommande => "date_commande",
        }
    }

    /// What the field is to hold in the archive, null when nothing is known.
    fn of(self, bundle: &Bundle) -> Content<'_> {
        let referred = |reference, field| {
            Content::Found(bundle.referred(reference, field).unwrap_or(ValueRef::NULL))
        };
        let carried = || Content::Found(bundle.order.get(self.name()).unwrap_or(ValueRef::NULL));
        match self {
            Field::NomClient => full_name(bundle, Reference::Client).unwrap_or_else(carried),
            Field::NomLivreur => full_name(bundle, Reference::Livreur).unwrap_or_else(carried),
            Field::EmailClient => referred(Reference::Client, "Email"),
            Field::NomRestaurant => referred(Reference::Restaurant, "name"),
            Field::NomMenu => referred(Reference::Menu, "name"),
            Field::PrixMenu => referred(Reference::Menu, "price"),
            Field::CoutCommande | Field::DateCommande => carried(),
        }
    }
}

/// "Prénom Nom", or the one of them that there is. A part that is blank or no string counts as
/// absent.
fn full_name(bundle: &Bundle, reference: Reference) -> Option<Content<'_>> {
    let part = |field| {
        let value = bundle.referred(reference, field)?;
        let text = value.as_str()?;
        (!text.trim().is_empty()).then_some((text, value))
    };
    match (part("Prénom"), part("Nom")) {
        (Some((first, _)), Some((last, _))) => {
            let name = [first, " ", last].concat();
            Some(Content::Made(Value::string(&name)))
        }
        (one, other) => one.or(other).map(|(_, value)| Content::Found(value)),
    }
}

/// What a field of the archive is to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'b> {
    /// A value of the bundle.
    Found(ValueRef<'b>),
    /// A value that is in none of its documents.
    Made(Value),
}

impl Content<'_> {
    /// A view of the value.
    pub fn value(&self) -> ValueRef<'_> {
        match self {
            Content::Found(value) => *value,
            Content::Made(value) => value.as_ref(),
        }
    }
}

/// The values that enrichment adds to an order, and what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields<'b> {
    /// The values, in the order of [`Field::ENRICHED`].
    pub values: [Content<'b>; 6],
    /// Which of the eight fields are null or absent.
    pub missing: Vec<Field>,
}

/// Why an order can't be archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `numero_commande` is not a string that is not empty.
    NoUsableNumber,
    /// Another order is archived under this number, or this one under another.
    NumberConflict,
    /// The enriched document would be over the database's limit, or its `_id` over that of the
    /// archive.
    TooLarge,
    /// The database refused the document.
    Refused,
}

impl Reason {
    /// All reasons there are.
    pub const ALL: [Reason; 4] = [
        Reason::NoUsableNumber,
        Reason::NumberConflict,
        Reason::TooLarge,
        Reason::Refused,
    ];

    /// The reason's name in the quarantine collection.
    pub fn name(self) -> &'static str {
        match self {
            Reason::NoUsableNumber => "no_usable_number",
            Reason::NumberConflict => "number_conflict",
            Reason::TooLarge => "too_large",
            Reason::Refused => "refused",
        }
    }
}

/// Why one order can't be archived, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For programs.
    pub reason: Reason,
    /// For people: the fault and its mend.
    pub detail: String,
}

/// What is to become of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'b> {
    /// Its status is not the delivered one: it is left alone.
    NotDelivered,
    /// The archive holds it already, with these fields missing.
    Duplicate(Vec<String>),
    /// It can't be archived and goes to quarantine.
    Quarantine(Refusal),
    /// It goes to the archive, with these fields added.
    Archive(Fields<'b>),
}

/// Decides what is to become of an order. `delivered` is the exact status of a delivered order.
pub fn judge<'b>(bundle: &'b Bundle, delivered: &str) -> Verdict<'b> {
    let order = &bundle.order;
    if order.get(STATUS).and_then(ValueRef::as_str) != Some(delivered) {
        return Verdict::NotDelivered;
    }
    let length = order.id().bytes.len();
    if length > LONGEST_ID && bundle.archived.is_none() {
        return Verdict::Quarantine(Refusal {
            reason: Reason::TooLarge,
            detail: format!(
                "its `_id` takes {length} bytes, over the limit of 1 MiB; insert the order anew under a shorter `_id` and delete this one, then drop this entry"
            ),
        });
    }
    let Some(numero) = order.numero() else {
        return Verdict::Quarantine(Refusal {
            reason: Reason::NoUsableNumber,
            detail: format!(
                "`{NUMERO}` must be a string that is not empty; correct it in the order, then retry"
            ),
        });
    };
    match &bundle.archived {
        Some(archived) if archived.numero.as_deref() == Some(numero) => {
            Verdict::Duplicate(archived.missing.clone())
        }
        Some(archived) => Verdict::Quarantine(Refusal {
            reason: Reason::NumberConflict,
            detail: format!(
                "this order is archived as {} and its number has been changed to {:?} since; restore the number, or correct the archive",
                archived.numero.as_deref().map_or(
                    "an order without number".to_owned(),
                    |archived| format!("{:?}", cut(archived, LONGEST_QUOTE))
                ),
                cut(numero, LONGEST_QUOTE),
            ),
        }),
        None => Verdict::Archive(fields(bundle)),
    }
}

/// What the archive adds to an order, and what it misses.
pub fn fields(bundle: &Bundle) -> Fields<'_> {
    let values = Field::ENRICHED.map(|field| field.of(bundle));
    let carried = [Field::CoutCommande, Field::DateCommande];
    let enriched = Field::ENRICHED
        .iter()
        .zip(&values)
        .filter(|(_, content)| content.value().is_null())
        .map(|(field, _)| *field);
    let missing = enriched
        .chain(
            carried
                .into_iter()
                .filter(|field| field.of(bundle).value().is_null()),
        )
        .collect();
    Fields { values, missing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::order::{AlreadyArchived, Order};
    use bson::{Bson, Document, RawDocumentBuf, doc};

    fn bundle(order: Document, references: [Option<Document>; 4]) -> Bundle {
        let raw = |document: &Document| RawDocumentBuf::try_from(document).unwrap();
        Bundle {
            order: Order::new(raw(&order)),
            references: references
                .map(|document| document.as_ref().map(|document| raw(document).into())),
            archived: None,
        }
    }

    fn delivered() -> Document {
        doc! { "_id": 1, "numero_commande": "CMD-1", "status": "livrée", "coût_commande": 9.5, "date_commande": bson::DateTime::MIN }
    }

    fn everyone() -> [Option<Document>; 4] {
        [
            Some(doc! { "Prénom": "Zoé", "Nom": "Martin", "Email": "zoe@example.fr" }),
            Some(doc! { "Prénom": "Ali", "Nom": "Benali" }),
            Some(doc! { "name": "Le Bistrot" }),
            Some(doc! { "name": "Menu du jour", "price": 12.5 }),
        ]
    }

    fn judged(
        order: Document,
        references: [Option<Document>; 4],
    ) -> (Vec<Bson>, Vec<&'static str>) {
        match judge(&bundle(order, references), "livrée") {
            Verdict::Archive(fields) => (
                fields
                    .values
                    .iter()
                    .map(|value| {
                        let mut writer = crate::bytes::raw::Writer::default();
                        writer.value("v", value.value());
                        Document::try_from(writer.finish().as_ref())
                            .unwrap()
                            .remove("v")
                            .unwrap()
                    })
                    .collect(),
                fields.missing.into_iter().map(Field::name).collect(),
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_complete_order_misses_nothing() {
        let values: Vec<Bson> = vec![
            "Zoé Martin".into(),
            "zoe@example.fr".into(),
            "Ali Benali".into(),
            "Le Bistrot".into(),
            "Menu du jour".into(),
            12.5.into(),
        ];
        assert_eq!(judged(delivered(), everyone()), (values, vec![]));
    }

    #[test]
    fn an_order_without_references_misses_what_it_does_not_carry() {
        let order = doc! { "_id": 1, "numero_commande": "CMD-1", "status": "livrée", "nom_client": "Carried", "email_client": "own@example.fr", "coût_commande": Bson::Null };
        let (values, missing) = judged(order, [None, None, None, None]);
        assert_eq!(
            values,
            [
                "Carried".into(),
                Bson::Null,
                Bson::Null,
                Bson::Null,
                Bson::Null,
                Bson::Null
            ]
        );
        assert_eq!(
            missing,
            [
                "email_client",
                "nom_livreur",
                "nom_restaurant",
                "nom_menu",
                "prix_menu",
                "coût_commande",
                "date_commande"
            ]
        );
    }

    #[test]
    fn names_are_put_together_from_the_parts_there_are() {
        let table: &[(Document, Bson)] = &[
            (
                doc! { "Prénom": "Zoé", "Nom": "Martin" },
                "Zoé Martin".into(),
            ),
            (doc! { "Prénom": "Zoé" }, "Zoé".into()),
            (doc! { "Nom": "Martin" }, "Martin".into()),
            (doc! { "Prénom": " \t", "Nom": "Martin" }, "Martin".into()),
            (doc! { "Prénom": 5, "Nom": "Martin" }, "Martin".into()),
            (doc! { "Prénom": ["Zoé"], "Nom": Bson::Null }, Bson::Null),
            (doc! { "Prénom": "", "Nom": "" }, Bson::Null),
            (doc! {}, Bson::Null),
        ];
        for (client, name) in table {
            let (values, missing) = judged(delivered(), [Some(client.clone()), None, None, None]);
            assert_eq!(values[0], *name, "{client}");
            assert_eq!(
                missing.contains(&"nom_client"),
                *name == Bson::Null,
                "{client}"
            );
        }
    }

    #[test]
    fn values_of_any_type_are_taken_as_they_are() {
        let [client, livreur, ..] = everyone();
        let (values, missing) = judged(
            delivered(),
            [
                client,
                livreur,
                Some(doc! { "name": ["x"] }),
                Some(doc! { "name": 7, "price": "12,50" }),
            ],
        );
        assert_eq!(
            values[3..],
            [Bson::from(vec!["x"]), 7.into(), "12,50".into()]
        );
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn only_exactly_the_delivered_status_is_delivered() {
        let statuses: &[Bson] = &[
            "livre\u{301}e".into(),
            "Livrée".into(),
            "LIVRÉE".into(),
            " livrée".into(),
            "livrée ".into(),
            "livree".into(),
            vec!["livrée"].into(),
            doc! { "v": "livrée" }.into(),
            Bson::Null,
            1.into(),
            "livrée\u{0}".into(),
            Bson::Symbol("livrée".into()),
        ];
        for status in statuses {
            let mut order = delivered();
            order.insert("status", status.clone());
            assert_eq!(
                judge(&bundle(order, everyone()), "livrée"),
                Verdict::NotDelivered,
                "{status:?}"
            );
        }
    }

    #[test]
    fn an_order_without_usable_number_is_quarantined() {
        let numbers: &[Option<Bson>] = &[
            None,
            Some(Bson::Null),
            Some("".into()),
            Some(12.into()),
            Some(vec!["CMD-1"].into()),
            Some(doc! { "$ne": Bson::Null }.into()),
        ];
        for number in numbers {
            let mut order = delivered();
            match number {
                Some(number) => order.insert("numero_commande", number.clone()),
                None => order.remove("numero_commande"),
            };
            assert!(
                matches!(
                    judge(&bundle(order, everyone()), "livrée"),
                    Verdict::Quarantine(Refusal {
                        reason: Reason::NoUsableNumber,
                        ..
                    })
                ),
                "{number:?}"
            );
        }
    }

    #[test]
    fn an_id_over_a_mebibyte_is_refused_unless_the_order_is_archived() {
        let with_id = |length: usize| {
            let mut order = delivered();
            // A string takes its length and its end too.
            order.insert("_id", "x".repeat(length - 5));
            bundle(order, everyone())
        };
        let is_archived = |bundle: &Bundle| matches!(judge(bundle, "livrée"), Verdict::Archive(_));
        assert!(is_archived(&with_id(LONGEST_ID)));
        let mut long = with_id(LONGEST_ID + 1);
        let Verdict::Quarantine(refusal) = judge(&long, "livrée") else {
            panic!("archived");
        };
        assert_eq!(refusal.reason, Reason::TooLarge);
        assert!(refusal.detail.contains("1048577 bytes"), "{refusal:?}");
        long.archived = Some(AlreadyArchived {
            numero: Some("CMD-1".into()),
            missing: vec![],
        });
        assert_eq!(judge(&long, "livrée"), Verdict::Duplicate(vec![]));
    }

    #[test]
    fn an_archived_order_is_a_duplicate_unless_its_number_has_changed() {
        let mut bundle = bundle(delivered(), everyone());
        bundle.archived = Some(AlreadyArchived {
            numero: Some("CMD-1".into()),
            missing: vec!["nom_client".into()],
        });
        assert_eq!(
            judge(&bundle, "livrée"),
            Verdict::Duplicate(vec!["nom_client".into()])
        );
        for numero in [Some("CMD-2".into()), None] {
            bundle.archived = Some(AlreadyArchived {
                numero,
                missing: vec![],
            });
            assert!(matches!(
                judge(&bundle, "livrée"),
                Verdict::Quarantine(Refusal {
                    reason: Reason::NumberConflict,
                    ..
                })
            ));
        }
    }
}
