//! DryRun: what archiving a page would come to, told by code that has nothing to write with.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use bson::DateTime;
use parking_lot::Mutex;

use super::page::Met;
use crate::{
    bytes::raw::{self, Value, ValueRef},
    domain::{counts::Counts, enrich::Stamp, order::NUMERO},
    pipeline::{Prepared, prepare, sum},
    store::{
        Error,
        orders::{
            gather::Selection,
            pages::{ArchiveState, Page, View},
            reader::Reader,
            references::ReferenceCache,
        },
    },
};

/// A dry run: one run of a batch that writes nothing.
pub(super) struct DryRun {
    reader: Reader,
    taken: Mutex<Taken>,
}

/// The numbers that this run would have archived so far: the next order with one of them would be
/// refused.
///
/// For each number there is a hash of 64 bits, and one of the `_id` of the order that has it, so
/// that a page may be dry again. A million new orders take 20 to 39 MB, for a moment 58 MB while
/// the table grows. That two numbers of a million have one hash, so that an order is taken for a
/// conflict that is none, happens once in 37 million dry runs; of ten million, once in 370,000.
#[derive(Default)]
struct Taken {
    hashes: RandomState,
    by_number: HashMap<u64, u64>,
}

impl Taken {
    /// Notes that an order would take a number; false when another order has it.
    fn take(&mut self, numero: &Value, id: ValueRef<'_>) -> bool {
        let id = self.hashes.hash_one(id);
        let numero = self.hashes.hash_one(numero);
        *self.by_number.entry(numero).or_insert(id) == id
    }
}

impl DryRun {
    pub(super) fn new(reader: Reader) -> DryRun {
        DryRun {
            reader,
            taken: Mutex::default(),
        }
    }

    /// Predicts what would become of the orders of a page.
    pub(super) async fn page(
        &self,
        page: &Page,
        cache: &Arc<ReferenceCache>,
    ) -> Result<Met, Error> {
        let states = self.reader.states(page).await?;
        let is_new = |state: &ArchiveState| *state == ArchiveState::New;
        let new = page
            .orders
            .iter()
            .zip(&states)
            .filter(|(_, state)| is_new(state));
        let new = new.map(|(order, _)| order);
        let held = states.iter().filter(|state| !is_new(state)).count() as i64;
        let mut met = Met {
            counts: Counts {
                found: held,
                duplicates: held,
                ..Counts::default()
            },
            ..Met::default()
        };
        let mut next = Some(match page.view {
            View::Whole => Selection::Read(new.cloned().collect(), cache.clone()),
            View::Ids => Selection::Ids(new.map(|order| order.id().to_owned()).collect()),
        });
        while let Some(selection) = next {
            let gathered = self.reader.gather(&selection).await?;
            next = gathered.rest;
            let stamp = Stamp {
                date_archivage: DateTime::MIN,
                archived_by: String::new(),
            };
            let prepared = prepare(gathered.bundles, self.reader.delivered_status(), &stamp);
            met.note_near_misses(prepared.settled());
            met.counts += self.outcome(prepared).await?;
        }
        Ok(met)
    }

    async fn outcome(&self, prepared: Prepared) -> Result<Counts, Error> {
        let mut counts = sum(prepared.settled());
        let refused = prepared.refused.len() as i64;
        counts.found += refused;
        counts.errors += refused;
        let numero = |document: &bson::RawDocument| {
            raw::find(document, NUMERO).map(|numero| numero.to_owned())
        };
        let numbers: Vec<Value> = prepared
            .documents
            .iter()
            .filter_map(|(_, archived)| numero(&archived.document))
            .collect();
        let archived = self.reader.archived_numbers(&numbers).await?;
        let mut taken = self.taken.lock();
        for ((bundle, document), numero) in prepared.documents.iter().zip(numbers) {
            counts.found += 1;
            if archived.contains(&numero) || !taken.take(&numero, bundle.order.id()) {
                counts.errors += 1;
            } else {
                counts.archived += 1;
                counts.incomplete += i64::from(!document.missing.is_empty());
            }
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_first_orders_and_that_order_may_come_again() {
        let mut taken = Taken::default();
        let (one, other) = (Value::string("id 1"), Value::string("id 2"));
        assert!(taken.take(&Value::string("CMD-1"), one.as_ref()));
        assert!(!taken.take(&Value::string("CMD-1"), other.as_ref()));
        assert!(taken.take(&Value::string("CMD-2"), other.as_ref()));
        // The page is dry again.
        assert!(taken.take(&Value::string("CMD-1"), one.as_ref()));
        assert!(!taken.take(&Value::string("CMD-1"), other.as_ref()));
        assert_eq!(taken.by_number.len(), 2);
    }
}
