//! Pages: reads the delivered orders in the order of their `_id`s, and tells which of them the archive holds.
//!
//! The `_id`s may be of any type, and a plain `$gte` ends with the type that it compares with. An expression goes on through
//! all of them, and so do the bounds `min` and `max`, which need not even look into the documents but leave out what comes last.

use std::collections::HashMap;

use bson::{DateTime, RawDocument, RawDocumentBuf, rawdoc};

use super::{
    Error, Store,
    command::{commands_for, document_value, field, joined},
    gather::CHUNK_BYTES,
};
use crate::domain::{
    enrich::{DATE_ARCHIVAGE, INCOMPLETE},
    order::Order,
    raw::{self, Value, ValueRef, Writer},
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
pub enum Standing {
    /// It does not.
    New,
    /// It does.
    Archived,
    /// It does, since one of the moments that were asked about.
    Signed {
        /// Whether it is incomplete there.
        incomplete: bool,
    },
}

/// The archive's index is walked no further than this many entries for each order of the page.
const DENSITY: usize = 4;

impl Store {
    /// Reads a page of delivered orders.
    ///
    /// An order that is delivered before the first page is read, and stays so, is on exactly one page: its `_id` is its place.
    pub async fn page(&self, request: &PageRequest) -> Result<Page, Error> {
        let mut filter = rawdoc! { "status": self.delivered.as_str() };
        if let Some(before) = request.before {
            filter = joined(&[&filter, &rawdoc! { "date_commande": { "$lt": before } }]);
        }
        if let Some(from) = &request.from {
            let literal = field("$literal", from.as_ref());
            let mut at_or_after = Writer::default();
            at_or_after.array(
                "$gte",
                [Value::string("$_id").as_ref(), document_value(&literal)],
            );
            let expression = field("$expr", document_value(&at_or_after.finish()));
            filter = joined(&[&filter, &expression]);
        }
        let mut command = Writer::default();
        command
            .string("find", &self.names.orders)
            .document("filter", &filter);
        if request.view == View::Ids {
            command.document("projection", &rawdoc! { "_id": 1 });
        }
        // One order more than asked for tells where the next page begins.
        along_ids(&mut command, request.limit + 1);
        let (rows, cut) = self.bulk_rows(&command.finish(), CHUNK_BYTES).await?;
        let mut orders: Vec<Order> = rows.into_iter().map(Order::new).collect();
        let more = cut || orders.len() > request.limit;
        let next = orders.pop_if(|_| more).map(|order| order.id().to_owned());
        Ok(Page {
            orders,
            view: request.view,
            next,
        })
    }

    /// Whether the archive holds the orders of a page, each in its turn. Only the archive's index is read, not its documents.
    pub async fn standings(&self, page: &Page) -> Result<Vec<Standing>, Error> {
        let ids = rawdoc! { "_id": 1 };
        let within = match (page.orders.first(), &page.next) {
            (Some(first), Some(next)) => {
                let limit = DENSITY * page.orders.len();
                let mut command = Writer::default();
                command
                    .string("find", &self.names.archive)
                    .document("projection", &ids)
                    .document("min", &field("_id", first.id()))
                    .document("max", &field("_id", next.as_ref()));
                along_ids(&mut command, limit);
                let (rows, _) = self.bulk_rows(&command.finish(), usize::MAX).await?;
                (rows.len() < limit).then_some(rows)
            }
            _ => None,
        };
        let rows = match within {
            Some(rows) => rows,
            // The archive goes on far beyond the page, or is far denser because its orders have been deleted: asking for each costs less.
            None => {
                let mut rows = Vec::new();
                for command in self.archived_among(page, &ids) {
                    rows.extend(self.bulk_rows(&command, usize::MAX).await?.0);
                }
                rows
            }
        };
        Ok(standings(page, &rows, &[]))
    }

    /// Like [`Store::standings`], and tells which of them bear one of these moments as their `date_archivage`. That is counted
    /// on, so the primary is asked, which knows the latest inserts.
    pub async fn signed_standings(
        &self,
        page: &Page,
        moments: &[DateTime],
    ) -> Result<Vec<Standing>, Error> {
        let signature = rawdoc! { "date_archivage": 1, "incomplete": 1 };
        let mut rows = Vec::new();
        for command in self.archived_among(page, &signature) {
            rows.extend(
                self.rows(&joined(&[&command, &self.read_options()]))
                    .await?,
            );
        }
        Ok(standings(page, &rows, moments))
    }

    /// The commands that ask what the archive holds under the `_id`s of a page, without their read options.
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

/// Has a `find` walk the index on `_id`, and answer all at once.
fn along_ids(command: &mut Writer, limit: usize) {
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    command
        .document("sort", &rawdoc! { "_id": 1 })
        .document("hint", &rawdoc! { "_id": 1 })
        .int32("limit", limit)
        .int32("batchSize", limit);
}

fn standings(page: &Page, archived: &[RawDocumentBuf], moments: &[DateTime]) -> Vec<Standing> {
    let by_id: HashMap<ValueRef<'_>, &RawDocument> = archived
        .iter()
        .filter_map(|row| Some((raw::find(row, "_id")?, row.as_ref())))
        .collect();
    let standing = |order: &Order| match by_id.get(&order.id()) {
        None => Standing::New,
        Some(row) => match raw::find(row, DATE_ARCHIVAGE).and_then(ValueRef::as_date) {
            Some(moment) if moments.contains(&moment) => Standing::Signed {
                incomplete: raw::find(row, INCOMPLETE).and_then(ValueRef::as_bool) == Some(true),
            },
            _ => Standing::Archived,
        },
    };
    page.orders.iter().map(standing).collect()
}
