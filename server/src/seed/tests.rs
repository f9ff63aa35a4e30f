//! The promises of a whole set of data: the same bytes, references that resolve, believable shares.

use std::collections::{HashMap, HashSet};

use bson::raw::RawDocument;
use sha2::{Digest, Sha256};

use super::{ids::NOBODY, *};

/// The four references of an order with the collection each points into.
const REFERENCES: [&str; 4] = ["id_client", "id_livreur", "id_restaurant", "id_menu"];

fn generator(orders: u32, dangling_share: f64) -> Generator {
    Generator::new(Plan {
        dangling_share,
        ..Plan::for_orders(orders)
    })
}

fn digest(documents: impl Iterator<Item = RawDocumentBuf>) -> String {
    let mut hash = Sha256::new();
    documents.for_each(|document| hash.update(document.as_bytes()));
    hex::encode(&hash.finalize()[..8])
}

fn digests(generator: &Generator) -> [String; 5] {
    [
        digest(generator.clients()),
        digest(generator.livreurs()),
        digest(generator.restaurants()),
        digest(generator.menus()),
        digest(generator.orders()),
    ]
}

fn id(document: &RawDocument, field: &str) -> Option<i32> {
    document
        .get(field)
        .unwrap()
        .map(|value| value.as_i32().unwrap())
}

fn ids(documents: impl Iterator<Item = RawDocumentBuf>, field: &str) -> HashSet<i32> {
    documents
        .map(|document| id(&document, field).unwrap())
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_for_ever() {
    // A change here changes everybody's data: it must be meant.
    assert_eq!(
        digests(&generator(2_000, 0.02)),
        [
            "ad8ed207767e873a",
            "d5e40bc30d49e3a9",
            "fe61743caf96eb82",
            "03e0faa1237228dd",
            "3ffda820da96cea2"
        ]
    );
}

#[test]
fn another_seed_gives_other_bytes_everywhere() {
    let other = Generator::new(Plan {
        seed: 2,
        ..Plan::for_orders(2_000)
    });
    for (one, other) in digests(&generator(2_000, 0.02)).iter().zip(digests(&other)) {
        assert_ne!(*one, other);
    }
}

#[test]
fn more_clients_change_only_who_ordered() {
    let plan = Plan::for_orders(1_000);
    let more = Generator::new(Plan {
        clients: plan.clients * 3,
        ..plan.clone()
    });
    let generator = Generator::new(plan);
    assert_eq!(digests(&generator)[1..4], digests(&more)[1..4]);
    for (one, other) in generator.orders().zip(more.orders()) {
        for (element, other) in one.iter().zip(other.iter()) {
            let ((key, value), (_, other)) = (element.unwrap(), other.unwrap());
            let who = matches!(key.as_str(), "id_client" | "adresse_livraison");
            assert!(who || value == other, "{key}");
        }
    }
}

#[test]
fn every_reference_resolves_when_none_may_dangle() {
    let generator = generator(5_000, 0.0);
    let present = [
        ids(generator.clients(), "id_client"),
        ids(generator.livreurs(), "id_livreur"),
        ids(generator.restaurants(), "id_restaurant"),
        ids(generator.menus(), "id_menu"),
    ];
    for order in generator.orders() {
        for (field, present) in REFERENCES.iter().zip(&present) {
            assert!(
                id(&order, field).is_none_or(|id| present.contains(&id)),
                "{field}"
            );
        }
    }
}

#[test]
fn the_asked_share_of_orders_has_one_reference_to_nobody() {
    for share in [0.02, 0.1, 1.0] {
        let mut lost = HashMap::new();
        let mut orders = 0.0;
        for order in generator(20_000, share).orders() {
            let fields: Vec<_> = REFERENCES
                .into_iter()
                .filter(|field| id(&order, field).is_some_and(|id| id >= NOBODY as i32))
                .collect();
            assert!(fields.len() <= 1, "{fields:?}");
            for field in fields {
                *lost.entry(field).or_insert(0.0) += 1.0;
                orders += 1.0;
            }
        }
        let measured: f64 = orders / 20_000.0;
        assert!(
            (measured - share).abs() <= share * 0.1,
            "asked {share}, got {measured}"
        );
        for field in REFERENCES {
            let evenly = lost[field] / orders;
            assert!((0.18..0.32).contains(&evenly), "{field}: {evenly}");
        }
    }
}

#[test]
fn an_order_is_of_a_menu_of_its_restaurant_at_its_price_and_in_its_town() {
    let generator = generator(5_000, 0.0);
    let town = |document: &RawDocument, field| {
        let address = document.get_document(field).unwrap();
        address.get_str("code_postal").unwrap().to_owned()
    };
    let menus: HashMap<_, _> = generator
        .menus()
        .map(|menu| {
            (
                id(&menu, "id_menu"),
                (id(&menu, "id_restaurant"), menu.get_f64("price").unwrap()),
            )
        })
        .collect();
    let restaurants: HashMap<_, _> = generator
        .restaurants()
        .map(|restaurant| {
            (
                id(&restaurant, "id_restaurant"),
                town(&restaurant, "adresse"),
            )
        })
        .collect();
    let clients: HashMap<_, _> = generator
        .clients()
        .map(|client| {
            (
                id(&client, "id_client"),
                client.get_document("adresse").unwrap().to_owned(),
            )
        })
        .collect();
    for order in generator.orders() {
        let (restaurant, price) = menus[&id(&order, "id_menu")];
        assert_eq!(id(&order, "id_restaurant"), restaurant);
        let quantity = f64::from(order.get_i32("quantité").unwrap());
        let cost = price * quantity + order.get_f64("frais_livraison").unwrap();
        let told = order.get_f64("coût_commande").unwrap();
        assert!((cost - told).abs() < 0.001, "{cost} against {told}");
        assert_eq!(told, format!("{told:.2}").parse::<f64>().unwrap());
        assert_eq!(town(&order, "adresse_livraison"), restaurants[&restaurant]);
        let home = &clients[&id(&order, "id_client")];
        assert_eq!(
            order.get_document("adresse_livraison").unwrap(),
            home.as_ref()
        );
    }
}

#[test]
fn appended_data_collides_with_nothing() {
    let first = generator(1_000, 0.02);
    let plan = first.plan().clone();
    let appended = Generator::new(Plan {
        offset: Offset {
            clients: 1 + plan.clients,
            livreurs: 1 + plan.livreurs,
            restaurants: 1 + plan.restaurants,
            menus: 1 + first.menus().count() as u32,
            orders: 1 + plan.orders,
        },
        ..plan
    });
    let keys = |generator: &Generator| -> Vec<String> {
        let collections: [(&str, Vec<RawDocumentBuf>); 5] = [
            ("id_client", generator.clients().collect()),
            ("id_livreur", generator.livreurs().collect()),
            ("id_restaurant", generator.restaurants().collect()),
            ("id_menu", generator.menus().collect()),
            ("numero_commande", generator.orders().collect()),
        ];
        let both = |(field, documents): (&'static str, Vec<RawDocumentBuf>)| {
            documents.into_iter().flat_map(move |document| {
                ["_id", field]
                    .map(|key| format!("{field} {:?}", document.get(key).unwrap().unwrap()))
            })
        };
        collections.into_iter().flat_map(both).collect()
    };
    let all: Vec<_> = keys(&first).into_iter().chain(keys(&appended)).collect();
    let different: HashSet<_> = all.iter().collect();
    assert_eq!(different.len(), all.len());
}

#[test]
fn the_smallest_plans_work() {
    for orders in [0, 1, 2] {
        let generator = Generator::new(Plan {
            clients: 0,
            livreurs: 0,
            restaurants: 0,
            ..Plan::for_orders(orders)
        });
        assert_eq!(generator.orders().count(), orders as usize);
        assert!(
            !generator
                .live()
                .next(generator.plan().until)
                .steps
                .is_empty()
        );
    }
}
