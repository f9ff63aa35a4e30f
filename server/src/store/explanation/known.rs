//! What is known of a number, put together.

use bson::Timestamp;

use super::{Archived, Belongs, LiveOrder};
use crate::{
    bytes::raw::Value,
    domain::{
        explanation::conclusion::{Copy, Facts, Likeness, OrderFacts, Other},
        verify::{compare::compare, metadata},
    },
    store::{
        Error, Store,
        acknowledgements::record::Acknowledgement,
        quarantine::record::{Entry, entry_id},
        replaced::record::Replaced,
        state::fault::Fault,
    },
};

/// How many records are told of what was replaced, and of what somebody said.
const RECORDS: i32 = 20;

/// What is known of a number.
#[derive(Debug)]
pub struct Known {
    /// The number.
    pub numero: String,
    /// The live orders that have it, some of them.
    pub orders: Vec<LiveOrder>,
    /// Whether there are more.
    pub more_orders: bool,
    /// The archived documents that have it, and those of the orders.
    pub archived: Vec<Archived>,
    /// The entries of the quarantine.
    pub quarantined: Vec<Entry>,
    /// What was replaced.
    pub replaced: Vec<Replaced>,
    /// What somebody said of its differences.
    pub acknowledged: Vec<Acknowledgement>,
    /// What can't be read of the above.
    pub faults: Vec<Fault>,
    /// A cluster time that nothing told of the orders is later than; none on a standalone mongod.
    pub time: Option<Timestamp>,
}

impl Store {
    /// What is known of a number, but for how the documents compare.
    pub async fn known_of(&self, numero: &str) -> Result<Known, Error> {
        // The orders first: one that is archived meanwhile is then told as archived.
        let (orders, more_orders, time) = self.live_orders(numero).await?;
        let (archived, quarantined, replaced, acknowledged) = futures::try_join!(
            self.archived_of(numero, &orders),
            self.quarantined_of(numero, &orders),
            self.replaced_of(numero, RECORDS),
            self.acknowledgements_under(numero, RECORDS),
        )?;
        let mut faults = Vec::new();
        Ok(Known {
            numero: numero.to_owned(),
            orders,
            more_orders,
            archived,
            quarantined: readable(quarantined, &mut faults),
            replaced: readable(replaced, &mut faults),
            acknowledged: readable(acknowledged, &mut faults),
            faults,
            time,
        })
    }

    /// Compares each archived document with its live order, if it has one, and with what it notes
    /// of itself.
    pub async fn compare_archived(&self, known: &mut Known) -> Result<(), Error> {
        for document in &mut known.archived {
            let archived = self
                .whole_with(&self.names.archive, document.id.as_ref())
                .await?;
            // It may be gone by now, and so may the order.
            let Some(archived) = archived else {
                continue;
            };
            let archived = metadata::Archived::read(&archived);
            let Belongs::To(at, by) = document.belongs else {
                document.found = Some(archived.damage());
                continue;
            };
            let order = self
                .whole_with(&self.names.orders, known.orders[at].id.as_ref())
                .await?;
            document.found = order.map(|order| compare(&order, &archived, by));
        }
        Ok(())
    }
}

fn readable<T>(found: Vec<Result<T, Fault>>, faults: &mut Vec<Fault>) -> Vec<T> {
    let found = found
        .into_iter()
        .filter_map(|found| found.map_err(|fault| faults.push(fault)).ok());
    found.collect()
}

impl Known {
    /// The most bytes that are held at once while documents are compared.
    pub fn largest_pair(&self) -> usize {
        let pairs = self.archived.iter().map(|document| match document.belongs {
            Belongs::To(at, _) => document.bytes.saturating_add(self.orders[at].bytes),
            _ => document.bytes,
        });
        pairs.max().unwrap_or(0)
    }

    /// The archived document of the order at a place.
    pub fn document_of(&self, order: usize) -> Option<&Archived> {
        let mut documents = self.archived.iter();
        documents.find(|it| matches!(it.belongs, Belongs::To(at, _) if at == order))
    }

    /// The entry of the quarantine for the order at a place.
    pub fn entry_of(&self, order: usize) -> Option<&Entry> {
        let id = entry_id(self.orders[order].id.as_ref());
        self.quarantined.iter().find(|entry| entry.id == id)
    }

    /// The `_id`s by which the history knows the orders.
    pub fn ids(&self) -> Vec<Value> {
        let orders = self.orders.iter().map(|order| &order.id);
        let archived = self.archived.iter().map(|document| &document.id);
        let quarantined = self.quarantined.iter().map(|entry| &entry.order_id);
        let mut ids: Vec<Value> = Vec::new();
        for id in orders.chain(archived).chain(quarantined) {
            if !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        ids
    }

    /// The facts that a conclusion is drawn from.
    pub fn facts(&self) -> Facts {
        let numbered = || {
            self.archived
                .iter()
                .filter(|document| self.has_number(document))
        };
        Facts {
            orders: (0..self.orders.len())
                .map(|at| self.order_facts(at))
                .collect(),
            archived: numbered().count(),
            damaged: numbered().any(|it| matches!(it.found, Some(Some(_)))),
            of_another_order: numbered().any(|it| matches!(it.belongs, Belongs::Elsewhere(_))),
            quarantined: !self.quarantined.is_empty(),
            noted: !self.replaced.is_empty() || !self.acknowledged.is_empty(),
        }
    }

    fn order_facts(&self, order: usize) -> OrderFacts {
        let own = self.document_of(order);
        let copy = own.and_then(|document| {
            let Belongs::To(_, by) = document.belongs else {
                return None;
            };
            let found = document.found.as_ref();
            Some(Copy {
                by,
                likeness: found.map_or(Likeness::Different, |it| Likeness::of(it.as_ref())),
                has_number: self.has_number(document),
            })
        });
        let others = self.archived.iter().filter(|document| {
            self.has_number(document) && own.is_none_or(|own| own.id != document.id)
        });
        let other = others.fold(Other::None, |found, document| match document.belongs {
            Belongs::Nowhere if found == Other::None => Other::OfNobody,
            Belongs::Nowhere => found,
            Belongs::To(..) | Belongs::Elsewhere(_) => Other::OfAnotherOrder,
        });
        OrderFacts {
            standing: self.orders[order].status.standing,
            copy,
            other,
            quarantined: self.entry_of(order).is_some(),
        }
    }

    fn has_number(&self, document: &Archived) -> bool {
        document.numero.as_ref() == Some(&self.numero)
    }
}
