//! Addresses: a street that any French town has, in a real town.

use bson::{RawDocumentBuf, rawdoc};

use super::{
    dice::{Stream, mix, scale},
    towns::Town,
};

/// Streets found all over the country.
const STREETS: &[&str] = &[
    "rue de la République",
    "rue Victor-Hugo",
    "avenue Jean-Jaurès",
    "rue Pasteur",
    "boulevard Gambetta",
    "rue du Général-de-Gaulle",
    "rue de l'Église",
    "place du Marché",
    "rue des Écoles",
    "rue Émile-Zola",
    "avenue de la Gare",
    "rue du 8-Mai-1945",
    "rue Jules-Ferry",
    "rue Anatole-France",
    "rue Pierre-Curie",
    "rue du Moulin",
    "rue des Lilas",
    "allée des Tilleuls",
    "rue Voltaire",
    "rue Jean-Moulin",
    "avenue du Maréchal-Foch",
    "rue de la Fontaine",
    "impasse des Jardins",
    "place Carnot",
    "rue Molière",
    "rue George-Sand",
    "rue des Acacias",
    "boulevard de la Liberté",
    "rue du Château",
    "rue Louise-Michel",
];

/// Where somebody lives or works.
pub(super) struct Address {
    street: String,
    town: &'static Town,
}

impl Address {
    /// The address of one document.
    ///
    /// It follows from the number alone, so an order finds its client's address without keeping all
    /// clients.
    pub(super) fn of(seed: u64, stream: Stream, number: u32, town: &'static Town) -> Self {
        let chance = mix(seed, stream, number);
        let house = scale(chance as u32, 120) + 1;
        let street = STREETS[scale((chance >> 32) as u32, STREETS.len() as u32) as usize];
        Self {
            street: format!("{house} {street}"),
            town,
        }
    }

    /// The address as it is embedded in a document.
    pub(super) fn document(&self) -> RawDocumentBuf {
        rawdoc! {
            "rue": self.street.as_str(),
            "code_postal": self.town.postcode,
            "ville": self.town.name,
            "département": self.town.department,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::towns::TOWNS;
    use std::collections::HashSet;

    #[test]
    fn addresses_are_stable_and_differ() {
        let street = |seed, number| Address::of(seed, Stream::Clients, number, &TOWNS[0]).street;
        assert_eq!(street(1, 7), street(1, 7));
        let streets: HashSet<_> = (0..200).map(|number| street(1, number)).collect();
        assert!(
            streets.len() > 150,
            "{} different streets of 200",
            streets.len()
        );
    }

    #[test]
    fn the_document_carries_the_town() {
        let document = Address::of(1, Stream::Clients, 1, &TOWNS[2]).document();
        assert_eq!(document.get_str("ville").unwrap(), "Lyon");
        assert_eq!(document.get_str("code_postal").unwrap(), "69003");
        assert_eq!(document.get_str("département").unwrap(), "Rhône (69)");
    }
}
