//! Restaurants and their menus, whose prices suit the cuisine and the price range of the house.

use bson::{DateTime, RawDocumentBuf, rawdoc};

use super::{
    Plan,
    address::Address,
    cuisines::{CUISINES, Cuisine, Dish},
    dice::{Dice, Stream},
    ids::object_id,
};

/// What a house makes of the ordinary price, in percent, and how guides mark it.
const PRICE_RANGES: &[(u32, &str)] = &[(90, "€"), (100, "€€"), (100, "€€"), (120, "€€€")];

/// A restaurant.
pub(super) struct Restaurant {
    pub(super) id: u32,
    pub(super) menus: Vec<Menu>,
    name: &'static str,
    cuisine: &'static Cuisine,
    price_range: &'static str,
    opened: DateTime,
    address: Address,
}

/// A menu of one restaurant.
pub(super) struct Menu {
    pub(super) id: u32,
    pub(super) cents: u32,
    dish: &'static Dish,
}

/// All restaurants of a plan, with their menus numbered through.
pub(super) fn restaurants(plan: &Plan) -> Vec<Restaurant> {
    let mut dice = Dice::new(plan.seed, Stream::Restaurants, plan.offset.restaurants);
    let mut next_menu = plan.offset.menus;
    (0..plan.restaurants)
        .map(|index| {
            let restaurant = Restaurant::draw(plan, &mut dice, index, next_menu);
            next_menu += restaurant.menus.len() as u32;
            restaurant
        })
        .collect()
}

impl Restaurant {
    fn draw(plan: &Plan, dice: &mut Dice, index: u32, first_menu: u32) -> Self {
        let id = plan.offset.restaurants + index;
        let cuisine = dice.pick(CUISINES);
        let (percent, price_range) = *dice.pick(PRICE_RANGES);
        let dishes = cuisine.dishes.len() as u32;
        // A house serves some neighbours of the table, so that no dish is served twice.
        let first_dish = dice.below(dishes);
        let menus = (0..dice.between(4, dishes))
            .map(|rank| {
                let dish = &cuisine.dishes[((first_dish + rank) % dishes) as usize];
                Menu {
                    id: first_menu + rank,
                    // Prices end in a full ten cents.
                    cents: (dish.cents * percent + 500) / 1_000 * 10,
                    dish,
                }
            })
            .collect();
        Self {
            id,
            menus,
            name: *dice.pick(cuisine.names),
            cuisine,
            price_range,
            opened: plan.before_start(dice.fraction() * 3_000.0),
            address: Address::of(plan.seed, Stream::Restaurants, id, plan.town(index)),
        }
    }

    /// The restaurant as `Restaurants` holds it.
    pub(super) fn document(&self) -> RawDocumentBuf {
        rawdoc! {
            "_id": object_id(self.opened, *b"rest", self.id),
            "id_restaurant": self.id as i32,
            "name": self.name,
            "cuisine": self.cuisine.kind,
            "gamme": self.price_range,
            "adresse": self.address.document(),
            "date_ouverture": self.opened,
        }
    }

    /// Its menus as `Menu` holds them.
    pub(super) fn menu_documents(&self) -> impl Iterator<Item = RawDocumentBuf> {
        self.menus.iter().map(|menu| {
            rawdoc! {
                "_id": object_id(self.opened, *b"menu", menu.id),
                "id_menu": menu.id as i32,
                "id_restaurant": self.id as i32,
                "name": menu.dish.name,
                "price": f64::from(menu.cents) / 100.0,
                "description": menu.dish.description,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Offset;
    use std::collections::HashSet;

    fn plan() -> Plan {
        Plan {
            restaurants: 300,
            offset: Offset {
                restaurants: 51,
                menus: 401,
                ..Offset::default()
            },
            ..Plan::for_orders(100)
        }
    }

    #[test]
    fn ids_follow_the_offset_without_a_gap() {
        let houses = restaurants(&plan());
        let ids: Vec<u32> = houses.iter().map(|house| house.id).collect();
        assert_eq!(ids, (51..351).collect::<Vec<_>>());
        let menus: Vec<u32> = houses
            .iter()
            .flat_map(|house| &house.menus)
            .map(|menu| menu.id)
            .collect();
        assert_eq!(menus, (401..401 + menus.len() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn a_house_serves_four_or_more_different_dishes_of_its_cuisine() {
        for house in restaurants(&plan()) {
            let served: HashSet<_> = house.menus.iter().map(|menu| menu.dish.name).collect();
            assert!(served.len() >= 4, "{}", house.name);
            assert_eq!(served.len(), house.menus.len(), "{}", house.name);
            for menu in &house.menus {
                assert!(
                    house
                        .cuisine
                        .dishes
                        .iter()
                        .any(|dish| dish.name == menu.dish.name)
                );
            }
        }
    }

    #[test]
    fn prices_have_two_decimals_and_follow_the_standing() {
        for house in restaurants(&plan()) {
            for (menu, document) in house.menus.iter().zip(house.menu_documents()) {
                let price = document.get_f64("price").unwrap();
                assert_eq!(price, format!("{price:.2}").parse::<f64>().unwrap());
                assert!((4.5..=30.0).contains(&price), "{}: {price}", menu.dish.name);
                match house.price_range {
                    "€" => assert!(menu.cents < menu.dish.cents),
                    "€€" => assert_eq!(menu.cents, menu.dish.cents),
                    _ => assert!(menu.cents > menu.dish.cents),
                }
            }
        }
    }

    #[test]
    fn every_cuisine_is_on_offer() {
        let kinds: HashSet<_> = restaurants(&plan())
            .iter()
            .map(|house| house.cuisine.kind)
            .collect();
        assert_eq!(kinds.len(), CUISINES.len());
    }
}
