//! Taking a document out of the archive: it is kept first, and leaves only as it was read.

use bson::{RawDocument, RawDocumentBuf, rawdoc};

use super::record::{DOCUMENT, NUMBER, Replacement};
use crate::{
    bytes::raw::{self, Value, ValueRef, Writer},
    domain::{enrich::LARGEST_DOCUMENT, order::NUMERO, text::cut},
    store::{
        Error, Store,
        encoding::document::{document_value, field, joined, whole},
        state::version::{CURRENT, FORMAT},
    },
};

/// The most of a number that is kept beside the document, in bytes.
const LONGEST_NUMBER: usize = 256;
/// Room for what is kept beside the document, in bytes: more than the longest number, name and
/// reason together.
const BESIDE: usize = 16 * 1024;
/// The database's code for an `_id` that is there already.
const DUPLICATE_KEY: i32 = 11000;

/// What became of a document that was to leave the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenOut {
    /// It has left, and is kept under this `_id`.
    Kept(String),
    /// It has changed since it was read; nothing was done.
    Changed,
    /// It is too large to be kept with anything beside it; nothing was done.
    TooLarge,
}

impl Store {
    /// Takes a document out of the archive, if it is still as it was read, and keeps it.
    pub async fn take_out(
        &self,
        archived: &RawDocument,
        why: &Replacement,
    ) -> Result<TakenOut, Error> {
        let id = raw::find(archived, "_id").unwrap_or(ValueRef::NULL);
        if archived.as_bytes().len() + id.bytes.len() + BESIDE > LARGEST_DOCUMENT {
            return Ok(TakenOut::TooLarge);
        }
        let kept = self.keep(archived, id, why).await?;
        let delete = self.delete_one(&self.names.archive, &as_it_was(archived, id));
        let deleted = self.write_retried(&delete).await?;
        // Where the first answer was lost, the second one counts nothing.
        if whole(deleted.get("n")) == 1 || !self.archive_holds(id).await? {
            return Ok(TakenOut::Kept(kept));
        }
        let unneeded = self.delete_one(&self.names.replaced, &rawdoc! { "_id": kept });
        self.write_retried(&unneeded).await?;
        Ok(TakenOut::Changed)
    }

    /// Keeps a document, whole. An insert, because only there a field inside the document may have
    /// any name.
    async fn keep(
        &self,
        archived: &RawDocument,
        id: ValueRef<'_>,
        why: &Replacement,
    ) -> Result<String, Error> {
        let name = uuid::Uuid::now_v7().to_string();
        let mut record = Writer::with_capacity(archived.as_bytes().len() + BESIDE);
        record
            .string("_id", &name)
            .int32(FORMAT, CURRENT)
            .date("created", self.deployment().await?.now)
            .string("class", why.class)
            .string("by", &why.by)
            .string("reason", &why.reason);
        if let Some(numero) = raw::find(archived, NUMERO).and_then(ValueRef::as_str) {
            record.string(NUMBER, &cut(numero, LONGEST_NUMBER));
        }
        record.value("archive_id", id).document(DOCUMENT, archived);
        let head = rawdoc! { "insert": self.names.replaced.as_str() };
        let insert = self.write_command(&head, "documents", &[record.finish()]);
        match self.write_retried(&insert).await {
            // Sent again because its answer was lost.
            Ok(_)
            | Err(Error::Refused {
                code: DUPLICATE_KEY,
                ..
            }) => Ok(name),
            Err(error) => Err(error),
        }
    }

    fn delete_one(&self, collection: &str, query: &RawDocument) -> RawDocumentBuf {
        let mut statement = Writer::default();
        statement.document("q", query).int32("limit", 1);
        let head = rawdoc! { "delete": collection };
        self.write_command(&head, "deletes", &[statement.finish()])
    }

    async fn archive_holds(&self, id: ValueRef<'_>) -> Result<bool, Error> {
        let mut find = Writer::default();
        find.string("find", &self.names.archive)
            .document("filter", &field("_id", document_value(&field("$eq", id))))
            .document("projection", &rawdoc! { "_id": 1 })
            .int32("limit", 1);
        let find = joined(&[&find.finish(), &self.read_options()]);
        Ok(!self.rows(&find).await?.is_empty())
    }
}

/// Matches a document by its `_id`, and only as long as it is as it was read.
fn as_it_was(archived: &RawDocument, id: ValueRef<'_>) -> RawDocumentBuf {
    let whole = field("$literal", document_value(archived));
    let mut both = Writer::default();
    both.array(
        "$eq",
        [Value::string("$$ROOT").as_ref(), document_value(&whole)],
    );
    let mut query = Writer::default();
    query
        .document("_id", &field("$eq", id))
        .document("$expr", &both.finish());
    query.finish()
}
