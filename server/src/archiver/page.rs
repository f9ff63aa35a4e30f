//! One page of a batch: what the archive holds is passed by, the rest goes through the pipeline.

use std::{collections::HashSet, sync::Arc};

use bson::DateTime;

use super::Archiver;
use crate::{
    bytes::raw::ValueRef,
    domain::{
        counts::Counts,
        near_miss::{NearMiss, NearMisses},
        order::Order,
    },
    pipeline::{Outcome, Passed, PipelineReport, Since, Source},
    store::{
        Error,
        orders::{
            gather::Selection,
            pages::{ArchiveState, Page, View},
            references::ReferenceCache,
        },
    },
};

/// What a page came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Met {
    /// What became of its delivered orders.
    pub(super) counts: Counts,
    /// Those of its orders that only look delivered: lists and symbols, which the database takes
    /// for the text in them.
    pub(super) near_misses: NearMisses,
}

impl Met {
    /// Notes the near misses among orders.
    pub(super) fn note_near_misses(&mut self, passed: &[Passed]) {
        let near_miss = |passed: &Passed| match &passed.outcome {
            Outcome::NotDelivered {
                near_miss: Some(miss),
                ..
            } => Some(NearMiss {
                orders: 1,
                examples: passed.numero.iter().cloned().collect(),
                ..NearMiss::clone(miss)
            }),
            _ => None,
        };
        self.near_misses.extend(passed.iter().filter_map(near_miss));
    }
}

/// Archives the orders of a page, with `stamp` as their `date_archivage`. Those that the archive
/// holds since one of `ours` were archived by an earlier try that did not come to count them.
pub(super) async fn archive_page(
    archiver: &Archiver,
    page: &Page,
    stamp: DateTime,
    ours: &[DateTime],
    cache: &Arc<ReferenceCache>,
) -> Result<Met, Error> {
    let states = match ours {
        [] => archiver.store.archive_states(page).await?,
        ours => archiver.store.stamped_archive_states(page, ours).await?,
    };
    let mut met = Met::default();
    let counts = &mut met.counts;
    let mut new: Vec<Order> = Vec::new();
    for (order, state) in page.orders.iter().zip(states) {
        match state {
            ArchiveState::New => new.push(order.clone()),
            ArchiveState::Archived => {
                *counts += Counts {
                    found: 1,
                    duplicates: 1,
                    ..Counts::default()
                }
            }
            ArchiveState::Stamped { incomplete } => {
                *counts += Counts {
                    found: 1,
                    archived: 1,
                    incomplete: i64::from(incomplete),
                    ..Counts::default()
                }
            }
        }
    }
    for orders in new.chunks(archiver.chunk_size) {
        let mut next = Some(selection(page.view, orders, cache));
        while let Some(selection) = next {
            let report = archiver
                .pipeline
                .archive_chunk(&selection, Source::Batch, &Since::Unknown, stamp)
                .await?;
            met.counts += report.counts;
            met.note_near_misses(&report.passed);
            if !ours.is_empty() {
                met.counts += landed_late(archiver, page, &report, ours).await?;
            }
            next = report.rest;
        }
    }
    Ok(met)
}

/// Corrects the counts of orders that were not in the archive a moment ago and are duplicates now:
/// what an earlier try had sent has come in between.
async fn landed_late(
    archiver: &Archiver,
    page: &Page,
    report: &PipelineReport,
    ours: &[DateTime],
) -> Result<Counts, Error> {
    let duplicates: HashSet<ValueRef<'_>> = report
        .passed
        .iter()
        .filter(|passed| matches!(passed.outcome, Outcome::Duplicate(_)))
        .map(|passed| passed.id.as_ref())
        .collect();
    let mut correction = Counts::default();
    if duplicates.is_empty() {
        return Ok(correction);
    }
    let orders = page.orders.iter();
    let late = Page {
        orders: orders
            .filter(|order| duplicates.contains(&order.id()))
            .cloned()
            .collect(),
        view: page.view,
        next: None,
    };
    for state in archiver.store.stamped_archive_states(&late, ours).await? {
        if let ArchiveState::Stamped { incomplete } = state {
            correction.duplicates -= 1;
            correction.archived += 1;
            correction.incomplete += i64::from(incomplete);
        }
    }
    Ok(correction)
}

fn selection(view: View, orders: &[Order], cache: &Arc<ReferenceCache>) -> Selection {
    match view {
        View::Whole => Selection::Read(orders.to_vec(), cache.clone()),
        View::Ids => Selection::Ids(orders.iter().map(|order| order.id().to_owned()).collect()),
    }
}
