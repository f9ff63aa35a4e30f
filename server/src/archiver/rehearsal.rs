//! Rehearsal: what archiving a page would come to, told by code that has nothing to write with.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use bson::DateTime;

use crate::{
    corridor::{Prepared, prepare},
    domain::{
        counts::Counts,
        enrich::Stamp,
        order::NUMERO,
        raw::{self, Value},
    },
    store::{
        Error,
        gather::Selection,
        pages::{Page, Standing, View},
        reader::Reader,
    },
};

/// A rehearsal of one batch.
pub(super) struct Rehearsal {
    reader: Reader,
    /// The numbers that would be archived so far: the second order with one of them would be refused.
    taken: Mutex<HashSet<Value>>,
}

impl Rehearsal {
    pub(super) fn new(reader: Reader) -> Rehearsal {
        Rehearsal {
            reader,
            taken: Mutex::default(),
        }
    }

    /// Predicts what would become of the orders of a page.
    pub(super) async fn page(&self, page: &Page) -> Result<Counts, Error> {
        let standings = self.reader.standings(page).await?;
        let is_new = |standing: &Standing| *standing == Standing::New;
        let new = page
            .orders
            .iter()
            .zip(&standings)
            .filter(|(_, standing)| is_new(standing));
        let new = new.map(|(order, _)| order);
        let held = standings
            .iter()
            .filter(|standing| !is_new(standing))
            .count() as i64;
        let mut counts = Counts {
            found: held,
            duplicates: held,
            ..Counts::default()
        };
        let mut next = Some(match page.view {
            View::Whole => Selection::Read(new.cloned().collect()),
            View::Ids => Selection::Ids(new.map(|order| order.id().to_owned()).collect()),
        });
        while let Some(selection) = next {
            let gathered = self.reader.gather(&selection).await?;
            next = gathered.rest;
            // Every date is as long as any other, and nobody sees this one.
            let stamp = Stamp {
                date_archivage: DateTime::MIN,
                archived_by: String::new(),
            };
            counts += self
                .outcome(prepare(gathered.bundles, self.reader.delivered(), &stamp))
                .await?;
        }
        Ok(counts)
    }

    async fn outcome(&self, prepared: Prepared) -> Result<Counts, Error> {
        let mut counts = prepared.settled_counts();
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
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for ((_, document), numero) in prepared.documents.iter().zip(numbers) {
            counts.found += 1;
            if archived.contains(&numero) || !taken.insert(numero) {
                counts.errors += 1;
            } else {
                counts.archived += 1;
                counts.incomplete += i64::from(!document.missing.is_empty());
            }
        }
        Ok(counts)
    }
}
