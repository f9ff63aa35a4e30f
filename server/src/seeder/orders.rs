//! Orders: somebody has a menu of a restaurant in town brought home.

use super::{
    Generator, Plan,
    address::Address,
    dice::{Dice, Stream},
    ids::{NOBODY, numero_commande, object_id},
    life::{Life, Status},
    people::client_address,
    rush,
};
use bson::{DateTime, RawDocumentBuf, cstr, rawdoc};

/// Most people order one menu.
const QUANTITIES: &[u32] = &[1, 1, 1, 1, 1, 1, 2, 2, 2, 3];

/// What a delivery costs, in cents.
const FEES: &[u32] = &[0, 199, 249, 249, 299, 299, 349, 399];

/// An order and all that is going to happen to it.
pub(super) struct Order {
    pub(super) life: Life,
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
            life: Life::draw(dice),
        }
    }

    /// Its number.
    pub(super) fn numero(&self) -> String {
        numero_commande(self.date, self.number)
    }

    /// The order as `Commande` holds it at an instant.
    pub(super) fn document(&self, now: DateTime) -> RawDocumentBuf {
        let taken = self.life.taken(self.date, now);
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
