//! Archived documents that have no order beside them: their order is not delivered, belongs to them
//! by number, or is gone.

use std::collections::{HashMap, HashSet};

use bson::RawDocumentBuf;

use super::{
    compared::{Sides, id_of, number, plain},
    comparer::{Way, Work, distinct, ids_of},
};
use crate::{
    bytes::raw::{Value, ValueRef},
    domain::{
        order::Order,
        verify::{class::Class, compare::Match, metadata::Archived, pairing::pair},
    },
    store::{
        Error,
        verify::lookups::{Extent, Side},
    },
};

impl Work<'_> {
    /// Finds out what these archived documents are.
    pub(super) async fn lone_documents(
        &mut self,
        documents: Vec<RawDocumentBuf>,
    ) -> Result<(), Error> {
        let ids: Vec<Value> = documents.iter().map(|it| id_of(it).to_owned()).collect();
        let extent = self.extent(Extent::Id);
        let reader = &self.comparer.reader;
        let live = reader.with_ids(Side::Orders, &ids, extent, self.source);
        let live = live.await?;
        let pairs = pair(&ids_of(&live), &ids_of(&documents));
        for (order, document) in pairs.pairs {
            let order = Order::new(live[order].clone());
            let delivered = self.is_delivered(order.document());
            // Its turn was among the orders.
            if delivered && self.way == Way::Archive {
                continue;
            }
            self.found.counts.delivered += i64::from(delivered);
            self.pair((&order, delivered), &documents[document], Match::Id);
        }
        let lone = pairs.archived.into_iter();
        let lone: Vec<RawDocumentBuf> = lone.map(|at| documents[at].clone()).collect();
        if lone.is_empty() {
            return Ok(());
        }
        // Of a page of bare `_id`s the numbers are not known yet.
        let lone = match extent {
            Extent::Whole => lone,
            _ => {
                let ids: Vec<Value> = lone.iter().map(|it| id_of(it).to_owned()).collect();
                let heads =
                    self.comparer
                        .reader
                        .with_ids(Side::Archive, &ids, Extent::Head, self.source);
                heads.await?
            }
        };
        self.place_by_number(lone).await
    }

    /// Finds out to which orders these documents belong by their numbers.
    async fn place_by_number(&mut self, documents: Vec<RawDocumentBuf>) -> Result<(), Error> {
        let orders = match self.finds_orders_by_number() {
            true => self.delivered_under(&documents).await?,
            false => Vec::new(),
        };
        let archived_by_id = self.have_their_own(&orders).await?;
        let mut by_number: HashMap<ValueRef<'_>, Vec<usize>> = HashMap::new();
        for (at, order) in orders.iter().enumerate() {
            if let Some(numero) = number(order.document()) {
                by_number.entry(numero).or_default().push(at);
            }
        }
        for document in &documents {
            let numero = number(document);
            let candidates = numero.and_then(|numero| by_number.get(&numero));
            let candidates = candidates.map(Vec::as_slice).unwrap_or_default();
            let first = candidates.first().map(|at| (orders[*at].document(), true));
            let sides = Sides {
                order: first,
                archived: Some(document),
            };
            if self.is_surplus(document) {
                self.push(sides, plain(Class::Doubled));
                continue;
            }
            let mut without = candidates.iter().filter(|at| !archived_by_id.contains(at));
            match (without.next(), first) {
                // A page compares it when it comes to the order.
                (Some(_), _) if self.way != Way::Ids => {}
                (Some(order), _) => {
                    let order = &orders[*order];
                    if self.is_unseen(order) {
                        self.found.counts.delivered += 1;
                        self.pair((order, true), document, Match::Number);
                    }
                }
                (None, Some(_)) => self.push(sides, plain(Class::Doubled)),
                (None, None) => self.belongs_to_nobody(document),
            }
        }
        Ok(())
    }

    fn belongs_to_nobody(&mut self, document: &RawDocumentBuf) {
        let sides = Sides {
            order: None,
            archived: Some(document),
        };
        let damage = match self.comparer.compares() {
            true => Archived::read(document).damage(),
            false => None,
        };
        match damage {
            Some(damage) => self.push(sides, damage),
            None if self.finds_orders_by_number() => {
                self.push(sides, plain(Class::Orphaned));
            }
            None => self.found.unplaced += 1,
        }
    }

    /// The delivered orders with the numbers of these documents, the first `_id` first.
    pub(super) async fn delivered_under(
        &self,
        documents: &[RawDocumentBuf],
    ) -> Result<Vec<Order>, Error> {
        let numbers = distinct(documents.iter().filter_map(|document| number(document)));
        let extent = match self.way {
            Way::Ids => Extent::Whole,
            _ => Extent::Head,
        };
        let reader = &self.comparer.reader;
        let orders = reader.with_numbers(Side::Orders, &numbers, extent, self.source);
        let mut orders = orders.await?;
        orders.retain(|order| self.is_delivered(order));
        orders.sort_by(|one, other| {
            let key = |order| {
                let id = id_of(order);
                (id.kind, id.bytes)
            };
            key(one).cmp(&key(other))
        });
        Ok(orders.into_iter().map(Order::new).collect())
    }

    /// Which of these orders have an archived document under their own `_id`s.
    pub(super) async fn have_their_own(&self, orders: &[Order]) -> Result<HashSet<usize>, Error> {
        let ids: Vec<Value> = orders.iter().map(|order| order.id().to_owned()).collect();
        let reader = &self.comparer.reader;
        let archived = reader.with_ids(Side::Archive, &ids, Extent::Id, self.source);
        let archived = archived.await?;
        let ids: Vec<ValueRef<'_>> = orders.iter().map(Order::id).collect();
        let pairs = pair(&ids, &ids_of(&archived)).pairs;
        Ok(pairs.into_iter().map(|(order, _)| order).collect())
    }
}
