//! Delivered orders that have no archived document beside them: theirs has another `_id`, they are
//! in quarantine, or they are missing.

use std::collections::HashMap;

use bson::RawDocumentBuf;

use super::{
    compared::{Sides, id_of, number, plain},
    comparer::{Work, distinct, ids_of},
};
use crate::{
    bytes::raw::{Value, ValueRef},
    domain::{
        order::Order,
        verify::{class::Class, compare::Match, pairing::pair},
    },
    store::{
        Error,
        verify::lookups::{Extent, Side},
    },
};

impl Work<'_> {
    /// Finds out what became of these delivered orders.
    pub(super) async fn lone_orders(&mut self, orders: Vec<Order>) -> Result<(), Error> {
        let orders = match self.extent(Extent::Head) {
            Extent::Whole => orders,
            _ => self.still_delivered(orders).await?,
        };
        if !self.finds_archived_by_number() {
            // Who is left is looked at again before it counts.
            for order in &orders {
                self.push(of_order(order), plain(Class::Missing));
            }
            return Ok(());
        }
        let numbers = distinct(orders.iter().filter_map(|order| number(order.document())));
        let extent = self.extent(Extent::Head);
        let reader = &self.comparer.reader;
        let documents = reader.with_numbers(Side::Archive, &numbers, extent, self.source);
        let mut documents = self.unclaimed(documents.await?).await?;
        documents.sort_by(|one, other| key(one).cmp(&key(other)));
        let mut by_number: HashMap<ValueRef<'_>, &RawDocumentBuf> = HashMap::new();
        for document in documents.iter().rev() {
            by_number.extend(number(document).map(|numero| (numero, document)));
        }
        let owners = self.owners_by_number(&documents).await?;
        let is_its = |order: &Order| {
            let numero = number(order.document()).map(ValueRef::to_owned);
            let owner = numero.and_then(|numero| owners.get(&numero));
            owner.is_none_or(|owner| owner.as_ref() == order.id())
        };
        let mut lone = Vec::new();
        for order in &orders {
            let numero = number(order.document());
            let document = numero.and_then(|numero| by_number.get(&numero));
            match document.filter(|_| is_its(order)) {
                Some(document) => {
                    self.found.by_number += 1;
                    self.pair((order, true), document, Match::Number);
                }
                None => lone.push(order),
            }
        }
        let ids: Vec<Value> = lone.iter().map(|order| order.id().to_owned()).collect();
        let quarantined = self.comparer.reader.quarantined(&ids).await?;
        for (order, quarantined) in lone.into_iter().zip(quarantined) {
            let class = match quarantined {
                true => Class::Quarantined,
                false => Class::Missing,
            };
            self.push(of_order(order), plain(class));
        }
        Ok(())
    }

    /// To which order each of these documents belongs by its number, where several have it: one
    /// document is the archive of one order, the one with the first `_id` that has none of its own.
    /// Empty where the orders can't be looked up by their numbers.
    async fn owners_by_number(
        &self,
        documents: &[RawDocumentBuf],
    ) -> Result<HashMap<Value, Value>, Error> {
        let mut owners = HashMap::new();
        if documents.is_empty() || !self.finds_orders_by_number() {
            return Ok(owners);
        }
        let orders = self.delivered_under(documents).await?;
        let archived = self.have_their_own(&orders).await?;
        for (at, order) in orders.iter().enumerate() {
            if let Some(numero) = number(order.document()).filter(|_| !archived.contains(&at)) {
                let owner = owners.entry(numero.to_owned());
                owner.or_insert_with(|| order.id().to_owned());
            }
        }
        Ok(owners)
    }

    /// The heads of those of these orders that are delivered ones: of a page of bare `_id`s that is
    /// not known.
    async fn still_delivered(&mut self, orders: Vec<Order>) -> Result<Vec<Order>, Error> {
        let ids: Vec<Value> = orders.iter().map(|order| order.id().to_owned()).collect();
        let reader = &self.comparer.reader;
        let heads = reader.with_ids(Side::Orders, &ids, Extent::Head, self.source);
        let heads = heads.await?;
        let order_ids: Vec<ValueRef<'_>> = orders.iter().map(Order::id).collect();
        let gone = pair(&order_ids, &ids_of(&heads)).orders.len();
        self.found.counts.delivered -= gone as i64;
        let mut delivered = Vec::with_capacity(heads.len());
        for head in heads {
            if self.is_delivered(&head) {
                delivered.push(Order::new(head));
            } else {
                self.found.counts.delivered -= 1;
                self.note_near_miss(&head);
            }
        }
        Ok(delivered)
    }
}

fn of_order(order: &Order) -> Sides<'_> {
    Sides {
        order: Some((order.document(), true)),
        archived: None,
    }
}

fn key(document: &RawDocumentBuf) -> (u8, &[u8]) {
    let id = id_of(document);
    (id.kind, id.bytes)
}
