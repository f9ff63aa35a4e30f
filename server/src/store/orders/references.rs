//! References: the documents that orders refer to, read by their ids, and remembered for a moment
//! where many orders follow each other.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use bson::{Bson, Document, RawDocument, RawDocumentBuf, rawdoc};
use futures::future::try_join_all;
use parking_lot::{Mutex, MutexGuard};

use crate::{
    bytes::{
        join_key::JoinKey,
        raw::{self, Value, ValueRef, Writer},
    },
    domain::order::{Order, Reference},
    store::{
        Error, Store,
        encoding::document::{joined, raw},
    },
};

/// Documents that orders refer to, by their ids.
type ById = HashMap<JoinKey, Arc<RawDocumentBuf>>;

/// For each of some orders the document of one kind that it refers to; none where its id points at
/// nobody.
pub(in crate::store) type Column = Vec<Option<Arc<RawDocumentBuf>>>;

/// Ids, each by its key.
type Wanted<'o> = HashMap<&'o JoinKey, ValueRef<'o>>;

/// How long a document is remembered: an order may be archived with a name that was changed so
/// shortly before.
const FRESH: Duration = Duration::from_secs(60);
/// How many bytes are remembered at most; what does not fit is read for every page. Two hundred
/// thousand clients fit.
const MOST_BYTES: usize = 56 * 1024 * 1024;
/// What a document takes besides its own bytes: its key, its place in the table while that is half
/// empty, and the allocator's share.
const OVERHEAD: usize = 200;

/// Documents read a moment ago, so that a batch reads a client once and not for every page. That
/// somebody is absent is never remembered: who is added while the batch runs is found.
#[derive(Debug, Default)]
pub struct ReferenceCache {
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    since: Instant,
    bytes: usize,
    documents: [ById; 4],
}

impl Default for Known {
    fn default() -> Known {
        Known {
            since: Instant::now(),
            bytes: 0,
            documents: Default::default(),
        }
    }
}

impl ReferenceCache {
    /// The documents with these keys, as far as they are known.
    fn get(&self, reference: Reference, keys: &[Option<JoinKey>]) -> Column {
        let mut known = self.known();
        if known.since.elapsed() > FRESH {
            *known = Known::default();
        }
        let documents = &known.documents[reference as usize];
        let validated = keys.iter().map(|key| documents.get(key.as_ref()?).cloned());
        validated.collect()
    }

    fn insert(&self, reference: Reference, found: &ById) {
        let mut known = self.known();
        for (key, document) in found {
            let bytes = document.as_bytes().len() + OVERHEAD;
            if known.bytes + bytes > MOST_BYTES {
                return;
            }
            known.bytes += bytes;
            known.documents[reference as usize].insert(key.clone(), document.clone());
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }
}

impl Store {
    /// The documents that the orders refer to: a column for each kind.
    pub(in crate::store) async fn references(
        &self,
        orders: &[Order],
        cache: &ReferenceCache,
    ) -> Result<Vec<Column>, Error> {
        let columns = Reference::ALL.map(|reference| self.column(reference, orders, cache));
        try_join_all(columns).await
    }

    async fn column(
        &self,
        reference: Reference,
        orders: &[Order],
        cache: &ReferenceCache,
    ) -> Result<Column, Error> {
        let ids = || orders.iter().map(|order| order.get(reference.id_field()));
        let keys: Vec<Option<JoinKey>> = ids().map(|id| JoinKey::of(id?)).collect();
        let mut column = cache.get(reference, &keys);
        // Equal ids once.
        let mut wanted: Wanted<'_> = HashMap::new();
        for ((id, key), known) in ids().zip(&keys).zip(&column) {
            if let (Some(id), Some(key), None) = (id, key, known) {
                wanted.entry(key).or_insert(id);
            }
        }
        if !wanted.is_empty() {
            let found = self.references_of(reference, &wanted).await?;
            cache.insert(reference, &found);
            for (place, key) in column.iter_mut().zip(&keys) {
                let found = || found.get(key.as_ref()?).cloned();
                *place = place.take().or_else(found);
            }
        }
        Ok(column)
    }

    /// The documents of one kind that have these ids.
    async fn references_of(
        &self,
        reference: Reference,
        wanted: &Wanted<'_>,
    ) -> Result<ById, Error> {
        let ids: Vec<Value> = wanted.values().copied().map(ValueRef::to_owned).collect();
        let rows = self
            .rows_for(reference.id_field(), &ids, |filter| {
                self.reference_command(reference, filter, None)
            })
            .await?;
        let (mut found, mut ambiguous) = (HashMap::with_capacity(rows.len()), HashSet::new());
        for row in rows {
            // A document whose id is a list matches each of its members; it is nobody's id.
            let Some(key) = raw::find(&row, reference.id_field()).and_then(JoinKey::of) else {
                continue;
            };
            if found.insert(key.clone(), Arc::new(row)).is_some() {
                ambiguous.insert(key);
            }
        }
        for key in ambiguous {
            let first = rawdoc! { "sort": { "_id": 1 } };
            let id = [wanted[&key].to_owned()];
            let rows = self
                .rows_for(reference.id_field(), &id, |filter| {
                    self.reference_command(reference, filter, Some(&first))
                })
                .await?;
            let is_it = |row: &RawDocumentBuf| {
                raw::find(row, reference.id_field())
                    .and_then(JoinKey::of)
                    .as_ref()
                    == Some(&key)
            };
            if let Some(row) = rows.into_iter().find(is_it) {
                found.insert(key, Arc::new(row));
            }
        }
        Ok(found)
    }

    fn reference_command(
        &self,
        reference: Reference,
        filter: &RawDocument,
        more: Option<&RawDocument>,
    ) -> RawDocumentBuf {
        let mut command = Writer::default();
        command.string("find", self.names.of(reference));
        command.document("filter", filter);
        command.document("projection", &raw(&projection(reference)));
        joined(&[
            &command.finish(),
            more.unwrap_or(&rawdoc! {}),
            &self.read_options(),
        ])
    }
}

pub(in crate::store) fn projection(reference: Reference) -> Document {
    let fields = [reference.id_field()]
        .into_iter()
        .chain(reference.fields().iter().copied());
    [("_id".to_owned(), Bson::from(0))]
        .into_iter()
        .chain(fields.map(|name| (name.to_owned(), Bson::from(1))))
        .collect()
}
