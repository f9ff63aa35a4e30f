//! Pages of the archive, in the order of its `_id`s.

use bson::RawDocumentBuf;

use super::{lookups::Extent, reader::ComparisonReader};
use crate::{
    bytes::raw::{self, Value, ValueRef, Writer},
    store::{
        Error,
        encoding::document::{field, joined},
        orders::pages::{BOUNDS_CROSS, all_at_once, along_ids},
        wire::command::CHUNK_BYTES,
    },
};

/// Archived documents whose `_id`s follow each other.
#[derive(Clone, Debug)]
pub struct ArchivePage {
    /// The documents, by `_id`.
    pub documents: Vec<RawDocumentBuf>,
    /// Where the next one begins; none when the range holds no more.
    pub next: Option<Value>,
}

impl ComparisonReader {
    /// At most so many archived documents with an `_id` from one on, and before another one. Before
    /// none means up to the last one there can be, which has the `_id` MaxKey.
    pub async fn archive_page(
        &self,
        from: &Value,
        to: Option<&Value>,
        extent: Extent,
        limit: usize,
    ) -> Result<ArchivePage, Error> {
        let store = self.store();
        let last = from.as_ref() == ValueRef::MAX_KEY;
        let mut find = Writer::default();
        find.string("find", &store.names.archive);
        if last {
            // The bounds of an index leave out what comes last.
            find.document("filter", &field("_id", ValueRef::MAX_KEY));
        } else {
            let to = to.map_or(ValueRef::MAX_KEY, Value::as_ref);
            find.document("min", &field("_id", from.as_ref()))
                .document("max", &field("_id", to));
        }
        extent.write(&mut find);
        // One more than asked for tells where the next page begins.
        let walk = joined(&[&along_ids(), &all_at_once(limit + 1)]);
        let command = joined(&[&find.finish(), &walk]);
        let (mut documents, cut) = match store.bulk_rows(&command, CHUNK_BYTES).await {
            Err(Error::Refused {
                code: BOUNDS_CROSS, ..
            }) => {
                return Err(Error::Unusable(format!(
                    "{} has a collation that may not be seen, so it can't be walked beside the orders: grant `listIndexes` on both",
                    store.names.archive
                )));
            }
            page => page?,
        };
        let more = cut || documents.len() > limit;
        let next = documents.pop_if(|_| more);
        let id = |document: &RawDocumentBuf| raw::find(document, "_id").map(ValueRef::to_owned);
        Ok(ArchivePage {
            next: next.as_ref().and_then(id),
            documents,
        })
    }
}
