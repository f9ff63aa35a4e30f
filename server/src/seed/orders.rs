//! Orders: somebody has a menu of a restaurant in town brought home.

use bson::{DateTime, RawDocumentBuf, cstr, rawdoc};

use super::{
    Generator, Plan,
    address::Address,
    dice::{Dice, Stream},
    ids::{NOBODY, numero_commande, object_id},
    lifecycle::{Lifecycle, Status},
    people::client_address,
    rush,
};

/// Most people order one menu.
const QUANTITIES: &[u32] = &[1, 1, 1, 1, 1, 1, 2, 2, 2, 3];

/// What a delivery costs, in cents.
const FEES: &[u32] = &[0, 199, 249, 249, 299, 299, 349, 399];

/// An order and all that is going to happen to it.
pub(super) struct Order {
    pub(super) lifecycle: Lifecycle,
    pub(super) id_livreur: i32,
    number: u32,
    date: DateTime,
    id_client: i32,
    id_restaurant: i32,
    id_menu: i32,
    quantity: u32,
    fee: u32,
    cents: u32,
    address: Address,
    /// Which of its references points at nobody, if one does.
    lost: Option<u32>,
}

/// The documents of `Commande`.
pub(super) fn orders(generator: &Generator) -> impl Iterator<Item = RawDocumentBuf> {
    let plan = generator.plan();
    let mut dice = Dice::new(plan.seed, Stream::Orders, plan.offset.orders);
    (plan.offset.orders..)
        .zip(rush::dates(plan))
        .map(move |(number, date)| {
            Order::draw(generator, &mut dice, number, date).document(plan.until)
        })
}

impl Order {
    pub(super) fn draw(
        generator: &Generator,
        dice: &mut Dice,
        number: u32,
        date: DateTime,
    ) -> Self {
        let plan = generator.plan();
        // The smaller of two draws: some houses are much better liked than others.
        let index = dice
            .below(plan.restaurants)
            .min(dice.below(plan.restaurants));
        let restaurant = &generator.restaurants[index as usize];
        let menu = dice.pick(&restaurant.menus);
        let client = neighbour(plan, dice, index, plan.clients);
        let livreur = neighbour(plan, dice, index, plan.livreurs);
        let quantity = *dice.pick(QUANTITIES);
        let fee = *dice.pick(FEES);
        // Twelve divides evenly among three references as among four.
        let lost = dice.below(12);
        Self {
            number,
            date,
            id_client: (plan.offset.clients + client) as i32,
            id_livreur: (plan.offset.livreurs + livreur) as i32,
            id_restaurant: restaurant.id as i32,
            id_menu: menu.id as i32,
            quantity,
            fee,
            cents: menu.cents * quantity + fee,
            address: client_address(plan, client),
            lost: dice.chance(plan.dangling_share).then_some(lost),
            lifecycle: Lifecycle::draw(dice),
        }
    }

    /// Its number.
    pub(super) fn numero(&self) -> String {
        numero_commande(self.date, self.number)
    }

    /// The order as `Commande` holds it at an instant.
    pub(super) fn document(&self, now: DateTime) -> RawDocumentBuf {
        let taken = self.lifecycle.taken(self.date, now);
        let status = taken
            .last()
            .map_or(Status::EnAttente, |(status, _)| *status);
        let picked_up = taken.iter().any(|(status, _)| *status == Status::EnCours);
        // An order has as many references as its status allows: the courier comes last.
        let lost = self.lost.map(|lost| lost % if picked_up { 4 } else { 3 });
        let reference = |rank, id| {
            if lost == Some(rank) {
                NOBODY as i32 + id
            } else {
                id
            }
        };

        let mut document = rawdoc! {
            "_id": object_id(self.date, *b"comm", self.number),
            "numero_commande": self.numero(),
            "status": status.as_str(),
            "id_client": reference(0, self.id_client),
            "id_restaurant": reference(1, self.id_restaurant),
            "id_menu": reference(2, self.id_menu),
            "quantité": self.quantity as i32,
            "frais_livraison": f64::from(self.fee) / 100.0,
            "coût_commande": f64::from(self.cents) / 100.0,
            "adresse_livraison": self.address.document(),
            "date_commande": self.date,
        };
        if picked_up {
            document.append(cstr!("id_livreur"), reference(3, self.id_livreur));
        }
        for (status, date) in taken {
            document.append(status.date_field(), date);
        }
        document
    }
}

/// Somebody out of `count` who is in the same town as a restaurant, if anybody is.
fn neighbour(plan: &Plan, dice: &mut Dice, restaurant: u32, count: u32) -> u32 {
    // Towns are dealt out in turn, so the people of one are every so many apart.
    let towns = plan.towns();
    let first = restaurant % towns;
    if first < count {
        first + towns * dice.below((count - first).div_ceil(towns))
    } else {
        dice.below(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::paris::HOUR;
    use bson::raw::RawDocument;
    use std::collections::{HashMap, HashSet};

    fn status(order: &RawDocument) -> &str {
        order.get_str("status").unwrap()
    }

    #[test]
    fn shares_are_believable_and_no_status_is_missing() {
        let expected = [
            ("en_attente", 0.005..0.02),
            ("en_preparation", 0.005..0.04),
            ("en_cours", 0.005..0.05),
            ("livrée", 0.84..0.92),
            ("annulée", 0.045..0.105),
        ];
        let one_thousand = (1..=40).map(|seed| (seed, 1_000));
        for (seed, orders) in one_thousand.chain([(1, 50_000)]) {
            let generator = Generator::new(Plan {
                seed,
                ..Plan::for_orders(orders)
            });
            let mut counts = HashMap::new();
            for order in generator.orders() {
                *counts.entry(status(&order).to_owned()).or_insert(0.0) += 1.0;
            }
            for (status, range) in &expected {
                let share = counts.remove(*status).unwrap_or(0.0) / f64::from(orders);
                assert!(
                    range.contains(&share),
                    "seed {seed}, {orders} orders: {status} {share}"
                );
            }
            assert!(counts.is_empty(), "{counts:?}");
        }
    }

    #[test]
    fn dates_and_couriers_fit_the_status() {
        let generator = Generator::new(Plan::for_orders(5_000));
        let until = generator.plan().until;
        let steps = [
            "date_acceptation",
            "date_prise_en_charge",
            "date_livraison",
            "date_annulation",
        ];
        for order in generator.orders() {
            let made = order.get_datetime("date_commande").unwrap();
            let date = |field| {
                order
                    .get(field)
                    .unwrap()
                    .map(|value| value.as_datetime().unwrap())
            };
            let [accepted, picked_up, delivered, cancelled] =
                steps.map(|field| date(field).is_some());
            let fits = match status(&order) {
                "en_attente" => !accepted && !picked_up && !delivered && !cancelled,
                "en_preparation" => accepted && !picked_up && !delivered && !cancelled,
                "en_cours" => accepted && picked_up && !delivered && !cancelled,
                "livrée" => accepted && picked_up && delivered && !cancelled,
                _ => !picked_up && !delivered && cancelled,
            };
            assert!(fits, "{order:?}");
            assert_eq!(
                order.get("id_livreur").unwrap().is_some(),
                picked_up,
                "{order:?}"
            );

            let told: Vec<DateTime> = steps.iter().filter_map(|field| date(field)).collect();
            assert!(
                told.iter().all(|date| (made..=until).contains(date)),
                "{order:?}"
            );
            assert!(told.is_sorted(), "{order:?}");
            let age = until.timestamp_millis() - made.timestamp_millis();
            let live = status(&order).starts_with("en_");
            assert!(!live || age <= HOUR, "{order:?}");
        }
    }

    #[test]
    fn numbers_are_unique_and_ids_sort_with_them() {
        let generator = Generator::new(Plan {
            months: 24,
            ..Plan::for_orders(5_000)
        });
        let orders: Vec<_> = generator.orders().collect();
        let numeros: HashSet<_> = orders
            .iter()
            .map(|order| order.get_str("numero_commande").unwrap())
            .collect();
        assert_eq!(numeros.len(), orders.len());
        assert!(orders.is_sorted_by_key(|order| order.get_object_id("_id").unwrap()));
        for order in &orders {
            let date = order.get_datetime("date_commande").unwrap().to_string();
            let numero = order.get_str("numero_commande").unwrap();
            assert_eq!(numero[4..8], date[..4], "the year of the date");
        }
    }
}
