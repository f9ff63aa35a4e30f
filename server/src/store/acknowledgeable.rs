//! What can be acknowledged: the differences of the latest verification with a verdict that fail it.

use bson::{RawDocumentBuf, doc};

use super::{Error, Store, acknowledgements::record::Acknowledgeable};
use crate::{
    bytes::raw::{self, Value, ValueRef},
    domain::verify::{finding::Finding, fingerprint::fingerprint},
    store::encoding::document::{joined, raw as raw_document},
};

impl Store {
    /// The differences of a number that fail the verdict of the latest verification that has one.
    pub async fn acknowledgeable(&self, numero: &str) -> Result<Vec<Acknowledgeable>, Error> {
        let Some(latest) = self.latest_with_verdict().await? else {
            return Ok(Vec::new());
        };
        let differences = self.differences_of(&latest);
        let found = differences.with_numbers(&[numero.to_owned()]).await?;
        let found = found.into_iter().map(|difference| difference.finding);
        let mut acknowledgeable = Vec::new();
        for finding in found.filter(|finding| finding.class.fails()) {
            acknowledgeable.push(self.as_acknowledgeable(finding).await?);
        }
        Ok(acknowledgeable)
    }

    /// The latest verification that has a verdict.
    pub async fn latest_with_verdict(&self) -> Result<Option<String>, Error> {
        let find = doc! {
            "find": &self.names.verifications, "filter": { "verdict": { "$type": "string" } },
            "sort": { "created": -1, "_id": -1 }, "limit": 1, "projection": { "_id": 1 },
        };
        let find = joined(&[&raw_document(&find), &self.read_options()]);
        let rows = self.rows(&find).await?;
        let id = |row: &RawDocumentBuf| raw::find(row, "_id")?.as_str().map(str::to_owned);
        Ok(rows.first().and_then(id))
    }

    async fn as_acknowledgeable(&self, finding: Finding) -> Result<Acknowledgeable, Error> {
        let (order, archive) = (finding.order_id.as_ref(), finding.archive_id.as_ref());
        // A verification that looked at `_id`s alone knows no bytes: those of now are meant then.
        let fingerprint = match finding.fingerprint.as_str() {
            "" => {
                let (order, archived) = futures::try_join!(
                    self.side(&self.names.orders, order),
                    self.side(&self.names.archive, archive),
                )?;
                fingerprint(finding.class, order.as_deref(), archived.as_deref())
            }
            known => known.to_owned(),
        };
        let id = |side: Option<&Value>| side.cloned().unwrap_or_else(|| ValueRef::NULL.to_owned());
        Ok(Acknowledgeable {
            numero: finding.numero.clone(),
            class: finding.class.name().to_owned(),
            fingerprint,
            order_id: id(order),
            archive_id: id(archive),
        })
    }

    /// One side of a difference, whole, if it has that side and it is still there.
    async fn side(
        &self,
        collection: &str,
        id: Option<&Value>,
    ) -> Result<Option<RawDocumentBuf>, Error> {
        match id {
            Some(id) => self.whole_with(collection, id.as_ref()).await,
            None => Ok(None),
        }
    }
}
