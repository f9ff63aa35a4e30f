//! Reading the archive.

use std::{collections::HashSet, sync::LazyLock};

use bson::{Bson, DateTime, Document, RawDocument, RawDocumentBuf, doc, rawdoc};

use crate::{
    bytes::raw::{self, Value, ValueRef, Writer, kind},
    domain::{
        enrich::{DATE_ARCHIVAGE, INCOMPLETE, MISSING_FIELDS},
        judge::Field,
        order::NUMERO,
    },
    store::{
        Error, Store,
        encoding::document::{joined, raw},
        wire::reply::document,
    },
};

/// The size of a document, as the database computes it.
pub(in crate::store) static SIZE: LazyLock<Document> =
    LazyLock::new(|| doc! { "$bsonSize": "$$ROOT" });

/// What is told of an archived order whose number was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// Its number.
    pub numero: String,
    /// The fields that it misses.
    pub missing: Vec<String>,
    /// Its size, in bytes.
    pub bytes: usize,
}

/// Which archived orders to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Archived at or after this moment.
    pub archived_from: Option<DateTime>,
    /// Archived before this moment.
    pub archived_to: Option<DateTime>,
    /// Incomplete ones or complete ones.
    pub incomplete: Option<bool>,
    /// Only numbers that begin so.
    pub numero_prefix: String,
    /// Ordered at or after this moment.
    pub ordered_from: Option<DateTime>,
    /// Ordered before this moment.
    pub ordered_to: Option<DateTime>,
    /// Which ids they have, each with its field.
    pub ids: Vec<(&'static str, Bson)>,
    /// Down to this number at most, it included; see [`Store::bounded_list`].
    pub down_to: Option<String>,
    /// Along the index of this name; see [`Store::bounded_list`].
    pub along: Option<String>,
    /// Where the page before ended; none for the first page.
    pub below: Option<Below>,
}

impl Filter {
    /// Whether it asks for what only the orders themselves tell.
    pub(super) fn looks_at_orders(&self) -> bool {
        let moments = [
            self.archived_from,
            self.archived_to,
            self.ordered_from,
            self.ordered_to,
        ];
        moments.iter().any(Option::is_some) || self.incomplete.is_some() || !self.ids.is_empty()
    }
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Below {
    /// Below this number.
    Number(String),
    /// Among the numbers that begin with `prefix`, after so many of them.
    Passed {
        /// What they begin with.
        prefix: String,
        /// How many of them are passed by.
        count: usize,
    },
}

impl Store {
    /// The archived order with this number.
    pub async fn archived_order(&self, numero: &str) -> Result<Option<RawDocumentBuf>, Error> {
        let filter = doc! { NUMERO: { "$eq": numero } };
        let head = doc! { "find": &self.names.archive, "filter": filter, "limit": 1 };
        Ok(self.find(head).await?.pop())
    }

    /// The archived order with this number: its size in bytes, and the order itself unless that is
    /// larger than `most`.
    pub async fn small_archived_order(
        &self,
        numero: &str,
        most: usize,
    ) -> Result<Option<(usize, Option<RawDocumentBuf>)>, Error> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let fits = doc! { "$lte": [SIZE.clone(), most] };
        let head = doc! {
            "find": &self.names.archive, "filter": { NUMERO: { "$eq": numero } }, "limit": 1,
            "projection": {
                "_id": 0, "bytes": SIZE.clone(),
                "document": { "$cond": [fits, "$$ROOT", "$$REMOVE"] },
            },
        };
        let Some(row) = self.find(head).await?.pop() else {
            return Ok(None);
        };
        let archived = raw::find(&row, "document").map(document).transpose()?;
        Ok(Some((size(&row), archived)))
    }

    /// The archived orders among those with these numbers.
    pub async fn archived_under(&self, numeros: &[Value]) -> Result<Vec<Brief>, Error> {
        let mut shown = in_brief("$");
        shown.insert("bytes", SIZE.clone());
        let shown = raw(&shown);
        let rows = self
            .rows_for(NUMERO, numeros, |filter| {
                let mut command = Writer::default();
                command
                    .string("find", &self.names.archive)
                    .document("filter", filter)
                    .document("projection", &shown);
                joined(&[&command.finish(), &self.by_number_options()])
            })
            .await?;
        let brief = |row: &RawDocumentBuf| Brief {
            numero: numero(row).to_owned(),
            missing: missing_fields(row),
            bytes: size(row),
        };
        Ok(rows.iter().map(brief).collect())
    }

    /// Archived orders by their number, the highest first, at most `limit`.
    pub async fn archived_orders(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        self.find(self.archive_page(filter, limit)).await
    }

    /// The sizes of what [`Store::archived_orders`] would read, in bytes.
    pub async fn archived_sizes(&self, filter: &Filter, limit: usize) -> Result<Vec<usize>, Error> {
        let mut head = self.archive_page(filter, limit);
        head.insert("projection", doc! { "_id": 0, "bytes": SIZE.clone() });
        Ok(self.find(head).await?.iter().map(size).collect())
    }

    pub(super) fn archive_page(&self, filter: &Filter, limit: usize) -> Document {
        let lowest = filter.down_to.as_ref().unwrap_or(&filter.numero_prefix);
        let mut numero = doc! { "$gte": lowest };
        let mut skip = 0;
        match &filter.below {
            Some(Below::Number(below)) => {
                numero.insert("$lt", below);
            }
            Some(Below::Passed { prefix, count }) => {
                numero.insert("$lt", after_all(prefix));
                skip = i64::try_from(*count).unwrap_or(i64::MAX);
            }
            None => {}
        }
        let mut query = doc! { NUMERO: numero };
        if !filter.numero_prefix.is_empty() {
            let end = doc! { NUMERO: { "$lt": after_all(&filter.numero_prefix) } };
            query.insert("$and", [end]);
        }
        for (field, from, to) in [
            (DATE_ARCHIVAGE, filter.archived_from, filter.archived_to),
            (
                Field::DateCommande.name(),
                filter.ordered_from,
                filter.ordered_to,
            ),
        ] {
            let bounds = [("$gte", from), ("$lt", to)].into_iter();
            let bounds: Document = bounds
                .filter_map(|(bound, moment)| Some((bound.to_owned(), Bson::from(moment?))))
                .collect();
            if !bounds.is_empty() {
                query.insert(field, bounds);
            }
        }
        for (field, id) in &filter.ids {
            query.insert(*field, doc! { "$eq": id });
        }
        if let Some(incomplete) = filter.incomplete {
            query.insert(INCOMPLETE, incomplete);
        }
        // A limit of 0 would mean none.
        let limit = i64::try_from(limit).unwrap_or(i64::MAX).max(1);
        let mut page = doc! {
            "find": &self.names.archive, "filter": query, "sort": { NUMERO: -1 }, "skip": skip, "limit": limit,
        };
        if let Some(index) = &filter.along {
            page.insert("hint", index);
        }
        page
    }

    pub(in crate::store) async fn find(
        &self,
        head: Document,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let head = raw(&head);
        self.rows(&joined(&[&head, &self.by_number_options()]))
            .await
    }
}

/// The highest character there is after a prefix: beyond everything that begins so.
fn after_all(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

/// The size in a row of sizes.
fn size(row: &RawDocumentBuf) -> usize {
    let bytes = row.get_i32("bytes").unwrap_or(i32::MAX);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The number of an archived order.
pub fn numero(archived: &RawDocumentBuf) -> &str {
    raw::find(archived, NUMERO)
        .and_then(ValueRef::as_str)
        .unwrap_or_default()
}

/// The longest name of a field that can be missing, in bytes, and how many there are.
const MISSABLE: (usize, usize) = (64, 8);

/// What [`missing_fields`] and a duplicate's answer need of an archived order, as a projection of
/// the document at a path: of the fields that may be missing no more than that they are there.
pub(in crate::store) fn in_brief(path: &str) -> Document {
    let whole = [NUMERO, MISSING_FIELDS].map(|name| (name, Bson::from(format!("{path}{name}"))));
    let there = Field::ALL.map(|field| {
        let value = format!("{path}{}", field.name());
        let absent = doc! { "$in": [{ "$type": value }, ["missing", "null"]] };
        (
            field.name(),
            doc! { "$cond": [absent, "$$REMOVE", true] }.into(),
        )
    });
    let all = whole.into_iter().chain(there);
    all.map(|(name, shown)| (name.to_owned(), shown)).collect()
}

/// The fields that an archived order misses, told by the document itself where it has no list of
/// them: one that another program has archived.
pub fn missing_fields(archived: &RawDocument) -> Vec<String> {
    let list = raw::find(archived, MISSING_FIELDS);
    match list.filter(|list| list.kind == kind::ARRAY) {
        Some(list) => missing_in(list),
        None => {
            let is_there = |field: &Field| {
                raw::find(archived, field.name()).is_some_and(|value| !value.is_null())
            };
            let mut missing = Field::ALL.to_vec();
            missing.retain(|field| !is_there(field));
            missing
                .into_iter()
                .map(|field| field.name().to_owned())
                .collect()
        }
    }
}

/// The fields in a list. Where somebody else wrote the order, it may hold anything.
fn missing_in(list: ValueRef<'_>) -> Vec<String> {
    list.elements()
        .filter_map(|element| element.value.as_str())
        .filter(|field| field.len() <= MISSABLE.0)
        .take(MISSABLE.1)
        .map(str::to_owned)
        .collect()
}

impl Store {
    /// Those of these `_id`s that the archive holds.
    pub(in crate::store) async fn ids_in_archive(
        &self,
        ids: &[Value],
    ) -> Result<HashSet<Value>, Error> {
        let rows = self
            .rows_for("_id", ids, |filter| {
                let mut command = Writer::default();
                command
                    .string("find", &self.names.archive)
                    .document("filter", filter)
                    .document("projection", &rawdoc! { "_id": 1 });
                joined(&[&command.finish(), &self.read_options()])
            })
            .await?;
        let id = |row: &RawDocumentBuf| raw::find(row, "_id").map(|id| id.to_owned());
        Ok(rows.iter().filter_map(id).collect())
    }
}
