//! Removing entries from the quarantine, after a change that tells readers of the news why.

use std::collections::HashMap;

use bson::{RawDocumentBuf, doc, rawdoc};

use super::{
    bytes::parts_of,
    list::Filter,
    record::{ENTRY, Entry, id_of},
    release::{Cause, Release},
};
use crate::{
    bytes::raw::{self, Value, ValueRef, Writer},
    domain::order::NUMERO,
    store::{
        Error, Store,
        encoding::document::{document_value, joined, raw},
        state::{
            snapshot::{News, copy, if_shown, stage_if},
            version::{FORMAT, not_newer},
        },
        wire::command::CHUNK_BYTES,
    },
};

impl Store {
    /// Lets entries go, and the bytes kept with them. Says how many there were.
    pub async fn release_entries(&self, ids: &[String], why: &Release) -> Result<usize, Error> {
        if ids.is_empty() {
            return Ok(0);
        }
        let filter = Filter {
            ids: ids.to_vec(),
            ..Filter::default()
        };
        let there = self.quarantine_entries(&filter, ids.len()).await?.len();
        self.tell_of_release(ids, why).await?;
        let statements: Vec<RawDocumentBuf> = ids
            .iter()
            .map(|id| rawdoc! { "q": { "_id": id.as_str() }, "limit": 1 })
            .collect();
        self.write_all(
            rawdoc! { "delete": self.names.quarantine.as_str() },
            "deletes",
            &statements,
        )
        .await?;
        let statements: Vec<RawDocumentBuf> = ids
            .iter()
            .map(|id| rawdoc! { "q": parts_of(id), "limit": 0 })
            .collect();
        self.write_all(
            rawdoc! { "delete": self.names.quarantine_bytes.as_str() },
            "deletes",
            &statements,
        )
        .await?;
        Ok(there)
    }

    /// A delete tells no more than an `_id`, so the change before it says why.
    async fn tell_of_release(&self, ids: &[String], why: &Release) -> Result<(), Error> {
        let call = uuid::Uuid::new_v4().to_string();
        let mut release = doc! { "cause": why.cause.name(), "call": &call };
        if let Some(caller) = &why.caller {
            release.insert("instance", &caller.instance);
            release.insert("peer", &caller.peer);
        }
        let set = raw(&doc! { "$set": { "release": { "$literal": release } } });
        let stages = [set, stage_of_release()];
        let told = |id: &String| {
            // Sent again because its answer was lost, it is no news any more.
            let new =
                doc! { "_id": id, FORMAT: not_newer(), "release.call": { "$ne": call.as_str() } };
            let mut statement = Writer::default();
            statement
                .document("q", &raw(&new))
                .array("u", stages.iter().map(|stage| document_value(stage)));
            statement.finish()
        };
        let statements: Vec<RawDocumentBuf> = ids.iter().map(told).collect();
        let update = rawdoc! { "update": self.names.quarantine.as_str() };
        self.write_all(update, "updates", &statements).await
    }

    /// Lets go every entry whose order is in the archive under the number that it has now. Says how
    /// many there were.
    pub async fn release_archived_entries(&self) -> Result<usize, Error> {
        let mut released = 0;
        let mut filter = Filter::default();
        loop {
            let (found, _) = self
                .quarantine_entries_up_to(&filter, 500, CHUNK_BYTES)
                .await?;
            if found.is_empty() {
                return Ok(released);
            }
            for entry in &found {
                filter.behind.pass(&id_of(entry));
            }
            // What can't be read is left for somebody to look at.
            let entries: Vec<Entry> = found.into_iter().filter_map(Result::ok).collect();
            let ids: Vec<Value> = entries.iter().map(|entry| entry.order_id.clone()).collect();
            let archived = self.numbers(&self.names.archive, &ids).await?;
            let live = self.numbers(&self.names.orders, &ids).await?;
            // An order whose number was changed after archiving stays here until that is mended.
            let gone = entries.iter().filter(|entry| {
                let live = live.get(&entry.order_id);
                archived
                    .get(&entry.order_id)
                    .is_some_and(|archived| live.is_none_or(|live| live == archived))
            });
            let gone: Vec<String> = gone.map(|entry| entry.id.clone()).collect();
            let found = Release {
                cause: Cause::Archived,
                caller: None,
            };
            released += self.release_entries(&gone, &found).await?;
        }
    }

    /// The numbers that a collection holds under these `_id`s.
    async fn numbers(
        &self,
        collection: &str,
        ids: &[Value],
    ) -> Result<HashMap<Value, Option<Value>>, Error> {
        let rows = self
            .rows_for("_id", ids, |filter| {
                let mut command = Writer::default();
                command
                    .string("find", collection)
                    .document("filter", filter);
                command.document("projection", &rawdoc! { "numero_commande": 1 });
                joined(&[&command.finish(), &self.read_options()])
            })
            .await?;
        let own = |row: &RawDocumentBuf, name| raw::find(row, name).map(ValueRef::to_owned);
        Ok(rows
            .iter()
            .filter_map(|row| Some((own(row, "_id")?, own(row, NUMERO))))
            .collect())
    }
}

/// The last stage of an update by which an order leaves the quarantine.
fn stage_of_release() -> RawDocumentBuf {
    let mut copy = copy(ENTRY);
    copy.insert("order_id", if_shown("$$ROOT", "$order_id"));
    raw(&stage_if(true, copy, News::Released.name()))
}
