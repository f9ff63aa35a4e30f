//! Orders that come in one by one, for a simulation that goes on after the seed data.

use bson::{DateTime, Document, RawDocumentBuf, doc};

use super::{
    Generator,
    dice::{Dice, Stream},
    lifecycle::{Status, Step},
    orders::Order,
};

/// A source of new orders, numbered on from those of the plan.
pub struct LiveOrders<'a> {
    generator: &'a Generator,
    dice: Dice,
    next: u32,
}

/// A new order, and what is going to happen to it.
pub struct LiveOrder {
    /// Its `numero_commande`.
    pub numero: String,
    /// The document to insert; its status is `en_attente`.
    pub document: RawDocumentBuf,
    /// The changes of status that follow, in order.
    pub steps: Vec<Step>,
    id_livreur: i32,
}

impl<'a> LiveOrders<'a> {
    pub(super) fn new(generator: &'a Generator) -> Self {
        let plan = generator.plan();
        let next = plan.offset.orders + plan.orders;
        Self {
            generator,
            dice: Dice::new(plan.seed, Stream::Live, next),
            next,
        }
    }

    /// A new order made now.
    pub fn next(&mut self, now: DateTime) -> LiveOrder {
        let order = Order::draw(self.generator, &mut self.dice, self.next, now);
        self.next += 1;
        LiveOrder {
            numero: order.numero(),
            document: order.document(now),
            id_livreur: order.id_livreur,
            steps: order.lifecycle.steps,
        }
    }
}

impl LiveOrder {
    /// What to `$set` in the order when it takes a step: the status, since when, and who brings it.
    pub fn changes(&self, step: &Step, now: DateTime) -> Document {
        let mut changes = doc! {
            "status": step.status.as_str(),
            step.status.date_field().as_str(): now,
        };
        if step.status == Status::EnCours {
            changes.insert("id_livreur", self.id_livreur);
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Offset, Plan};
    use std::collections::HashSet;

    fn generator() -> Generator {
        Generator::new(Plan {
            offset: Offset {
                orders: 501,
                ..Offset::default()
            },
            dangling_share: 0.0,
            ..Plan::for_orders(1_000)
        })
    }

    fn orders(generator: &Generator, count: i64) -> Vec<LiveOrder> {
        let mut live = LiveOrders::new(generator);
        let start = generator.plan().until.timestamp_millis();
        (0..count)
            .map(|second| live.next(DateTime::from_millis(start + second * 1_000)))
            .collect()
    }

    #[test]
    fn numbers_go_on_after_the_plan() {
        let numeros: Vec<_> = orders(&generator(), 3)
            .into_iter()
            .map(|order| order.numero)
            .collect();
        assert_eq!(
            numeros,
            ["CMD-2025-001501", "CMD-2025-001502", "CMD-2025-001503"]
        );
    }

    #[test]
    fn a_new_order_waits_and_has_no_courier() {
        for order in orders(&generator(), 500) {
            assert_eq!(order.document.get_str("status").unwrap(), "en_attente");
            assert_eq!(
                order.document.get_str("numero_commande").unwrap(),
                order.numero
            );
            assert_eq!(order.document.get("id_livreur").unwrap(), None);
            assert_eq!(order.document.get("date_livraison").unwrap(), None);
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_orders() {
        let generator = generator();
        let (once, again) = (orders(&generator, 200), orders(&generator, 200));
        for (one, other) in once.iter().zip(&again) {
            assert_eq!(one.document.as_bytes(), other.document.as_bytes());
            assert_eq!(one.steps, other.steps);
        }
        let different: HashSet<_> = once.iter().map(|order| order.document.as_bytes()).collect();
        assert_eq!(different.len(), 200);
    }

    #[test]
    fn most_are_delivered_and_a_few_called_off() {
        let generator = generator();
        let orders = orders(&generator, 5_000);
        let ends: Vec<_> = orders
            .iter()
            .map(|order| order.steps.last().unwrap().status)
            .collect();
        let cancelled = ends.iter().filter(|end| **end == Status::Annulee).count();
        let delivered = ends.iter().filter(|end| **end == Status::Livree).count();
        assert_eq!(cancelled + delivered, 5_000);
        assert!((275..450).contains(&cancelled), "{cancelled}");
    }

    #[test]
    fn each_step_sets_its_own_fields() {
        let generator = generator();
        let orders = orders(&generator, 50);
        let now = DateTime::from_millis(1_000);
        for (status, expected) in [
            (
                Status::EnPreparation,
                ["status", "date_acceptation"].as_slice(),
            ),
            (
                Status::EnCours,
                &["status", "date_prise_en_charge", "id_livreur"],
            ),
            (Status::Livree, &["status", "date_livraison"]),
            (Status::Annulee, &["status", "date_annulation"]),
        ] {
            let changes = orders[0].changes(&Step { status, share: 0.5 }, now);
            assert_eq!(changes.keys().collect::<Vec<_>>(), expected);
            assert_eq!(changes.get_str("status").unwrap(), status.as_str());
        }
    }
}
