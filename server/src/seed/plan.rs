//! The plan of a set of data: how much of what, from which seed, over which time.

use bson::DateTime;

use super::{
    paris::DAY,
    towns::{TOWNS, Town},
};

/// What to generate; the same plan gives the same bytes.
///
/// Numbers stay below 900,000,000: ids from there on belong to nobody.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where chance comes from.
    pub seed: u64,
    /// How many clients, at least one.
    pub clients: u32,
    /// How many couriers, at least one.
    pub livreurs: u32,
    /// How many restaurants, at least one; each brings its menus.
    pub restaurants: u32,
    /// How many orders.
    pub orders: u32,
    /// The share of orders, from 0 to 1, that have a reference which points at nobody.
    ///
    /// Such an order has exactly one: client, restaurant, menu or, once it has one, courier, each
    /// as likely.
    pub dangling_share: f64,
    /// The date of the newest order; nothing that is told lies after it.
    pub until: DateTime,
    /// How many months, of a twelfth of a year, the orders are spread over; at least one.
    pub months: u32,
    /// The first number of each collection.
    pub offset: Offset,
}

/// The first number to use in each collection: one more than the highest present, to append.
///
/// Appended orders refer to the people, restaurants and menus of their own plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// The first `id_client`.
    pub clients: u32,
    /// The first `id_livreur`.
    pub livreurs: u32,
    /// The first `id_restaurant`.
    pub restaurants: u32,
    /// The first `id_menu`.
    pub menus: u32,
    /// The first sequence of a `numero_commande`.
    pub orders: u32,
}

impl Default for Offset {
    fn default() -> Self {
        Self {
            clients: 1,
            livreurs: 1,
            restaurants: 1,
            menus: 1,
            orders: 1,
        }
    }
}

impl Plan {
    /// The plan of a platform on which that many orders in half a year are believable.
    ///
    /// It ends on a Saturday at dinner time, 29 November 2025: without a clock the bytes stay the
    /// same.
    pub fn for_orders(orders: u32) -> Self {
        Self {
            seed: 1,
            clients: (orders / 8).max(50),
            livreurs: (orders / 250).max(10),
            restaurants: (orders / 400).max(10),
            orders,
            dangling_share: 0.02,
            until: DateTime::from_millis(1_764_444_600_000),
            months: 6,
            offset: Offset::default(),
        }
    }

    /// The plan with at least one of each thing an order cannot be without.
    pub(super) fn with_enough(self) -> Self {
        Self {
            clients: self.clients.max(1),
            livreurs: self.livreurs.max(1),
            restaurants: self.restaurants.max(1),
            months: self.months.max(1),
            ..self
        }
    }

    /// When the orders begin.
    pub(super) fn start(&self) -> DateTime {
        // A twelfth of a year of 365.25 days.
        let month = DAY * 1_461 / 48;
        self.until
            .saturating_add_millis(-month * i64::from(self.months))
    }

    /// An instant so many days, or parts of one, before the orders begin.
    pub(super) fn before_start(&self, days: f64) -> DateTime {
        self.start()
            .saturating_add_millis((days * -(DAY as f64)) as i64)
    }

    /// The number of towns in which there is a restaurant.
    pub(super) fn towns(&self) -> u32 {
        self.restaurants.min(TOWNS.len() as u32)
    }

    /// The town of the restaurant, client or courier at an index; towns are dealt out in turn.
    pub(super) fn town(&self, index: u32) -> &'static Town {
        &TOWNS[(index % self.towns()) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_plan_grows_with_its_orders_and_ends_on_a_saturday_evening() {
        let until = DateTime::parse_rfc3339_str("2025-11-29T19:30:00Z").unwrap();
        let start = DateTime::parse_rfc3339_str("2025-05-31T04:30:00Z").unwrap();
        for (orders, clients, livreurs, restaurants) in [
            (0, 50, 10, 10),
            (1_000, 125, 10, 10),
            (100_000, 12_500, 400, 250),
        ] {
            let plan = Plan::for_orders(orders);
            assert_eq!(
                (plan.clients, plan.livreurs, plan.restaurants),
                (clients, livreurs, restaurants)
            );
            assert_eq!((plan.start(), plan.until), (start, until));
        }
    }

    #[test]
    fn an_order_is_never_without_somebody() {
        let nothing = Plan {
            clients: 0,
            livreurs: 0,
            restaurants: 0,
            months: 0,
            ..Plan::for_orders(10)
        };
        let plan = nothing.with_enough();
        assert_eq!(
            (plan.clients, plan.livreurs, plan.restaurants, plan.months),
            (1, 1, 1, 1)
        );
    }
}
