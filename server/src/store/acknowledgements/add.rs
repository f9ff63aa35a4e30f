//! Noting acknowledgements.

use bson::{RawDocumentBuf, rawdoc};
use sha2::{Digest, Sha256};

use super::record::{Acknowledgeable, Acknowledgement, FINGERPRINT, NUMBER};
use crate::{
    bytes::raw::{Value, ValueRef, Writer},
    store::{
        Error, Store,
        encoding::document::{document_value, field},
        state::version::{CURRENT, FORMAT},
    },
};

impl Store {
    /// Notes that these differences may stay, and answers with what is noted. Safe to repeat: the
    /// same words of the same person about the same difference are noted once, with the time of the
    /// first.
    pub async fn acknowledge(
        &self,
        differences: &[Acknowledgeable],
        reason: &str,
        by: &str,
    ) -> Result<Vec<Acknowledgement>, Error> {
        let ids: Vec<String> = differences.iter().map(|it| id_of(it, reason, by)).collect();
        let named = differences.iter().zip(&ids);
        let statements: Vec<RawDocumentBuf> = named
            .map(|(it, id)| statement(it, id, reason, by))
            .collect();
        let update = rawdoc! { "update": self.names.acknowledgements.as_str() };
        self.write_all(update, "updates", &statements).await?;
        let found = self.acknowledgements_with("_id", &ids).await?;
        let found: Result<Vec<_>, _> = found.into_iter().collect();
        found.map_err(|fault| Error::State(Box::new(fault)))
    }
}

fn id_of(difference: &Acknowledgeable, reason: &str, by: &str) -> String {
    let mut hash = Sha256::new();
    for part in [
        &difference.numero,
        &difference.class,
        &difference.fingerprint,
        reason,
        by,
    ] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    for id in [&difference.order_id, &difference.archive_id] {
        hash.update([id.kind]);
        hash.update(&id.bytes);
    }
    hex::encode(&hash.finalize()[..16])
}

/// An upsert by pipeline, because only there the database's own clock can be written.
fn statement(difference: &Acknowledgeable, id: &str, reason: &str, by: &str) -> RawDocumentBuf {
    let mut born = Writer::default();
    born.string("_id", id)
        .int32(FORMAT, CURRENT)
        .string(NUMBER, &difference.numero)
        .string("class", &difference.class)
        .string(FINGERPRINT, &difference.fingerprint)
        .value("order_id", difference.order_id.as_ref())
        .value("archive_id", difference.archive_id.as_ref())
        .string("reason", reason)
        .string("by", by);
    let born = field("$literal", document_value(&born.finish()));
    let now = rawdoc! { "created": "$$NOW" };
    let mut merged = Writer::default();
    merged.array(
        "$mergeObjects",
        [document_value(&born), document_value(&now)],
    );
    let merged = merged.finish();
    let is_new = rawdoc! { "$eq": [{ "$type": "$created" }, "missing"] };
    let mut choice = Writer::default();
    choice.array(
        "$cond",
        [
            document_value(&is_new),
            document_value(&merged),
            Value::string("$$ROOT").as_ref(),
        ],
    );
    let choice = choice.finish();
    let stage = field("$replaceWith", document_value(&choice));
    let mut statement = Writer::default();
    statement
        .document("q", &rawdoc! { "_id": id })
        .array("u", [document_value(&stage) as ValueRef<'_>])
        .bool("upsert", true);
    statement.finish()
}
