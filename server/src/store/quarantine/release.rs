//! Release: letting orders go from the quarantine, and saying why and on whose request.

use crate::{
    bytes::raw::Writer,
    store::{
        Error, Store,
        encoding::document::{document_value, raw},
        state::{
            format::{FORMAT, Field, Is, may, must, not_newer},
            snapshot,
        },
        watch::requests::Caller,
    },
};
use bson::{Document, RawDocumentBuf, doc, rawdoc};

use super::entries::{Filter, parts_of};

/// The fields of a release, in an entry.
pub(in crate::store) const RELEASE: &[Field] = &[
    must("cause", Is::Word(|name| Cause::named(name).is_some())),
    may("instance", Is::Text),
    may("peer", Is::Text),
];

/// What made an order leave the quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody dropped the entry.
    Dropped,
    /// The order is in the archive.
    Archived,
}

impl Cause {
    const NAMES: [(Cause, &str); 2] = [(Cause::Dropped, "dropped"), (Cause::Archived, "archived")];

    fn name(self) -> &'static str {
        let known = Cause::NAMES.iter().find(|(cause, _)| *cause == self);
        known.map_or("", |(_, name)| name)
    }

    fn named(name: &str) -> Option<Cause> {
        let known = Cause::NAMES.iter().find(|(_, known)| *known == name);
        known.map(|(cause, _)| *cause)
    }
}

/// Why an order leaves the quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// What became of it.
    pub cause: Cause,
    /// Who asked for that; none when a batch found the order in the archive.
    pub caller: Option<Caller>,
}

impl Store {
    /// Lets entries go, and the bytes kept with them. Says how many there were.
    pub async fn release(&self, ids: &[String], why: &Release) -> Result<usize, Error> {
        if ids.is_empty() {
            return Ok(0);
        }
        let filter = Filter {
            ids: ids.to_vec(),
            ..Filter::default()
        };
        let there = self.quarantined(&filter, ids.len()).await?.len();
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
        let stages = [set, snapshot::stage_of_release()];
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
}

/// Reads a release from its document.
pub(in crate::store) fn release_in(document: &Document) -> Option<Release> {
    let text = |field| document.get_str(field).ok().map(str::to_owned);
    Some(Release {
        cause: Cause::named(&text("cause")?)?,
        caller: text("instance").map(|instance| Caller {
            instance,
            peer: text("peer").unwrap_or_default(),
        }),
    })
}
