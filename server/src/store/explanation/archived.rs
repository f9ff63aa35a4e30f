//! The archived documents that have a number, or the `_id` of an order that has it, and which live
//! order each belongs to.

use bson::{DateTime, Document, RawDocument, doc};
use futures::future::try_join_all;

use super::{
    MOST,
    live::{LiveOrder, size},
    short, short_of_type,
};
use crate::{
    bytes::raw::{self, Value, ValueRef},
    domain::{
        enrich::{ARCHIVED_BY, DATE_ARCHIVAGE, INCOMPLETE, MISSING_FIELDS},
        explanation::conclusion::Standing,
        order::NUMERO,
        same_id::is_same_id,
        text::cut,
        verify::compare::{Found, Match},
    },
    store::{
        Error, Store,
        archive::read::{SIZE, in_brief, missing_fields},
        encoding::document::{joined, raw},
    },
};

/// The most that is told of who archived an order, in bytes.
const LONGEST_NAME: usize = 256;

/// An archived document.
#[derive(Clone, Debug, PartialEq)]
pub struct Archived {
    /// Its `_id`.
    pub id: Value,
    /// Its number; none where that is no text, or a long one.
    pub numero: Option<String>,
    /// When it was archived, if that is a date.
    pub archived: Option<DateTime>,
    /// Who archived it.
    pub by: String,
    /// Whether it says that fields are missing.
    pub incomplete: bool,
    /// Which are.
    pub missing: Vec<String>,
    /// Its size, in bytes.
    pub bytes: usize,
    /// Which live order it belongs to.
    pub belongs: Belongs,
    /// What is amiss with it; none before that was looked for.
    pub found: Option<Option<Found>>,
}

/// Which live order an archived document belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// The one at this place among those with the number.
    To(usize, Match),
    /// One with another number, by its `_id`; the number, if that is a text.
    Elsewhere(Option<String>),
    /// None.
    Nowhere,
}

impl Store {
    /// The archived documents of a number and of these orders, which have it.
    pub(super) async fn archived_of(
        &self,
        numero: &str,
        orders: &[LiveOrder],
    ) -> Result<Vec<Archived>, Error> {
        let own = orders
            .iter()
            .map(|order| self.archived_with(order.id.as_ref()));
        let (own, numbered) = futures::try_join!(try_join_all(own), self.archived_as(numero))?;
        let mut documents: Vec<Archived> = Vec::new();
        for (at, mut document) in own
            .into_iter()
            .enumerate()
            .filter_map(|(at, it)| Some((at, it?)))
        {
            document.belongs = Belongs::To(at, Match::Id);
            documents.push(document);
        }
        for mut document in numbered {
            if documents.iter().any(|known| known.id == document.id) {
                continue;
            }
            document.belongs = match self.live_order_with(document.id.as_ref()).await? {
                Some(other) => Belongs::Elsewhere(other),
                None => without_document(orders, &documents)
                    .map_or(Belongs::Nowhere, |at| Belongs::To(at, Match::Number)),
            };
            documents.push(document);
        }
        Ok(documents)
    }

    /// The archived document with this `_id`.
    async fn archived_with(&self, id: ValueRef<'_>) -> Result<Option<Archived>, Error> {
        let options = raw(&doc! { "limit": 1, "projection": head() });
        let rows = self
            .rows(&self.by_id(&self.names.archive, id, &options))
            .await?;
        let found = rows.first().map(|row| archived(row));
        Ok(found.filter(|found| is_same_id(found.id.as_ref(), id)))
    }

    /// The archived documents with this number, some of them.
    async fn archived_as(&self, numero: &str) -> Result<Vec<Archived>, Error> {
        let find = doc! {
            "find": &self.names.archive, "filter": { NUMERO: { "$eq": numero } },
            "limit": i64::try_from(MOST).unwrap_or(i64::MAX), "projection": head(),
        };
        let command = joined(&[&raw(&find), &self.by_number_options()]);
        let rows = self.answer_in_time(&command, usize::MAX).await?.rows;
        Ok(rows.iter().map(|row| archived(row)).collect())
    }
}

/// The first order without an archived document of its own, a delivered one before all others.
fn without_document(orders: &[LiveOrder], documents: &[Archived]) -> Option<usize> {
    let has_one = |at: usize| {
        let mut of = documents.iter().map(|document| &document.belongs);
        of.any(|belongs| matches!(belongs, Belongs::To(it, _) if *it == at))
    };
    let without = || (0..orders.len()).filter(|at| !has_one(*at));
    let is_delivered = |at: &usize| orders[*at].status.standing == Standing::Delivered;
    without().find(is_delivered).or_else(|| without().next())
}

/// What is read of an archived document.
fn head() -> Document {
    let mut head = in_brief("$");
    head.insert(NUMERO, short_of_type(NUMERO, "string"));
    head.insert(MISSING_FIELDS, short(MISSING_FIELDS));
    head.insert(DATE_ARCHIVAGE, short_of_type(DATE_ARCHIVAGE, "date"));
    head.insert(ARCHIVED_BY, short_of_type(ARCHIVED_BY, "string"));
    head.insert(INCOMPLETE, short_of_type(INCOMPLETE, "bool"));
    head.insert("bytes", SIZE.clone());
    head
}

fn archived(row: &RawDocument) -> Archived {
    let text = |name| raw::find(row, name).and_then(ValueRef::as_str);
    Archived {
        id: raw::find(row, "_id").unwrap_or(ValueRef::NULL).to_owned(),
        numero: text(NUMERO).map(str::to_owned),
        archived: raw::find(row, DATE_ARCHIVAGE).and_then(ValueRef::as_date),
        by: cut(text(ARCHIVED_BY).unwrap_or_default(), LONGEST_NAME),
        incomplete: raw::find(row, INCOMPLETE).and_then(ValueRef::as_bool) == Some(true),
        missing: missing_fields(row),
        bytes: size(row),
        belongs: Belongs::Nowhere,
        found: None,
    }
}
