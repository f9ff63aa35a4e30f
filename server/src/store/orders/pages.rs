//! Pages: reads the delivered orders in the order of their `_id`s, and tells which of them the
//! archive holds.
//!
//! The `_id`s may be of any type, and a plain `$gte` ends with the type that it compares with. The
//! bounds `min` and `max` of an index go on through all of them, but leave out MaxKey, which comes
//! last: it has a page of its own after all the others.
//!
//! A page along `_id` follows the collation of the orders, in which each `_id` has one place, as in
//! its index. The archive may have another one: then what it holds is asked for one by one.

use std::collections::HashMap;

use bson::{DateTime, RawDocument, RawDocumentBuf, rawdoc};

use crate::{
    bytes::raw::{self, Value, ValueRef, Writer},
    domain::{
        enrich::{DATE_ARCHIVAGE, INCOMPLETE},
        order::Order,
    },
    store::{
        Error, Store,
        encoding::document::{field, joined},
        wire::command::{CHUNK_BYTES, SIMPLE, commands_for},
    },
};

/// How much of each order a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// All of it: right where most orders are still to be archived.
    Whole,
    /// Its `_id` alone: right where most are archived.
    Ids,
}

/// Which page to read.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// The `_id` that the page begins at; none for the first page.
    pub from: Option<Value>,
    /// At most this many orders.
    pub limit: usize,
    /// Only orders with an earlier `date_commande`.
    pub before: Option<DateTime>,
    /// How much of each.
    pub view: View,
    /// The index on status and `_id` to walk: see [`Store::paging_index`]. None walks the one on
    /// `_id`, and looks into every order.
    pub index: Option<String>,
    /// Walk at most so many entries of the index, even if the page stays empty: right where few
    /// orders are delivered ones, so that looking for a full page would take longer than a call
    /// may.
    pub stride: Option<i32>,
}

/// Delivered orders whose `_id`s follow each other.
#[derive(Clone, Debug)]
pub struct Page {
    /// The orders, by `_id`.
    pub orders: Vec<Order>,
    /// How much of each there is.
    pub view: View,
    /// Where the next page begins; none after the last one.
    pub next: Option<Value>,
}

/// Whether the archive holds an order of a page, by its `_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveState {
    /// It does not.
    New,
    /// It does.
    Archived,
    /// It does, since one of the stamps that were asked about.
    Stamped {
        /// Whether it is incomplete there.
        incomplete: bool,
    },
}

/// The archive's index is walked no further than this many entries for each order of the page.
const DENSITY: usize = 4;

/// The database's code for bounds that lie the other way round: to the archive the first `_id`
/// comes after the last.
pub(in crate::store) const BOUNDS_CROSS: i32 = 51175;

impl Store {
    /// Reads a page of delivered orders.
    ///
    /// An order that is delivered before the first page is read, and stays so, is on exactly one
    /// page: its `_id` is its place. A page that takes too long fails at once with [`Error::Slow`]
    /// or [`Error::Timeout`]: the same again would too.
    pub async fn order_page(&self, request: &PageRequest) -> Result<Page, Error> {
        self.order_page_up_to(request, ValueRef::MAX_KEY).await
    }

    /// The same, of orders with an `_id` before this one.
    pub(in crate::store) async fn order_page_up_to(
        &self,
        request: &PageRequest,
        end: ValueRef<'_>,
    ) -> Result<Page, Error> {
        let from = request
            .from
            .as_ref()
            .map_or(ValueRef::MIN_KEY, Value::as_ref);
        let last = from == ValueRef::MAX_KEY;
        let mut filter = match &request.index {
            // All that lies between its bounds is delivered, and to ask for the status would have
            // every order looked into.
            Some(_) if !last => rawdoc! {},
            _ => rawdoc! { "status": self.delivered.as_str() },
        };
        if let Some(before) = request.before {
            filter = joined(&[&filter, &rawdoc! { "date_commande": { "$lt": before } }]);
        }
        let mut walk = Writer::default();
        let mut end = end.to_owned();
        if last {
            filter = joined(&[&filter, &field("_id", from)]);
        } else {
            if let Some(entries) = request.stride {
                end = self.behind(request, from, entries).await?.unwrap_or(end);
            }
            walk.document("min", &self.bound(request, from));
            walk.document("max", &self.bound(request, end.as_ref()));
        }
        if request.view == View::Ids {
            walk.document("projection", &rawdoc! { "_id": 1 });
        }
        let mut command = Writer::default();
        command
            .string("find", &self.names.orders)
            .document("filter", &filter);
        // One order more than asked for tells where the next page begins.
        let walk = joined(&[
            &walk.finish(),
            &along(request),
            &all_at_once(request.limit + 1),
        ]);
        let command = joined(&[&command.finish(), &walk]);
        let page = self.bulk_rows(&command, CHUNK_BYTES).await;
        let (rows, cut) = page.map_err(|error| self.named_if_view(error))?;
        let mut orders: Vec<Order> = rows.into_iter().map(Order::new).collect();
        let more = cut || orders.len() > request.limit;
        let next = match orders.pop_if(|_| more) {
            Some(order) => Some(order.id().to_owned()),
            None => (!last).then_some(end),
        };
        Ok(Page {
            orders,
            view: request.view,
            next,
        })
    }

    /// The `_id` so many entries of the index further on; none when it ends before.
    async fn behind(
        &self,
        request: &PageRequest,
        from: ValueRef<'_>,
        entries: i32,
    ) -> Result<Option<Value>, Error> {
        let mut walk = Writer::default();
        walk.string("find", &self.names.orders)
            .document("projection", &rawdoc! { "_id": 1 })
            .document("min", &self.bound(request, from))
            .document("max", &self.bound(request, ValueRef::MAX_KEY))
            .int32("skip", entries)
            .int32("limit", 1);
        let command = joined(&[&walk.finish(), &along(request)]);
        let (rows, _) = self.bulk_rows(&command, usize::MAX).await?;
        Ok(rows
            .first()
            .and_then(|row| raw::find(row, "_id"))
            .map(ValueRef::to_owned))
    }

    /// The place of an `_id` in the index that a page walks.
    fn bound(&self, request: &PageRequest, id: ValueRef<'_>) -> RawDocumentBuf {
        let id = field("_id", id);
        match request.index {
            None => id,
            Some(_) => joined(&[&rawdoc! { "status": self.delivered.as_str() }, &id]),
        }
    }

    /// Whether the archive holds the orders of a page, each in its turn. Only the archive's index
    /// is read, not its documents.
    pub async fn archive_states(&self, page: &Page) -> Result<Vec<ArchiveState>, Error> {
        let ids = rawdoc! { "_id": 1 };
        let within = match (page.orders.first(), &page.next) {
            (Some(first), Some(next)) if self.ids_are_bytes().await? => {
                let limit = DENSITY * page.orders.len();
                let mut command = Writer::default();
                command
                    .string("find", &self.names.archive)
                    .document("projection", &ids)
                    .document("min", &field("_id", first.id()))
                    .document("max", &field("_id", next.as_ref()));
                let walk = joined(&[&along_ids(), &all_at_once(limit)]);
                let command = joined(&[&command.finish(), &walk]);
                match self.bulk_rows(&command, usize::MAX).await {
                    Ok((rows, _)) => (rows.len() < limit).then_some(rows),
                    // It has been given a collation since that was looked at, or that may not be
                    // seen.
                    Err(Error::Refused {
                        code: BOUNDS_CROSS, ..
                    }) => None,
                    Err(error) => return Err(error),
                }
            }
            _ => None,
        };
        let rows = match within {
            Some(rows) => rows,
            // The archive goes on far beyond the page, or is far denser because its orders have
            // been deleted: asking for each costs less.
            None => {
                let mut rows = Vec::new();
                for command in self.archived_among(page, &ids) {
                    rows.extend(self.bulk_rows(&command, usize::MAX).await?.0);
                }
                rows
            }
        };
        Ok(states(page, &rows, &[]))
    }

    /// Like [`Store::archive_states`], and tells which of them bear one of these stamps as their
    /// `date_archivage`. That is counted on, so the primary is asked, which knows the latest
    /// inserts.
    pub async fn stamped_archive_states(
        &self,
        page: &Page,
        stamps: &[DateTime],
    ) -> Result<Vec<ArchiveState>, Error> {
        let signature = rawdoc! { "date_archivage": 1, "incomplete": 1 };
        let mut rows = Vec::new();
        for command in self.archived_among(page, &signature) {
            rows.extend(
                self.rows(&joined(&[&command, &self.read_options()]))
                    .await?,
            );
        }
        Ok(states(page, &rows, stamps))
    }

    /// The commands that ask what the archive holds under the `_id`s of a page, without their read
    /// options.
    fn archived_among(&self, page: &Page, projection: &RawDocument) -> Vec<RawDocumentBuf> {
        let ids: Vec<Value> = page
            .orders
            .iter()
            .map(|order| order.id().to_owned())
            .collect();
        commands_for("_id", &ids, |filter| {
            let mut command = Writer::default();
            command
                .string("find", &self.names.archive)
                .document("filter", filter)
                .document("projection", projection);
            command.finish()
        })
        .collect()
    }
}

/// Has a `find` walk the index that is asked for.
fn along(request: &PageRequest) -> RawDocumentBuf {
    match &request.index {
        None => along_ids(),
        Some(index) => {
            rawdoc! { "sort": { "_id": 1 }, "hint": index.as_str(), "collation": { "locale": SIMPLE } }
        }
    }
}

/// Has a `find` walk the index on `_id`.
pub(in crate::store) fn along_ids() -> RawDocumentBuf {
    rawdoc! { "sort": { "_id": 1 }, "hint": { "_id": 1 } }
}

/// Has a `find` answer with at most so many rows, in one reply.
pub(in crate::store) fn all_at_once(limit: usize) -> RawDocumentBuf {
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    rawdoc! { "limit": limit, "batchSize": limit }
}

fn states(page: &Page, archived: &[RawDocumentBuf], stamps: &[DateTime]) -> Vec<ArchiveState> {
    let by_id: HashMap<ValueRef<'_>, &RawDocument> = archived
        .iter()
        .filter_map(|row| Some((raw::find(row, "_id")?, row.as_ref())))
        .collect();
    let state = |order: &Order| match by_id.get(&order.id()) {
        None => ArchiveState::New,
        Some(row) => match raw::find(row, DATE_ARCHIVAGE).and_then(ValueRef::as_date) {
            Some(stamp) if stamps.contains(&stamp) => ArchiveState::Stamped {
                incomplete: raw::find(row, INCOMPLETE).and_then(ValueRef::as_bool) == Some(true),
            },
            _ => ArchiveState::Archived,
        },
    };
    page.orders.iter().map(state).collect()
}
