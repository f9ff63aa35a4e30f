//! Deterministic French data for demonstrations, tests and benchmarks: no I/O, no clock, only a
//! seed.
//!
//! Reading order: [`Plan`] says how much of what; [`Generator`] turns it into documents; `people`,
//! `restaurants` and `orders` write them; `lifecycle` says what happens to an order and `rush` when
//! it is made; [`LiveOrders`] goes on one by one. `towns`, `cuisines` and `address` are what they
//! draw from, `dice`, `paris` and `ids` the arithmetic below.
//!
//! The same plan gives the same bytes. Each collection has a stream of chance of its own: more
//! clients change no restaurant, and of an order nothing but which neighbour made it.

mod plan;
pub mod writer;

mod people;
mod restaurants;

mod lifecycle;
mod live;
mod orders;
mod rush;

mod address;
mod cuisines;
mod towns;

mod dice;
mod ids;
mod paris;

#[cfg(test)]
mod tests;

pub use ids::NOBODY;
pub use lifecycle::{Status, Step};
pub use live::{LiveOrder, LiveOrders};
pub use plan::{Offset, Plan};

use bson::RawDocumentBuf;
use restaurants::Restaurant;

/// Turns a plan into the documents of each collection.
///
/// Every call begins again from the first document. Only restaurants and their menus are kept in
/// memory.
pub struct Generator {
    plan: Plan,
    restaurants: Vec<Restaurant>,
}

impl Generator {
    /// A generator for a plan; counts of zero which no order can do with are raised to one.
    pub fn new(plan: Plan) -> Self {
        let plan = plan.with_enough();
        let restaurants = restaurants::restaurants(&plan);
        Self { plan, restaurants }
    }

    /// The plan as it is carried out.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The documents of `Client`.
    pub fn clients(&self) -> impl Iterator<Item = RawDocumentBuf> + Send {
        people::clients(&self.plan)
    }

    /// The documents of `Livreur`.
    pub(crate) fn livreurs(&self) -> impl Iterator<Item = RawDocumentBuf> + Send {
        people::livreurs(&self.plan)
    }

    /// The documents of `Restaurants`.
    pub fn restaurants(&self) -> impl Iterator<Item = RawDocumentBuf> + Send {
        self.restaurants.iter().map(Restaurant::document)
    }

    /// The documents of `Menu`: four or more for each restaurant.
    pub fn menus(&self) -> impl Iterator<Item = RawDocumentBuf> + Send {
        self.restaurants.iter().flat_map(Restaurant::menu_documents)
    }

    /// The documents of `Commande`, the oldest first, as they stand at [`Plan::until`].
    pub fn orders(&self) -> impl Iterator<Item = RawDocumentBuf> + Send {
        orders::orders(self)
    }

    /// New orders, one by one, numbered on from those of the plan.
    pub fn live(&self) -> LiveOrders<'_> {
        LiveOrders::new(self)
    }
}
