//! One page of a batch: what the archive holds is passed by, the rest goes through the corridor.

use std::sync::Arc;

use bson::DateTime;

use super::Archiver;
use crate::{
    corridor::Door,
    domain::{counts::Counts, order::Order},
    store::{
        Error,
        gather::Selection,
        pages::{Page, Standing, View},
        references::Memory,
    },
};

/// Archives the orders of a page, with `moment` as their `date_archivage`. Those that the archive holds since one of `ours` were
/// archived by an earlier try that did not come to count them.
pub(super) async fn archive_page(
    archiver: &Archiver,
    page: &Page,
    moment: DateTime,
    ours: &[DateTime],
    memory: &Arc<Memory>,
) -> Result<Counts, Error> {
    let standings = match ours {
        [] => archiver.store.standings(page).await?,
        ours => archiver.store.signed_standings(page, ours).await?,
    };
    let mut counts = Counts::default();
    let mut new: Vec<Order> = Vec::new();
    let mut archived = 0;
    for (order, standing) in page.orders.iter().zip(standings) {
        match standing {
            Standing::New => new.push(order.clone()),
            Standing::Archived => archived += 1,
            Standing::Signed { incomplete } => {
                counts += Counts {
                    found: 1,
                    archived: 1,
                    incomplete: i64::from(incomplete),
                    ..Counts::default()
                }
            }
        }
    }
    counts += archiver.corridor.pass_by(archived, Door::Batch).await?;
    for orders in new.chunks(archiver.chunk_size) {
        let mut next = Some(selection(page.view, orders, memory));
        while let Some(selection) = next {
            let report = archiver
                .corridor
                .archive_chunk(&selection, Door::Batch, moment)
                .await?;
            counts += report.counts;
            next = report.rest;
        }
    }
    Ok(counts)
}

fn selection(view: View, orders: &[Order], memory: &Arc<Memory>) -> Selection {
    match view {
        View::Whole => Selection::Read(orders.to_vec(), memory.clone()),
        View::Ids => Selection::Ids(orders.iter().map(|order| order.id().to_owned()).collect()),
    }
}
