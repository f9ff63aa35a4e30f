//! Sees what is archived, once a majority holds it.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bson::{Bson, Document, doc, oid::ObjectId};
use futures::StreamExt;
use mongodb::Database;
use tokio::time::timeout;

use crate::PATIENCE;

/// A change stream on the archive, which shows only what a majority holds.
pub(crate) struct Observer {
    changes: mongodb::change_stream::ChangeStream<
        mongodb::change_stream::event::ChangeStreamEvent<Document>,
    >,
}

impl Observer {
    pub(crate) async fn open(database: &Database) -> Result<Observer> {
        let stages = [
            doc! { "$match": { "operationType": "insert" } },
            doc! { "$project": { "documentKey": 1, "operationType": 1, "ns": 1 } },
        ];
        let changes = database
            .collection::<Document>("Historique")
            .watch()
            .pipeline(stages)
            .batch_size(10_000)
            .await?;
        Ok(Observer { changes })
    }

    pub(crate) async fn next(&mut self) -> Result<(ObjectId, Instant)> {
        let change = timeout(PATIENCE, self.changes.next())
            .await
            .context("nothing is archived any more")?;
        let key = change
            .context("the observer lost its stream")??
            .document_key;
        let seen = Instant::now();
        match key.and_then(|key| key.get("_id").cloned()) {
            Some(Bson::ObjectId(id)) => Ok((id, seen)),
            other => {
                ensure!(other.is_none(), "an archived order has the `_id` {other:?}");
                anyhow::bail!("an archived order has no `_id`")
            }
        }
    }
}
