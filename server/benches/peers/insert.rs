//! The raw insert limit: finished documents, with nothing to read and nothing to think about.

use anyhow::Result;
use bson::RawDocumentBuf;
use futures::{StreamExt, TryStreamExt, stream};
use mongodb::{Database, options::WriteConcern};

/// Documents in one insert.
const THOUSAND: usize = 1_000;

/// Inserts documents into the archive, with so many inserts under way at once.
pub(crate) async fn archive(
    database: &Database,
    documents: &[RawDocumentBuf],
    in_flight: usize,
) -> Result<()> {
    let archive = database.collection::<RawDocumentBuf>("Historique");
    stream::iter(documents.chunks(THOUSAND))
        .map(|chunk| {
            let insert = archive.insert_many(chunk).ordered(false);
            insert.write_concern(WriteConcern::majority()).into_future()
        })
        .buffer_unordered(in_flight)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    Ok(())
}
