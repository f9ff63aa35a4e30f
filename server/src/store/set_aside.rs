//! Setting aside: finds the server's own documents that can't be worked with, and moves one out of
//! the way when somebody asks.
//!
//! What is moved is kept whole, with the reason, in a collection of its own; nothing is ever
//! deleted for good.

use bson::{Document, RawDocument, rawdoc};
use sha2::{Digest, Sha256};

use super::{
    Error, Inspector, Store,
    acknowledgements::record::ACKNOWLEDGEMENT,
    archive::build_lease::{self, BUILD},
    audit::record::CALL,
    batches::record::{BATCH, Batch},
    counters::record::COUNTER,
    differences::record::DIFFERENCE,
    instances::INSTANCE,
    ledger::record::LEDGER,
    quarantine::{bytes::PART_OF_BYTES, record::ENTRY},
    replaced::record::REPLACED,
    state::{
        fault::Fault,
        format::{self, Field},
        version::{CURRENT, FORMAT},
    },
    verifications::record::{Verification, WHOLE_VERIFICATION},
    watch::{
        identity::{IDENTITY, IDENTITY_ID},
        partition::{PARTITION, partition_index},
        record::{ID, WATCHER},
    },
};
use crate::{
    bytes::raw::{self, ValueRef, Writer},
    store::encoding::document::{document_value, field, joined, whole},
};

const DUPLICATE_KEY: i32 = 11000;

/// What became of a document that was to be set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetAside {
    /// It lies in the collection of what was set aside.
    Moved,
    /// It was changed or removed at the same moment, or can be read by now: it was left where it
    /// is.
    Changed,
}

impl Inspector {
    /// See [`Store::all_faults`].
    pub async fn own_documents(&self) -> Result<Vec<Fault>, Error> {
        self.store.all_faults().await
    }
}

impl Store {
    /// What is wrong with the documents that others depend on: the watcher and its partitions, the
    /// database's identity, the active batch and verification, and the counters for all time.
    pub async fn blocking_faults(&self) -> Result<Vec<Fault>, Error> {
        let (watcher, identity, batch, verification) = futures::join!(
            self.watcher(),
            self.read_identity(),
            self.check_active_job::<Batch>(),
            self.check_active_job::<Verification>(),
        );
        let mut faults = self.lifetime_faults().await?;
        let partitions = match &watcher {
            Ok(Some(watcher)) if watcher.split.is_split() => self.check_partitions().await,
            _ => Ok(()),
        };
        for outcome in [
            watcher.map(drop),
            partitions,
            identity.map(drop),
            batch,
            verification,
        ] {
            match outcome {
                Err(Error::State(fault)) => faults.push(*fault),
                outcome => outcome?,
            }
        }
        Ok(faults)
    }

    /// What is wrong with any of the server's own documents. Reads them all.
    pub async fn all_faults(&self) -> Result<Vec<Fault>, Error> {
        let names = &self.names;
        let mut faults = Vec::new();
        for collection in [
            &names.batches,
            &names.verifications,
            &names.acknowledgements,
            &names.ledger,
            &names.replaced,
            &names.audit,
            &names.differences,
            &names.counters,
            &names.state,
            &names.instances,
            &names.quarantine,
            &names.quarantine_bytes,
        ] {
            let mut find = Writer::default();
            find.string("find", collection);
            if *collection == names.quarantine_bytes {
                find.document("projection", &rawdoc! { "format": 1 });
            }
            if *collection == names.replaced {
                find.document("projection", &rawdoc! { "document": 0 });
            }
            let find = joined(&[&find.finish(), &self.read_options()]);
            faults.extend(self.retry(|| self.faults_in(collection, &find)).await?);
        }
        Ok(faults)
    }

    /// What is wrong with the documents that a command reads, of which no more than a reply is held
    /// at once.
    async fn faults_in(&self, collection: &str, find: &RawDocument) -> Result<Vec<Fault>, Error> {
        let mut faults = Vec::new();
        self.each_row(find, |row| faults.extend(self.fault_of(collection, row)))
            .await?;
        Ok(faults)
    }

    /// Moves a document that can't be read out of the way, if it is still there and can still not
    /// be read.
    pub async fn set_document_aside(&self, fault: &Fault) -> Result<SetAside, Error> {
        let by_id = field("_id", document_value(&field("$eq", fault.id.as_ref())));
        let mut find = Writer::default();
        find.string("find", &fault.collection)
            .document("filter", &by_id);
        let find = joined(&[&find.finish(), &self.read_options()]);
        let rows = self.rows(&find).await?;
        let still = rows
            .first()
            .and_then(|row| Some((row, self.fault_of(&fault.collection, row)?)));
        let Some((document, fault)) = still.filter(|(_, fault)| !fault.is_newer()) else {
            return Ok(SetAside::Changed);
        };
        self.keep_aside(&fault, document).await?;
        // Only as it was read: whoever has mended it in between keeps it.
        let unchanged =
            rawdoc! { "$expr": { "$eq": ["$$ROOT", { "$literal": document.clone() }] } };
        let mut delete = Writer::default();
        delete
            .document("q", &joined(&[&by_id, &unchanged]))
            .int32("limit", 1);
        let command = self.write_command(
            &rawdoc! { "delete": fault.collection.as_str() },
            "deletes",
            &[delete.finish()],
        );
        let reply = self.write_retried(&command).await?;
        // Nothing is left to delete for a repeated call whose first answer was lost.
        let gone = whole(reply.get("n")) > 0 || self.rows(&find).await?.is_empty();
        Ok(match gone {
            true => SetAside::Moved,
            false => SetAside::Changed,
        })
    }

    /// Keeps a copy of a document, once.
    async fn keep_aside(&self, fault: &Fault, document: &RawDocument) -> Result<(), Error> {
        let hash = Sha256::new()
            .chain_update(&fault.collection)
            .chain_update([0])
            .chain_update(document.as_bytes())
            .finalize();
        let mut copy = Writer::with_capacity(document.as_bytes().len() + 512);
        copy.string("_id", &hex::encode(&hash[..16]))
            .int32(FORMAT, CURRENT)
            .date("moved", self.deployment().await?.now)
            .string("collection", &fault.collection)
            .string("problem", &fault.to_string())
            .document("document", document);
        let command = self.write_command(
            &rawdoc! { "insert": self.names.set_aside.as_str() },
            "documents",
            &[copy.finish()],
        );
        match self.write_retried(&command).await {
            Err(Error::Refused {
                code: DUPLICATE_KEY,
                ..
            }) => Ok(()),
            outcome => outcome.map(|_: Document| ()),
        }
    }

    fn fault_of(&self, collection: &str, row: &RawDocument) -> Option<Fault> {
        let fields = self.fields_of(collection, row)?;
        format::check(collection, fields, row)
            .err()
            .map(|fault| *fault)
    }

    /// The fields that a document of one of the server's own collections has; none of one that this
    /// version knows nothing about.
    fn fields_of(&self, collection: &str, row: &RawDocument) -> Option<&'static [Field]> {
        let names = &self.names;
        let id = raw::find(row, "_id").and_then(ValueRef::as_str);
        match collection {
            _ if collection == names.batches => Some(BATCH),
            _ if collection == names.verifications => Some(WHOLE_VERIFICATION),
            _ if collection == names.acknowledgements => Some(ACKNOWLEDGEMENT),
            _ if collection == names.ledger => Some(LEDGER),
            _ if collection == names.replaced => Some(REPLACED),
            _ if collection == names.audit => Some(CALL),
            _ if collection == names.differences => Some(DIFFERENCE),
            _ if collection == names.counters => Some(COUNTER),
            _ if collection == names.instances => Some(INSTANCE),
            _ if collection == names.quarantine => Some(ENTRY),
            _ if collection == names.quarantine_bytes => Some(PART_OF_BYTES),
            _ if collection == names.state => match id {
                Some(ID) => Some(WATCHER),
                Some(IDENTITY_ID) => Some(IDENTITY),
                Some(build_lease::ID) => Some(BUILD),
                Some(id) if partition_index(id).is_some() => Some(PARTITION),
                _ => None,
            },
            _ => None,
        }
    }
}
