//! People: clients and couriers, with French names and numbers nobody can ring.

use bson::{RawDocumentBuf, rawdoc};
use fake::{
    Fake,
    faker::name::raw::{FirstName, LastName},
    locales::FR_FR,
};

use super::{
    Plan,
    address::Address,
    dice::{Dice, Stream},
    ids::object_id,
};

/// Prefixes that the French regulator keeps for fiction; `fake` would dial somebody's telephone.
const PHONES: &[&str] = &[
    "06 39 98", "06 39 98", "01 99 00", "02 61 91", "03 53 01", "04 65 71", "05 36 49",
];

/// Domains on which no mail is delivered.
const DOMAINS: &[&str] = &["example.fr", "example.com"];

const VEHICLES: &[&str] = &[
    "vélo",
    "vélo",
    "vélo électrique",
    "vélo cargo",
    "scooter",
    "scooter électrique",
    "voiture",
];

/// The documents of `Client`.
pub(super) fn clients(plan: &Plan) -> impl Iterator<Item = RawDocumentBuf> {
    let mut dice = Dice::new(plan.seed, Stream::Clients, plan.offset.clients);
    (0..plan.clients).map(move |index| {
        let id = plan.offset.clients + index;
        let (first, last) = name(&mut dice);
        let joined = plan.before_start(dice.fraction() * 1_000.0);
        rawdoc! {
            "_id": object_id(joined, *b"clie", id),
            "id_client": id as i32,
            "Prénom": first,
            "Nom": last,
            // The number keeps namesakes apart.
            "Email": format!("{}.{}{id}@{}", plain(first), plain(last), dice.pick(DOMAINS)),
            "téléphone": phone(&mut dice),
            "adresse": client_address(plan, index).document(),
            "date_inscription": joined,
        }
    })
}

/// Where a client lives, and where orders are delivered.
pub(super) fn client_address(plan: &Plan, index: u32) -> Address {
    Address::of(
        plan.seed,
        Stream::Clients,
        plan.offset.clients + index,
        plan.town(index),
    )
}

/// The documents of `Livreur`.
pub(super) fn livreurs(plan: &Plan) -> impl Iterator<Item = RawDocumentBuf> {
    let mut dice = Dice::new(plan.seed, Stream::Livreurs, plan.offset.livreurs);
    (0..plan.livreurs).map(move |index| {
        let id = plan.offset.livreurs + index;
        let (first, last) = name(&mut dice);
        let hired = plan.before_start(dice.fraction() * 700.0);
        rawdoc! {
            "_id": object_id(hired, *b"livr", id),
            "id_livreur": id as i32,
            "Prénom": first,
            "Nom": last,
            "téléphone": phone(&mut dice),
            "véhicule": *dice.pick(VEHICLES),
            "ville": plan.town(index).name,
            "date_embauche": hired,
        }
    })
}

fn name(dice: &mut Dice) -> (&'static str, &'static str) {
    let first = FirstName(FR_FR).fake_with_rng(dice.rng());
    let last = LastName(FR_FR).fake_with_rng(dice.rng());
    (first, last)
}

fn phone(dice: &mut Dice) -> String {
    format!(
        "{} {:02} {:02}",
        dice.pick(PHONES),
        dice.below(100),
        dice.below(100)
    )
}

/// A name as it stands in an address: lower case, without accents or blanks.
fn plain(name: &str) -> String {
    name.to_lowercase()
        .chars()
        .filter_map(|letter| match letter {
            'à' | 'â' | 'ä' => Some('a'),
            'ç' => Some('c'),
            'è' | 'é' | 'ê' | 'ë' => Some('e'),
            'î' | 'ï' => Some('i'),
            'ô' | 'ö' => Some('o'),
            'ù' | 'û' | 'ü' => Some('u'),
            letter => letter.is_ascii_lowercase().then_some(letter),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Offset;
    use fake::locales::Data;
    use std::collections::HashSet;

    fn plan() -> Plan {
        Plan {
            clients: 2_000,
            livreurs: 200,
            ..Plan::for_orders(1_000)
        }
    }

    #[test]
    fn names_lose_their_accents_and_blanks() {
        for (name, expected) in [
            ("Éloïse", "eloise"),
            ("Le Goff", "legoff"),
            ("François", "francois"),
            ("Anaëlle", "anaelle"),
            ("Jean-Noël", "jeannoel"),
        ] {
            assert_eq!(plain(name), expected);
        }
    }

    #[test]
    fn no_letter_of_a_french_name_is_lost() {
        for name in FR_FR::NAME_FIRST_NAME.iter().chain(FR_FR::NAME_LAST_NAME) {
            let letters = name.chars().filter(|letter| letter.is_alphabetic()).count();
            assert_eq!(plain(name).len(), letters, "{name}");
        }
    }

    #[test]
    fn everybody_has_a_french_name() {
        for person in clients(&plan()).chain(livreurs(&plan())) {
            let first = person.get_str("Prénom").unwrap();
            let last = person.get_str("Nom").unwrap();
            assert!(FR_FR::NAME_FIRST_NAME.contains(&first), "{first}");
            assert!(FR_FR::NAME_LAST_NAME.contains(&last), "{last}");
        }
    }

    #[test]
    fn e_mails_are_unique_plain_and_undeliverable() {
        let appended = Plan {
            offset: Offset {
                clients: 2_001,
                ..Offset::default()
            },
            ..plan()
        };
        let mut seen = HashSet::new();
        for client in clients(&plan()).chain(clients(&appended)) {
            let email = client.get_str("Email").unwrap().to_owned();
            assert!(email.is_ascii(), "{email}");
            let (_, domain) = email.split_once('@').unwrap();
            assert!(DOMAINS.contains(&domain), "{email}");
            assert!(seen.insert(email.clone()), "{email} appears twice");
        }
    }

    #[test]
    fn telephones_are_fictional() {
        for person in clients(&plan()).chain(livreurs(&plan())) {
            let phone = person.get_str("téléphone").unwrap();
            assert_eq!(phone.len(), 14, "{phone}");
            assert!(
                PHONES.iter().any(|prefix| phone.starts_with(prefix)),
                "{phone}"
            );
        }
    }

    #[test]
    fn appended_people_are_not_the_first_ones_again() {
        let appended = Plan {
            offset: Offset {
                livreurs: 201,
                ..Offset::default()
            },
            ..plan()
        };
        let names = |plan: &Plan| -> Vec<String> {
            livreurs(plan)
                .map(|livreur| livreur.get_str("Nom").unwrap().to_owned())
                .collect()
        };
        assert_ne!(names(&plan()), names(&appended));
    }
}
