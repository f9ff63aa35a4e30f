//! Catching up: opening a gap in the watcher's document, naming the batch that makes up for it, and
//! closing it.

use bson::{Document, RawDocument, doc, rawdoc};

use super::{
    change::mine,
    gap::{Gap, gap_document},
    lease::Lease,
    split::{Split, before, split_document},
};
use crate::{
    bytes::raw::Writer,
    store::{Error, Store, encoding::document::raw},
};

impl Store {
    /// Begins at a new place, with a gap before it, in one update: there is never a moment when the
    /// gap is forgotten. Partitions are those of a new split then, which all begin there. Of the
    /// state, which follows from it, the next heartbeat tells: a change tells of one thing.
    pub async fn open_gap(
        &self,
        lease: &Lease,
        checkpoint: &RawDocument,
        gap: &Gap,
        split: Option<Split>,
    ) -> Result<bool, Error> {
        let mut set = Writer::default();
        set.document("checkpoint", checkpoint)
            .document("gap", &raw(&gap_document(gap)));
        if let Some(split) = split {
            set.document("split", &raw(&split_document(split)));
        }
        let mut update = Writer::default();
        update.document("$set", &set.finish()).document(
            "$currentDate",
            &rawdoc! { "alive_at": true, "saved_at": true },
        );
        let query = split.map_or_else(|| mine(lease), |split| before(lease, split));
        self.update_watcher_raw(&query, &update.finish(), false)
            .await
    }

    /// Notes which batch closes the gap; an empty id says that none does.
    pub async fn name_gap_batch(&self, lease: &Lease, gap: &Gap) -> Result<bool, Error> {
        let name = doc! { "$set": { "gap.batch_id": &gap.batch_id } };
        self.update_watcher(open(lease, gap), name, false).await
    }

    /// Declares the gap closed. What it was is kept, so that everyone can be told.
    pub async fn close_gap(&self, lease: &Lease, gap: &Gap) -> Result<bool, Error> {
        let close = doc! { "$unset": { "gap": "" }, "$set": { "closed_gap": gap_document(gap) } };
        self.update_watcher(open(lease, gap), close, false).await
    }
}

/// This very gap: a late update must not touch one that was opened since.
fn open(lease: &Lease, gap: &Gap) -> Document {
    let mut query = mine(lease);
    query.insert("gap.to", gap.to);
    query
}
