//! References: the documents that orders refer to, read by their ids, and remembered for a moment where many orders follow each other.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bson::{Bson, Document, RawDocument, RawDocumentBuf, rawdoc};
use futures::future::try_join_all;

use super::{Error, Store, command::joined, gather::raw_document};
use crate::domain::{
    join_key::JoinKey,
    order::{Order, Reference},
    raw::{self, Value, Writer},
};

/// Documents that orders refer to, by their ids.
pub(super) type ById = HashMap<JoinKey, Arc<RawDocumentBuf>>;

/// How long a document is remembered: an order may be archived with a name that was changed so shortly before.
const FRESH: Duration = Duration::from_secs(60);
/// How many bytes are remembered at most; what does not fit is read for every page. Two hundred thousand clients fit.
const MOST_BYTES: usize = 56 * 1024 * 1024;
/// What a document takes besides its own bytes: its key, its place in the table while that is half empty, and the allocator's share.
const OVERHEAD: usize = 200;

/// Documents read a moment ago, so that a batch reads a client once and not for every page. That somebody is absent is never
/// remembered: who is added while the batch runs is found.
#[derive(Debug, Default)]
pub struct Memory {
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

impl Memory {
    /// Takes what is known out of what is wanted.
    fn recall(&self, reference: Reference, wanted: &mut HashMap<JoinKey, Value>) -> ById {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.since.elapsed() > FRESH {
            *known = Known::default();
        }
        let documents = &known.documents[reference as usize];
        let recalled: ById = wanted
            .keys()
            .filter_map(|key| Some((key.clone(), documents.get(key)?.clone())))
            .collect();
        wanted.retain(|key, _| !recalled.contains_key(key));
        recalled
    }

    fn remember(&self, reference: Reference, found: &ById) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, document) in found {
            let bytes = document.as_bytes().len() + OVERHEAD;
            if known.bytes + bytes > MOST_BYTES {
                return;
            }
            known.bytes += bytes;
            known.documents[reference as usize].insert(key.clone(), document.clone());
        }
    }
}

impl Store {
    /// The documents that the orders refer to, of all kinds.
    pub(super) async fn references(&self, orders: &[Order]) -> Result<Vec<ById>, Error> {
        self.references_remembered(orders, &Memory::default()).await
    }

    /// Like [`Store::references`], with the help of a memory.
    pub(super) async fn references_remembered(
        &self,
        orders: &[Order],
        memory: &Memory,
    ) -> Result<Vec<ById>, Error> {
        let of_kind = async |reference: Reference| {
            let mut wanted = wanted(reference, orders);
            let mut documents = memory.recall(reference, &mut wanted);
            let found = self.references_of(reference, &wanted).await?;
            memory.remember(reference, &found);
            documents.extend(found);
            Ok(documents)
        };
        try_join_all(Reference::ALL.map(of_kind)).await
    }

    /// The documents of one kind that have these ids.
    async fn references_of(
        &self,
        reference: Reference,
        wanted: &HashMap<JoinKey, Value>,
    ) -> Result<ById, Error> {
        let ids: Vec<Value> = wanted.values().cloned().collect();
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
            let id = std::slice::from_ref(&wanted[&key]);
            let rows = self
                .rows_for(reference.id_field(), id, |filter| {
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
        command.document("projection", &raw_document(&projection(reference)));
        joined(&[
            &command.finish(),
            more.unwrap_or(&rawdoc! {}),
            &self.read_options(),
        ])
    }
}

/// The ids of one kind in the orders; equal ones once.
fn wanted(reference: Reference, orders: &[Order]) -> HashMap<JoinKey, Value> {
    let mut wanted = HashMap::new();
    for id in orders
        .iter()
        .filter_map(|order| order.get(reference.id_field()))
    {
        if let Some(key) = JoinKey::of(id) {
            wanted.entry(key).or_insert_with(|| id.to_owned());
        }
    }
    wanted
}

pub(super) fn projection(reference: Reference) -> Document {
    let fields = [reference.id_field()]
        .into_iter()
        .chain(reference.fields().iter().copied());
    [("_id".to_owned(), Bson::from(0))]
        .into_iter()
        .chain(fields.map(|name| (name.to_owned(), Bson::from(1))))
        .collect()
}
